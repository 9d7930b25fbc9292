//! Why a task failed, and how that is said.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use memory_assets::{CacheDirError, SetupError};

use crate::pg::PgError;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("the cache folder cannot be named")]
    Cache(#[from] CacheDirError),
    #[error("setup failed")]
    Setup(#[from] SetupError),
    #[error("there is no PostgreSQL server")]
    Pg(#[from] PgError),
    #[error("could not start `{command}`")]
    Start {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed ({how})")]
    Failed { command: String, how: String },
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no libtorch is pinned for this platform: set {variable} to the folder of one")]
    NoLibtorch { variable: &'static str },
    #[error("{count} {what}")]
    Findings { count: usize, what: &'static str },
}

/// Prints the error and what caused it, outermost first.
#[allow(
    clippy::print_stderr,
    reason = "the one place where a task says that it failed"
)]
pub(crate) fn print(error: &TaskError) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
}
