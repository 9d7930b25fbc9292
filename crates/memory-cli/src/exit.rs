//! Exit codes, and error reports on standard error.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use memory::{ErrorKind, MemoryError};
use memory_assets::{CacheDirError, SetupError};
use memory_server::{ServerError, TokensError};
use serde::Serialize;

use crate::interrupt::Signal;
use crate::output::Format;

/// Exit codes; documented in `docs/cli.md` and `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    InvalidInput = 3,
    NotFound = 4,
    Conflict = 5,
    Missing = 6,
    Unavailable = 7,
    Unusable = 8,
}

impl Code {
    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict
            | ErrorKind::Archived
            | ErrorKind::Changed
            | ErrorKind::LimitReached => Self::Conflict,
            ErrorKind::Missing => Self::Missing,
            ErrorKind::Unavailable | ErrorKind::OutcomeUnknown => Self::Unavailable,
            ErrorKind::Configuration => Self::Usage,
            ErrorKind::Full
            | ErrorKind::ReadOnly
            | ErrorKind::ForeignData
            | ErrorKind::NewerSchema
            | ErrorKind::Corrupt => Self::Unusable,
            _ => Self::Failed,
        }
    }
}

/// Why a run ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error that is reported.
    Error(Box<ErrorReport>),
    /// The reader of standard output closed it (`memory export | head -1`).
    /// The run ends silently and successfully.
    OutputClosed,
}

/// An error as it is reported.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorReport {
    #[serde(skip)]
    code: u8,
    kind: &'static str,
    message: String,
    retryable: bool,
    /// The source errors that the message does not already quote.
    causes: Vec<String>,
}

impl Failure {
    /// A failure without a source error.
    pub(crate) fn new(code: Code, kind: &'static str, message: impl Into<String>) -> Self {
        Self::with_code(code as u8, kind, message.into())
    }

    /// Failed checks of the doctor; `code` is that of the first.
    pub(crate) fn unhealthy(code: u8, message: impl Into<String>) -> Self {
        Self::with_code(code, "unhealthy", message.into())
    }

    fn with_code(code: u8, kind: &'static str, message: String) -> Self {
        Self::Error(Box::new(ErrorReport {
            code,
            kind,
            message,
            retryable: false,
            causes: Vec::new(),
        }))
    }

    /// Options that are valid each but not together.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, "usage", message)
    }

    /// A run that a signal ended; the code is the one that shells use.
    pub(crate) fn interrupted(signal: Signal, message: impl Into<String>) -> Self {
        Self::with_code(signal.exit_code(), "interrupted", message.into())
    }

    /// Whether a signal ended the run.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.kind() == "interrupted"
    }

    /// An I/O error; `action` completes "cannot …".
    pub(crate) fn io(action: impl Display, error: &io::Error) -> Self {
        Self::new(Code::Failed, "io", format!("cannot {action}: {error}"))
    }

    /// An error while writing to `path`; a closed pipe ends the run silently.
    pub(crate) fn write(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        match (error.kind(), path.parent()) {
            (io::ErrorKind::BrokenPipe, _) => Self::OutputClosed,
            // As `MemorySystem::backup` says it.
            (io::ErrorKind::NotFound, Some(folder)) if is_missing(folder) => {
                let folder = folder.display();
                let message = format!(
                    "cannot write {shown}: the folder {folder} does not exist; create it first"
                );
                Self::new(Code::Missing, "missing", message)
            }
            _ => Self::io(format_args!("write {shown}"), error),
        }
    }

    /// An error while writing to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::io("write to standard output", error)
        }
    }

    /// Adds to the message what to do.
    pub(crate) fn with_hint(mut self, hint: impl Display) -> Self {
        if let Self::Error(report) = &mut self {
            report.message = format!("{}; {hint}", report.message);
        }
        self
    }

    /// Says that the same command is not to be repeated as it was.
    pub(crate) fn not_retryable(mut self) -> Self {
        if let Self::Error(report) = &mut self {
            report.retryable = false;
        }
        self
    }

    /// Whether the same command may be repeated as it was.
    #[cfg(test)]
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, Self::Error(report) if report.retryable)
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error(report) => report.code,
            Self::OutputClosed => 0,
        }
    }

    /// The machine-readable kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Error(report) => report.kind,
            Self::OutputClosed => "output_closed",
        }
    }

    /// The message, without its sources.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Error(report) => &report.message,
            Self::OutputClosed => "standard output was closed",
        }
    }

    /// Writes the failure to standard error.
    pub(crate) fn report(&self, format: Format) -> ExitCode {
        if let Self::Error(report) = self {
            // A closed standard error leaves nothing to report to.
            let _ = report.write(format, &mut io::stderr().lock());
        }
        ExitCode::from(self.code())
    }

    fn with_causes_of(mut self, error: &dyn Error) -> Self {
        if let Self::Error(report) = &mut self {
            let mut next = error.source();
            while let Some(cause) = next {
                let text = cause.to_string();
                // Many messages already quote their source.
                if !report.message.contains(&text) {
                    report.causes.push(text);
                }
                next = cause.source();
            }
        }
        self
    }
}

