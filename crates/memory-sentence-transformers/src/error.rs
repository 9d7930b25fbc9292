//! Constructors of the errors of opening and using a model, all of them
//! [`MemoryError::Embedder`] or [`MemoryError::Configuration`].
//!
//! No message contains text that was to be embedded. Messages of the tokenizer
//! and of panics may quote it, so they are left out.

use std::fmt::Display;
use std::io;
use std::path::Path;

use memory_assets::SETUP_COMMAND;
use memory_core::{ErrorKind, MemoryError, MemoryResult};

/// The operation named by errors of opening an embedder.
pub const OPEN: &str = "open the model";
/// The operation named by errors of `embed`.
pub const EMBED: &str = "embed";
/// The operation named by errors of `chunk`.
pub const CHUNK: &str = "chunk";

/// A required file is missing. The message ends with the command that fixes it.
#[must_use]
pub fn missing(what: impl Display) -> MemoryError {
    MemoryError::embedder(ErrorKind::Missing, OPEN, with_fix(what))
}

/// A file exists and is unusable. The message ends with the command that fixes
/// it.
#[must_use]
pub fn corrupt(file: &Path, why: impl Display) -> MemoryError {
    let what = format!("{} is damaged: {why}", file.display());
    MemoryError::embedder(ErrorKind::Corrupt, OPEN, with_fix(what))
}

/// The model needs something that the embedder does not implement.
#[must_use]
pub fn unsupported(file: &Path, what: impl Display) -> MemoryError {
    let message = format!("{}: {what}", file.display());
    MemoryError::embedder(ErrorKind::Unsupported, OPEN, message)
}

/// A file is missing or cannot be read.
#[must_use]
pub fn unreadable(file: &Path, error: io::Error) -> MemoryError {
    if error.kind() == io::ErrorKind::NotFound {
        missing(format_args!("{} does not exist", file.display()))
    } else {
        let message = format!("cannot read {}: {error}", file.display());
        MemoryError::embedder(ErrorKind::Other, OPEN, message).with_source(error)
    }
}

/// Refuses a model directory that is missing, no directory, or cannot be read.
pub(crate) fn check_directory(path: &Path) -> MemoryResult<()> {
    let shown = path.display();
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(missing(format_args!("{shown} is not a model directory"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(format_args!(
            "the model directory {shown} does not exist"
        ))),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// An unexpected failure that no file caused.
#[must_use]
pub fn failed(operation: &'static str, what: impl Into<String>) -> MemoryError {
    MemoryError::embedder(ErrorKind::Other, operation, what)
}

/// Begins the line with the command that fixes a message's problem.
const FIX: &str = "\nto fix this, run: ";

fn with_fix(what: impl Display) -> String {
    format!("{what}{FIX}{SETUP_COMMAND}")
}

/// Replaces the command in a message by the one that installs this model.
pub(crate) fn with_model(error: MemoryError, name: &str) -> MemoryError {
    append(error, |message| {
        message.push_str(FIX);
        message.push_str("memory setup --model ");
        message.push_str(name);
    })
}

/// Removes the command from a message. For a model that was given by name, the names
/// that setup installs take its place.
pub(crate) fn with_model_names(error: MemoryError, is_name: bool) -> MemoryError {
    let names = memory_assets::manifest::models().map(|asset| asset.model_name());
    append(error, |message| {
        if is_name {
            message.push_str("\nmodels that memory setup installs: ");
            message.push_str(&names.into_iter().flatten().collect::<Vec<_>>().join(", "));
            message.push_str("; a path of a model of your own contains a separator: ./model");
        }
    })
}

/// Changes the message of an error that names the command.
fn append(mut error: MemoryError, change: impl FnOnce(&mut String)) -> MemoryError {
    if let MemoryError::Embedder { message, .. } = &mut error
        && let Some(end) = message.find(FIX)
    {
        message.truncate(end);
        change(message);
    }
    error
}

/// Removes the command from a message: for models that it does not install.
#[must_use]
pub fn without_fix(error: MemoryError) -> MemoryError {
    append(error, |_| {})
}
