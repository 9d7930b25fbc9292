//! The files of an export: one file, a folder or a ZIP archive.

use std::fs::{self, File, ReadDir};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use memory_json::{BYTE_ORDER_MARK, foreign_format};
use zip::ZipArchive;

use crate::error::{ImportError, escape};
use crate::importer::{Importer, Stop};
use crate::time;

/// How much of an export is read. An archive can unpack to thousands of times its size,
/// so the sizes are those of what is unpacked, counted while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Files of a folder or archive, those that are not read included; default
    /// 100,000.
    pub max_files: usize,
    /// Bytes of all files that are read, together; default 16 GiB.
    pub max_bytes: u64,
    /// Bytes of one conversation, line or Markdown file, which is held in memory; default
    /// 64 MiB.
    pub max_item_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            max_files: 100_000,
            max_bytes: 16 << 30,
            max_item_bytes: 64 << 20,
        }
    }
}

/// More bytes in all than the limit, as the source of an [`io::Error`].
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("more than {0} bytes in all")]
struct TotalExceeded(u64);

/// A file of an export.
#[derive(Debug, Clone)]
pub(crate) struct ExportFile {
    /// Its path in the folder or archive, with `/` between its parts; what is not UTF-8
    /// in it is replaced.
    pub(crate) name: String,
    /// When it was modified, where that is known in UTC.
    pub(crate) modified: Option<DateTime<Utc>>,
    location: Location,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
enum Location {
    /// Its path. The name may differ from it, where the path is not UTF-8.
    Path(PathBuf),
    /// Its index in the archive.
    Index(usize),
}

impl ExportFile {
    /// Its name for errors and origins.
    pub(crate) fn label(&self) -> String {
        escape(&self.name)
    }
}

/// The progress of listing a folder and those below it.
#[derive(Default)]
struct FolderListing {
    /// Folders whose entries are not listed yet, and their paths below the first one.
    folders: Vec<(PathBuf, String)>,
    /// Entries of all folders.
    count: usize,
}

/// The first bytes of a ZIP archive, and of one without files.
const ARCHIVE_SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

enum Container {
    /// As it was opened, until it is read: a pipe cannot be opened a second time.
    File(Option<File>),
    Folder,
    Archive(Box<ZipArchive<BufReader<File>>>),
}

/// The files of an export, and how much of them may still be read.
pub(crate) struct ExportFiles {
    path: PathBuf,
    container: Container,
    files: Vec<ExportFile>,
    limits: ReadLimits,
    /// Bytes that may still be read.
    remaining: u64,
    symbolic_links: u64,
    /// Folders and files below the folder that cannot be listed, with the reasons.
    unlisted: Vec<(String, String)>,
}

impl ExportFiles {
    /// Lists the files at `path`, sorted by name. Symbolic links in a folder or archive
    /// are not followed, and what is hidden (a name that begins with a dot) or put
    /// there by macOS is not listed.
    pub(crate) fn open(path: &Path, limits: ReadLimits) -> Result<Self, ImportError> {
        let mut files = Self {
            path: path.to_owned(),
            container: Container::File(None),
            files: Vec::new(),
            limits,
            remaining: limits.max_bytes,
            symbolic_links: 0,
            unlisted: Vec::new(),
        };
        let failed = |error| io_error(&files.label(), error);
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            files.container = Container::Folder;
            files.list_folder()?;
        } else {
            let mut file = File::open(path).map_err(failed)?;
            if metadata.is_file() && is_archive(&mut file).map_err(failed)? {
                files.list_archive(file)?;
            } else {
                let name = path.file_name().unwrap_or(path.as_os_str());
                files.files.push(ExportFile {
                    name: name.to_string_lossy().into_owned(),
                    modified: metadata.modified().ok().and_then(time::from_system_time),
                    location: Location::Path(path.to_owned()),
                });
                files.container = Container::File(Some(file));
            }
        }
        files.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    pub(crate) fn limits(&self) -> ReadLimits {
        self.limits
    }

