//! Installs libtorch and runs cargo with it, for the one crate that needs it at
//! build time.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use memory_assets::{CACHE_ENV, Setup, manifest};

use crate::error::TaskError;
use crate::{setup, shell};

/// The crate that needs libtorch.
const CRATE: &str = "memory-bert";

/// The variable with the folder of an installed libtorch.
const FOLDER_ENV: &str = "LIBTORCH";

/// A library that linkers look for and that the pinned CPU wheel does not have.
const STUB_LIBRARY: &str = "libtorch.so";

/// Fetches the pinned libtorch and links the library that the wheel lacks. Does
/// nothing if both exist.
pub(crate) fn install(cache: &Path, python: Option<&Path>) -> Result<PathBuf, TaskError> {
    let asset = manifest::libtorch().ok_or(TaskError::NoLibtorch {
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
    link_stub(&folder.join("lib"))?;
    Ok(folder)
}

/// Links an empty library that depends on the two real ones, with the linker
/// that rustc uses.
fn link_stub(lib: &Path) -> Result<(), TaskError> {
    let target = lib.join(STUB_LIBRARY);
    if target.is_file() {
        return Ok(());
    }
    let unfinished = lib.join(format!(".{STUB_LIBRARY}-{}", std::process::id()));
    let mut linker = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    linker
        .args(["-shared", "-nostdlib", "-o"])
        .arg(&unfinished)
        .arg(format!("-Wl,-soname,{STUB_LIBRARY}"))
        // It uses no symbol of them: without this the linker drops them.
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

/// Sets up libtorch if it is missing, then checks and tests memory-bert.
pub(crate) fn check() -> Result<(), TaskError> {
    let lint = &[
        "clippy",
        "--package",
        CRATE,
        "--all-targets",
        "--features",
        "libtorch",
        "--",
        "-D",
        "warnings",
    ];
    let document = &[
        "doc",
        "--package",
        CRATE,
        "--no-deps",
        "--features",
        "libtorch",
    ];
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
    let cargo = cargo_with_libtorch()?;
    shell::run(cargo().args(lint))?;
    shell::run(cargo().args(bench))?;
    shell::run(cargo().args(document).env("RUSTDOCFLAGS", "-D warnings"))?;
    shell::run(cargo().args(["test", "--package", CRATE, "--features", "libtorch"]))
}

/// Sets up libtorch if it is missing, then tests memory-bert.
pub(crate) fn test(extra: &[String]) -> Result<(), TaskError> {
    let cargo = cargo_with_libtorch()?;
    shell::run(
        cargo()
            .args(["test", "--package", CRATE, "--features", "libtorch"])
            .args(extra),
    )
}

/// Returns cargo commands that build and run with libtorch: the caller's, or
/// else the pinned one.
pub(crate) fn cargo_with_libtorch() -> Result<impl Fn() -> Command, TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let installed = env::var_os(FOLDER_ENV).map(PathBuf::from);
    let pinned = match installed {
        Some(_) => None,
        None => Some(install(&cache, None)?),
    };
    let library_dir = installed
        .or_else(|| pinned.clone())
        .map(|folder| folder.join("lib"));
    let others = env::var_os(LOADER_PATH).unwrap_or_default();
    let others = env::split_paths(&others).filter(|path| !path.as_os_str().is_empty());
    let path = env::join_paths(library_dir.into_iter().chain(others)).unwrap_or_default();
    Ok(move || {
        let mut cargo = shell::cargo();
        if let Some(folder) = &pinned {
            // The ABI of the wheel's libraries.
            cargo.env(FOLDER_ENV, folder).env("LIBTORCH_CXX11_ABI", "0");
        }
        // Otherwise check and build differ in the debug information of build
        // scripts, and each compiles libtorch's bindings (three minutes).
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
