//! Where the log goes: stderr, without anybody waiting for it; for people on a terminal, JSON elsewhere.

use crate::config::Environment;
use std::io::IsTerminal;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Once per process. What is returned writes out the rest when it is dropped.
pub fn start(environment: &Environment) -> WorkerGuard {
    // a full queue loses lines rather than holding up requests
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(std::io::stderr());
    let filter = match environment.get("COUNTERSIGN_LOG") {
        Some(directives) => EnvFilter::builder().parse_lossy(directives),
        None => EnvFilter::new("info"),
    };
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && environment.get("NO_COLOR").is_none_or(str::is_empty);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    // a second start in one process keeps the first one's log
    let _ = if terminal { builder.compact().try_init() } else { builder.json().try_init() };
    guard
}
