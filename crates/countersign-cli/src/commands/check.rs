//! `countersign check`: a described request, judged without counting and without being sent anywhere.

use super::Common;
use crate::{
    output::{Exit, Failure},
    private_file,
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{net::IpAddr, path::PathBuf};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign check GET /orders/1
  countersign check GET /orders/1 --key-file key
  countersign check POST https://api.example.com/orders --key-file - --source 203.0.113.7
  countersign check GET /orders/1 --plain")]
pub struct Check {
    /// `GET`
    method: String,
    /// A path, or a whole URL where the host matters
    url: String,
    /// Present this key: a file with it in its first line; `-`: stdin
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A header, `Name: value`; `@FILE` reads one from each line of a file
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The caller's address
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// As if it came over plain HTTP
    #[arg(long)]
    plain: bool,
}

pub async fn run(check: Check, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let mut body = Map::new();
    body.insert("method".into(), json!(check.method));
    body.insert("url".into(), json!(check.url));
    body.insert("transport".into(), json!(if check.plain { "plain" } else { "tls" }));
    if let Some(source) = check.source {
        body.insert("source".into(), json!(source));
    }
    if let Some(file) = &check.key_file {
        body.insert("key".into(), json!(private_file::secret_from(file)?));
    }
    let headers = headers(&check.headers)?;
    if !headers.is_empty() {
        body.insert("headers".into(), Value::Object(headers));
    }
    let decision = common.client()?.post(&["routes", "check"], Value::Object(body)).await?;
    out.record(&decision, "decision")?;
    let allowed = decision.get("decision").and_then(Value::as_str) == Some("allow");
    Ok(if allowed { Exit::Ok } else { Exit::Denied })
}

fn headers(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut lines = Vec::new();
    for text in given {
        match text.strip_prefix('@') {
            Some(file) => {
                let content = std::fs::read_to_string(file)
                    .map_err(|e| Failure::failed(format!("cannot read `{file}`: {e}")))?;
                lines.extend(content.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
            }
            None => {
                let name = text.split(':').next().unwrap_or_default().trim();
                // everybody on the machine sees the command line
                if ["authorization", "x-api-key", "cookie"]
                    .iter()
                    .any(|secret| name.eq_ignore_ascii_case(secret))
                {
                    return Err(Failure::usage(format!(
                        "`{name}` on the command line is seen by everybody here"
                    ))
                    .todo("say `--key-file FILE`, or `-H @FILE` with the header in the file"));
                }
                lines.push(text.clone());
            }
        }
    }
    let mut headers = Map::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Failure::usage("a header without `:`")
                .todo("say `Name: value`; for a file with the bare key, say `--key-file FILE`"));
        };
        if headers.insert(name.trim().to_lowercase(), json!(value.trim())).is_some() {
            return Err(Failure::usage(format!("`{}` is given twice", name.trim())));
        }
    }
    Ok(headers)
}