    /// The files that are read as the importer's format: a single file whatever its
    /// name is, and those of a folder or archive by their names. What is not read is
    /// counted, and a folder that cannot be listed is refused.
    pub(crate) fn select(&self, importer: &mut Importer<'_>) -> Result<Vec<ExportFile>, Stop> {
        for (label, reason) in &self.unlisted {
            importer.refuse(label, reason.as_str())?;
        }
        let format = importer.format();
        let is_single = matches!(self.container, Container::File(_));
        let is_read = |file: &&ExportFile| is_single || format.is_read(&file.name);
        let selected: Vec<ExportFile> = self.files.iter().filter(is_read).cloned().collect();
        if selected.is_empty() {
            let file = self.label();
            return Err(ImportError::NothingFound { file, format }.into());
        }
        let others = self.files.len() - selected.len();
        let report = importer.report();
        report.files = selected.len() as u64;
        report.skip("other files", others as u64);
        report.skip("symbolic links", self.symbolic_links);
        Ok(selected)
    }

    /// Opens a file. A byte order mark is skipped, and what is not UTF-8 text is
    /// refused by name.
    pub(crate) fn open_file(
        &mut self,
        file: &ExportFile,
    ) -> Result<impl BufRead + '_, ImportError> {
        let label = file.label();
        let content: Box<dyn Read + '_> = match (&file.location, &mut self.container) {
            (Location::Index(index), Container::Archive(archive)) => {
                let entry = archive.by_index(*index);
                Box::new(entry.map_err(|source| ImportError::Archive {
                    file: label.clone(),
                    source,
                })?)
            }
            (Location::Path(path), container) => {
                let opened = match container {
                    Container::File(opened) => opened.take(),
                    Container::Folder | Container::Archive(_) => None,
                };
                let opened = opened.map_or_else(|| File::open(path), Ok);
                Box::new(opened.map_err(|error| io_error(&label, error))?)
            }
            // Only an archive has files with an index.
            (Location::Index(_), _) => Box::new(io::empty()),
        };
        let mut content = TotalLimit {
            content,
            remaining: &mut self.remaining,
            max: self.limits.max_bytes,
        };
        let mut start = Vec::new();
        let read = content
            .by_ref()
            .take(SIGNATURE_BYTES)
            .read_to_end(&mut start);
        read.map_err(|error| read_error(&label, error))?;
        if let Some(found) = foreign_format(&start) {
            return Err(ImportError::UnexpectedShape {
                file: label,
                found: found.to_owned(),
                expected: "UTF-8 text",
            });
        }
        if start.starts_with(BYTE_ORDER_MARK) {
            start.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(BufReader::new(io::Cursor::new(start).chain(content)))
    }

    /// Reads a file that is held in memory as a whole.
    pub(crate) fn read_whole(&mut self, file: &ExportFile) -> Result<Vec<u8>, ImportError> {
        let max = self.limits.max_item_bytes;
        let label = file.label();
        let mut bytes = Vec::new();
        let content = self.open_file(file)?;
        let read = content.take(max.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| read_error(&label, error))?;
        if bytes.len() as u64 > max {
            return Err(ImportError::ItemTooLarge { file: label, max });
        }
        Ok(bytes)
    }

    fn label(&self) -> String {
        escape(&self.path.display().to_string())
    }

    /// Lists the folder at the path and those below it. One of these that cannot be listed
    /// takes no other with it.
    fn list_folder(&mut self) -> Result<(), ImportError> {
        let root = fs::read_dir(&self.path).map_err(|error| io_error(&self.label(), error))?;
        let mut listing = FolderListing::default();
        self.list_entries(root, "", &mut listing)?;
        while let Some((folder, path)) = listing.folders.pop() {
            match fs::read_dir(&folder) {
                Ok(entries) => self.list_entries(entries, &format!("{path}/"), &mut listing)?,
                Err(error) => self.add_unlisted(&path, error),
            }
        }
        self.unlisted.sort();
        Ok(())
    }

