//! Runs commands.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::error::TaskError;

/// The features that checks and tests enable in addition to the defaults.
pub(crate) const FEATURES: &str = "memory/openai,memory/postgres";

/// Selects the crates that build without libtorch: all but one.
pub(crate) const WITHOUT_LIBTORCH: [&str; 3] = ["--workspace", "--exclude", "memory-bert"];

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

/// Runs a command to completion and returns its stdout.
pub(crate) fn read_stdout(command: &mut Command) -> Result<String, TaskError> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(start_failed(command))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn check(command: &Command, status: ExitStatus) -> Result<(), TaskError> {
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Failed {
        command: display_command(command),
        status: status.to_string(),
    })
}

fn start_failed(command: &Command) -> impl FnOnce(std::io::Error) -> TaskError {
    let command = display_command(command);
    |source| TaskError::Start { command, source }
}

/// The command as typed in a shell.
pub(crate) fn display_command(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let words = [name].into_iter().chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
