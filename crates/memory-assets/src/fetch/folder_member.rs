//! Wheel members that are folders: unpacking and digest.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::SetupError;
use super::hash;
use crate::manifest::{Member, Wheel};

/// A file's path in the folder, with `/` between its parts, and its SHA-256.
type Line = (String, String);

/// Unpacks all files under the member's path into `target` and returns their
/// digest.
///
/// The names come from the archive and not from the manifest, so a name that
/// would leave the folder is rejected. The caller compares the digest with the
/// pinned one.
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
    // One byte more than pinned is enough to notice a size that is too large,
    // and a decompression bomb cannot fill the disk.
    let mut remaining = member.size + 1;
    for inside in names.map_err(bad)? {
        if !stays_inside(&inside) {
            let why = "a path that leaves its folder";
            return Err(bad(ZipError::InvalidArchive(why.into())));
        }
        let packed = archive.by_name(&format!("{}{inside}", member.from));
        let mut packed = packed.map_err(bad)?.take(remaining);
        let digest = write(&mut packed, &target.join(&inside))?;
        remaining = packed.limit();
        listing.push((inside, digest));
    }
    Ok(digest(listing))
}

/// Writes a new file and returns its hash. It is not synced to disk, as single
/// members are: for thousands of files that takes minutes, and the next setup
/// detects by the digest what a crash of the machine lost.
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
    fn a_path_that_leaves_its_folder_is_recognized() {
        assert!(stays_inside("ATen/core/Tensor.h"));
        for path in ["../x", "a/../../x", "/x"] {
            assert!(!stays_inside(path), "{path}");
        }
    }
}
