//! The command line: one file per noun, each with its grammar and what it does.
//!
//! Owns clap's shapes and the way from a parsed line to an exit code. Asks the running server through
//! `admin_client`; only `dev`, `serve`, `admin recover` and what copies the store open anything themselves.

pub mod admin;
pub mod api_key;
pub mod audit;
pub mod backup;
pub mod basic;
mod brought;
pub mod check;
pub mod completion;
pub mod config;
mod copies;
pub mod dev;
pub mod doctor;
pub mod jwt;
pub mod keyring;
pub mod man;
pub mod migrate;
pub mod principal;
pub mod ready;
pub mod restore;
pub mod route;
pub mod serve;
pub mod session;
pub mod signing;
pub mod version;

use crate::{
    admin_client::{AdminClient, Connection},
    output::{Exit, Failure, Format, Output, say},
};
use clap::{
    Args, CommandFactory, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{ffi::OsString, path::PathBuf};

/// With which everybody begins.
macro_rules! first_three {
    () => {
        "  countersign dev --upstream http://127.0.0.1:3000
  countersign key create demo --scope orders:read --header > key
  curl --cacert .countersign/ca.pem -H @key https://localhost:8443/orders/1"
    };
}

/// For somebody who typed the name and nothing else.
const BEGIN: &str = concat!(
    "Lets only the right callers reach an API, and issues the credentials they carry. Three commands to start with:\n\n",
    first_three!(),
    "\n\nNothing to protect yet? Say `--demo` instead of `--upstream ...`. `countersign --help` shows every command."
);

#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    about = "Lets only the right callers reach an API, and issues the credentials they carry",
    before_help = concat!("Examples:\n", first_three!()),
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Common {
    /// The configuration file; otherwise the nearest `.countersign/` upward
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder: keyring and operator's key; without `--config`, `countersign.toml` is in it too
    #[arg(long, global = true, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// The admin API, instead of what the configuration says
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<url::Url>,
    /// Certificates in PEM that vouch for the admin API; otherwise `ca.pem` beside the configuration
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The operator's key; otherwise `admin.key` beside the configuration
    #[arg(long, global = true, value_name = "FILE")]
    pub admin_key_file: Option<PathBuf>,
    /// How to print data
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Only the id or the secret
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Common {
    pub fn out(&self) -> Output {
        Output { format: self.output, quiet: self.quiet }
    }

    pub fn client(&self) -> Result<AdminClient, Failure> {
        AdminClient::connect(&Connection {
            config: self.config.clone(),
            dir: self.dir.clone(),
            server: self.server.clone(),
            ca: self.ca.clone(),
            admin_key_file: self.admin_key_file.clone(),
        })
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put an API behind keys on this machine, in one command
    Dev(dev::Dev),
    /// Serve what a configuration says
    Serve(serve::Serve),
    /// Is everything that this deployment rests on as it should be?
    Doctor(doctor::Doctor),
    /// Does the server of this configuration take requests?
    Ready(ready::Ready),
    /// Would this request be let through, and why?
    Check(check::Check),
    /// API keys
    #[command(subcommand)]
    Key(api_key::Key),
    /// People
    #[command(subcommand)]
    User(principal::User),
    /// Passwords for one service each, in the place of a person's own
    #[command(subcommand)]
    AppPassword(basic::AppPassword),
    /// Programs
    #[command(subcommand)]
    Service(principal::Service),
    /// Who is signed in
    #[command(subcommand)]
    Session(session::Session),
    /// Signed tokens: what is wrong with one, and the end of it
    #[command(subcommand)]
    Token(jwt::Token),
    /// The keys that tokens are signed with
    #[command(subcommand)]
    SigningKey(signing::SigningKey),
    /// What comes from another product
    #[command(subcommand)]
    Import(basic::Import),
    /// Lists of passwords that nobody should choose
    #[command(subcommand)]
    PasswordList(basic::PasswordList),
    /// What is still used, and by whom
    #[command(subcommand)]
    Report(basic::Report),
    /// What the gateway serves, and what it asks of callers
    #[command(subcommand)]
    Route(route::Routes),
    /// The configuration file
    #[command(subcommand)]
    Config(config::Config),
    /// Who did what
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The peppers under which keys are hashed, and the key that signs the audit trail
    #[command(subcommand)]
    Keyring(keyring::Keyring),
    /// Everything that is kept into one sealed file, while the server serves
    Backup(backup::Backup),
    /// A backup into an empty store
    Restore(restore::Restore),
    /// A store from one engine to the other
    Migrate(migrate::Migrate),
    /// For whoever sits at the machine
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Make a shell complete what is typed
    Completion(completion::Completion),
    /// What this binary is
    Version(version::Version),
    /// Write the manual pages
    #[command(hide = true)]
    Man(man::Man),
}

/// Parse and run; the process's exit code.
pub fn run(line: impl IntoIterator<Item = OsString>) -> Exit {
    let line: Vec<OsString> = line.into_iter().collect();
    if line.len() <= 1 {
        say(BEGIN);
        return Exit::Usage;
    }
    let parsed = match CommandLine::try_parse_from(&line) {
        Ok(parsed) => parsed,
        Err(mut error) => {
            offer(&mut error, &line);
            // help and version go to stdout, mistakes to stderr; a closed pipe is nobody's failure
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
                _ => Exit::Usage,
            };
        }
    };
    match dispatch(parsed) {
        Ok(exit) => exit,
        Err(failure) => {
            say(&format!("countersign: {failure}"));
            failure.exit
        }
    }
}

/// Two letters the wrong way round are the commonest slip, and one that clap's own measure does not find.
fn offer(error: &mut clap::Error, line: &[OsString]) {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return };
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return;
    }
    let whole = grammar();
    let mut above = &whole;
    for word in line.iter().filter_map(|word| word.to_str()).take_while(|word| word != typed) {
        above = above.find_subcommand(word).unwrap_or(above);
    }
    let names = above.get_subcommands().filter(|inner| !inner.is_hide_set()).map(clap::Command::get_name);
    let near = names.map(|name| (strsim::damerau_levenshtein(name, typed), name)).min();
    if let Some((1, name)) = near {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::String(name.to_owned()));
    }
}

