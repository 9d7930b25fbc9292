//! What is present, missing or damaged in a cache folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::pins::{self, Asset, Member, Wheel};
use crate::places;

/// One asset and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetStatus {
    /// What people call the asset.
    pub name: &'static str,
    /// The folder it lies in, or would.
    pub path: PathBuf,
    /// How it is.
    pub state: AssetState,
}

/// How an asset is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssetState {
    /// Every file is there.
    Present,
    /// None of its files is there.
    Missing,
    /// Some files are there, but not all, or not as pinned.
    Damaged {
        /// The first file that is wrong and what is wrong with it.
        why: String,
    },
    /// Nothing is pinned for this platform; the user has to bring it.
    Unsupported,
}

/// Looks at the default assets by the presence and the size of their files:
/// microseconds, no content is read. (`verify`, behind the feature `fetch`,
/// hashes them.)
#[must_use]
pub fn check(cache: &Path) -> Vec<AssetStatus> {
    statuses(cache, by_size)
}

/// What `inspect` finds wrong with a file; `None` if it is as pinned.
pub(crate) type Inspect = fn(&Path, &Member) -> Option<Fault>;

/// What is wrong with one file.
#[derive(Debug)]
pub(crate) enum Fault {
    Missing,
    Size {
        expected: u64,
        found: u64,
    },
    #[cfg(feature = "fetch")]
    Hash,
    Unreadable(io::Error),
}

impl fmt::Display for Fault {
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
pub(crate) struct Flaw {
    pub(crate) member: &'static Member,
    pub(crate) fault: Fault,
}

/// Every file of `wheel` that is not as pinned in `folder`, in the order of the
/// pins.
pub(crate) fn flaws(folder: &Path, wheel: &Wheel, inspect: Inspect) -> Vec<Flaw> {
    let flaw = |member: &'static Member| {
        let fault = inspect(&folder.join(member.to), member)?;
        Some(Flaw { member, fault })
    };
    wheel.members.iter().filter_map(flaw).collect()
}

/// Presence and size.
pub(crate) fn by_size(path: &Path, member: &Member) -> Option<Fault> {
    let found = if member.is_folder() {
        size_of_folder(path)
    } else {
        fs::metadata(path).map(|file| if file.is_file() { file.len() } else { 0 })
    };
    match found {
        Ok(found) if found == member.size => None,
        Ok(found) => Some(Fault::Size {
            expected: member.size,
            found,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Fault::Missing),
        Err(error) => Some(Fault::Unreadable(error)),
    }
}

/// The sizes of all files in a folder and the folders in it. Links count as
/// nothing: no asset has any.
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

/// How the default assets are.
pub(crate) fn statuses(cache: &Path, inspect: Inspect) -> Vec<AssetStatus> {
    let pinned = pins::defaults();
    let mut statuses: Vec<_> = pinned
        .iter()
        .map(|asset| status(cache, asset, inspect))
        .collect();
    if pins::runtime().is_none() {
        statuses.push(AssetStatus {
            name: "ONNX Runtime",
            path: places::runtime_dir(cache),
            state: AssetState::Unsupported,
        });
    }
    statuses
}

fn status(cache: &Path, asset: &Asset, inspect: Inspect) -> AssetStatus {
    let path = cache.join(asset.folder);
    let flaws_of = |wheel| flaws(&path, wheel, inspect);
    let flaws: Vec<_> = asset.wheels.iter().flat_map(flaws_of).collect();
    let files: usize = asset.wheels.iter().map(|wheel| wheel.members.len()).sum();
    let missing = |flaw: &Flaw| matches!(flaw.fault, Fault::Missing);
    let state = match flaws.first() {
        None => AssetState::Present,
        Some(_) if flaws.len() == files && flaws.iter().all(missing) => AssetState::Missing,
        Some(first) => AssetState::Damaged {
            why: format!("{} {}", first.member.to, first.fault),
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
        status(cache.path(), &SMALL, by_size).state
    }

    #[test]
    fn whole_missing_and_damaged_are_told_apart() {
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
    fn an_empty_cache_misses_every_default_asset() {
        let cache = tempfile::tempdir().unwrap();
        for asset in check(cache.path()) {
            assert!(matches!(
                asset.state,
                AssetState::Missing | AssetState::Unsupported
            ));
        }
    }
}
