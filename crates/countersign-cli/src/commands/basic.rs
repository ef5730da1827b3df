//! What people sign in with: `countersign user set-password ...`, `countersign app-password ...`, `countersign import htpasswd`
//! and `countersign password-list build`.

use super::{
    Common,
    brought::{To, existed, read},
    duration, scope,
};
use crate::{
    output::{Column, Exit, Failure, Format, cell, confirm, to_seconds},
    private_file,
};
use clap::{Args, Subcommand};
use countersign_crypto::{SecretString, hash::sha1_for_breached_password_lists};
use countersign_methods::password::breached::FilterBuilder;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, IsTerminal, stdin},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub enum AppPassword {
    /// Make a password for one service; it is shown once
    #[command(before_help = "Examples:
  countersign app-password create ada calendar --scope orders:read
  countersign app-password create ada calendar --scope orders:read --expires 90d
  PASSWORD=$(countersign app-password create ada calendar --scope orders:read -q)")]
    Create(Create),
    /// List app passwords
    #[command(before_help = "Examples:
  countersign app-password list
  countersign app-password list --owner ada --usable")]
    List(List),
    /// Show one app password; never its secret
    #[command(before_help = "Examples:
  countersign app-password show 4fQ2kZ81mXpA")]
    Show {
        /// Its public id
        id: String,
    },
    /// End an app password, everywhere, within a second
    #[command(before_help = "Examples:
  countersign app-password revoke 4fQ2kZ81mXpA
  countersign app-password revoke 4fQ2kZ81mXpA --yes")]
    Revoke {
        /// Its public id
        id: String,
        /// Without being asked, as in a script
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// Whose: name or id of a user
    owner: String,
    /// Which service it is for, as people call it
    service: String,
    /// A scope of the owner that it may use; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// When it ends; left out: as the configuration says
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only of this user
    #[arg(long)]
    owner: Option<String>,
    /// Only those that are neither revoked nor expired
    #[arg(long)]
    usable: bool,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("OWNER", "owner"),
    ("SERVICE", "service"),
    ("STATE", "state"),
    ("SCOPES", "scopes"),
    ("CREATED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

pub async fn run(command: AppPassword, common: &Common) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    match command {
        AppPassword::Create(Create { owner, service, scopes, expires }) => {
            let body = json!({"owner": owner, "service": service, "scopes": scopes, "expires_in": expires});
            let issued = client.post(&["app-passwords"], body).await?;
            let Some(secret) = issued.get("secret").and_then(Value::as_str) else {
                return Err(Failure::failed("the server made an app password and did not say it")
                    .todo("revoke it and make another"));
            };
            if out.quiet || out.format == Format::Table {
                out.line(secret)?;
            } else {
                out.record(&issued, "secret")?;
            }
            if !out.quiet && out.format == Format::Table {
                let text = |pointer: &str| issued.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
                let ends = text("/app_password/expires_at");
                let ends = to_seconds(ends).unwrap_or_else(|| ends.to_owned());
                out.say(&format!(
                    "\napp password {} for `{service}`, ends {ends}. It is shown this once: put it where `{service}` asks for \
                     {owner}'s password",
                    text("/app_password/id")
                ));
                if scopes.is_empty() {
                    out.say("it carries no scopes: routes that ask for one refuse it; `--scope` gives it some of its owner's");
                }
            }
        }
        AppPassword::List(List { owner, usable, limit }) => {
            let mut query = Vec::new();
            query.extend(owner.map(|owner| ("owner", owner)));
            query.extend(usable.then(|| ("usable", "true".to_owned())));
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            out.list(&client.all(&["app-passwords"], &query, most).await?, &COLUMNS, "id")?;
        }
        AppPassword::Show { id } => {
            out.record(&client.get(&["app-passwords", &id], &[]).await?, "id")?;
        }
        AppPassword::Revoke { id, yes } => {
            if !yes {
                let about = client
                    .get_if_allowed(&["app-passwords", &id])
                    .await?
                    .map(|shown| {
                        format!(
                            " of `{}` for `{}`",
                            cell(shown.pointer("/owner/name")),
                            cell(shown.get("service"))
                        )
                    })
                    .unwrap_or_default();
                confirm(&format!("end the app password `{id}`{about}, for good?"))?;
            }
            out.record(&client.post(&["app-passwords", &id, "revoke"], json!({})).await?, "id")?;
        }
    }
    Ok(Exit::Ok)
}

#[derive(Debug, Args)]
pub struct SetPassword {
    /// Name or id
    name: String,
    /// A file that only you can read, with the password in its first line; `-`: stdin. Otherwise you are asked
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl SetPassword {
    pub async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let password = new_password(self.password_file.as_deref(), &self.name)?;
        let body = json!({"password": password.expose()});
        let set = common.client()?.put(&["principals", &self.name, "password"], body).await?;
        common.out().record(&set, "set_at")?;
        common.out().say("whatever was signed in with a password before this one has ended");
        Ok(Exit::Ok)
    }
}

#[derive(Debug, Args)]
pub struct RemovePassword {
    /// Name or id
    name: String,
    /// Without being asked, as in a script
    #[arg(short, long)]
    yes: bool,
}

impl RemovePassword {
    pub async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let client = common.client()?;
        if !self.yes {
            confirm(&format!("take the password of `{}` away?", self.name))?;
        }
        common.out().record(&client.delete(&["principals", &self.name, "password"]).await?, "set")?;
        Ok(Exit::Ok)
    }
}

/// How a user's password stands.
pub async fn show_password(name: &str, common: &Common) -> Result<Exit, Failure> {
    let found = common.client()?.get(&["principals", name, "password"], &[]).await?;
    common.out().record(&found, "set")?;
    Ok(Exit::Ok)
}

#[derive(Debug, Subcommand)]
pub enum Report {
    /// Who still uses HTTP Basic, and on which route
    #[command(before_help = "Examples:
  countersign report basic
  countersign report basic --route legacy --since 30d
  countersign report basic --principal ada --output json")]
    Basic(BasicReport),
}

#[derive(Debug, Args)]
pub struct BasicReport {
    /// Only this one: name or id
    #[arg(long)]
    principal: Option<String>,
    /// Only the route of this name
    #[arg(long)]
    route: Option<String>,
    /// Only what was used within so long, or since a time such as `2027-01-31T12:00:00Z`
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

const USES: [Column; 4] =
    [("PRINCIPAL", "principal"), ("ROUTE", "route"), ("USES", "uses"), ("LAST USED", "last_used_at")];

pub async fn report(Report::Basic(report): Report, common: &Common) -> Result<Exit, Failure> {
    let mut query = vec![("limit", report.limit.to_string())];
    query.extend(report.principal.map(|principal| ("principal", principal)));
    query.extend(report.route.map(|route| ("route", route)));
    query.extend(report.since.map(|since| ("since", since)));
    let found = common.client()?.get(&["basic-uses"], &query).await?;
    let items = found.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    common.out().list(&items, &USES, "principal")?;
    Ok(Exit::Ok)
}

/// From a file, from whoever sits there, or from stdin.
fn new_password(file: Option<&Path>, name: &str) -> Result<SecretString, Failure> {
    if let Some(file) = file {
        return private_file::passphrase_from(file);
    }
    if !stdin().is_terminal() {
        return private_file::passphrase_from(Path::new("-"));
    }
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map(SecretString::new)
            .map_err(|e| Failure::failed(format!("cannot ask for the password: {e}")))
    };
    let first = ask(format!("New password of `{name}`: "))?;
    let again = ask("Once more: ".to_owned())?;
    if first.expose() != again.expose() {
        return Err(Failure::usage("that was not the same twice; nothing was done"));
    }
    Ok(first)
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Users with their passwords from an Apache or nginx password file, all of them or none
    #[command(before_help = "Examples:
  countersign import htpasswd .htpasswd --scope orders:read --dry-run
  countersign import htpasswd .htpasswd --scope orders:read --group staff")]
    Htpasswd(Htpasswd),
}

#[derive(Debug, Args)]
pub struct Htpasswd {
    /// Lines of `name:hash`: bcrypt, apr1, SHA, SHA-crypt, or a PHC string; `-`: stdin
    file: PathBuf,
    /// What those who are new here may do; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// A label of those who are new here; repeat for more
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Leave those who have a password here already as they are
    #[arg(long)]
    skip_existing: bool,
    /// Look at everything, write nothing
    #[arg(long)]
    dry_run: bool,
}

const PEOPLE: To = To {
    path: ["passwords", "import"],
    list: "people",
    // a weak hash takes a hash of ours each
    most: 100,
    dry_run: false,
    nothing: ["one line cannot be imported, so nobody was", "some lines cannot be imported, so nobody was"],
};

const OUTCOMES: [Column; 4] =
    [("LINE", "line"), ("NAME", "name"), ("OUTCOME", "outcome"), ("HASH", "scheme")];

/// One line. Has no `Debug`: it holds a hash.
struct Person {
    line: usize,
    name: String,
    hash: String,
}

pub async fn import(Import::Htpasswd(import): Import, common: &Common) -> Result<Exit, Failure> {
    let people = people(&import.file)?;
    let body = |part: &[Person], dry_run| {
        let rows: Vec<Value> = part.iter().map(|p| json!({"name": p.name, "hash": p.hash})).collect();
        json!({
            "people": rows, "scopes": import.scopes, "groups": import.groups,
            "skip_existing": import.skip_existing, "dry_run": dry_run,
        })
    };
    let place = |person: &Person, _: &str| format!("line {}: `{}`", person.line, person.name);
    let to = To { dry_run: import.dry_run, ..PEOPLE };
    let mut outcomes = to.send(&common.client()?, &people, body, place).await?;
    for (outcome, person) in outcomes.iter_mut().zip(&people) {
        if let Some(members) = outcome.as_object_mut() {
            members.insert("line".into(), json!(person.line));
            members.insert("name".into(), json!(person.name));
        }
    }
    let out = common.out();
    out.list(&outcomes, &OUTCOMES, "id")?;
    let existed = existed(&outcomes);
    let (imported, did) =
        (outcomes.len() - existed, if import.dry_run { "would be imported" } else { "imported" });
    out.say(&format!("{imported} {did}, {existed} had a password here already"));
    if import.scopes.is_empty() && outcomes.iter().any(|row| row.get("outcome") == Some(&json!("made"))) {
        out.say("whoever is new here has no scopes: routes that ask for one refuse them; `--scope` gives them some");
    }
    Ok(Exit::Ok)
}

fn people(file: &Path) -> Result<Vec<Person>, Failure> {
    let bytes = read(file)?;
    let mut people = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut wrong = Vec::new();
    for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = n + 1;
        let Ok(line) = std::str::from_utf8(line) else {
            wrong.push(format!("line {number}: is not UTF-8"));
            continue;
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, hash)) =
            line.split_once(':').filter(|(name, hash)| !name.is_empty() && !hash.is_empty())
        else {
            wrong.push(format!("line {number}: is not `name:hash`"));
            continue;
        };
        // what the server takes for one name is one name
        if let Some(first) = seen.insert(name.to_lowercase(), number) {
            wrong.push(format!("line {number}: has the name of line {first}"));
        }
        people.push(Person { line: number, name: name.to_owned(), hash: hash.to_owned() });
    }
    if !wrong.is_empty() {
        return Err(PEOPLE.nothing(&wrong));
    }
    if people.is_empty() {
        return Err(Failure::usage(format!("`{}` names nobody", file.display())));
    }
    Ok(people)
}

