//! Which database, and opening it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory::{
    ErrorKind, MemoryError, MemoryResult, MemorySystem, OnnxEmbedder, OnnxOptions, SqliteOptions,
    SqliteStore, Store,
};

use crate::without_model::WithoutModel;

/// Whether a verb embeds.
#[derive(Debug, Clone, Copy)]
enum Model {
    Default,
    None,
}

/// The database that the command line names. Nothing is opened by naming it.
#[derive(Debug)]
pub(crate) struct Database {
    url: String,
}

impl Database {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    /// For verbs that retain: with the model, and made if it is not there.
    pub(crate) async fn open_or_create(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(Model::Default).await;
        }
        let options = self.options()?;
        // The model first: where it is missing, no file is made.
        let embedder = OnnxEmbedder::open(OnnxOptions::default()).await?;
        let store = SqliteStore::open_with(options).await?;
        let builder = MemorySystem::builder().store(Arc::new(store));
        builder.embedder(Arc::new(embedder)).build().await
    }

    /// For verbs that recall: with the model.
    pub(crate) async fn open(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(Model::Default).await;
        }
        // The file first: a wrong path is told at once.
        let store = self.store_to_look().await?;
        MemorySystem::builder().store(store).build().await
    }

    /// For verbs that remove: no model is needed.
    pub(crate) async fn open_without_model(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(Model::None).await;
        }
        without_model(open_existing(self.options()?.existing_only()).await?).await
    }

    /// For verbs that look: no model is needed, nor a file that may be written.
    pub(crate) async fn open_to_look(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(Model::None).await;
        }
        without_model(self.store_to_look().await?).await
    }

    /// For the doctor: the file stays as it is, old schema and all.
    pub(crate) async fn open_untouched(&self) -> MemoryResult<MemorySystem> {
        if self.is_shared() {
            return self.open_shared(Model::None).await;
        }
        without_model(self.store_untouched().await?).await
    }

    /// Whether it is a server's database, for which this build has a store.
    /// Where it has none, the embedded store refuses the URL.
    pub(crate) fn is_shared(&self) -> bool {
        cfg!(feature = "postgres") && self.url.starts_with("postgres")
    }

    /// A server's database, which its own tables are made in if they are not
    /// there; others write to it too.
    async fn open_shared(&self, model: Model) -> MemoryResult<MemorySystem> {
        let builder = MemorySystem::builder().url(&self.url);
        let builder = match model {
            Model::Default => builder,
            Model::None => builder.embedder(Arc::new(WithoutModel::new())),
        };
        builder.build().await
    }

    /// A file that may be written is brought up to date and closed as ever, so
    /// that nothing stays beside it.
    async fn store_to_look(&self) -> MemoryResult<Arc<dyn Store>> {
        match open_existing(self.options()?.existing_only()).await {
            Err(error) if error.kind() == ErrorKind::ReadOnly => self.store_untouched().await,
            outcome => outcome,
        }
    }

    async fn store_untouched(&self) -> MemoryResult<Arc<dyn Store>> {
        let options = self.options()?;
        open_existing(match self.file() {
            Some(_) => options.read_only(),
            // In memory there is nothing yet that could be touched.
            None => options,
        })
        .await
    }

    fn options(&self) -> MemoryResult<SqliteOptions> {
        SqliteOptions::from_url(&self.url)
    }

    /// The database's file; `None` for a database in memory.
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
                decode(path)?
            }
            None => self.url.clone(),
        };
        (path != ":memory:" && !path.is_empty()).then(|| path.into())
    }

    /// Bytes of the file and of what stands beside it; `None` where there is
    /// no file.
    pub(crate) fn size(&self) -> Option<u64> {
        let file = self.file()?;
        let whole = fs::metadata(&file).ok()?.len();
        let log = fs::metadata(beside(&file, "-wal")).map_or(0, |log| log.len());
        Some(whole + log)
    }
}

async fn without_model(store: Arc<dyn Store>) -> MemoryResult<MemorySystem> {
    let embedder = Arc::new(WithoutModel::new());
    let builder = MemorySystem::builder().store(store);
    builder.embedder(embedder).build().await
}

async fn open_existing(options: SqliteOptions) -> MemoryResult<Arc<dyn Store>> {
    match SqliteStore::open_with(options).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(hint(error)),
    }
}

/// Says of a missing database which verbs make one: the store cannot know.
fn hint(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Store {
        kind: ErrorKind::Missing,
        message,
        ..
    } = &mut error
    {
        message.push_str("; memory retain and memory import make it");
    }
    error
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

/// Replaces each `%` and two hexadecimal digits by the byte they name; `None`
/// for a path that the store refuses as malformed.
fn decode(path: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_the_store_opens() {
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
