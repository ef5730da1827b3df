//! The admin API's description: an OpenAPI 3.1 document, made of the operation table (where, which method, which scope) and
//! of what each handler says of itself ([`Described`], declared beside it).
//!
//! Owns the words of the document and what is the same for all operations: security, refusals, fields. The shapes of a noun
//! are declared in its own file. Next: [`crate::router`], which knows every operation and puts the document together.

pub(crate) mod shape;
#[cfg(test)]
mod tests;

use countersign_methods::operator;
use serde_json::{Map, Value, json};
use shape::{defined, nullable, string, words};

/// What one operation takes and answers, beside its place in the table.
#[derive(Debug)]
pub(crate) struct Described {
    summary: &'static str,
    tag: &'static str,
    parameters: Vec<Value>,
    body: Option<Body>,
    answers: Vec<Answered>,
    problems: Vec<(u16, Vec<&'static str>)>,
}

#[derive(Debug)]
struct Body {
    schema: Value,
    required: bool,
    form: bool,
    example: Value,
}

#[derive(Debug)]
struct Answered {
    status: u16,
    says: &'static str,
    media: &'static str,
    schema: Value,
    headers: Map<String, Value>,
}

impl Described {
    pub(crate) fn new(tag: &'static str, summary: &'static str) -> Self {
        Self {
            summary,
            tag,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: vec![
                (400, vec!["request_malformed", "credential_malformed", "credential_doubled"]),
                (429, vec!["limit_exceeded", "too_many_failures"]),
                (500, vec!["internal"]),
                (503, vec!["store_unavailable", "feed_blind", "plan_unknown"]),
            ],
        }
    }

    pub(crate) fn query(mut self, name: &str, says: &str, schema: Value) -> Self {
        self.parameters.push(parameter("query", name, says, &schema, false));
        self
    }

    /// `limit` of a list.
    pub(crate) fn limit(self) -> Self {
        let most = countersign_core::page::PageRequest::MAX_LIMIT;
        let usual = countersign_core::page::PageRequest::DEFAULT_LIMIT;
        let schema = json!({"type": "integer", "minimum": 1, "maximum": most, "default": usual});
        self.query("limit", "at most so many items", schema)
    }

    /// `limit` and `cursor` of a list.
    pub(crate) fn page(self) -> Self {
        let schema = json!({"type": "string", "pattern": "^([0-9a-f]{2})+$", "maxLength": 512});
        self.limit().query("cursor", "the `next` of the page before", schema)
    }

    /// `sort` of a list; the first is the usual one.
    pub(crate) fn sort(self, by: &[&str]) -> Self {
        let each: Vec<String> = by.iter().flat_map(|by| [(*by).to_owned(), format!("-{by}")]).collect();
        let schema = json!({"type": "string", "enum": each, "default": by.first()});
        self.query("sort", "by what, with `-` the greatest first", schema)
    }

    /// `{id}` in the path.
    pub(crate) fn id(mut self, says: &str, schema: Value) -> Self {
        self.parameters.push(parameter("path", "id", says, &schema, true));
        self
    }

    /// RFC 9110 13.1.1
    pub(crate) fn if_match(mut self, required: bool) -> Self {
        // without a pattern: what else is a list of tags is the RFC's to say
        let schema = json!({"type": "string", "examples": ["\"1\"", "*"]});
        let says = "the `ETag` that was seen, or `*` for whatever stands";
        self.parameters.push(parameter("header", "If-Match", says, &schema, required));
        if required {
            self = self.problem(428, "precondition_required");
        }
        self.problem(412, "precondition_failed")
    }

    /// May be sent again.
    pub(crate) fn once(mut self) -> Self {
        let pattern = r#"^("[!#-\[\]-~]{1,128}"|[!#-\[\]-~]{1,128})$"#;
        let schema = json!({"type": "string", "pattern": pattern});
        let says = "the same for the same request sent again: it acts once, and is known for a day";
        self.parameters.push(parameter("header", "Idempotency-Key", says, &schema, false));
        self.problem(422, "idempotency_key_reused")
    }

    /// What a request sent again is answered ([`Described::once`]).
    pub(crate) fn replayed(self, says: &'static str, schema: Value) -> Self {
        self.answer(200, says, schema).tagged().header("Idempotency-Replayed", "`true`", words(&["true"]))
    }

    pub(crate) fn body(self, schema: Value, example: Value) -> Self {
        self.with(Body { schema, required: true, form: false, example })
    }

    pub(crate) fn optional_body(self, schema: Value, example: Value) -> Self {
        self.with(Body { schema, required: false, form: false, example })
    }

    pub(crate) fn form_or_body(self, schema: Value, example: Value) -> Self {
        self.with(Body { schema, required: true, form: true, example })
    }

    fn with(mut self, body: Body) -> Self {
        self.body = Some(body);
        self.problem(408, "body_timeout")
            .problem(413, "body_too_large")
            .problem(415, "content_type_unsupported")
            .problem(415, "content_encoding_unsupported")
    }

    pub(crate) fn answer(self, status: u16, says: &'static str, schema: Value) -> Self {
        self.media(status, says, "application/json", schema)
    }

    pub(crate) fn media(
        mut self,
        status: u16,
        says: &'static str,
        media: &'static str,
        schema: Value,
    ) -> Self {
        self.answers.push(Answered { status, says, media, schema, headers: Map::new() });
        self
    }

