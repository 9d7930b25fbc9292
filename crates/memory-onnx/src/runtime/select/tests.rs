//! The order of the candidates and the report, in temporary directories.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::runtime::search_path::{Environment, Variables};

const NEW: &str = "libonnxruntime.so.1.32.0";
const OLD: &str = "libonnxruntime.so.1.16.3";

/// An empty directory, and an environment that refers only to it.
fn empty() -> (TempDir, Environment) {
    let root = tempfile::tempdir().unwrap();
    let environment = Environment {
        explicit: None,
        cache: Ok(root.path().join("cache")),
        executable: Some(root.path().join("bin").join("program")),
        variable: Box::new(|_| None),
        system: vec![root.path().join("usr").join("lib")],
    };
    (root, environment)
}

/// Creates a file with a library's name that is not a library.
fn library(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, "not a library").unwrap();
    file
}

fn variables(pairs: Vec<(&'static str, PathBuf)>) -> Variables {
    Box::new(move |asked| {
        let found = pairs.iter().find(|(name, _)| *name == asked)?;
        Some(found.1.clone().into_os_string())
    })
}

/// Selects as if every file could be loaded.
fn selected(environment: &Environment) -> Selection {
    select(environment.candidates(), |_| Ok(())).unwrap()
}

#[test]
fn the_order_is_the_documented_one() {
    let (root, mut environment) = empty();
    let at = |folder: &str| root.path().join(folder);
    let capi = "lib/python3.11/site-packages/onnxruntime/capi";
    library(&at("python/bin"), "python3");
    let expected = [
        library(&at("own"), NEW),
        library(&memory_assets::runtime_dir(&at("cache")), NEW),
        library(&at("bin"), NEW),
        library(&at("venv").join(capi), NEW),
        library(&at("conda").join(capi), NEW),
        library(&at("python").join(capi), NEW),
        library(&at("loader"), NEW),
        library(&at("usr/lib"), NEW),
    ];
    environment.variable = variables(vec![
        ("ORT_DYLIB_PATH", expected[0].clone()),
        ("VIRTUAL_ENV", at("venv")),
        ("CONDA_PREFIX", at("conda")),
        ("PATH", at("python/bin")),
        ("LD_LIBRARY_PATH", at("loader")),
    ]);
    for file in &expected {
        assert_eq!(selected(&environment).library, *file);
        fs::remove_file(file).unwrap();
    }
    assert!(select(environment.candidates(), |_| Ok(())).is_err());
}

#[test]
fn the_newest_in_a_folder_is_selected_and_too_old_ones_are_skipped() {
    let (root, environment) = empty();
    let old_place = root.path().join("bin");
    library(&old_place, OLD);
    let folder = root.path().join("usr").join("lib");
    library(&folder, "libonnxruntime.so.1.9.0");
    library(&folder, "libonnxruntime.so.1.24.1");
    let newest = library(&folder, NEW);
    library(&folder, "libonnxruntime_providers_shared.so");
    let choice = selected(&environment);
    assert_eq!(choice.library, newest);
    assert_eq!(choice.version, Version::parse("1.32.0"));
}

#[test]
fn the_error_lists_all_candidates_versions_and_reasons() {
    let (root, mut environment) = empty();
    let old = library(&root.path().join("bin"), OLD);
    let text = library(&memory_assets::runtime_dir(&root.path().join("cache")), NEW);
    environment.variable = variables(vec![("ORT_DYLIB_PATH", root.path().join("absent.so"))]);
    // The real loader, on files that are not libraries.
    let load = |file: &Path| ort::init_from(file).map(drop);
    let report = select(environment.candidates(), load).unwrap_err();
    let line = |start: &str| {
        let found = report.lines().find(|line| line.contains(start));
        found
            .unwrap_or_else(|| panic!("{start} is not in:\n{report}"))
            .to_owned()
    };
    assert!(report.starts_with("no ONNX Runtime library of version 1.24.0 or newer"));
    assert!(line("ORT_DYLIB_PATH").contains("absent.so: no such file"));
    let cached = line("the cache folder");
    assert!(cached.contains(text.to_str().unwrap()) && cached.contains("cannot be loaded"));
    let executable = line("the executable's folder");
    assert!(executable.contains(old.to_str().unwrap()));
    assert!(
        executable.contains("is version 1.16.3; 1.24.0 or newer is needed"),
        "{executable}"
    );
    for candidate in [
        "VIRTUAL_ENV: not set",
        "CONDA_PREFIX: not set",
        "python3 on the PATH",
        "system",
    ] {
        line(candidate);
    }
}

#[test]
fn a_version_that_only_the_library_reports_is_named() {
    let (root, environment) = empty();
    library(&root.path().join("bin"), "libonnxruntime.so");
    let refuse = |path: &Path| {
        Err(LoadDynamicError::BadVersion {
            version_str: "1.17.1".to_owned(),
            path: path.to_path_buf(),
        })
    };
    let report = select(environment.candidates(), refuse).unwrap_err();
    assert!(
        report.contains("is version 1.17.1; 1.24.0 or newer is needed"),
        "{report}"
    );
}

#[test]
fn a_library_that_the_caller_names_is_the_only_candidate() {
    let (root, mut environment) = empty();
    library(&root.path().join("bin"), NEW);
    environment.explicit = Some(root.path().join("mine.so"));
    let report = select(environment.candidates(), |_| Ok(())).unwrap_err();
    assert_eq!(report.lines().count(), 2, "{report}");
    assert!(report.contains("mine.so: no such file"), "{report}");
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_truncated_library_is_never_loaded() {
    let (root, environment) = empty();
    let folder = root.path().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(NEW);
    fs::copy(std::env::current_exe().unwrap(), &file).unwrap();
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(9_999)
        .unwrap();
    let loaded = |_: &Path| -> Result<(), LoadDynamicError> { panic!("the library was loaded") };
    let report = select(environment.candidates(), loaded).unwrap_err();
    assert!(report.contains("is truncated by"), "{report}");
}

/// Code of the current directory must not be loaded.
#[test]
fn relative_entries_of_variables_are_ignored() {
    let (root, mut environment) = empty();
    // A relative path from the current directory to the temporary one.
    let current = std::env::current_dir().unwrap();
    let up: PathBuf = current.components().skip(1).map(|_| "..").collect();
    let relative = up.join(root.path().strip_prefix("/").unwrap());
    assert!(relative.is_relative() && relative.is_dir());
    library(&root.path().join("bin"), "python3");
    let capi = "lib/python3.11/site-packages/onnxruntime/capi";
    library(&root.path().join(capi), NEW);
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        environment.variable = variables(vec![(variable, relative.clone())]);
        let report = select(environment.candidates(), |_| Ok(())).unwrap_err();
        assert!(report.contains("relative path"), "{report}");
    }
    for (variable, folder) in [("PATH", "bin"), ("LD_LIBRARY_PATH", capi)] {
        environment.variable = variables(vec![(variable, relative.join(folder))]);
        assert!(select(environment.candidates(), |_| Ok(())).is_err());
        environment.variable = variables(vec![(variable, root.path().join(folder))]);
        assert!(select(environment.candidates(), |_| Ok(())).is_ok());
    }
}
