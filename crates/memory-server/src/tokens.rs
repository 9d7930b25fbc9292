//! Who may do what: a file with hashes of tokens.
//!
//! A token is `mem_ID_SECRET`. The file has one line per token: its id, the SHA-256
//! of its secret, and what it may do. The secret is 32 random bytes, so a fast hash
//! cannot be reversed by guessing. The file is read again when it changes, so adding
//! and removing a line needs no restart.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a file is trusted before its time of change is looked at again. A
/// removed token works at most this much longer.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

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
    changed: Option<SystemTime>,
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
        let changed = modified(&path);
        let by_id = read(&path)?;
        let checked = Instant::now();
        Ok(Self {
            path,
            state: Mutex::new(State {
                by_id,
                changed,
                checked,
                is_unusable: false,
            }),
        })
    }

    /// Makes a token and appends it to a file, which is created, for its owner only,
    /// if it is missing.
    ///
    /// # Errors
    /// [`TokensError::Io`] for a file that cannot be written.
    pub fn create(path: impl AsRef<Path>, scope: TokenScope) -> Result<NewToken, TokensError> {
        let path = path.as_ref();
        let id = Uuid::new_v4().simple().to_string()[..8].to_owned();
        // 244 random bits.
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let line = TokenLine {
            id: id.clone(),
            sha256: hash(&secret),
            entities: scope.entities,
            access: scope.access,
        };
        let failed = |source| TokensError::Io {
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_string(&line)
            .map_err(io::Error::from)
            .map_err(failed)?;
        text.push('\n');
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed)?;
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
        if state.checked.elapsed() < CHECK_INTERVAL {
            return;
        }
        state.checked = Instant::now();
        let changed = modified(&self.path);
        if changed.is_some() && changed == state.changed {
            return;
        }
        match read(&self.path) {
            Ok(by_id) => {
                *state = State {
                    by_id,
                    changed,
                    checked: state.checked,
                    is_unusable: false,
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.is_unusable, true) {
                    tracing::error!(error = %error, "no token is accepted");
                }
                state.by_id.clear();
                state.changed = None;
            }
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn read(path: &Path) -> Result<HashMap<String, TokenLine>, TokensError> {
    let text = fs::read_to_string(path).map_err(|source| TokensError::Io {
        path: path.to_owned(),
        source,
    })?;
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
}
