//! Access counts: recorded by recalls, pending in memory, written in the background.

mod counts;
mod recorder;

pub(crate) use recorder::AccessRecorder;
