//! Who may do what: a file with hashes of tokens.
//!
//! A token is `mem_ID_SECRET`. The file has one line per token: its id, the SHA-256
//! of its secret, and what it may do. The secret is 32 random bytes, so a fast hash
//! cannot be reversed by guessing. The file is read again while it is used, so adding
//! and removing a line needs no restart. It may be edited: a byte order mark, blank lines,
//! lines that end as on Windows and a last line without an end are as good as none.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use uuid::Uuid;

/// How long a file is trusted before it is read again. A removed token works at most
/// this much longer.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The same for a file that could not be used, which may have been read while an editor
/// wrote it: its tokens are soon accepted again.
const UNUSABLE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Operations that change no memory.
    Read,
    /// All operations.
    Write,
}

/// Entities and operations that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenScope {
    /// Names of entities start with this; empty for all entities.
    pub entities: String,
    /// What may be done with them.
    pub access: Access,
}

impl TokenScope {
    /// All operations on all entities.
    pub(crate) fn everything() -> Self {
        Self {
            entities: String::new(),
            access: Access::Write,
        }
    }

    /// Whether it covers an entity and an operation.
    #[must_use]
    pub fn allows(&self, entity: &str, access: Access) -> bool {
        entity.starts_with(&self.entities)
            && (self.access == Access::Write || access == Access::Read)
    }
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLine {
    id: String,
    sha256: String,
    entities: String,
    access: Access,
}

/// A token that was made, and the only time that it is shown.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewToken {
    /// What identifies it in the file.
    pub id: String,
    /// What a client sends: `Authorization: Bearer TOKEN`.
    pub token: String,
}

/// Why a file of tokens cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokensError {
    /// It cannot be read or written.
    #[error("cannot use the file of tokens {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a token.
    #[error(
        "line {line} of the file of tokens {} is malformed; each line must be one JSON object with \
         id, sha256, entities and access (read or write)",
        .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The tokens of a file.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    is_read_again: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    by_id: HashMap<String, TokenLine>,
    /// What the file had when it was last read; `None` where it could not be used, which is
    /// logged once.
    text: Option<String>,
    checked: Instant,
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`TokensError`] for a file that cannot be read or is malformed.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokensError> {
        let path = path.into();
        let checked = Instant::now();
        let text = read(&path)?;
        let by_id = parse(&path, &text)?;
        // A pipe gives its text once.
        let is_read_again = fs::metadata(&path).map_or(true, |it| it.is_file());
        Ok(Self {
            path,
            is_read_again,
            state: Mutex::new(State {
                by_id,
                text: Some(text),
                checked,
            }),
        })
    }

    /// Makes a token and appends it to a file, which is created, for its owner only,
    /// if it is missing.
    ///
    /// Nothing is written to a file that no server could use. Processes that append to one
    /// file wait for each other.
    ///
    /// # Errors
    /// [`TokensError`] for a file that cannot be read or written, or is malformed.
    pub fn create(path: impl AsRef<Path>, scope: TokenScope) -> Result<NewToken, TokensError> {
        let path = path.as_ref();
        let failed = |source| TokensError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = fs::OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let is_locked = lock(&file).map_err(failed)?;
        let mut before = String::new();
        file.read_to_string(&mut before).map_err(failed)?;
        let tokens = parse(path, &before)?;
        // 244 random bits.
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let id = std::iter::repeat_with(|| Uuid::new_v4().simple().to_string()[..8].to_owned())
            .find(|id| !tokens.contains_key(id))
            .unwrap_or_default();
        let line = TokenLine {
            id: id.clone(),
            sha256: hash(&secret),
            entities: scope.entities,
            access: scope.access,
        };
        let line = serde_json::to_string(&line)
            .map_err(io::Error::from)
            .map_err(failed)?;
        // An editor may have left the last line without its end.
        let is_complete = before.is_empty() || before.ends_with('\n');
        let start = if is_complete { "" } else { "\n" };
        let line = format!("{start}{line}\n");
        let mut written = 0;
        if let Err(error) = append(&mut file, &line, &mut written) {
            // Half a line would make the file unusable. The first error says more than one
            // of this.
            let _ = take_back(&file, before.len(), written, is_locked);
            return Err(failed(error));
        }
        if !is_at(&file, path) {
            return Err(failed(io::Error::other(
                "it was replaced while the token was written; make another token",
            )));
        }
        Ok(NewToken {
            token: format!("mem_{id}_{secret}"),
            id,
        })
    }

    /// The id of a token, and what it allows; `None` for one that is unknown, wrong or
    /// removed.
    pub(crate) fn scope_of<'a>(&self, token: &'a str) -> Option<(&'a str, TokenScope)> {
        let (id, secret) = token.strip_prefix("mem_")?.split_once('_')?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload(&mut state);
        let line = state.by_id.get(id)?;
        // Takes the same time for every wrong secret.
        let is_equal = line.sha256.as_bytes().ct_eq(hash(secret).as_bytes());
        bool::from(is_equal).then(|| {
            let scope = TokenScope {
                entities: line.entities.clone(),
                access: line.access,
            };
            (id, scope)
        })
    }

    /// Reads the file again from time to time. Its text is compared, and not its time or its
    /// length, which a file that replaces it may have as well. A file that became unreadable
    /// or malformed allows nothing until it is mended.
    fn reload(&self, state: &mut State) {
        let interval = match state.text {
            Some(_) => CHECK_INTERVAL,
            None => UNUSABLE_CHECK_INTERVAL,
        };
        if !self.is_read_again || state.checked.elapsed() < interval {
            return;
        }
        state.checked = Instant::now();
        let read = read(&self.path).and_then(|text| {
            if state.text.as_ref() != Some(&text) {
                state.by_id = parse(&self.path, &text)?;
                state.text = Some(text);
            }
            Ok(())
        });
        if let Err(error) = read {
            if state.text.take().is_some() {
                tracing::error!(error = %error, "no token is accepted");
            }
            state.by_id.clear();
        }
    }
}