    /// Lists the entries of a folder whose names begin with `prefix`.
    fn list_entries(
        &mut self,
        entries: ReadDir,
        prefix: &str,
        listing: &mut FolderListing,
    ) -> Result<(), ImportError> {
        for entry in entries {
            listing.count += 1;
            self.check_count(listing.count)?;
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if prefix.is_empty() => return Err(io_error(&self.label(), error)),
                Err(error) => {
                    self.add_unlisted(prefix, error);
                    continue;
                }
            };
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if is_hidden(&path) {
                continue;
            }
            match entry.file_type() {
                Err(error) => self.add_unlisted(&path, error),
                Ok(kind) if kind.is_symlink() => self.symbolic_links += 1,
                Ok(kind) if kind.is_dir() => listing.folders.push((entry.path(), path)),
                Ok(kind) if kind.is_file() => {
                    let modified = entry.metadata().and_then(|it| it.modified());
                    self.files.push(ExportFile {
                        name: path,
                        modified: modified.ok().and_then(time::from_system_time),
                        location: Location::Path(entry.path()),
                    });
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn add_unlisted(&mut self, path: &str, error: io::Error) {
        let label = escape(path.trim_end_matches('/'));
        let reason = io_error(&label, error).without_file();
        self.unlisted.push((label, reason));
    }

    fn list_archive(&mut self, file: File) -> Result<(), ImportError> {
        let label = self.label();
        let failed = |source| ImportError::Archive {
            file: label.clone(),
            source,
        };
        let archive = ZipArchive::new(BufReader::new(file)).map_err(failed)?;
        self.check_count(archive.len())?;
        for index in 0..archive.len() {
            let entry = archive.by_index_data(index).map_err(failed)?;
            if entry.is_dir() {
                continue;
            }
            let name = entry.name().map_err(failed)?.into_owned();
            if leaves_archive(&name) {
                return Err(ImportError::UnsafeName {
                    file: self.label(),
                    name: escape(&name),
                });
            }
            // Some programs write paths as Windows has them.
            let name = name.replace('\\', "/");
            let name = name.trim_start_matches("./").to_owned();
            if is_hidden(&name) {
                continue;
            }
            if entry.is_symlink() {
                self.symbolic_links += 1;
                continue;
            }
            self.files.push(ExportFile {
                name,
                // An archive has local times without their offset.
                modified: None,
                location: Location::Index(index),
            });
        }
        self.container = Container::Archive(Box::new(archive));
        Ok(())
    }

    fn check_count(&self, count: usize) -> Result<(), ImportError> {
        let max = self.limits.max_files;
        if count > max {
            return Err(ImportError::TooManyFiles {
                file: self.label(),
                max,
            });
        }
        Ok(())
    }
}

/// As many bytes as [`foreign_format`] needs.
const SIGNATURE_BYTES: u64 = 16;

fn is_archive(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.by_ref()
        .take(SIGNATURE_BYTES)
        .read_to_end(&mut start)?;
    file.rewind()?;
    Ok(ARCHIVE_SIGNATURES.iter().any(|it| start.starts_with(it)))
}

/// Whether a name in an archive is no path below the archive. Nothing is unpacked to
/// disk, but a name is a part of ids and origins, and no product writes such names. The
/// check of the archive's library also refuses `Q: why.md`, which is a title.
fn leaves_archive(name: &str) -> bool {
    let is_separator = |c: char| c == '/' || c == '\\';
    let has_drive = matches!(name.as_bytes(), [_, b':', b'/' | b'\\', ..]);
    name.starts_with(is_separator)
        || has_drive
        || name.split(is_separator).any(|part| part == "..")
        || name.contains('\0')
}

/// Whether a part of the path begins with a dot, such as `.git` and `.obsidian`, or
/// is the folder in which macOS puts attributes of files into archives.
fn is_hidden(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| part.starts_with('.') || part == "__MACOSX")
}

fn io_error(label: &str, source: io::Error) -> ImportError {
    ImportError::Io {
        file: label.to_owned(),
        source,
    }
}

/// The error of reading a file, with the limit that was exceeded, if one was.
pub(crate) fn read_error(label: &str, error: io::Error) -> ImportError {
    let file = label.to_owned();
    let exceeded = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<TotalExceeded>());
    match exceeded.copied() {
        Some(TotalExceeded(max)) => ImportError::TooLarge { file, max },
        None => io_error(label, error),
    }
}

/// A reader that fails when more than the remaining bytes are read.
struct TotalLimit<'a> {
    content: Box<dyn Read + 'a>,
    remaining: &'a mut u64,
    max: u64,
}

impl Read for TotalLimit<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        let Some(rest) = self.remaining.checked_sub(count as u64) else {
            return Err(io::Error::other(TotalExceeded(self.max)));
        };
        *self.remaining = rest;
        Ok(count)
    }
}
