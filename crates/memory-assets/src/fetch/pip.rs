//! Finding pip and downloading wheels with it.
//!
//! pip runs isolated from the current directory and from Python's environment
//! variables, so that no `pip.py` or `pip/` there is executed: its working
//! directory is an empty folder of the setup, and Python is started with `-I`
//! (or `-E`, which also finds a pip in the user's site-packages). pip's own
//! configuration stays in effect, because proxies, mirrors and certificates are
//! configured there; settings that would make it run another interpreter or
//! download other packages are removed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::SetupError;
use crate::manifest::Wheel;

/// The interpreters to try, in order, if the caller names none: the usual name,
/// the name in virtual environments, the Windows launcher.
const INTERPRETERS: &[&[&str]] = &[&["python3"], &["python"], &["py", "-3"]];

/// The Python version of the pinned wheels. pip may run in another version,
/// because it can download for other interpreters.
const TARGET_VERSION: &str = "3.11";
const TARGET_ABI: &str = "cp311";

/// Options of Python that keep `PYTHONPATH` and other variables from taking
/// effect, in the order in which they are tried. `-I` also ignores the working
/// directory and the user's site-packages.
const ISOLATION: &[&str] = &["-I", "-E"];

/// Environment variables of pip that would change what is executed or downloaded.
const REMOVED_VARIABLES: &[&str] = &[
    "PIP_PYTHON",
    "PIP_REQUIREMENT",
    "PIP_CONSTRAINT",
    "PIP_BUILD_CONSTRAINT",
    "PIP_DEST",
    "PIP_SRC",
];

/// The first pip that accepts a dotted `--python-version`.
const MIN_VERSION: (u32, u32) = (19, 2);

/// The number of pip's last output lines in an error.
const OUTPUT_LINES: usize = 8;

/// A working pip.
#[derive(Debug)]
pub(super) struct Pip {
    interpreter: Interpreter,
    options: Vec<OsString>,
    name: String,
}

impl Pip {
    /// Finds the pip of the given interpreter, or of the first of the usual ones
    /// that has a working pip. `work_dir` is an empty folder in which it runs.
    pub(super) fn find(
        chosen: Option<&Path>,
        options: Vec<OsString>,
        work_dir: &Path,
    ) -> Result<Self, SetupError> {
        let candidates: Vec<Vec<OsString>> = match chosen {
            Some(path) => vec![vec![absolute_if_path(path)]],
            None => INTERPRETERS
                .iter()
                .map(|words| words.iter().map(OsString::from).collect())
                .collect(),
        };
        let mut tried = Vec::new();
        for command in candidates {
            let mut failure = String::new();
            for isolation in ISOLATION {
                let interpreter = Interpreter {
                    command: command.clone(),
                    isolation,
                    work_dir: work_dir.to_owned(),
                };
                match interpreter.probe() {
                    Ok(version) => {
                        let name = format!("{version} of {}", display_command(&command));
                        return Ok(Self {
                            interpreter,
                            options,
                            name,
                        });
                    }
                    Err(why) => failure = why,
                }
            }
            tried.push(format!("{}: {failure}", display_command(&command)));
        }
        Err(SetupError::PythonNotFound { tried })
    }

    /// Version and interpreter, for display.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Downloads a wheel into `folder` and returns the path of the pinned file.
    pub(super) fn download(&self, wheel: &Wheel, folder: &Path) -> Result<PathBuf, SetupError> {
        let requirement = format!("{}=={}", wheel.package, wheel.version);
        let mut command = self.interpreter.pip();
        command
            .args([
                "download",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .args(["--no-deps", "--only-binary", ":all:"])
            .args(["--python-version", TARGET_VERSION]);
        if let Some(platform) = wheel.platform {
            command
                .args(["--implementation", "cp", "--abi", TARGET_ABI])
                .args(["--platform", platform]);
        }
        command
            .args(&self.options)
            .arg("--dest")
            .arg(folder)
            .arg(&requirement);

        let output = command.output().map_err(|error| SetupError::PipFailed {
            requirement: requirement.clone(),
            output: error.to_string(),
        })?;
        if !output.status.success() {
            return Err(SetupError::PipFailed {
                requirement,
                output: last_lines(&output),
            });
        }
        let path = folder.join(wheel.file_name);
        if path.is_file() {
            return Ok(path);
        }
        Err(SetupError::UnexpectedWheel {
            requirement,
            expected: wheel.file_name,
            found: listing(folder).map_err(SetupError::disk("read", folder))?,
        })
    }
}

/// A Python interpreter, and how it is started.
#[derive(Debug)]
struct Interpreter {
    command: Vec<OsString>,
    isolation: &'static str,
    work_dir: PathBuf,
}

impl Interpreter {
    /// A command that runs its pip.
    fn pip(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command
            .args(words)
            .args([self.isolation, "-m", "pip"])
            .current_dir(&self.work_dir)
            .stdin(Stdio::null());
        for variable in REMOVED_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// The version, such as `pip 23.2.1`, or why pip cannot be used.
    fn probe(&self) -> Result<String, String> {
        let result = self.pip().arg("--version").output();
        let output = result.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "not found".to_owned(),
            _ => error.to_string(),
        })?;
        if !output.status.success() {
            let lines = last_lines(&output);
            let why = lines.lines().last().unwrap_or("pip fails");
            // Python starts with its own name, which the caller adds already.
            let name = format!("{}: ", display_command(&self.command));
            return Err(why.strip_prefix(&name).unwrap_or(why).to_owned());
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let version = stdout.split_whitespace().nth(1).unwrap_or_default();
        if release(version) < MIN_VERSION {
            let (major, minor) = MIN_VERSION;
            return Err(format!(
                "pip {version} is too old; {major}.{minor} or newer is needed"
            ));
        }
        Ok(format!("pip {version}"))
    }
}

/// Makes the path of an interpreter absolute, because it is started in another
/// working directory. A bare name is left to the search in `PATH`.
fn absolute_if_path(interpreter: &Path) -> OsString {
    let is_bare_name = interpreter.components().count() == 1 && interpreter.is_relative();
    if is_bare_name {
        return interpreter.into();
    }
    std::path::absolute(interpreter).map_or_else(|_| interpreter.into(), PathBuf::into_os_string)
}

/// The first two numbers of a version; anything else counts as 0.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn display_command(words: &[OsString]) -> String {
    words
        .iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last nonblank lines of stderr, or of stdout if stderr is empty.
fn last_lines(output: &Output) -> String {
    let stream = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(stream);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n")
}

fn listing(folder: &Path) -> io::Result<String> {
    let names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(release("18.1") < MIN_VERSION);
        assert!(release("19.2.3") >= MIN_VERSION && release("26.0b1") >= MIN_VERSION);
        assert_eq!(release("unknown"), (0, 0));
    }
}
