//! A temporary folder to run the command in, and the result of a run.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary folder; the default database is in it.
pub(crate) struct TestDir {
    folder: TempDir,
}

impl TestDir {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("the folder can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file is there")
    }

    /// Everything in the folder, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry.expect("an entry")))
            .collect();
        names.sort();
        names
    }

    /// The command, run in the folder, with the environment reduced to the
    /// location of the model.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory"));
        command
            .args(args)
            .current_dir(&self.folder)
            .env_remove("MEMORY_DB")
            .env_remove("MEMORY_CONFIG")
            .env_remove("MEMORY_SHARED_CACHE");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(
            self.command(args)
                .stdin(Stdio::null())
                .output()
                .expect("it starts"),
        )
    }

    /// Runs the command with this on standard input.
    pub(crate) fn run_on(&self, args: &[&str], input: impl AsRef<[u8]>) -> Run {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("it was piped");
        match stdin.write_all(input.as_ref()) {
            // The command may refuse its input after the first bytes.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.expect("it reads"),
        }
        drop(stdin);
        Run::of(child.wait_with_output().expect("it ends"))
    }
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        let run = Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!run.err.contains("panicked"), "{run:?}");
        run
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Standard output, which must be one JSON document on one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        parse(&self.out)
    }

    /// The reported error, which must be the last line of standard error.
    #[track_caller]
    pub(crate) fn json_error(&self) -> Value {
        let last = self.err.lines().last().expect("an error is reported");
        let error = parse(last)["error"].clone();
        assert!(
            error["message"].is_string() && error["retryable"].is_boolean(),
            "{error}"
        );
        error
    }

    /// Asserts an error of this kind and returns its message.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, kind: &str) -> String {
        let run = self.code(code);
        let error = run.json_error();
        assert_eq!(error["kind"], kind, "{run:?}");
        assert_eq!(run.out, "", "nothing but the error");
        error["message"].as_str().unwrap_or_default().to_owned()
    }
}

#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A path as an argument.
pub(crate) fn path_str(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
