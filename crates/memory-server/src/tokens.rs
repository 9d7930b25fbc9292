//! Who may do what: a file with hashes of tokens.
//!
//! A token is `mem_ID_SECRET`. The file has one line per token: its id, the SHA-256
//! of its secret, and what it may do. The secret is 32 random bytes, so a fast hash
//! cannot be reversed by guessing. The file is read again when it changes, so adding
//! and removing a line needs no restart. It may be edited: a byte order mark, blank lines,
//! lines that end as on Windows and a last line without an end are as good as none.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::file_state::{FileState, is_at};

/// How long a file is trusted before it is looked at again. A removed token works at most
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
pub struct NewToken {
    /// What identifies it in the file.
    pub id: String,
    /// What a client sends: `Authorization: Bearer TOKEN`.
    pub token: String,
}

/// Why a file of tokens cannot be used.
#[derive(Debug)]
pub enum TokensError {
    /// It cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a token.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl std::fmt::Display for TokensError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { path, source } => {
                write!(
                    f,
                    "cannot use the file of tokens {}: {source}",
                    path.display()
                )
            }
            Self::Malformed { path, line } => write!(
                f,
                "line {line} of the file of tokens {} is malformed; each line must be one JSON \
                 object with id, sha256, entities and access (read or write)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokensError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Malformed { .. } => None,
        }
    }
}