    /// The last answer is about one record.
    pub(crate) fn tagged(self) -> Self {
        self.header("ETag", "the record's version", json!({"type": "string", "pattern": "^\"[0-9]+\"$"}))
    }

    /// The last answer says where the new record stands.
    pub(crate) fn located(self) -> Self {
        self.header("Location", "where it stands", json!({"type": "string", "format": "uri-reference"}))
    }

    pub(crate) fn header(mut self, name: &str, says: &str, schema: Value) -> Self {
        if let Some(last) = self.answers.last_mut() {
            last.headers.insert(name.into(), json!({"description": says, "schema": schema}));
        }
        self
    }

    pub(crate) fn problem(mut self, status: u16, code: &'static str) -> Self {
        match self.problems.iter_mut().find(|(known, _)| *known == status) {
            Some((_, codes)) => codes.push(code),
            None => self.problems.push((status, vec![code])),
        }
        self
    }

    /// As it stands in the document; `scope`: `None` where anybody may call.
    pub(crate) fn operation(mut self, name: &str, scope: Option<&str>) -> Value {
        if scope.is_some() {
            for code in ["credential_missing", "credential_invalid", "key_expired", "key_revoked"] {
                self = self.problem(401, code);
            }
            for code in ["scope_missing", "network_not_allowed"] {
                self = self.problem(403, code);
            }
        }
        self = self.problem(403, "tls_required").problem(421, "misdirected");
        self.problems.sort_by_key(|(status, _)| *status);
        let mut responses = Map::new();
        for answer in &self.answers {
            let mut response = json!({"description": answer.says});
            put(
                &mut response,
                "content",
                Some(answer.media)
                    .filter(|m| !m.is_empty())
                    .map(|media| json!({media: {"schema": answer.schema}})),
            );
            put(
                &mut response,
                "headers",
                Some(answer.headers.clone()).filter(|h| !h.is_empty()).map(Value::Object),
            );
            responses.insert(answer.status.to_string(), response);
        }
        for (status, codes) in &self.problems {
            responses.insert(status.to_string(), problem(*status, codes));
        }
        let mut operation = json!({
            "operationId": name,
            "summary": self.summary,
            "tags": [self.tag],
            "security": match scope {
                Some(scope) => json!([{"bearer": [scope]}, {"header": [scope]}]),
                None => json!([]),
            },
            "responses": responses,
        });
        put(&mut operation, "parameters", Some(self.parameters).filter(|p| !p.is_empty()).map(Value::from));
        put(&mut operation, "requestBody", self.body.map(Body::described));
        operation
    }
}

impl Body {
    fn described(self) -> Value {
        let mut content = json!({
            "application/json": {"schema": self.schema, "example": self.example}
        });
        if self.form {
            put(&mut content, "application/x-www-form-urlencoded", Some(json!({"schema": self.schema})));
        }
        json!({"required": self.required, "content": content})
    }
}

fn parameter(place: &str, name: &str, says: &str, schema: &Value, required: bool) -> Value {
    json!({"name": name, "in": place, "description": says, "required": required, "schema": schema})
}

fn problem(status: u16, codes: &[&str]) -> Value {
    let says =
        http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("problem");
    let mut response = json!({
        "description": says,
        "content": {"application/problem+json": {"schema": {
            "allOf": [defined("Problem"), {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]
        }}}
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", string())),
        429 | 503 => Some(("Retry-After", json!({"type": "integer", "minimum": 1}))),
        _ => None,
    };
    put(
        &mut response,
        "headers",
        header.map(|(name, schema)| {
            // not on every one: an outage that nobody knows the end of says none
            json!({name: {"schema": schema, "required": false}})
        }),
    );
    response
}

fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(name.into(), value);
    }
}

/// Everything around the operations.
pub(crate) fn document(paths: Value, schemas: Map<String, Value>) -> Value {
    let mut all = schemas;
    all.insert("Problem".into(), problem_schema());
    let scopes: Vec<String> = operator::ALL.iter().map(|scope| format!("`{scope}`")).collect();
    let says = format!(
        "An operator's key. Each operation names the scope that the key must hold; there are {}.",
        scopes.join(", ")
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign admin API",
            "version": "1",
            "summary": "Principals, API keys, sessions, tokens, routes, audit and revocations of a Countersign deployment",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/", "description": "the address of `[admin] listen`"}],
        "paths": paths,
        "components": {
            "schemas": all,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "cs_live_...", "description": says},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": says},
            },
        },
    })
}

/// RFC 9457, as every refusal is written.
fn problem_schema() -> Value {
    shape::object(
        "A refusal (RFC 9457). Programs read `code`.",
        &[
            ("type", string()),
            ("title", string()),
            ("status", json!({"type": "integer", "minimum": 400, "maximum": 599})),
            ("detail", string()),
            ("instance", json!({"type": "string", "description": "the request id"})),
            ("code", json!({"type": "string", "pattern": "^[a-z0-9_]+$"})),
        ],
        &[(
            "errors",
            json!({"type": "array", "items": shape::object(
                "One thing that is wrong with what was sent.",
                &[("member", string()), ("detail", string())],
                &[],
            )}),
        )],
    )
}

/// A list's page: `items` and where it goes on.
pub(crate) fn page_of(item: &str, next: Value) -> Value {
    let items = json!({"type": "array", "items": defined(item)});
    shape::object("One page.", &[("items", items), ("next", nullable(next))], &[])
}
