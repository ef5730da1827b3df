//! `/admin/v1/openapi.json`: this API, described for programs.

use crate::{
    call::{Answer, Call, ok},
    openapi::Described,
    router,
};
use serde_json::json;

pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    ok(&router::description())
}

pub(crate) fn describe_show() -> Described {
    Described::new("openapi", "Read this document").answer(
        200,
        "OpenAPI 3.1",
        json!({"type": "object", "required": ["openapi", "info", "paths"]}),
    )
}
