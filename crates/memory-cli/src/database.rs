//! The database URL, and opening the database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use memory::embed::{EmbedRole, Embedder, EmbedderProfile};
use memory::onnx::{OnnxEmbedder, OnnxOptions};
use memory::sqlite::{SqliteOptions, SqliteStore};
use memory::store::Store;
use memory::{ErrorKind, MemoryError, MemoryResult, MemorySystem};

use crate::exit::Failure;
use crate::own_files::{is_own_file, sidecar};

/// Which embedder a command needs.
#[derive(Debug, Clone, Copy)]
enum EmbedderChoice {
    Default,
    Null,
}

/// The database that the command line names. Creating this opens nothing.
#[derive(Debug)]
pub(crate) struct Database {
    url: String,
}

impl Database {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    /// Opens for commands that retain: with the model, creating the database if
    /// it is missing.
    pub(crate) async fn open_or_create(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(EmbedderChoice::Default).await;
        }
        let options = self.options()?;
        // The model first: where it is missing, no file is created.
        let embedder = OnnxEmbedder::open(OnnxOptions::default()).await?;
        let store = SqliteStore::open_with(options).await?;
        let builder = MemorySystem::builder().store(Arc::new(store));
        builder.embedder(Arc::new(embedder)).build().await
    }

    /// Opens an existing database with the model, for commands that recall.
    pub(crate) async fn open(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(EmbedderChoice::Default).await;
        }
        // The file first: a wrong path fails before the model is loaded.
        let store = self.store_for_read().await?;
        MemorySystem::builder().store(store).build().await
    }

    /// Opens an existing database without a model, for commands that remove.
    pub(crate) async fn open_without_embedder(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(EmbedderChoice::Null).await;
        }
        with_null_embedder(open_existing(self.options()?.create_if_missing(false)).await?).await
    }

    /// Opens for commands that read: without a model, also where the file is
    /// not writable.
    pub(crate) async fn open_for_read(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(EmbedderChoice::Null).await;
        }
        with_null_embedder(self.store_for_read().await?).await
    }

    /// Opens without changing the file, not even an old schema.
    pub(crate) async fn open_read_only(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(EmbedderChoice::Null).await;
        }
        with_null_embedder(self.store_read_only().await?).await
    }

    /// Whether this is a database server that this build has a store for.
    /// Where it has none, the embedded store refuses the URL.
    pub(crate) fn is_shared(&self) -> bool {
        cfg!(feature = "postgres") && self.url.starts_with("postgres")
    }

    async fn open_shared(&self, embedder: EmbedderChoice) -> MemoryResult<MemorySystem> {
        let builder = MemorySystem::builder().url(&self.url);
        let builder = match embedder {
            EmbedderChoice::Default => builder,
            EmbedderChoice::Null => builder.embedder(Arc::new(NullEmbedder::new())),
        };
        builder.build().await
    }

    /// A writable file is migrated and closed as usual, which removes its
    /// `-wal` and `-shm` files.
    async fn store_for_read(&self) -> MemoryResult<Arc<dyn Store>> {
        match open_existing(self.options()?.create_if_missing(false)).await {
            Err(error) if error.kind() == ErrorKind::ReadOnly => self.store_read_only().await,
            outcome => outcome,
        }
    }

    async fn store_read_only(&self) -> MemoryResult<Arc<dyn Store>> {
        let options = self.options()?;
        open_existing(match self.file() {
            Some(_) => options.read_only(),
            // A database in memory is new and private.
            None => options,
        })
        .await
    }

    fn options(&self) -> MemoryResult<SqliteOptions> {
        SqliteOptions::from_url(&self.url)
    }

    /// The database's file; `None` for a database in memory or on a server.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        if self.is_shared() {
            return None;
        }
        let path = match self.url.strip_prefix("sqlite:") {
            Some(rest) => {
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
                if parameters
                    .split('&')
                    .any(|parameter| parameter == "mode=memory")
                {
                    return None;
                }
                decode_percent(path)?
            }
            None => self.url.clone(),
        };
        (path != ":memory:" && !path.is_empty()).then(|| path.into())
    }

    /// The database's file, if `path` leads to it or to a file that SQLite keeps
    /// next to it.
    pub(crate) fn own_file(&self, path: &Path) -> Option<PathBuf> {
        self.file().filter(|file| is_own_file(path, file))
    }

    /// Refuses to write to `path` if that would overwrite the database or a file
    /// that SQLite keeps next to it.
    pub(crate) fn refuse_own_file(&self, path: &Path) -> Result<(), Failure> {
        match self.own_file(path) {
            None => Ok(()),
            Some(file) => Err(Failure::usage(format!(
                "cannot write {}: it is the database {} itself or one of its files; name another file",
                path.display(),
                file.display()
            ))),
        }
    }

    /// Bytes of the file and its write-ahead log; `None` where there is no
    /// file.
    pub(crate) fn size(&self) -> Option<u64> {
        let file = self.file()?;
        let main = fs::metadata(&file).ok()?.len();
        let wal = fs::metadata(sidecar(&file, "-wal")).map_or(0, |wal| wal.len());
        Some(main + wal)
    }
}

async fn with_null_embedder(store: Arc<dyn Store>) -> MemoryResult<MemorySystem> {
    let embedder = Arc::new(NullEmbedder::new());
    let builder = MemorySystem::builder().store(store);
    builder.embedder(embedder).build().await
}

async fn open_existing(options: SqliteOptions) -> MemoryResult<Arc<dyn Store>> {
    match SqliteStore::open_with(options).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(add_creation_hint(error)),
    }
}

/// Adds to the error for a missing database which commands create one; the
/// store cannot know that.
fn add_creation_hint(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Store {
        kind: ErrorKind::Missing,
        message,
        ..
    } = &mut error
    {
        message.push_str("; memory retain and memory import create it");
    }
    error
}

/// Replaces each `%` and two hexadecimal digits by the byte they encode; `None`
/// for a path that the store refuses as malformed.
fn decode_percent(path: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// An embedder that refuses to embed.
///
/// It takes the model's place in commands that only read or remove rows, so
/// list, export, forget and stats start at once and work where runtime and
/// model are missing. It makes no vectors, so none are stored or compared.
#[derive(Debug)]
struct NullEmbedder(EmbedderProfile);

impl NullEmbedder {
    fn new() -> Self {
        Self(EmbedderProfile::new("none", "none", 1).max_tokens(1))
    }
}

#[async_trait]
impl Embedder for NullEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.0
    }

    async fn embed(&self, _texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        let message = "this command opened the database without a model";
        Err(MemoryError::embedder(
            ErrorKind::Unsupported,
            "embed",
            message,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_matches_what_the_store_opens() {
        let file = |url: &str| Database::new(url.to_owned()).file();
        for (url, path) in [
            ("sqlite://memory.db", "memory.db"),
            ("sqlite:memory.db", "memory.db"),
            ("sqlite:///data/a%20b.db?mode=ro", "/data/a b.db"),
            ("plain.db", "plain.db"),
        ] {
            assert_eq!(file(url), Some(PathBuf::from(path)), "{url}");
        }
        for url in [
            "sqlite::memory:",
            "sqlite://x?mode=memory",
            ":memory:",
            "sqlite://%2",
        ] {
            assert_eq!(file(url), None, "{url}");
        }
    }
}