impl ErrorReport {
    fn write(&self, format: Format, to: &mut impl Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a ErrorReport,
        }
        match format {
            Format::Json => {
                serde_json::to_writer(&mut *to, &Document { error: self })?;
                writeln!(to)
            }
            Format::Human => {
                writeln!(to, "error: {}", self.message)?;
                self.causes
                    .iter()
                    .try_for_each(|cause| writeln!(to, "cause: {cause}"))
            }
        }
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let kind = error.kind();
        let mut failure = Self::new(Code::of(kind), kind.name(), error.to_string());
        if let Self::Error(report) = &mut failure {
            report.retryable = error.is_retryable();
        }
        failure.with_causes_of(&error)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let code = match error {
            SetupError::PythonNotFound { .. } => Code::Missing,
            _ => Code::Failed,
        };
        Self::new(code, "setup", error.to_string()).with_causes_of(&error)
    }
}

impl From<CacheDirError> for Failure {
    fn from(error: CacheDirError) -> Self {
        Self::new(Code::Missing, "missing", error.to_string()).with_causes_of(&error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let message = error.to_string();
        match error {
            ServerError::TokensRequired(_) => Self::new(Code::Usage, "configuration", message)
                .with_hint("memory token makes one, and --tokens names its file"),
            ServerError::Origin(_) => Self::new(Code::Usage, "configuration", message),
            _ => Self::new(Code::Failed, "io", message),
        }
    }
}

impl From<TokensError> for Failure {
    fn from(error: TokensError) -> Self {
        Self::new(Code::Usage, "configuration", error.to_string())
    }
}

/// Whether a folder does not exist. That of a file without one in its path does.
fn is_missing(folder: &Path) -> bool {
    !folder.as_os_str().is_empty() && !folder.exists()
}

/// Reports a command line that cannot be parsed, or prints the requested help.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    // The command line is not parsed, so --json has to be searched for.
    let json = std::env::args_os().any(|arg| arg == "--json");
    if !error.use_stderr() || !json {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8));
    }
    let text = error.render().to_string();
    // Usage for people follows the first paragraph.
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    Failure::usage(words.join(" ")).report(Format::Json)
}

#[cfg(test)]
mod tests {
    use memory::MemoryId;

    use super::*;

    fn written(failure: &Failure, format: Format) -> String {
        let Failure::Error(report) = failure else {
            panic!("nothing to report");
        };
        let mut out = Vec::new();
        report.write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn error_kinds_map_to_exit_codes() {
        let code = |kind| Failure::from(MemoryError::store(kind, "test", "x")).code();
        assert_eq!(code(ErrorKind::Other), 1);
        assert_eq!(code(ErrorKind::Missing), 6);
        assert_eq!(code(ErrorKind::Unavailable), 7);
        assert_eq!(code(ErrorKind::NewerSchema), 8);
        let (entity, id) = ("mira".into(), MemoryId::new());
        assert_eq!(
            Failure::from(MemoryError::NotFound { entity, id }).code(),
            4
        );
        assert_eq!(Failure::from(MemoryError::configuration("x")).code(), 2);
    }

    #[test]
    fn source_errors_are_reported_once() {
        let error = MemoryError::store(ErrorKind::Full, "retain", "no room")
            .with_source(io::Error::other("disk on fire"));
        let failure = Failure::from(error);
        let human = written(&failure, Format::Human);
        assert_eq!(human, "error: retain: no room\ncause: disk on fire\n");
        let json: serde_json::Value =
            serde_json::from_str(&written(&failure, Format::Json)).unwrap();
        assert_eq!(json["error"]["kind"], "full");
        assert_eq!(json["error"]["retryable"], false);

        // The message already quotes its source.
        let input = Failure::from(MemoryError::from(memory::InvalidInput::EmptyContent));
        assert_eq!(written(&input, Format::Human).lines().count(), 1);
    }

    #[test]
    fn broken_pipe_is_success() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(&gone).code(), 0);
        assert_eq!(Failure::output(&io::Error::other("full")).code(), 1);
    }
}
