//! Warnings on standard error, of a command that runs until it is stopped.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Writes what the crates of this workspace warn of, from now on: these messages contain no
/// content and no name of an entity, which other crates do not promise.
pub(crate) fn init() {
    let own = Targets::new().with_target("memory", LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    // It fails where there is one already, which then has them.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(own))
        .try_init();
}