/// Waits until no other process appends, and says whether none can: some file systems have
/// no locks, where a line is appended as a whole all the same.
fn lock(file: &fs::File) -> io::Result<bool> {
    loop {
        match file.lock() {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(false),
            // A signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Appends a text, and counts in `written` what of it is in the file, also where it fails.
fn append(file: &mut fs::File, text: &str, written: &mut usize) -> io::Result<()> {
    let bytes = text.as_bytes();
    while *written < bytes.len() {
        match file.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.sync_all()
}

/// Makes a file as long as it was before a text was appended to it, of which `written` bytes
/// are there. What another process may have appended stays.
fn take_back(file: &fs::File, before: usize, written: usize, is_locked: bool) -> io::Result<()> {
    let is_own = file.metadata()?.len() == (before + written) as u64;
    match is_locked && is_own {
        true => file.set_len(before as u64),
        false => Ok(()),
    }
}

/// Whether an open file is the one at `path`, which an editor may have replaced.
fn is_at(file: &fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (open, there) = (file.metadata(), fs::metadata(path));
        open.map(identity).ok() == there.map(identity).ok()
    }
    #[cfg(not(unix))]
    {
        // An open file cannot be replaced.
        let _ = (file, path);
        true
    }
}

fn read(path: &Path) -> Result<String, TokensError> {
    fs::read_to_string(path).map_err(|source| TokensError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The tokens of a file's text.
fn parse(path: &Path, text: &str) -> Result<HashMap<String, TokenLine>, TokensError> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let parsed: Result<TokenLine, _> = serde_json::from_str(line);
            let parsed = parsed.map_err(|_| TokensError::Malformed {
                path: path.to_owned(),
                line: number,
            })?;
            Ok((parsed.id.clone(), parsed))
        })
        .collect()
}

/// SHA-256 in hexadecimal.
fn hash(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
