//! Code in the current directory or in `PYTHONPATH` is not executed by a setup.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::registry::{Registry, asset};

/// Set in the child process: its folder.
const CHILD: &str = "MEMORY_ASSETS_TEST_HOSTILE";

/// A Python program that leaves a trace and fails.
fn hostile(trace: &Path) -> String {
    format!(
        "open({:?}, 'w').write('ran')\nraise SystemExit(3)\n",
        trace.display().to_string()
    )
}

/// The setup that runs in the hostile environment, not a test of its own.
#[test]
fn child() {
    let Some(folder) = env::var_os(CHILD) else {
        return;
    };
    let folder = Path::new(&folder);
    let registry = Registry::at(folder.join("registry"));
    let wheel = registry.publish("small", &[("weights.bin", b"0123456789")]);
    let outcome = registry
        .setup(&folder.join("cache"), asset([wheel]))
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.fetched, ["small"]);
}

#[test]
fn hostile_code_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let trace = at("trace");
    let code = hostile(&trace);
    fs::create_dir_all(at("registry")).unwrap();
    // As a module and as a package, in the working directory and in a folder of
    // PYTHONPATH, with a site hook and a standard library module.
    for place in ["current", "path"] {
        fs::create_dir_all(at(place).join("pip")).unwrap();
        for file in [
            "pip.py",
            "pip/__init__.py",
            "pip/__main__.py",
            "sitecustomize.py",
            "usercustomize.py",
            "runpy.py",
            "zipfile.py",
        ] {
            fs::write(at(place).join(file), &code).unwrap();
        }
    }
    fs::write(at("startup.py"), &code).unwrap();
    // An interpreter that only a relative entry of PATH would find.
    let script = format!("#!/bin/sh\necho ran > {:?}\n", trace.display().to_string());
    for name in ["python3", "python", "py"] {
        let file = at("current").join(name);
        fs::write(&file, &script).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let path = env::var("PATH").unwrap_or_default();
    let separator = if cfg!(windows) { ";" } else { ":" };
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "isolation::child", "--nocapture"])
        .current_dir(at("current"))
        .env(CHILD, folder.path())
        .env("PATH", format!(".{separator}{separator}{path}"))
        .env("PYTHONPATH", at("path"))
        .env("PYTHONSTARTUP", at("startup.py"))
        .env("PYTHONHOME", "")
        .env("PIP_PYTHON", at("current").join("python3"))
        .env("PIP_REQUIREMENT", at("path").join("pip.py"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!trace.exists(), "hostile code was executed: {text}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}{text}");
}
