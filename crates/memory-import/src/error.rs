//! Why an export cannot be read.

use std::io;

use zip::result::ZipError;

use crate::format::Format;

/// Why an export cannot be read, or not to its end. Names of files are escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system or the archive says.
        #[source]
        source: io::Error,
    },
    /// An archive cannot be read.
    #[error(
        "cannot read {file} as a ZIP archive: {source}; export again, or extract the archive and \
         import its folder"
    )]
    Archive {
        /// The archive, or a file in it.
        file: String,
        /// What is wrong with it.
        #[source]
        source: ZipError,
    },
    /// The name of a file in an archive leads out of the archive.
    #[error(
        "{file} contains a file whose name leads out of the archive: {name}; no export has such \
         names"
    )]
    UnsafeName {
        /// The archive.
        file: String,
        /// The name.
        name: String,
    },
    /// More files than [`ReadLimits::max_files`](crate::ReadLimits::max_files).
    #[error("{file} contains more than {max} files; import its folders one at a time")]
    TooManyFiles {
        /// The folder or archive.
        file: String,
        /// The largest allowed number.
        max: usize,
    },
    /// More bytes than [`ReadLimits::max_bytes`](crate::ReadLimits::max_bytes).
    #[error("{file}: more than {max} bytes, unpacked, would be read; import a part of it")]
    TooLarge {
        /// The file during whose reading the limit was reached.
        file: String,
        /// The largest allowed number.
        max: u64,
    },
    /// A file that is held in memory as a whole has more bytes than
    /// [`ReadLimits::max_item_bytes`](crate::ReadLimits::max_item_bytes). A conversation that
    /// has more is refused by itself.
    #[error("{file}: a file that is read as a whole has more than {max} bytes")]
    ItemTooLarge {
        /// The file.
        file: String,
        /// The largest allowed number.
        max: u64,
    },
    /// Nothing in the folder or archive belongs to this format.
    #[error("{file} contains nothing to import as {format}; expected {}", .format.expected_files())]
    NothingFound {
        /// The folder or archive.
        file: String,
        /// The format.
        format: Format,
    },
    /// A file is not valid JSON.
    #[error(
        "{file} is damaged at line {line}, column {column}: {reason}; what comes after that is \
         not read"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// In bytes, counted from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file is not what the format has.
    #[error("{file} is {found}; expected {expected}")]
    UnexpectedShape {
        /// The file.
        file: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// No entity is given, and the format has none.
    #[error("an import from {format} needs the entity that owns the memories")]
    EntityMissing {
        /// The format.
        format: Format,
    },
}

impl ImportError {
    /// The reason, for a message that begins with the name of the file.
    pub(crate) fn without_file(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("it cannot be read: {source}"),
            Self::Archive { source, .. } => format!(
                "it cannot be read from the ZIP archive: {source}; export again, or extract the \
                 archive and import its folder"
            ),
            Self::ItemTooLarge { max, .. } => {
                format!("it is read as a whole and has more than {max} bytes")
            }
            Self::Damaged {
                line,
                column,
                reason,
                ..
            } => format!(
                "it is damaged at line {line}, column {column}: {reason}; what comes after that \
                 is not read"
            ),
            Self::UnexpectedShape {
                found, expected, ..
            } => format!("it is {found}; expected {expected}"),
            Self::UnsafeName { .. }
            | Self::TooManyFiles { .. }
            | Self::TooLarge { .. }
            | Self::NothingFound { .. }
            | Self::EntityMissing { .. } => self.to_string(),
        }
    }
}

/// Escapes characters of a name that could control a terminal, and shortens it.
pub(crate) fn escape(name: &str) -> String {
    const MAX_CHARS: usize = 200;
    let mut chars = name.chars();
    let mut escaped = String::new();
    for c in chars.by_ref().take(MAX_CHARS) {
        if c.is_control() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    if chars.next().is_some() {
        escaped.push('…');
    }
    escaped
}
