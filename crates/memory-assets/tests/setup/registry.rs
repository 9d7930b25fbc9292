//! A package registry in a folder with generated wheels, for the real pip.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use memory_assets::Setup;
use memory_assets::manifest::{Asset, Member, Wheel};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The registry. Its folder is removed on drop, unless the caller provided it.
pub(crate) struct Registry {
    folder: PathBuf,
    _owned: Option<TempDir>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        Self {
            folder: owned.path().to_owned(),
            _owned: Some(owned),
        }
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            _owned: None,
        }
    }

    /// Publishes a wheel with these files, and pins all of them.
    pub(crate) fn publish(&self, package: &'static str, files: &[(&str, &[u8])]) -> Wheel {
        let file_name = leak(format!("{package}-1.0-py3-none-any.whl"));
        let path = self.folder.join(file_name);
        write_wheel(&path, package, files);
        let bytes = fs::read(path).unwrap();
        let members = files.iter().map(|(name, content)| Member {
            from: leak(format!("{package}/{name}")),
            to: leak((*name).to_owned()),
            size: content.len() as u64,
            sha256: sha256(content),
        });
        Wheel {
            package,
            version: "1.0",
            file_name,
            size: bytes.len() as u64,
            sha256: sha256(&bytes),
            platform: None,
            conversion: None,
            members: members.collect::<Vec<_>>().leak(),
        }
    }

    /// A setup that uses only this registry.
    pub(crate) fn setup<'a>(&self, cache: &Path, asset: Asset) -> Setup<'a> {
        let folder = self.folder.as_os_str().to_owned();
        let options: [OsString; 3] = ["--no-index".into(), "--find-links".into(), folder];
        Setup::new(cache)
            .with_assets([asset])
            .with_pip_options(options)
    }
}

/// An asset made of `wheels`, in the folder `things/small`.
pub(crate) fn asset(wheels: impl IntoIterator<Item = Wheel>) -> Asset {
    Asset {
        name: "small",
        folder: "things/small",
        wheels: wheels.into_iter().collect::<Vec<_>>().leak(),
    }
}

/// The manifest's strings are `'static`.
pub(crate) fn leak(text: String) -> &'static str {
    text.leak()
}

/// The same wheel with its pinned members changed.
pub(crate) fn with_member(wheel: Wheel, change: impl FnOnce(&mut Member)) -> Wheel {
    let mut members = wheel.members.to_vec();
    change(&mut members[0]);
    Wheel {
        members: members.leak(),
        ..wheel
    }
}

/// The same wheel with one folder pinned in place of single files.
pub(crate) fn with_folder(wheel: Wheel, folder: &str, files: &[(&str, &[u8])]) -> Wheel {
    let lines = files.iter().map(|(name, content)| {
        let inside = name.strip_prefix(folder).unwrap();
        format!("{}  {inside}\n", sha256(content))
    });
    let listing: String = lines.collect();
    let members = vec![Member {
        from: leak(format!("{}/{folder}", wheel.package)),
        to: leak(folder.to_owned()),
        size: files.iter().map(|(_, content)| content.len() as u64).sum(),
        sha256: sha256(listing.as_bytes()),
    }];
    Wheel {
        members: members.leak(),
        ..wheel
    }
}

fn sha256(bytes: &[u8]) -> &'static str {
    let digest = Sha256::digest(bytes);
    leak(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a minimal wheel that pip accepts.
fn write_wheel(path: &Path, package: &str, files: &[(&str, &[u8])]) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let mut add = |name: String, content: &[u8]| {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    };
    for (name, content) in files {
        add(format!("{package}/{name}"), content);
    }
    let info = format!("{package}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    add("../escaped.txt".to_owned(), b"a member that nobody pinned");
    add(format!("{info}/METADATA"), metadata.as_bytes());
    add(format!("{info}/WHEEL"), wheel.as_bytes());
    add(format!("{info}/RECORD"), b"");
    zip.finish().unwrap();
}
