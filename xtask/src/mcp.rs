//! The CI step `mcp`: the official Python client of the Model Context Protocol speaks
//! to the command; its transcript is compared with the one in the repository. A client that
//! is generated from the OpenAPI document uses the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell};

/// The clients, what they need, and the transcript.
const FOLDER: &str = "crates/memory-cli/tests/mcp";

pub(crate) fn check() -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let folder = shell::root().join(FOLDER);
    let python = install(&cache, &folder.join("requirements.txt"))?;
    let memory = shell::build_memory()?;
    let client = |script: &str| {
        let mut client = Command::new(&python);
        client.arg(folder.join(script)).arg(&memory);
        client.env(CACHE_ENV, &cache);
        client
    };
    shell::run(&mut client("http_client.py"))?;
    let transcript = shell::read_stdout(&mut client("client.py"))?;
    // There to be copied after a change that is meant.
    let path = shell::target_dir().join("mcp-transcript.txt");
    fs::write(&path, &transcript).map_err(|source| TaskError::Write { path, source })?;
    compare(&transcript, &read(&folder.join("transcript.txt"))?)
}

/// Prints the lines that differ.
fn compare(actual: &str, expected: &str) -> Result<(), TaskError> {
    let (actual_lines, expected_lines) = (actual.lines().count(), expected.lines().count());
    let mut count = actual_lines.abs_diff(expected_lines);
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        if actual != expected {
            println!("expected: {expected}\nactual:   {actual}");
            count += 1;
        }
    }
    match count {
        0 => {
            println!("mcp: {actual_lines} lines of the transcript are as expected");
            Ok(())
        }
        count => Err(TaskError::Findings {
            count,
            what: "lines of the transcript differ; target/mcp-transcript.txt is the new one",
        }),
    }
}

/// A virtual environment with exactly the pinned packages: its Python. It is made again
/// when the pins change.
fn install(cache: &Path, requirements: &Path) -> Result<PathBuf, TaskError> {
    let folder = cache.join("mcp-client");
    let python = folder.join("bin").join("python");
    let installed = folder.join("requirements.txt");
    let pins = read(requirements)?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    println!("installing the Python client of MCP and a generator of clients");
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv", "--clear"]).arg(&folder);
    shell::run(&mut environment)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args([
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--requirement",
        ])
        .arg(requirements);
    shell::run(&mut pip)?;
    // Last, so that an interrupted installation is not taken for a complete one.
    fs::write(&installed, pins).map_err(|source| TaskError::Write {
        path: installed,
        source,
    })?;
    Ok(python)
}

fn read(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|source| TaskError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_and_missing_lines_are_counted() {
        assert!(compare("a\nb\n", "a\nb\n").is_ok());
        for (actual, expected) in [("a\nx\n", "a\nb\n"), ("a\n", "a\nb\n"), ("", "a\n")] {
            let error = compare(actual, expected).unwrap_err();
            assert!(error.to_string().starts_with("1 lines"), "{error}");
        }
    }
}
