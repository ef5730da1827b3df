//! `countersign route ...`

use super::Common;
use crate::output::{Exit, Failure, Output};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Routes {
    /// List routes and what each asks of callers; public ones are named as such
    #[command(before_help = "Examples:
  countersign route list
  countersign route list --output json")]
    List,
    /// Which route would take this request, and what does it ask for?
    #[command(before_help = "Examples:
  countersign route test GET /orders/1
  countersign route test POST https://api.example.com/orders")]
    Test {
        /// `GET`
        method: String,
        /// A path, or a whole URL where the host matters
        url: String,
    },
}

pub async fn run(command: Routes, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let client = common.client()?;
    let answer = client.get(&["routes"], &[]).await?;
    let routes: Vec<Value> = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    match command {
        Routes::List => {
            show(&out, &routes)?;
            Ok(Exit::Ok)
        }
        Routes::Test { method, url } => {
            let decision = client.post(&["routes", "check"], json!({"method": method, "url": url})).await?;
            let route = decision.get("route").and_then(Value::as_str);
            let found =
                routes.iter().find(|r| route.is_some() && r.get("name").and_then(Value::as_str) == route);
            let Some(found) = found else {
                let code = decision.get("code").and_then(Value::as_str).unwrap_or("route_unknown");
                return Err(Failure::new(Exit::NotFound, format!("no route takes `{method} {url}`: {code}"))
                    .todo("`countersign route list` shows what there is"));
            };
            show(&out, std::slice::from_ref(found))?;
            Ok(Exit::Ok)
        }
    }
}

fn show(out: &Output, routes: &[Value]) -> Result<(), Failure> {
    if out.quiet || out.format != crate::output::Format::Table {
        return out.list(routes, &[], "name");
    }
    let rows: Vec<Value> = routes.iter().map(row).collect();
    let columns = [
        ("NAME", "name"),
        ("HOST", "host"),
        ("METHODS", "methods"),
        ("PATH", "path"),
        ("SECURITY", "security"),
        ("UPSTREAM", "upstream"),
    ];
    out.list(&rows, &columns, "name")
}

fn row(route: &Value) -> Value {
    let mut row = route.clone();
    if let Some(members) = row.as_object_mut() {
        let security = members.get("security").map(requirement);
        members.insert("security".into(), json!(security));
        let any = members.get("methods").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if any || members.get("methods").is_some_and(Value::is_null) {
            members.insert("methods".into(), json!("*"));
        }
        let prefix = |name| members.get(name).and_then(Value::as_str).filter(|prefix| !prefix.is_empty());
        if let (strip, add) = (prefix("strip_prefix"), prefix("add_prefix"))
            && (strip.is_some() || add.is_some())
        {
            let upstream = members.get("upstream").and_then(Value::as_str).unwrap_or("-");
            let seen = format!("{upstream} ({} -> {})", strip.unwrap_or("/"), add.unwrap_or("/"));
            members.insert("upstream".into(), json!(seen));
        }
    }
    row
}

/// `api_key (orders:read) or mtls and oauth (orders:write)`.
fn requirement(security: &Value) -> String {
    let Some(alternatives) = security.as_array() else {
        return security.as_str().unwrap_or("-").to_owned();
    };
    let method = |m: &Value| {
        let name = m.get("method").and_then(Value::as_str).unwrap_or("-");
        let scopes: Vec<&str> = m
            .get("scopes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if scopes.is_empty() { name.to_owned() } else { format!("{name} ({})", scopes.join(" ")) }
    };
    let all = |alternative: &Value| {
        let methods: Vec<String> = alternative.as_array().into_iter().flatten().map(method).collect();
        methods.join(" and ")
    };
    alternatives.iter().map(all).collect::<Vec<_>>().join(" or ")
}