#[derive(Debug, Subcommand)]
pub enum PasswordList {
    /// A list of known passwords for `[passwords] breached`, from a download of SHA-1 hashes
    #[command(before_help = "Examples:
  countersign password-list build pwned-passwords-sha1.txt --out passwords.filter
  gunzip -c hashes.gz | countersign password-list build - --out passwords.filter --most 10000000")]
    Build {
        /// Lines of `HASH` or `HASH:COUNT`, the most common first if not all are taken; `-`: stdin
        file: PathBuf,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// At most so many hashes
        #[arg(long, default_value_t = 20_000_000)]
        most: usize,
    },
}

pub fn password_list(
    PasswordList::Build { file, out, most }: PasswordList,
    common: &Common,
) -> Result<Exit, Failure> {
    let shown = file.display();
    let unreadable = |e: std::io::Error| Failure::failed(format!("cannot read `{shown}`: {e}"));
    let reader: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(stdin().lock()),
        false => Box::new(BufReader::new(File::open(&file).map_err(unreadable)?)),
    };
    let mut builder = FilterBuilder::new(most);
    for line in reader.lines().take(most) {
        let line = line.map_err(unreadable)?;
        builder.line(&line).map_err(|e| Failure::failed(format!("`{shown}`: {e}")))?;
    }
    let filter = builder
        .finish(sha1_for_breached_password_lists)
        .map_err(|e| Failure::failed(format!("`{shown}`: {e}")))?;
    let bytes = filter.to_bytes();
    std::fs::write(&out, &bytes)
        .map_err(|e| Failure::failed(format!("cannot write `{}`: {e}", out.display())))?;
    let (entries, size) = (filter.entries(), bytes.len());
    let what = if entries == 1 { "password" } else { "passwords" };
    common.out().say(&format!(
        "{entries} {what} in {size} bytes; say `breached = \"{}\"` under `[passwords]`",
        out.display()
    ));
    Ok(Exit::Ok)
}
