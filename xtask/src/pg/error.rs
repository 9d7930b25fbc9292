//! Why there is no server.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PgError {
    #[error(
        "no PostgreSQL is pinned for this platform: start one with pgvector yourself and set \
         DATABASE_URL to it (its role must be a superuser)"
    )]
    UnsupportedPlatform,
    #[error("no server is running: `cargo xtask pg start` starts one")]
    NotRunning,
    #[error("PostgreSQL refuses to run as root, and /etc/passwd has neither postgres nor nobody")]
    NoAccount,
    #[error(
        "{package} cannot be had from Debian's archive: run `apt-get update`, or put PgBouncer \
         into a folder that the server's account can read, and set MEMORY_TEST_PGBOUNCER to it"
    )]
    NoPooler { package: &'static str },
    #[error("the archive's {package} is another than the one that is pinned")]
    OtherPackage { package: &'static str },
    #[error("PostgreSQL did not start; its last words:\n{last_words}")]
    NotStarted { last_words: String },
    #[error("could not {action} {}", path.display())]
    Disk {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl PgError {
    /// For `map_err`: what was being done to which path.
    pub(crate) fn disk<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
