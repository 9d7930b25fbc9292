//! Runs commands, and names the folders and features of the workspace.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::TaskError;

/// Every feature except `libtorch` and `memory-onnx/hub`, which have steps of
/// their own: their dependencies take minutes to compile.
pub(crate) const FEATURES: &str = "memory/openai,memory/postgres,memory/tls,memory/valkey,memory-cli/postgres,memory-cli/serve-tls,memory-cli/valkey";

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The target directory of the workspace.
pub(crate) fn target_dir() -> PathBuf {
    let chosen = env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    chosen.map_or_else(|| root().join("target"), |path| root().join(path))
}

/// The names of the library and command crates, which are those of their
/// folders.
pub(crate) fn crate_names() -> Result<Vec<String>, TaskError> {
    let crates = root().join("crates");
    let mut names = folders(&crates)?;
    names.retain(|name| crates.join(name).join("Cargo.toml").is_file());
    Ok(names)
}

/// The names of the folders in a folder, sorted.
pub(crate) fn folders(parent: &Path) -> Result<Vec<String>, TaskError> {
    let failed = |source| TaskError::Read {
        path: parent.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(parent).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the command as the tests do, so that after them nothing is compiled again,
/// and returns its path.
pub(crate) fn build_memory() -> Result<PathBuf, TaskError> {
    let mut build = cargo();
    build
        .args(["test", "--quiet", "--no-run", "--workspace", "--features"])
        .args([FEATURES, "--test", "cli"]);
    run(&mut build)?;
    Ok(target_dir().join("debug").join("memory"))
}

/// The cargo that runs this task, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command
}

/// Runs a command to completion; it inherits stdout and stderr.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskError> {
    let status = command.status().map_err(start_failed(command))?;
    check(command, status)
}

/// Like [`run`], but stops the command after `limit`.
pub(crate) fn run_with_limit(command: &mut Command, limit: Duration) -> Result<(), TaskError> {
    let mut child = command.spawn().map_err(start_failed(command))?;
    let start = Instant::now();
    loop {
        let status = child.try_wait().map_err(start_failed(command))?;
        if let Some(status) = status {
            return check(command, status);
        }
        if start.elapsed() > limit {
            // It may have ended in the meantime.
            let _ = child.kill();
            let _ = child.wait();
            return Err(TaskError::Timeout {
                command: display_command(command),
                seconds: limit.as_secs(),
            });
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Runs a command to completion and returns its stdout.
pub(crate) fn read_stdout(command: &mut Command) -> Result<String, TaskError> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(start_failed(command))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|source| TaskError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Fails unless the command has succeeded.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Result<(), TaskError> {
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Failed {
        command: display_command(command),
        status: status.to_string(),
    })
}

/// For `map_err`: the command that cannot be started.
pub(crate) fn start_failed(command: &Command) -> impl FnOnce(std::io::Error) -> TaskError + use<> {
    let command = display_command(command);
    |source| TaskError::Start { command, source }
}

/// The command as typed in a shell.
fn display_command(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let words = [name].into_iter().chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_stopped_after_its_limit() {
        let mut sleep = Command::new("sleep");
        let outcome = run_with_limit(sleep.arg("60"), Duration::from_millis(50));
        assert!(
            matches!(outcome, Err(TaskError::Timeout { .. })),
            "{outcome:?}"
        );
        let mut succeed = Command::new("true");
        run_with_limit(&mut succeed, Duration::from_secs(60)).unwrap();
    }
}
