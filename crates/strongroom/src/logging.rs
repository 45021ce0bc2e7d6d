//! Logs go to standard error: JSON lines, or text on a terminal.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;
use tracing_subscriber::util::SubscriberInitExt;

/// `filter` is a level or a tracing filter. A malformed one falls back to `info`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_target(false);
    // A second start, as in tests, keeps the first.
    let _ = if stderr().is_terminal() {
        builder.finish().try_init()
    } else {
        builder.json().finish().try_init()
    };
    // A panic's message may quote what it choked on: the log says where it happened, never what was said.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic");
    }));
}
