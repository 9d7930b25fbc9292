//! libtorch, for the one crate that needs it at build time: laying it out, and
//! running cargo with it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use memory_assets::{CACHE_ENV, Setup, pins};

use crate::error::TaskError;
use crate::{setup, shell};

/// The crate that is no default member, since it needs libtorch.
const CRATE: &str = "memory-bert";

/// The folder of libtorch, for whoever has one of his own.
const FOLDER_ENV: &str = "LIBTORCH";

/// What linkers look for and the pinned wheel has only for graphics cards.
const EMPTY: &str = "libtorch.so";

/// Fetches the pinned libtorch and makes what the wheel lacks. Does nothing
/// where all is there.
pub(crate) fn install(cache: &Path, python: Option<&Path>) -> Result<PathBuf, TaskError> {
    let asset = pins::libtorch().ok_or(TaskError::NoLibtorch {
        variable: FOLDER_ENV,
    })?;
    let mut setup = Setup::new(cache)
        .with_assets([asset])
        .with_report(|event| println!("{event}"));
    if let Some(python) = python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    let folder = cache.join(asset.folder);
    link_empty(&folder.join("lib"))?;
    Ok(folder)
}

/// Makes the empty library that needs the two that are not empty. Any linker
/// can; the one that rustc calls is there.
fn link_empty(lib: &Path) -> Result<(), TaskError> {
    let target = lib.join(EMPTY);
    if target.is_file() {
        return Ok(());
    }
    let unfinished = lib.join(format!(".{EMPTY}-{}", std::process::id()));
    let mut linker = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    linker
        .args(["-shared", "-nostdlib", "-o"])
        .arg(&unfinished)
        .arg(format!("-Wl,-soname,{EMPTY}"))
        // Nothing in it uses them: without this the linker would drop them.
        .arg("-Wl,--no-as-needed")
        .arg("-L")
        .arg(lib)
        .args(["-l:libtorch_cpu.so", "-l:libc10.so"]);
    shell::run(&mut linker)?;
    fs::rename(&unfinished, &target).map_err(|source| TaskError::Write {
        path: target.clone(),
        source,
    })?;
    println!("linked {}", target.display());
    Ok(())
}

/// Sets up what is missing, then checks and tests memory-bert.
pub(crate) fn check() -> Result<(), TaskError> {
    let lint = &[
        "clippy",
        "--package",
        CRATE,
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let document = &["doc", "--package", CRATE, "--no-deps"];
    let bench = &[
        "clippy",
        "--package",
        "memory-benches",
        "--all-targets",
        "--features",
        "bert,fastembed",
        "--",
        "-D",
        "warnings",
    ];
    let cargo = with_libtorch()?;
    shell::run(cargo().args(lint))?;
    shell::run(cargo().args(bench))?;
    shell::run(cargo().args(document).env("RUSTDOCFLAGS", "-D warnings"))?;
    shell::run(cargo().args(["test", "--package", CRATE]))
}

/// Sets up what is missing, then tests memory-bert.
pub(crate) fn test(extra: &[String]) -> Result<(), TaskError> {
    let cargo = with_libtorch()?;
    shell::run(cargo().args(["test", "--package", CRATE]).args(extra))
}

/// Commands of cargo that build and run with libtorch: with that of the
/// caller, or else with the pinned one.
pub(crate) fn with_libtorch() -> Result<impl Fn() -> Command, TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let own = env::var_os(FOLDER_ENV).map(PathBuf::from);
    let pinned = match own {
        Some(_) => None,
        None => Some(install(&cache, None)?),
    };
    let loaded = own
        .or_else(|| pinned.clone())
        .map(|folder| folder.join("lib"));
    let others = env::var_os(LOADER_PATH).unwrap_or_default();
    let others = env::split_paths(&others).filter(|path| !path.as_os_str().is_empty());
    let path = env::join_paths(loaded.into_iter().chain(others)).unwrap_or_default();
    Ok(move || {
        let mut cargo = shell::cargo();
        if let Some(folder) = &pinned {
            // How the wheel's libraries were built.
            cargo.env(FOLDER_ENV, folder).env("LIBTORCH_CXX11_ABI", "0");
        }
        // Else a check and a build differ in their build scripts' debug
        // information, and each compiles libtorch's bindings (three minutes)
        // for itself.
        cargo.env("CARGO_PROFILE_DEV_BUILD_OVERRIDE_DEBUG", "false");
        cargo.env(LOADER_PATH, &path).env(CACHE_ENV, &cache);
        cargo
    })
}

const LOADER_PATH: &str = if cfg!(target_os = "macos") {
    "DYLD_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};