/// The tokens of a file.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    by_id: HashMap<String, TokenLine>,
    /// The file as it was before it was read; `None` where it could not be used.
    file: Option<FileState>,
    checked: Instant,
    /// Whether the file could not be used when it was last read, which is logged once.
    is_unusable: bool,
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`TokensError`] for a file that cannot be read or is malformed.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokensError> {
        let path = path.into();
        let file = FileState::of(&path);
        let by_id = read(&path)?;
        let checked = Instant::now();
        Ok(Self {
            path,
            state: Mutex::new(State {
                by_id,
                file,
                checked,
                is_unusable: false,
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
        // Some file systems have no locks; a line is appended as a whole all the same.
        let _ = file.lock();
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
        append(&mut file, &format!("{start}{line}\n"), before.len()).map_err(failed)?;
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
        self.reload_if_changed(&mut state);
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

    /// Reads the file again if it changed. A file that became unreadable or malformed
    /// allows nothing until it is mended.
    fn reload_if_changed(&self, state: &mut State) {
        let interval = match state.is_unusable {
            true => UNUSABLE_CHECK_INTERVAL,
            false => CHECK_INTERVAL,
        };
        if state.checked.elapsed() < interval {
            return;
        }
        state.checked = Instant::now();
        let file = FileState::of(&self.path);
        if file.is_some() && file == state.file {
            return;
        }
        match read(&self.path) {
            Ok(by_id) => {
                *state = State {
                    by_id,
                    file,
                    checked: state.checked,
                    is_unusable: false,
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.is_unusable, true) {
                    tracing::error!(error = %error, "no token is accepted");
                }
                state.by_id.clear();
                state.file = None;
            }
        }
    }
}

/// Appends to a file of `length` bytes. Half a line would make it unusable, so none is left
/// where there is no space for all of it.
fn append(file: &mut fs::File, text: &str, length: usize) -> io::Result<()> {
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // The error of the write says more than one of this.
        let _ = file.set_len(length as u64);
    }
    written
}

fn read(path: &Path) -> Result<HashMap<String, TokenLine>, TokensError> {
    let text = fs::read_to_string(path).map_err(|source| TokensError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
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
mod tests {
    use super::*;

    fn scope(entities: &str, access: Access) -> TokenScope {
        TokenScope {
            entities: entities.to_owned(),
            access,
        }
    }

    #[test]
    fn tokens_are_found_by_their_secret_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let made = Tokens::create(&path, scope("npc-", Access::Read)).unwrap();
        let other = Tokens::create(&path, scope("", Access::Write)).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        assert_eq!(
            tokens.scope_of(&made.token),
            Some((&*made.id, scope("npc-", Access::Read)))
        );
        assert_eq!(
            tokens.scope_of(&other.token),
            Some((&*other.id, scope("", Access::Write)))
        );
        let swapped = made.token.replace(&made.id, &other.id);
        for wrong in ["", "mem_", "mem__", "mem_x_y", &made.token[..20], &swapped] {
            assert_eq!(tokens.scope_of(wrong), None, "{wrong}");
        }
        let stored = fs::read_to_string(&path).unwrap();
        let secret = made.token.rsplit('_').next().unwrap();
        assert!(!stored.contains(secret), "only the hash is stored");
    }

    #[test]
    fn scopes_are_prefixes_and_write_includes_read() {
        let read = scope("npc-", Access::Read);
        assert!(read.allows("npc-1", Access::Read));
        assert!(!read.allows("npc-1", Access::Write));
        assert!(!read.allows("user-1", Access::Read));
        assert!(scope("", Access::Write).allows("anyone", Access::Read));
    }

    #[test]
    fn malformed_files_are_refused_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "\n{\"id\":\"a\"}\n").unwrap();
        let error = Tokens::open(&path).unwrap_err();
        assert!(
            error.to_string().starts_with("line 2 of the file"),
            "{error}"
        );
    }
    /// The file is looked at with the next token.
    fn expire(tokens: &Tokens) {
        let mut state = tokens.state.lock().unwrap();
        state.checked = Instant::now().checked_sub(CHECK_INTERVAL).unwrap();
    }

    #[test]
    fn an_edited_file_gets_further_tokens_and_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let first = Tokens::create(&path, scope("a", Access::Read)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for edited in [
            text.trim_end().to_owned(),
            format!("\u{feff}{}", text.trim_end()),
            text.replace('\n', "\r\n"),
            format!("\r\n{}\r", text.trim_end()),
            format!("\n\n{text}\n \n"),
        ] {
            fs::write(&path, &edited).unwrap();
            let second = Tokens::create(&path, scope("b", Access::Write)).unwrap();
            let tokens = Tokens::open(&path).unwrap();
            for made in [&first, &second] {
                assert!(tokens.scope_of(&made.token).is_some(), "{edited:?}");
            }
        }
    }

    #[test]
    fn a_token_is_not_appended_to_a_file_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let made = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            let outcome = Tokens::create(&path, scope("", Access::Read));
            assert_eq!(fs::read(&path).unwrap(), text, "nothing is written");
            outcome.unwrap_err().to_string()
        };
        assert!(made(b"{\"id\":\"a\"").starts_with("line 1 of the file"));
        assert!(made(b"\nmine\n").starts_with("line 2 of the file"));
        assert!(made(b"\xff\xfe{\0").contains("cannot use the file of tokens"));
        let in_folder = Tokens::create(folder.path(), scope("", Access::Read));
        assert!(matches!(in_folder, Err(TokensError::Io { .. })));
        let in_missing = Tokens::create(path.join("no/tokens"), scope("", Access::Read));
        assert!(matches!(in_missing, Err(TokensError::Io { .. })));
    }

    #[test]
    fn tokens_that_are_made_at_once_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "\n\n ").unwrap();
        let made: Vec<NewToken> = std::thread::scope(|threads| {
            let create = || Tokens::create(&path, scope("", Access::Read)).unwrap();
            let running: Vec<_> = (0..16).map(|_| threads.spawn(create)).collect();
            let made = running.into_iter().map(|thread| thread.join().unwrap());
            made.collect()
        });
        let tokens = Tokens::open(&path).unwrap();
        for token in made {
            assert!(tokens.scope_of(&token.token).is_some());
        }
    }

    #[test]
    fn a_replaced_file_revokes_its_tokens_whatever_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("tokens"), folder.path().join("other"));
        let revoked = Tokens::create(&path, scope("", Access::Read)).unwrap();
        let valid = Tokens::create(&other, scope("", Access::Read)).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        assert!(tokens.scope_of(&revoked.token).is_some());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(&other).unwrap();
        file.set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        expire(&tokens);
        // Both files have the same length.
        assert_eq!(tokens.scope_of(&revoked.token).is_some(), cfg!(not(unix)));
        assert_eq!(tokens.scope_of(&valid.token).is_some(), cfg!(unix));
    }

    #[test]
    fn a_file_that_becomes_unusable_allows_nothing_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let made = Tokens::create(&path, scope("", Access::Read)).unwrap();
        let text = fs::read(&path).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let is_accepted = || {
            expire(&tokens);
            tokens.scope_of(&made.token).is_some()
        };
        for half in [0, 1, text.len() / 2, text.len() - 2] {
            fs::write(&path, &text[..half]).unwrap();
            assert!(!is_accepted(), "{half}");
            fs::write(&path, &text).unwrap();
            assert!(is_accepted(), "{half}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!is_accepted());
        fs::create_dir(&path).unwrap();
        assert!(!is_accepted());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, &text).unwrap();
        assert!(is_accepted());
    }
}
