//! A killed setup leaves no incomplete asset.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use memory_assets::Setup;

use crate::registry::{Registry, asset};
use crate::remains;

/// Set in the child process: its folder.
const CHILD: &str = "MEMORY_ASSETS_TEST_CHILD";

/// Large enough that unpacking takes some time in an unoptimized build.
const SIZE: usize = 4 << 20;

/// The setup; the generated wheel and its hashes are always the same.
fn setup(folder: &Path) -> Setup<'static> {
    let registry = Registry::at(folder.to_owned());
    let blob = vec![7; SIZE];
    let wheel = registry.publish("small", &[("a.bin", &blob), ("b.bin", &blob)]);
    registry.setup(&folder.join("cache"), asset([wheel]))
}

/// The process that is killed, not a test of its own.
#[test]
fn child() {
    if let Some(folder) = env::var_os(CHILD) {
        setup(Path::new(&folder)).run().unwrap();
    }
}

#[test]
fn a_killed_setup_leaves_all_or_nothing_and_the_next_one_succeeds() {
    let work = tempfile::tempdir().unwrap();
    let cache = work.path().join("cache");
    let folder = cache.join("things/small");
    for delay in (1..6).map(|step| Duration::from_millis(step * 200)) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "interruption::child"])
            .env(CHILD, work.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        if folder.exists() {
            for name in ["a.bin", "b.bin"] {
                assert!(
                    fs::read(folder.join(name)).unwrap() == vec![7; SIZE],
                    "{name}"
                );
            }
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    setup(work.path()).run().unwrap();
    assert!(folder.join("b.bin").is_file());
    // pip may outlive its killed parent and still write its download.
    let is_ours = |name: &String| name == "things" || name.starts_with(".setup-");
    assert!(remains(&cache).iter().all(is_ours));
}

#[test]
fn leftovers_of_a_killed_setup_are_removed() {
    let work = tempfile::tempdir().unwrap();
    let cache = work.path().join("cache");
    fs::create_dir_all(cache.join(".setup-1-1/wheels")).unwrap();
    fs::write(cache.join(".setup-1-1/wheels/half.whl"), "half").unwrap();
    setup(work.path()).run().unwrap();
    assert_eq!(remains(&cache), ["things"]);
}
