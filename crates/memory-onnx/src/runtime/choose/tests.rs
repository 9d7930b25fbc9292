//! The order of the places and what is said of each, on folders made for it.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::runtime::places::{Surroundings, Variables};

const NEW: &str = "libonnxruntime.so.1.32.0";
const OLD: &str = "libonnxruntime.so.1.16.3";

/// A folder with nothing in it, and surroundings that look nowhere else.
fn empty() -> (TempDir, Surroundings) {
    let root = tempfile::tempdir().unwrap();
    let surroundings = Surroundings {
        explicit: None,
        cache: Ok(root.path().join("cache")),
        executable: Some(root.path().join("bin").join("program")),
        variable: Box::new(|_| None),
        system: vec![root.path().join("usr").join("lib")],
    };
    (root, surroundings)
}

/// Makes a file that is no library, but will be asked to be one.
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

/// Chooses as if every file loaded.
fn chosen(surroundings: &Surroundings) -> Choice {
    choose(surroundings.places(), |_| Ok(())).unwrap()
}

#[test]
fn the_order_is_the_documented_one() {
    let (root, mut around) = empty();
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
    around.variable = variables(vec![
        ("ORT_DYLIB_PATH", expected[0].clone()),
        ("VIRTUAL_ENV", at("venv")),
        ("CONDA_PREFIX", at("conda")),
        ("PATH", at("python/bin")),
        ("LD_LIBRARY_PATH", at("loader")),
    ]);
    for file in &expected {
        assert_eq!(chosen(&around).library, *file);
        fs::remove_file(file).unwrap();
    }
    assert!(choose(around.places(), |_| Ok(())).is_err());
}

#[test]
fn the_newest_of_a_folder_wins_and_too_old_ones_are_passed_over() {
    let (root, around) = empty();
    let old_place = root.path().join("bin");
    library(&old_place, OLD);
    let folder = root.path().join("usr").join("lib");
    library(&folder, "libonnxruntime.so.1.9.0");
    library(&folder, "libonnxruntime.so.1.24.1");
    let newest = library(&folder, NEW);
    library(&folder, "libonnxruntime_providers_shared.so");
    let choice = chosen(&around);
    assert_eq!(choice.library, newest);
    assert_eq!(choice.version, Version::parse("1.32.0"));
}

#[test]
fn the_error_names_every_place_the_versions_and_the_reason() {
    let (root, mut around) = empty();
    let old = library(&root.path().join("bin"), OLD);
    let text = library(&memory_assets::runtime_dir(&root.path().join("cache")), NEW);
    around.variable = variables(vec![("ORT_DYLIB_PATH", root.path().join("absent.so"))]);
    // The real loader, on files that are no libraries.
    let load = |file: &Path| ort::init_from(file).map(drop);
    let report = choose(around.places(), load).unwrap_err();
    let line = |start: &str| {
        let found = report.lines().find(|line| line.contains(start));
        found
            .unwrap_or_else(|| panic!("{start} is not in:\n{report}"))
            .to_owned()
    };
    assert!(report.starts_with("no ONNX Runtime library of version 1.24.0 or newer"));
    assert!(line("ORT_DYLIB_PATH").contains("absent.so: no such file"));
    let cached = line("the cache folder");
    assert!(cached.contains(text.to_str().unwrap()) && cached.contains("does not load"));
    let beside = line("beside the executable");
    assert!(beside.contains(old.to_str().unwrap()));
    assert!(
        beside.contains("is version 1.16.3; 1.24.0 or newer is needed"),
        "{beside}"
    );
    for place in [
        "VIRTUAL_ENV: not set",
        "CONDA_PREFIX: not set",
        "python3 on the PATH",
        "system",
    ] {
        line(place);
    }
}

#[test]
fn a_version_that_only_the_library_knows_is_told_too() {
    let (root, around) = empty();
    library(&root.path().join("bin"), "libonnxruntime.so");
    let refuse = |path: &Path| {
        Err(LoadDynamicError::BadVersion {
            version_str: "1.17.1".to_owned(),
            path: path.to_path_buf(),
        })
    };
    let report = choose(around.places(), refuse).unwrap_err();
    assert!(
        report.contains("is version 1.17.1; 1.24.0 or newer is needed"),
        "{report}"
    );
}

#[test]
fn a_library_that_the_caller_names_is_the_only_place() {
    let (root, mut around) = empty();
    library(&root.path().join("bin"), NEW);
    around.explicit = Some(root.path().join("mine.so"));
    let report = choose(around.places(), |_| Ok(())).unwrap_err();
    assert_eq!(report.lines().count(), 2, "{report}");
    assert!(report.contains("mine.so: no such file"), "{report}");
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_library_that_was_cut_short_is_never_shown_to_the_loader() {
    let (root, around) = empty();
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
    let loaded = |_: &Path| -> Result<(), LoadDynamicError> { panic!("shown to the loader") };
    let report = choose(around.places(), loaded).unwrap_err();
    assert!(report.contains("is cut short by"), "{report}");
}
