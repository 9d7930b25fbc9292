//! Who runs the server: PostgreSQL refuses to be run by root.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::error::PgError;

/// Accounts without privileges, the best first.
const NAMES: &[&str] = &["postgres", "nobody"];

/// The account that runs the server; `None` for the one that runs us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account(Option<Ids>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// Ours, or an unprivileged one if we are root. `folder` is one that we
    /// made: its owner says who we are.
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

    /// The one that owns a server's folder.
    #[cfg(unix)]
    pub(super) fn owner(folder: &Path) -> Result<Self, PgError> {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::metadata(folder).map_err(PgError::disk("read", folder))?;
        let (user, group) = (owner.uid(), owner.gid());
        // Of those that we start, only root can become another.
        let ours = fs::metadata("/proc/self").is_ok_and(|us| us.uid() == user);
        Ok(Self((!ours).then_some(Ids { user, group })))
    }

    /// Lets the account run this command.
    #[cfg(unix)]
    pub(super) fn run(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if let Self(Some(ids)) = self {
            command.uid(ids.user).gid(ids.group);
        }
    }

    /// Gives the account this folder with all it holds.
    #[cfg(unix)]
    pub(super) fn own(self, path: &Path) -> Result<(), PgError> {
        let Self(Some(ids)) = self else {
            return Ok(());
        };
        std::os::unix::fs::lchown(path, Some(ids.user), Some(ids.group))
            .map_err(PgError::disk("hand over", path))?;
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(PgError::disk("read", path))? {
                self.own(&entry.map_err(PgError::disk("read", path))?.path())?;
            }
        }
        Ok(())
    }

    /// No server is pinned for such a platform.
    #[cfg(not(unix))]
    pub(super) fn choose(_: &Path) -> Result<Self, PgError> {
        Err(PgError::UnsupportedPlatform)
    }

    #[cfg(not(unix))]
    pub(super) fn owner(_: &Path) -> Result<Self, PgError> {
        Err(PgError::UnsupportedPlatform)
    }

    #[cfg(not(unix))]
    pub(super) fn run(self, _: &mut Command) {}

    #[cfg(not(unix))]
    pub(super) fn own(self, _: &Path) -> Result<(), PgError> {
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
    fn an_account_is_found_by_its_whole_name() {
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
