//! Moving verified files to their place.

use std::fs;
use std::path::Path;

use super::error::SetupError;
use crate::pins::Member;

/// Moves the staged files of an asset into `folder`.
///
/// A new asset appears all at once: one rename of the whole folder. In a folder
/// that is there already, each file is replaced by a rename of its own, so a
/// reader sees the old file or the new one and never half of either. (A whole
/// folder among the members is removed before it is put in place.)
pub(super) fn place(
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
            // A folder does not replace another by renaming.
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
