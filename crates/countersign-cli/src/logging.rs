//! Where the log goes: stderr, without anybody waiting for it; for people on a terminal, JSON elsewhere. `dev` talks to
//! a person wherever its stderr goes, and only of what that person should look at.

use crate::config::{Environment, LogFormat};
use std::io::IsTerminal;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Who reads it where nothing else was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Operator,
    Developer,
}

/// Once per process. What is returned writes out the rest when it is dropped.
pub fn start(environment: &Environment, reader: Reader, format: LogFormat) -> WorkerGuard {
    // a full queue loses lines rather than holding up requests
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(std::io::stderr());
    let filter = match environment.get("COUNTERSIGN_LOG") {
        Some(directives) => EnvFilter::builder().parse_lossy(directives),
        None if reader == Reader::Developer => {
            EnvFilter::new("warn,countersign_cli=info,countersign_gateway=info,countersign_server=info")
        }
        None => EnvFilter::new("info"),
    };
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && environment.get("NO_COLOR").is_none_or(str::is_empty);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    // a second start in one process keeps the first one's log
    let _ = match (format, reader) {
        (LogFormat::Json, _) => builder.json().try_init(),
        (_, Reader::Developer) => builder.compact().with_target(false).without_time().try_init(),
        (LogFormat::Auto, Reader::Operator) if !terminal => builder.json().try_init(),
        (LogFormat::Auto | LogFormat::Text, Reader::Operator) => builder.compact().try_init(),
    };
    guard
}