/// The grammar, for tests that read it whole.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

fn dispatch(CommandLine { common, command }: CommandLine) -> Result<Exit, Failure> {
    match command {
        Command::Dev(command) => dev::run(command, &common),
        Command::Serve(command) => serve::run(command, &common),
        Command::Config(command) => config::run(command, &common),
        Command::Admin(command) => admin::run(command, &common),
        Command::Keyring(command) => keyring::run(command, &common),
        Command::Backup(command) => backup::run(command, &common),
        Command::Restore(command) => restore::run(command, &common),
        Command::Migrate(command) => migrate::run(command, &common),
        Command::Completion(command) => completion::run(command, &common),
        Command::Version(command) => version::run(command, &common),
        Command::Man(command) => man::run(command, &common),
        Command::Doctor(command) => wait(doctor::run(command, &common)),
        Command::Ready(command) => wait(ready::run(command, &common)),
        Command::Check(command) => wait(check::run(command, &common)),
        Command::Key(command) => wait(api_key::run(command, &common)),
        Command::AppPassword(command) => wait(basic::run(command, &common)),
        Command::Import(command) => wait(basic::import(command, &common)),
        Command::Report(command) => wait(basic::report(command, &common)),
        Command::PasswordList(command) => basic::password_list(command, &common),
        Command::User(command) => wait(principal::run(command.into(), &common)),
        Command::Service(command) => wait(principal::run(command.into(), &common)),
        Command::Session(command) => wait(session::run(command, &common)),
        Command::Token(command) => wait(jwt::run(command, &common)),
        Command::SigningKey(command) => wait(signing::run(command, &common)),
        Command::Route(command) => wait(route::run(command, &common)),
        Command::Audit(command) => wait(audit::run(command, &common)),
    }
}

/// A command that asks a server: one thread is enough.
fn wait(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start a runtime: {e}")))?;
    runtime.block_on(command)
}

/// `90d`, `24h`.
fn duration(text: &str) -> Result<String, String> {
    crate::config::parse_duration(text)
        .map(|_| text.to_owned())
        .ok_or_else(|| "not a duration such as `15m`, `24h`, `90d` or `1y`".into())
}

fn scope(text: &str) -> Result<String, String> {
    countersign_core::Scope::parse(text)
        .map(|_| text.to_owned())
        .ok_or_else(|| "not a scope: no spaces, quotes or backslashes".into())
}
