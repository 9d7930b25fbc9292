//! The programs of the server: fetching them, and making them runnable.

use std::fs;
use std::path::Path;

use memory_assets::{Setup, pins};

use super::error::PgError;
use crate::error::TaskError;

/// Fetches the pinned server into the cache folder, if it is not there.
/// `false` where none is pinned for this platform.
pub(crate) fn fetch(cache: &Path, python: Option<&Path>) -> Result<bool, TaskError> {
    let Some(asset) = pins::postgres() else {
        return Ok(false);
    };
    let mut setup = Setup::new(cache)
        .with_assets([asset])
        .with_report(|event| println!("{event}"));
    if let Some(python) = python {
        setup = setup.with_python(python);
    }
    setup.run()?;
    Ok(true)
}

/// Copies the server into `home`: the account that runs it may not be able to
/// look into the cache folder, and its programs lie there without the mark
/// that lets them run.
pub(super) fn copy(cache: &Path, home: &Path) -> Result<(), PgError> {
    let asset = pins::postgres().ok_or(PgError::UnsupportedPlatform)?;
    let from = cache.join(asset.folder);
    for member in asset.wheels.iter().flat_map(|wheel| wheel.members) {
        let target = home.join(member.to);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(PgError::disk("create", folder))?;
        }
        let source = from.join(member.to);
        fs::copy(&source, &target).map_err(PgError::disk("copy", &source))?;
        if member.to.contains("/bin/") {
            make_executable(&target)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), PgError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(PgError::disk("make executable", path))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<(), PgError> {
    Ok(())
}
