//! The folder of a server: programs, data and socket; and the account that owns
//! it, since PostgreSQL refuses to run as root.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

use super::PgError;

const PREFIX: &str = "memory-pg-";

/// Creates a private folder in the folder for temporary files: a socket's path
/// must be short, and an unprivileged account may not have access to ours.
pub(crate) fn create() -> Result<PathBuf, PgError> {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("{PREFIX}{}-{:x}", process::id(), time.as_nanos());
    let dir = env::temp_dir().join(name);
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&dir)
        .map_err(PgError::disk("create", &dir))?;
    Ok(dir)
}

/// The data folder of the server.
pub(super) fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The log file of the server.
pub(super) fn log(dir: &Path) -> PathBuf {
    dir.join("server.log")
}

/// Whether a server runs in this folder: its lock file names a live process.
pub(super) fn is_running(dir: &Path) -> bool {
    let Ok(lock) = fs::read_to_string(data(dir).join("postmaster.pid")) else {
        return false;
    };
    lock.lines().next().is_some_and(process_exists)
}

/// Removes folders of killed tasks: their creator no longer exists and no server
/// runs in them.
pub(super) fn remove_stale() {
    let entries = fs::read_dir(env::temp_dir()).into_iter().flatten();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let creator = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let abandoned = creator.is_some_and(|creator| !process_exists(creator));
        if abandoned && !is_running(&entry.path()) {
            // Stale folders only take up space: ignore errors.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn process_exists(id: &str) -> bool {
    Path::new("/proc").join(id).exists()
}

/// Unprivileged accounts in order of preference.
const NAMES: &[&str] = &["postgres", "nobody"];

/// The account that runs the server; `None` for our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account(Option<Ids>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// Our account, or an unprivileged one if we are root. `folder` is one that we
    /// created: its owner is our account.
    #[cfg(unix)]
    pub(super) fn choose(folder: &Path) -> Result<Self, PgError> {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::metadata(folder).map_err(PgError::disk("read", folder))?;
        if owner.uid() != 0 {
            return Ok(Self(None));
        }
        let passwd = Path::new("/etc/passwd");
        let accounts = fs::read_to_string(passwd).map_err(PgError::disk("read", passwd))?;
        let ids = NAMES.iter().find_map(|name| ids(&accounts, name));
        Ok(Self(Some(ids.ok_or(PgError::NoAccount)?)))
    }

    /// The account that owns a server's folder.
    #[cfg(unix)]
    pub(super) fn owner(folder: &Path) -> Result<Self, PgError> {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::metadata(folder).map_err(PgError::disk("read", folder))?;
        let (user, group) = (owner.uid(), owner.gid());
        // Only root can run a command as another account.
        let ours = fs::metadata("/proc/self").is_ok_and(|us| us.uid() == user);
        Ok(Self((!ours).then_some(Ids { user, group })))
    }

    /// Makes the command run as this account.
    #[cfg(unix)]
    pub(super) fn apply_to(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if let Self(Some(ids)) = self {
            command.uid(ids.user).gid(ids.group);
        }
    }

    /// Makes the account the owner of this folder and its contents.
    #[cfg(unix)]
    pub(super) fn take_ownership(self, path: &Path) -> Result<(), PgError> {
        let Self(Some(ids)) = self else {
            return Ok(());
        };
        std::os::unix::fs::lchown(path, Some(ids.user), Some(ids.group))
            .map_err(PgError::disk("change the owner of", path))?;
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(PgError::disk("read", path))? {
                self.take_ownership(&entry.map_err(PgError::disk("read", path))?.path())?;
            }
        }
        Ok(())
    }

    /// No server is pinned for other platforms.
    #[cfg(not(unix))]
    pub(super) fn choose(_: &Path) -> Result<Self, PgError> {
        Err(PgError::UnsupportedPlatform)
    }

    #[cfg(not(unix))]
    pub(super) fn owner(_: &Path) -> Result<Self, PgError> {
        Err(PgError::UnsupportedPlatform)
    }

    #[cfg(not(unix))]
    pub(super) fn apply_to(self, _: &mut Command) {}

    #[cfg(not(unix))]
    pub(super) fn take_ownership(self, _: &Path) -> Result<(), PgError> {
        Err(PgError::UnsupportedPlatform)
    }
}

/// User and group of an account, from the text of /etc/passwd.
fn ids(accounts: &str, name: &str) -> Option<Ids> {
    let mut lines = accounts.lines().map(|line| line.split(':'));
    let mut fields =
        lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let user = fields.nth(1)?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Ids { user, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_full_name() {
        let accounts =
            "root:x:0:0:root:/:/bin/sh\nno:x:1:2::/:\nnobody:x:65534:65533:n:/:/bin/sh\n";
        let nobody = Some(Ids {
            user: 65_534,
            group: 65_533,
        });
        assert_eq!(ids(accounts, "nobody"), nobody);
        assert_eq!(ids(accounts, "postgres"), None);
    }
}
