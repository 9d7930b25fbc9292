//! How far an import is, for whoever watches.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Tally;

/// A bar on standard error, where that is a terminal; nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For an input of `length` bytes, where that is known.
    pub(super) fn new(length: Option<u64>) -> Self {
        let bar = match length {
            _ if !io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(length) => styled(
                ProgressBar::new(length),
                "{bar:30} {percent:>3} %  {msg}  {elapsed} gone, {eta} left",
            ),
            None => styled(ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        if !bar.is_hidden() {
            // The time goes on while a batch is embedded.
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar }
    }

    /// Shows that so many bytes are done, and what came of them.
    pub(super) fn show(&self, bytes: u64, tally: &Tally) {
        if self.bar.is_hidden() {
            return;
        }
        let (count, rate) = (tally.imported, tally.per_second());
        self.bar.set_position(bytes);
        self.bar
            .set_message(format!("{count} memories, {rate:.0}/s"));
    }

    /// Says something beside the bar, which would be overwritten by it.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A style that does not read would be a slip in this file; the bar then looks
/// as bars look by default.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
