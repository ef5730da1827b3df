//! `countersign token ...`: why is one good or not, and the end of it. A token is read from a file, a prompt or stdin, never from
//! the line, which everybody on the machine sees.

use super::Common;
use crate::{
    output::{Column, Exit, Failure, Format, confirm},
    private_file,
};
use clap::{Args, Subcommand};
use countersign_crypto::SecretString;
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, stdin},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Why is this token good, or not? Every check that a gateway makes, in order
    #[command(before_help = "Examples:
  countersign token inspect --token-file token
  countersign token inspect < token
  countersign token inspect --token-file token --output json")]
    Inspect {
        #[command(flatten)]
        from: From,
    },
    /// End a token, a session, all that is signed in as somebody, or all that a key signed
    #[command(before_help = "Examples:
  countersign token revoke --token-file token
  countersign token revoke --principal ada
  countersign token revoke --session pmtXomPawLjX --yes
  countersign token revoke --jti YBUrOQiuiVovdSf7pWpAq5 --expires-at $(date -ud +5min +%FT%TZ) --yes
  countersign token revoke --jti staff:9b1d --expires-at 2027-01-31T12:00:00Z --yes")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct From {
    /// A file with the token in its first line; `-`: stdin. Otherwise you are asked
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").multiple(false)))]
pub struct Revoke {
    /// The token in the first line of a file; `-`: stdin. Where nothing else is named you are asked for one
    #[arg(long, value_name = "FILE", group = "what")]
    token_file: Option<PathBuf>,
    /// A session, by its public id
    #[arg(long, value_name = "ID", group = "what")]
    session: Option<String>,
    /// Every session of this user or service, and all that was signed here for it until now; not what an external issuer signed
    /// for one that is in its `local`
    #[arg(long, value_name = "NAME", group = "what")]
    principal: Option<String>,
    /// All that this key signed, by its `kid`
    #[arg(long, value_name = "KID", group = "what", allow_hyphen_values = true)]
    signing_key: Option<String>,
    /// One token, by its `jti`; of an issuer that is trusted `NAME:JTI`
    #[arg(long, value_name = "JTI", group = "what", requires = "expires_at")]
    jti: Option<String>,
    /// When that token ends: its `exp`, as a time such as `2027-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", requires = "jti")]
    expires_at: Option<String>,
    /// Without being asked, as in a script
    #[arg(short, long)]
    yes: bool,
}

const CHECKS: [Column; 4] = [("CHECK", "check"), ("OUTCOME", "outcome"), ("OF", "of"), ("REASON", "reason")];

pub async fn run(command: Token, common: &Common) -> Result<Exit, Failure> {
    match command {
        Token::Inspect { from } => inspect(&from, common).await,
        Token::Revoke(revoke) => revoke.run(common).await,
    }
}

async fn inspect(from: &From, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let token = read(from.token_file.as_deref())?;
    let body = json!({"token": token.expose()});
    let seen = common.client()?.post(&["tokens", "inspect"], body).await?;
    let text = |member: &str| seen.get(member).and_then(Value::as_str);
    if out.quiet || out.format != Format::Table {
        out.record(&seen, "id")?;
    } else {
        table(&seen, common)?;
    }
    match seen.get("good").and_then(Value::as_bool) {
        Some(true) => {
            out.say("the token is good");
            Ok(Exit::Ok)
        }
        Some(false) => {
            let failed =
                checks(&seen).iter().find(|c| c.get("outcome").and_then(Value::as_str) == Some("failed"));
            let said = |member: &str| failed?.get(member)?.as_str();
            let reason = said("reason").unwrap_or("unknown");
            let failure = Failure::new(Exit::Denied, format!("the token is not good: {reason}"));
            Err(match said("fix") {
                Some(fix) => failure.todo(fix),
                None => failure,
            })
        }
        None => {
            let what = text("kind").unwrap_or("unknown").replace('_', " ");
            let failure = Failure::new(
                Exit::Denied,
                format!("it is no signed token but a {what}, and was not looked up"),
            );
            let failure = match what.starts_with('a') {
                true => Failure { what: failure.what.replace("but a ", "but an "), ..failure },
                false => failure,
            };
            Err(match text("see") {
                Some(see) => failure.todo(format!("`{see}` says more")),
                None => failure.todo("it was not given out here, or not all of it was copied"),
            })
        }
    }
}

fn checks(seen: &Value) -> &[Value] {
    seen.get("checks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The checks, line by line, then what the token says.
fn table(seen: &Value, common: &Common) -> Result<(), Failure> {
    let out = common.out();
    if !checks(seen).is_empty() {
        out.list(checks(seen), &CHECKS, "check")?;
    }
    let verified = seen.get("verified").and_then(Value::as_bool) == Some(true);
    for (part, says) in [("header", "its header"), ("claims", "its claims")] {
        if let Some(members) = seen.get(part).filter(|part| part.is_object()) {
            let believed = if verified { "" } else { ", which nobody vouches for" };
            out.line(&format!("\n{says}{believed}:"))?;
            out.record(members, "")?;
        }
    }
    Ok(())
}

impl Revoke {
    async fn run(self, common: &Common) -> Result<Exit, Failure> {
        let (out, client) = (common.out(), common.client()?);
        let named = [
            ("session", self.session, "end the session"),
            ("principal", self.principal, "end every session and all that was signed until now of"),
            ("signing_key", self.signing_key, "end all that was signed, for good, with the key"),
            ("jti", self.jti, "end the token"),
        ];
        let named = named.into_iter().find_map(|(member, value, asks)| Some((member, value?, asks)));
        let body = match named {
            Some((member, value, asks)) => {
                if !self.yes {
                    confirm(&format!("{asks} `{value}`?"))?;
                }
                match self.expires_at {
                    Some(until) => json!({member: value, "expires_at": until}),
                    None => json!({member: value}),
                }
            }
            // whoever shows it means it
            None => json!({"token": read(self.token_file.as_deref())?.expose()}),
        };
        let ended = client.post(&["tokens", "revoke"], body).await?;
        out.record(&ended, "id")?;
        if ended.get("changed").and_then(Value::as_bool) == Some(false) {
            out.say("it was over already");
        }
        Ok(Exit::Ok)
    }
}

/// From a file, from whoever sits there, or from stdin.
fn read(file: Option<&Path>) -> Result<SecretString, Failure> {
    if file.is_none() && stdin().is_terminal() {
        let typed = rpassword::prompt_password("Token: ")
            .map_err(|e| Failure::failed(format!("cannot ask for the token: {e}")))?;
        return Ok(SecretString::new(typed.trim().to_owned()));
    }
    private_file::secret_from(file.unwrap_or(Path::new("-"))).map(SecretString::new)
}
