//! Errors as texts that tell a model what to do.

use memory::{ErrorKind, MemoryError};

/// Why a call was not performed, for the model that made it.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl Refusal {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<MemoryError> for Refusal {
    fn from(error: MemoryError) -> Self {
        // Of retain, whose arguments need not have an id.
        if let [id] = error.ids() {
            return Self(format!(
                "{error}. It may have been stored. Call again with the same arguments and with \
                 `id` {id}: it is stored once."
            ));
        }
        Self(format!("{error}. {}", advice(error.kind())))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(_: serde_json::Error) -> Self {
        Self::new("The answer cannot be written. Tell the user that the memory server failed.")
    }
}

/// What a model can do about an error.
fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "Correct the argument and call again.",
        ErrorKind::NotFound => {
            "Ids come from recall and list; do not guess them. It may have been forgotten."
        }
        ErrorKind::Conflict => {
            "Read that memory with get: it is another one, or its content was changed since. Only \
             to store another memory, leave `id` out."
        }
        ErrorKind::Archived => "Change the summary instead; recall returns it.",
        ErrorKind::Changed => "Read it again with get, then decide whether to repeat the call.",
        ErrorKind::LimitReached => {
            "Nothing was stored. Ask the user what may be forgotten, or call consolidate."
        }
        ErrorKind::Unavailable => "Nothing happened. Call again in a few seconds, twice at most.",
        ErrorKind::OutcomeUnknown => {
            "It may have been written. Look with recall before you repeat the call."
        }
        _ => "Repeating the call does not help: tell the user, who can run `memory doctor`.",
    }
}
