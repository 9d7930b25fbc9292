//! PgBouncer, for the tests that go through it: Debian's packages, pinned, and
//! of each the one file that is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::error::PgError;
use crate::error::TaskError;
use crate::shell;

/// A Debian package of the release that the project is tested on (12, amd64).
struct Package {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// The file that is taken, as the package has it, and what it is called
    /// here.
    from: &'static str,
    to: &'static str,
    /// Of that file.
    file_sha256: &'static str,
}

/// Everything else that it links to is part of a Debian system, or comes with
/// its `libssl3`, `libsystemd0` and `libpam0g`.
const PACKAGES: &[Package] = &[
    Package {
        name: "pgbouncer",
        version: "1.18.0-1+deb12u1",
        sha256: "b8468c31f94596da0967b1a27980a0a036268eb8e53d3e647651bd7b82b6f65e",
        from: "usr/sbin/pgbouncer",
        to: "pgbouncer",
        file_sha256: "2dd718eadf5ea4361f95c51040fcf46aebda18ea09750d2c9901e82844b047be",
    },
    Package {
        name: "libc-ares2",
        version: "1.18.1-3",
        sha256: "087fd5c2ac883202e1786ab45617cdab7f77bc7f060d58cca177ddf6b6c3fa73",
        from: "usr/lib/x86_64-linux-gnu/libcares.so.2.5.1",
        to: "libcares.so.2",
        file_sha256: "90e192c52fd4eddbc1f06f9de8200406ba324252addabf658c8f481935b98f00",
    },
    Package {
        name: "libevent-2.1-7",
        version: "2.1.12-stable-8",
        sha256: "ca8858a7095ade7776c9f73437812423a45ccd90de2079e8c34830d291df290f",
        from: "usr/lib/x86_64-linux-gnu/libevent-2.1.so.7.0.1",
        to: "libevent-2.1.so.7",
        file_sha256: "0345fd1ab2c7b0d5fdeb1497377919d57d6ed2066811179d7cf07b2606cd8727",
    },
];

/// The folder in the cache that holds it, fetched if it is not there whole.
pub(super) fn fetch(cache: &Path) -> Result<PathBuf, TaskError> {
    let folder = cache.join("pgbouncer").join(PACKAGES[0].version);
    if PACKAGES.iter().all(|package| package.is_in(&folder)) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(PgError::disk("create", &folder))?;
    for package in PACKAGES {
        package.fetch(&folder)?;
    }
    Ok(folder)
}

/// Copies it to where the server's account can read and run it.
pub(super) fn copy(folder: &Path, target: &Path) -> Result<(), PgError> {
    fs::create_dir_all(target).map_err(PgError::disk("create", target))?;
    for package in PACKAGES {
        let from = folder.join(package.to);
        let to = target.join(package.to);
        // Keeps the mark that lets it run.
        fs::copy(&from, &to).map_err(PgError::disk("copy", &from))?;
    }
    Ok(())
}

impl Package {
    fn is_in(&self, folder: &Path) -> bool {
        sha256(&folder.join(self.to)).is_ok_and(|found| found == self.file_sha256)
    }

    /// Downloads the package beside its place, verifies it, unpacks it, and
    /// puts the one file in its place.
    fn fetch(&self, folder: &Path) -> Result<(), TaskError> {
        let staging = folder.join(format!("staging-{}", std::process::id()));
        fs::create_dir_all(&staging).map_err(PgError::disk("create", &staging))?;
        let outcome = self.stage(&staging, folder);
        fs::remove_dir_all(&staging).map_err(PgError::disk("remove", &staging))?;
        outcome
    }

    fn stage(&self, staging: &Path, folder: &Path) -> Result<(), TaskError> {
        let mut download = Command::new("apt-get");
        download.current_dir(staging).arg("download");
        // As root it would warn that its own account cannot write here.
        download.args(["--quiet", "--option", "APT::Sandbox::User=root"]);
        download.arg(format!("{}={}", self.name, self.version));
        shell::run(&mut download).map_err(|error| self.unavailable(error))?;
        let archive = fs::read_dir(staging)
            .map_err(PgError::disk("read", staging))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|it| it == "deb"));
        let archive = archive.ok_or(PgError::NoPooler { package: self.name })?;
        self.verify(&archive, self.sha256)?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("--extract").arg(&archive).arg(staging);
        shell::run(&mut unpack)?;
        let file = staging.join(self.from);
        self.verify(&file, self.file_sha256)?;
        let target = folder.join(self.to);
        fs::rename(&file, &target).map_err(PgError::disk("place", &target))?;
        Ok(())
    }

    fn verify(&self, path: &Path, expected: &str) -> Result<(), PgError> {
        let found = sha256(path).map_err(PgError::disk("read", path))?;
        if found == expected {
            Ok(())
        } else {
            Err(PgError::OtherPackage { package: self.name })
        }
    }

    /// Says what to do, beside what failed.
    fn unavailable(&self, _: TaskError) -> TaskError {
        PgError::NoPooler { package: self.name }.into()
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let hash = Sha256::digest(fs::read(path)?);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
