//! Fetches PgBouncer for the tests that connect through it: pinned Debian
//! packages, and one file of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::PgError;
use crate::error::TaskError;
use crate::shell;

/// A Debian package of the tested release (12, amd64).
struct Package {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// The path in the package of the file that is used.
    source: &'static str,
    /// The name of that file in our folder.
    target: &'static str,
    /// The checksum of that file.
    file_sha256: &'static str,
}

/// Its other libraries are part of a Debian system, or of the packages `libssl3`,
/// `libsystemd0` and `libpam0g`.
const PACKAGES: &[Package] = &[
    Package {
        name: "pgbouncer",
        version: "1.18.0-1+deb12u1",
        sha256: "b8468c31f94596da0967b1a27980a0a036268eb8e53d3e647651bd7b82b6f65e",
        source: "usr/sbin/pgbouncer",
        target: "pgbouncer",
        file_sha256: "2dd718eadf5ea4361f95c51040fcf46aebda18ea09750d2c9901e82844b047be",
    },
    Package {
        name: "libc-ares2",
        version: "1.18.1-3",
        sha256: "087fd5c2ac883202e1786ab45617cdab7f77bc7f060d58cca177ddf6b6c3fa73",
        source: "usr/lib/x86_64-linux-gnu/libcares.so.2.5.1",
        target: "libcares.so.2",
        file_sha256: "90e192c52fd4eddbc1f06f9de8200406ba324252addabf658c8f481935b98f00",
    },
    Package {
        name: "libevent-2.1-7",
        version: "2.1.12-stable-8",
        sha256: "ca8858a7095ade7776c9f73437812423a45ccd90de2079e8c34830d291df290f",
        source: "usr/lib/x86_64-linux-gnu/libevent-2.1.so.7.0.1",
        target: "libevent-2.1.so.7",
        file_sha256: "0345fd1ab2c7b0d5fdeb1497377919d57d6ed2066811179d7cf07b2606cd8727",
    },
];

/// Returns its folder in the cache; fetches it if a file is missing.
pub(super) fn fetch(cache: &Path) -> Result<PathBuf, TaskError> {
    let folder = cache.join("pgbouncer").join(PACKAGES[0].version);
    if PACKAGES.iter().all(|package| package.is_installed(&folder)) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(PgError::disk("create", &folder))?;
    for package in PACKAGES {
        package.fetch(&folder)?;
    }
    Ok(folder)
}

/// Copies it to a folder in which the server's account can run it.
pub(super) fn copy(folder: &Path, target: &Path) -> Result<(), PgError> {
    fs::create_dir_all(target).map_err(PgError::disk("create", target))?;
    for package in PACKAGES {
        let from = folder.join(package.target);
        let to = target.join(package.target);
        // `fs::copy` keeps the executable bit.
        fs::copy(&from, &to).map_err(PgError::disk("copy", &from))?;
    }
    Ok(())
}

impl Package {
    fn is_installed(&self, folder: &Path) -> bool {
        sha256(&folder.join(self.target)).is_ok_and(|found| found == self.file_sha256)
    }

    /// Downloads the package to a temporary folder, verifies and unpacks it, and
    /// moves the file into place.
    fn fetch(&self, folder: &Path) -> Result<(), TaskError> {
        let staging = folder.join(format!("staging-{}", std::process::id()));
        fs::create_dir_all(&staging).map_err(PgError::disk("create", &staging))?;
        let outcome = self.download_and_install(&staging, folder);
        fs::remove_dir_all(&staging).map_err(PgError::disk("remove", &staging))?;
        outcome
    }

    fn download_and_install(&self, staging: &Path, folder: &Path) -> Result<(), TaskError> {
        let mut download = Command::new("apt-get");
        download.current_dir(staging).arg("download");
        // As root it warns otherwise that its account cannot write here.
        download.args(["--quiet", "--option", "APT::Sandbox::User=root"]);
        download.arg(format!("{}={}", self.name, self.version));
        shell::run(&mut download)
            .map_err(|_| PgError::PackageUnavailable { package: self.name })?;
        let archive = fs::read_dir(staging)
            .map_err(PgError::disk("read", staging))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let archive = archive.ok_or(PgError::PackageUnavailable { package: self.name })?;
        self.verify(&archive, self.sha256)?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("--extract").arg(&archive).arg(staging);
        shell::run(&mut unpack)?;
        let file = staging.join(self.source);
        self.verify(&file, self.file_sha256)?;
        let target = folder.join(self.target);
        fs::rename(&file, &target).map_err(PgError::disk("move into place", &target))?;
        Ok(())
    }

    fn verify(&self, path: &Path, expected: &str) -> Result<(), PgError> {
        let found = sha256(path).map_err(PgError::disk("read", path))?;
        if found == expected {
            Ok(())
        } else {
            Err(PgError::ChecksumMismatch { package: self.name })
        }
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let hash = Sha256::digest(fs::read(path)?);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
