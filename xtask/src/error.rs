//! Errors of tasks, and how they are printed.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use memory_assets::{CacheDirError, SetupError};

use crate::pg::PgError;
use crate::serve_bench::BenchError;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("cannot determine the cache folder")]
    Cache(#[from] CacheDirError),
    #[error("setup failed")]
    Setup(#[from] SetupError),
    #[error("cannot provide a PostgreSQL server")]
    Pg(#[from] PgError),
    #[error("the server cannot be measured")]
    ServeBench(#[from] BenchError),
    #[error("cannot start `{command}`")]
    Start {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: String },
    #[error("`{command}` was stopped: it ran for more than {seconds} s")]
    Timeout { command: String, seconds: u64 },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "no libtorch is pinned for this platform; set {variable} to the folder of an installed one"
    )]
    NoLibtorch { variable: &'static str },
    #[error(
        "the package {package} is not installed and cannot be downloaded from Debian's archive; \
         run `apt-get update`, or install it"
    )]
    NoPackage {
        package: &'static str,
        #[source]
        source: Box<TaskError>,
    },
    #[error(
        "cannot run {program}: the JavaScript clients of MCP need Node.js 20 or later, with npm; \
         install it"
    )]
    NoNode {
        program: &'static str,
        #[source]
        source: Box<TaskError>,
    },
    #[error("there are no conversations in {folder}; give files with --data")]
    NoConversations { folder: &'static str },
    #[error("no Valkey is pinned for this platform")]
    NoValkey,
    #[error("the load orders {order:?}, which is unknown")]
    UnknownOrder { order: String },
    #[error("{count} {what}")]
    Findings { count: usize, what: &'static str },
}

/// Prints the error and its causes, outermost first.
#[allow(clippy::print_stderr, reason = "the one place that prints errors")]
pub(crate) fn print(error: &TaskError) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
}
