//! Checks which assets are present, missing or damaged in a cache directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{self, Asset, Member, Wheel};
use crate::paths;

/// An asset and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetStatus {
    /// The asset's name, for display.
    pub name: &'static str,
    /// The folder of the asset, whether it exists or not.
    pub path: PathBuf,
    /// The state.
    pub state: AssetState,
}

/// The state of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssetState {
    /// Every file is present.
    Present,
    /// No file is present.
    Missing,
    /// Files are missing or not as pinned.
    Damaged {
        /// The first such file and its problem.
        why: String,
    },
    /// Nothing is pinned for this platform; the user must install it.
    Unsupported,
}

/// Checks the default assets by the presence and size of their files, in
/// microseconds, without reading content. (`verify`, with the feature `fetch`,
/// hashes them.)
#[must_use]
pub fn check(cache: &Path) -> Vec<AssetStatus> {
    statuses(cache, Some(manifest::model()), check_size)
}

/// A check of one file; `None` if it is as pinned.
pub(crate) type FileCheck = fn(&Path, &Member) -> Option<ProblemKind>;

/// The problem of one file.
#[derive(Debug)]
pub(crate) enum ProblemKind {
    Missing,
    Size {
        expected: u64,
        found: u64,
    },
    #[cfg(feature = "fetch")]
    Hash,
    Unreadable(io::Error),
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Size { expected, found } => {
                write!(f, "has {found} bytes instead of {expected}")
            }
            #[cfg(feature = "fetch")]
            Self::Hash => f.write_str("does not have the pinned SHA-256"),
            Self::Unreadable(error) => write!(f, "cannot be read ({error})"),
        }
    }
}

/// A file that is not as pinned.
#[derive(Debug)]
pub(crate) struct FileProblem {
    pub(crate) member: &'static Member,
    pub(crate) kind: ProblemKind,
}

/// All files of `wheel` that are not as pinned in `folder`, in the order of the
/// manifest.
pub(crate) fn find_problems(
    folder: &Path,
    wheel: &Wheel,
    file_check: FileCheck,
) -> Vec<FileProblem> {
    let problem = |member: &'static Member| {
        let kind = file_check(&folder.join(member.to), member)?;
        Some(FileProblem { member, kind })
    };
    wheel.members.iter().filter_map(problem).collect()
}

/// Checks presence and size.
pub(crate) fn check_size(path: &Path, member: &Member) -> Option<ProblemKind> {
    let found = if member.is_folder() {
        size_of_folder(path)
    } else {
        fs::metadata(path).map(|file| if file.is_file() { file.len() } else { 0 })
    };
    match found {
        Ok(found) if found == member.size => None,
        Ok(found) => Some(ProblemKind::Size {
            expected: member.size,
            found,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(ProblemKind::Missing),
        Err(error) => Some(ProblemKind::Unreadable(error)),
    }
}

/// The total size of all files in a folder and its subfolders. Links are ignored:
/// no asset has any.
fn size_of_folder(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            size += size_of_folder(&entry.path())?;
        } else if kind.is_file() {
            size += entry.metadata()?.len();
        }
    }
    Ok(size)
}

/// The states of the runtime, and of a model where one is given.
pub(crate) fn statuses(
    cache: &Path,
    model: Option<Asset>,
    file_check: FileCheck,
) -> Vec<AssetStatus> {
    let mut statuses: Vec<_> = manifest::runtime()
        .iter()
        .chain(&model)
        .map(|asset| status(cache, asset, file_check))
        .collect();
    if manifest::runtime().is_none() {
        statuses.push(AssetStatus {
            name: "ONNX Runtime",
            path: paths::runtime_dir(cache),
            state: AssetState::Unsupported,
        });
    }
    statuses
}

fn status(cache: &Path, asset: &Asset, file_check: FileCheck) -> AssetStatus {
    let path = cache.join(asset.folder);
    let problems_of = |wheel| find_problems(&path, wheel, file_check);
    let problems: Vec<_> = asset.wheels.iter().flat_map(problems_of).collect();
    let files: usize = asset.wheels.iter().map(|wheel| wheel.members.len()).sum();
    let missing = |problem: &FileProblem| matches!(problem.kind, ProblemKind::Missing);
    let state = match problems.first() {
        None => AssetState::Present,
        Some(_) if problems.len() == files && problems.iter().all(missing) => AssetState::Missing,
        Some(first) => AssetState::Damaged {
            why: format!("{} {}", first.member.to, first.kind),
        },
    };
    AssetStatus {
        name: asset.name,
        path,
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: Wheel = Wheel {
        package: "small",
        version: "1.0",
        file_name: "small-1.0-py3-none-any.whl",
        size: 0,
        sha256: "",
        platform: None,
        conversion: None,
        members: &[member("a"), member("b")],
    };

    const SMALL: Asset = Asset {
        name: "small",
        folder: "small",
        wheels: &[WHEEL],
    };

    const fn member(to: &'static str) -> Member {
        Member {
            from: to,
            to,
            size: 3,
            sha256: "",
        }
    }

    fn state_after(files: &[(&str, &str)]) -> AssetState {
        let cache = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = cache.path().join("small").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        status(cache.path(), &SMALL, check_size).state
    }

    #[test]
    fn present_missing_and_damaged_are_distinguished() {
        assert_eq!(
            state_after(&[("a", "123"), ("b", "456")]),
            AssetState::Present
        );
        assert_eq!(state_after(&[]), AssetState::Missing);
        let AssetState::Damaged { why } = state_after(&[("a", "123")]) else {
            panic!("half an asset is damaged");
        };
        assert_eq!(why, "b is missing");
    }

    #[test]
    fn a_truncated_file_is_damaged() {
        let AssetState::Damaged { why } = state_after(&[("a", "12"), ("b", "456")]) else {
            panic!("a truncated file is damaged");
        };
        assert_eq!(why, "a has 2 bytes instead of 3");
    }

    #[test]
    fn in_an_empty_cache_every_default_asset_is_missing() {
        let cache = tempfile::tempdir().unwrap();
        for asset in check(cache.path()) {
            assert!(matches!(
                asset.state,
                AssetState::Missing | AssetState::Unsupported
            ));
        }
    }
}
