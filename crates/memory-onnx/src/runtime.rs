//! Finding and loading the ONNX Runtime library.
//!
//! The library is not linked: it is looked for at run time, and a program
//! without it gets an error that says where it was looked for and what mends
//! it. A process holds one runtime and one environment for its whole life;
//! all embedders share them.

mod choose;
mod place;
mod places;
mod python;
mod version;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use memory_core::{ErrorKind, MemoryError, MemoryResult};
use ort::environment::Environment;

use crate::error::{self, OPEN};
use crate::options::OnnxOptions;
use choose::Choice;
use places::Surroundings;

/// The ONNX Runtime library that this process has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The library's file.
    pub library: PathBuf,
    /// Its version, where the file's name tells it.
    pub version: Option<String>,
    /// The place where it was found, as people call it: `the cache folder`.
    pub source: &'static str,
}

/// Finds and loads the ONNX Runtime library, as opening an embedder would.
///
/// [`OnnxOptions::runtime_library`] is taken or refused. Without it, the first
/// of these that is whole, new enough and loads is taken, and those passed
/// over are logged as warnings:
///
/// 1. the file that `ORT_DYLIB_PATH` names;
/// 2. the cache folder;
/// 3. the folder of the executable;
/// 4. the `onnxruntime` package of the active Python environment
///    (`VIRTUAL_ENV`, `CONDA_PREFIX`, the first `python3` on the PATH);
/// 5. the system's library folders (`LD_LIBRARY_PATH` first, or what stands
///    for it on the platform).
///
/// Blocks for the time of loading a shared library (about 30 ms). A process
/// that has loaded one already answers with that one.
///
/// # Errors
/// [`ErrorKind::Missing`] with every place that was looked at, why it did not
/// do, and the command that mends it; [`ErrorKind::Configuration`] when
/// another library than the one already loaded is asked for.
pub fn load_runtime(options: &OnnxOptions) -> MemoryResult<RuntimeInfo> {
    environment(options).map(|(info, _)| info)
}

/// What this process has loaded. The library stays even if its environment
/// could not be made, because `ort` cannot let go of it.
struct Loaded {
    info: RuntimeInfo,
    environment: Option<Environment>,
}

/// `ort` allows one environment a process, ever; so it is never dropped.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// The process's environment, made when it is first asked for.
pub(crate) fn environment(options: &OnnxOptions) -> MemoryResult<(RuntimeInfo, Environment)> {
    let explicit = options.runtime_library.as_deref();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = match &mut *loaded {
        Some(loaded) => loaded,
        empty => empty.insert(load(explicit, options.folder.cache_dir.as_deref())?),
    };
    check_same(&loaded.info, explicit)?;
    let environment = match &loaded.environment {
        Some(environment) => environment.clone(),
        None => loaded.environment.insert(build(&loaded.info)?).clone(),
    };
    Ok((loaded.info.clone(), environment))
}

/// Loads the first library that will do.
fn load(explicit: Option<&Path>, cache: Option<&Path>) -> MemoryResult<Loaded> {
    let places = Surroundings::real(explicit, cache).places();
    // Only `init_from` answers a missing library with an error; any other way
    // into `ort` would load one lazily, and panic.
    let load = |library: &Path| ort::init_from(library).map(drop);
    let Choice {
        library,
        version,
        place,
    } = choose::choose(places, load).map_err(error::missing)?;
    tracing::debug!(library = %library.display(), place, "loaded ONNX Runtime");
    Ok(Loaded {
        info: RuntimeInfo {
            library,
            version: version.map(|version| version.to_string()),
            source: place,
        },
        environment: None,
    })
}

/// Makes the environment; telemetry, which some builds of the runtime carry,
/// is off.
fn build(info: &RuntimeInfo) -> MemoryResult<Environment> {
    let foreign = "the process has an ONNX Runtime environment that this crate did not make; there \
                   can be one, so open an embedder before other code makes it";
    let builder = ort::init_from(&info.library)
        .map_err(|error| MemoryError::embedder(ErrorKind::Other, OPEN, error.to_string()))?;
    let environment = builder.with_name("memory").with_telemetry(false).build();
    environment.map_err(|error| MemoryError::configuration(format!("{foreign} ({error})")))
}

/// Refuses a library other than the one that is loaded.
fn check_same(loaded: &RuntimeInfo, explicit: Option<&Path>) -> MemoryResult<()> {
    let Some(asked) = explicit else {
        return Ok(());
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if real(asked) == real(&loaded.library) {
        return Ok(());
    }
    Err(MemoryError::configuration(format!(
        "this process has loaded ONNX Runtime from {}; a process holds one, so {} cannot be \
         loaded beside it",
        loaded.library.display(),
        asked.display()
    )))
}
