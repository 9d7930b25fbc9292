//! The folder that a server lives in: its programs, its data, its socket.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

use super::error::PgError;

const PREFIX: &str = "memory-pg-";

/// Makes a folder that nobody else can look into, in the folder for temporary
/// files: a socket's path must be short, and an unprivileged account may not
/// get into ours.
pub(super) fn create() -> Result<PathBuf, PgError> {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("{PREFIX}{}-{:x}", process::id(), time.as_nanos());
    let home = env::temp_dir().join(name);
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&home)
        .map_err(PgError::disk("create", &home))?;
    Ok(home)
}

/// Where the server keeps its data.
pub(super) fn data(home: &Path) -> PathBuf {
    home.join("data")
}

/// Where the server writes what happens.
pub(super) fn log(home: &Path) -> PathBuf {
    home.join("server.log")
}

/// Whether a server lives here: it keeps this file while it runs.
pub(super) fn is_running(home: &Path) -> bool {
    let Ok(lock) = fs::read_to_string(data(home).join("postmaster.pid")) else {
        return false;
    };
    lock.lines().next().is_some_and(process_exists)
}

/// Removes the folders that killed tasks left behind: whoever made them is
/// gone, and no server lives there.
pub(super) fn sweep() {
    let entries = fs::read_dir(env::temp_dir()).into_iter().flatten();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let abandoned = maker.is_some_and(|maker| !process_exists(maker));
        if abandoned && !is_running(&entry.path()) {
            // Leftovers only cost room: failing to remove one is no failure.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn process_exists(id: &str) -> bool {
    Path::new("/proc").join(id).exists()
}
