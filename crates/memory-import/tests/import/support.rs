//! Reading fixtures, and making archives.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use memory::MemoryBatchItem;
use memory_import::{Format, ImportError, ImportOptions, ImportReport};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What an export contains.
#[derive(Debug)]
pub(crate) struct Export {
    /// Origins and memories.
    pub(crate) items: Vec<(String, MemoryBatchItem)>,
    /// Origins and reasons.
    pub(crate) refused: Vec<(String, String)>,
    pub(crate) report: ImportReport,
}

impl Export {
    pub(crate) fn contents(&self) -> Vec<&str> {
        let contents = self.items.iter().map(|(_, item)| item.content.as_str());
        contents.collect()
    }

    pub(crate) fn origins(&self) -> Vec<&str> {
        self.items
            .iter()
            .map(|(origin, _)| origin.as_str())
            .collect()
    }

    /// Ids with contents: what makes another import add nothing.
    pub(crate) fn ids(&self) -> BTreeMap<String, &str> {
        let ids = self.items.iter().map(|(_, item)| {
            let id = item.id.expect("each memory has an id");
            (id.to_string(), item.content.as_str())
        });
        ids.collect()
    }

    pub(crate) fn item(&self, content: &str) -> &MemoryBatchItem {
        let mut items = self.items.iter().map(|(_, item)| item);
        items
            .find(|item| item.content == content)
            .unwrap_or_else(|| panic!("{content} in {self:?}"))
    }

    pub(crate) fn skipped(&self, what: &str) -> u64 {
        self.report.skipped.get(what).copied().unwrap_or(0)
    }
}

pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

pub(crate) fn options() -> ImportOptions {
    ImportOptions {
        entity: Some("mira".into()),
        ..ImportOptions::default()
    }
}

/// Reads an export, and what came before an error.
pub(crate) fn read_with(
    format: Format,
    path: &Path,
    options: &ImportOptions,
) -> (Vec<(String, MemoryBatchItem)>, Result<Export, ImportError>) {
    let (mut items, mut refused) = (Vec::new(), Vec::new());
    let report = memory_import::read(format, path, options, &mut |record| {
        match record.item {
            Ok(item) => items.push((record.origin, item)),
            Err(reason) => refused.push((record.origin, reason)),
        }
        ControlFlow::Continue(())
    });
    let export = report.map(|report| Export {
        items: items.clone(),
        refused,
        report,
    });
    (items, export)
}

#[track_caller]
pub(crate) fn read(format: Format, path: &Path) -> Export {
    read_with(format, path, &options()).1.expect("an export")
}

#[track_caller]
pub(crate) fn read_error(format: Format, path: &Path) -> ImportError {
    read_with(format, path, &options())
        .1
        .expect_err("no export")
}

/// Writes a file in a folder that exists until the test ends.
pub(crate) fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    fs::write(&path, bytes).expect("it can be written");
    path
}

/// Writes an archive of these files.
pub(crate) fn archive(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("export.zip");
    let mut zip = ZipWriter::new(File::create(&path).expect("it can be made"));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("a new file");
        zip.write_all(bytes).expect("it can be written");
    }
    zip.finish().expect("it can be finished");
    path
}
