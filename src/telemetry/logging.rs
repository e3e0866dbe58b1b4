//! The program's own log: JSON lines or text on standard error, one line an event.
//!
//! Set up once by the program, never by the library's callers.

use std::io::IsTerminal;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, where standard error is a terminal.
    Text,
    /// For machines, everywhere else.
    Json,
}

impl Format {
    /// Text on a terminal, JSON elsewhere.
    pub fn detected() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging to standard error at `info` and above, our own lines at `level`. A second call changes nothing.
pub fn start(format: Format, level: tracing::Level) {
    let filter = Targets::new().with_default(tracing::Level::WARN).with_target("portcullis", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    let _ = match format {
        Format::Text => registry.with(lines.with_target(false).with_filter(filter)).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    };
}
