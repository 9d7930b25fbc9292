//! The CI step `package`: packages every crate, and checks the packages in a
//! workspace that contains nothing else.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::TaskError;
use crate::shell;

pub(crate) fn check() -> Result<(), TaskError> {
    let packages = shell::target_dir().join("package");
    remove(&packages)?;
    let mut package = shell::cargo();
    package
        .args(["package", "--workspace", "--quiet", "--allow-dirty"])
        .args(["--exclude", "memory-benches", "--exclude", "xtask"])
        // Distributed as a wheel.
        .args(["--exclude", "memory-python"])
        // Built below instead, all together and with the compiled dependencies
        // of the other steps.
        .arg("--no-verify");
    shell::run(&mut package)?;

    let workspace = shell::target_dir().join("package-check");
    remove(&workspace)?;
    fs::create_dir_all(&workspace).map_err(write_failed(&workspace))?;
    let mut members = Vec::new();
    for entry in fs::read_dir(&packages).map_err(read_failed(&packages))? {
        let path = entry.map_err(read_failed(&packages))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "crate")
        {
            let mut unpack = Command::new("tar");
            unpack.arg("-xzf").arg(&path).arg("-C").arg(&workspace);
            shell::run(&mut unpack)?;
            members.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    members.sort();

    let root = shell::root();
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(read_failed(&manifest))?;
    let manifest = workspace.join("Cargo.toml");
    fs::write(&manifest, workspace_manifest(&members, &text)).map_err(write_failed(&manifest))?;
    let lock = root.join("Cargo.lock");
    fs::copy(&lock, workspace.join("Cargo.lock")).map_err(read_failed(&lock))?;

    let mut check = shell::cargo();
    check
        .current_dir(&workspace)
        .args(["check", "--quiet", "--workspace", "--features"])
        .arg(shell::FEATURES)
        .env("CARGO_TARGET_DIR", shell::target_dir());
    shell::run(&mut check)?;
    println!("package: {} packages built", members.len());
    Ok(())
}

/// A workspace of the unpacked packages, which depend on each other, with the
/// profiles of the root manifest.
fn workspace_manifest(members: &[String], root_manifest: &str) -> String {
    let mut text =
        "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n\n[patch.crates-io]\n".to_owned();
    for member in members {
        if let Some((name, _version)) = member.rsplit_once('-') {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = {{ path = \"{member}\" }}");
        }
    }
    if let Some(profiles) = root_manifest.find("\n[profile.") {
        text.push_str(&root_manifest[profiles..]);
    }
    text
}

fn remove(folder: &Path) -> Result<(), TaskError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(write_failed(folder)(error))
        }
        _ => Ok(()),
    }
}

fn read_failed(path: &Path) -> impl FnOnce(std::io::Error) -> TaskError + use<> {
    let path: PathBuf = path.to_owned();
    |source| TaskError::Read { path, source }
}

fn write_failed(path: &Path) -> impl FnOnce(std::io::Error) -> TaskError + use<> {
    let path: PathBuf = path.to_owned();
    |source| TaskError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_replace_each_other_and_profiles_are_kept() {
        let root = "[workspace]\nmembers = [\"a\"]\n\n[profile.dev]\ndebug = 1\n";
        let members = ["memory-0.1.0".to_owned(), "memory-core-0.1.0".to_owned()];
        let text = workspace_manifest(&members, root);
        assert!(text.contains("\nmemory-core = { path = \"memory-core-0.1.0\" }\n"));
        assert!(text.contains("\nmemory = { path = \"memory-0.1.0\" }\n"));
        assert!(text.ends_with("\n[profile.dev]\ndebug = 1\n"));
    }
}
