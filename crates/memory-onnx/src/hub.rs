//! A model of a hub, by name: fetched once, then used from the hub's cache.
//!
//! This is the only part of the crate that reaches out, and only when it is
//! called (feature `hub`).

use std::path::{Path, PathBuf};

use hf_hub::{HFClient, HFError, HFRepository, RepoTypeModel, split_id};
use memory_core::{ErrorKind, MemoryError, MemoryResult};

use crate::error::opening;
use crate::model;
use crate::options::OnnxOptions;

/// The operation named by errors.
const FETCH: &str = "fetch a model of a hub";

/// The file that tells which other files there are, so it comes first.
const MODULES: &str = "modules.json";

/// The weights of a family that is built here.
const CHECKPOINT: &str = "model.safetensors";

/// Where an exported graph may lie.
const GRAPHS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// Files that a model may do without.
const OPTIONAL: [&str; 4] = [
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    // The weights of graphs over 2 GB.
    "onnx/model.onnx_data",
];

/// A sentence-transformers model of a hub: of the BERT family, or one that has
/// an ONNX graph.
///
/// ```no_run
/// # async fn example() -> memory_core::MemoryResult<()> {
/// use memory_onnx::{HubModel, OnnxEmbedder};
/// let model = HubModel::new("sentence-transformers/all-MiniLM-L6-v2");
/// let embedder = OnnxEmbedder::open(model.fetch().await?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HubModel {
    name: String,
    revision: Option<String>,
    cache_dir: Option<PathBuf>,
    endpoint: Option<String>,
    offline: bool,
}

impl HubModel {
    /// The model `owner/name`, at the head of its main branch.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            revision: None,
            cache_dir: None,
            endpoint: None,
            offline: false,
        }
    }

    /// A branch, a tag or a commit. With a commit, what is in the cache is
    /// used for ever; with a branch, until the cache is emptied.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// The hub's cache folder, in place of the one that the hub's other tools
    /// use on this machine.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// The hub's address, in place of the one that the environment names or
    /// the client library knows.
    #[must_use]
    pub fn endpoint(mut self, address: impl Into<String>) -> Self {
        self.endpoint = Some(address.into());
        self
    }

    /// Looks in the cache only and never reaches out.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Sees to it that the model's files are in the cache, and gives the
    /// options that open them.
    ///
    /// A cache that holds the whole model is used without any request. Else
    /// the missing files are fetched, which needs a tokio runtime with I/O and
    /// time. Dropping the future leaves finished files in the cache.
    ///
    /// # Errors
    /// `Missing` when the hub has no such model or not all of its files, or
    /// when the cache has not and [`offline`](Self::offline) is set;
    /// `Unavailable` when neither the cache has it nor the hub is reached;
    /// `Configuration` for a name that is not `owner/name`.
    pub async fn fetch(&self) -> MemoryResult<OnnxOptions> {
        let repository = self.repository()?;
        let cached = self.pass(&repository, true).await;
        let snapshot = match cached {
            Ok(snapshot) if snapshot.is_certain || self.offline => snapshot,
            Err(error) if self.offline => return Err(self.failed(error)),
            cached => match (self.pass(&repository, false).await, cached) {
                (Ok(snapshot), _) => snapshot,
                // Nothing that a model needs is missing; whether it has the
                // optional files cannot be found out now.
                (Err(error), Ok(snapshot)) if kind(&error) == ErrorKind::Unavailable => {
                    tracing::warn!(model = self.name, "hub not reached; using the cache");
                    snapshot
                }
                (Err(error), _) => return Err(self.failed(error)),
            },
        };
        Ok(OnnxOptions::new()
            .model_dir(snapshot.folder)
            .model_name(&self.name))
    }

    fn repository(&self) -> MemoryResult<HFRepository<RepoTypeModel>> {
        let (owner, name) = split_id(&self.name);
        let is_plain = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.starts_with('.') && !part.is_empty() && part.chars().all(plain)
        };
        if !is_plain(owner) || !is_plain(name) {
            let message = "a model of a hub is named by its owner, a slash and its name";
            return Err(MemoryError::configuration(message));
        }
        let mut client = HFClient::builder().retry_max_attempts(2);
        if let Some(folder) = &self.cache_dir {
            client = client.cache_dir(folder);
        }
        if let Some(address) = &self.endpoint {
            client = client.endpoint(address);
        }
        let client = client
            .build()
            .map_err(|error| MemoryError::configuration(format!("the hub's client: {error}")))?;
        Ok(client.model(owner, name))
    }

    /// Gets every file, from the cache alone or with the hub's help.
    async fn pass(
        &self,
        repository: &HFRepository<RepoTypeModel>,
        cache_only: bool,
    ) -> Result<Snapshot, HFError> {
        let get = |file: String| {
            repository
                .download_file()
                .filename(file)
                .maybe_revision(self.revision.clone())
                .local_files_only(cache_only)
                .send()
        };
        let modules = get(MODULES.to_owned()).await?;
        let folder = modules.parent().unwrap_or(Path::new("")).to_path_buf();
        let pooling = memory_sentence_transformers::pooling_file(&folder)
            .map_err(opening)
            .map_err(|error| HFError::Other(format!("{MODULES}: {error}")))?;
        for file in [pooling.as_str(), "config.json", "tokenizer.json"] {
            get(file.to_owned()).await?;
        }
        // The first of these that the model has.
        let checkpoint = model::is_built(&folder).then_some(CHECKPOINT);
        let mut weights = checkpoint.into_iter().chain(GRAPHS).peekable();
        while let Some(file) = weights.next() {
            match get(file.to_owned()).await {
                Err(error) if kind(&error) == ErrorKind::Missing && weights.peek().is_some() => {}
                result => {
                    result?;
                    break;
                }
            }
        }
        let mut is_certain = true;
        for file in OPTIONAL {
            match get(file.to_owned()).await {
                Ok(_) | Err(HFError::EntryNotFound { .. }) => {}
                // The cache does not tell whether the model has this file.
                Err(HFError::LocalEntryNotFound { .. }) => is_certain = false,
                Err(error) => return Err(error),
            }
        }
        Ok(Snapshot { folder, is_certain })
    }

    fn failed(&self, error: HFError) -> MemoryError {
        let message = format!("{} is not in the cache: {error}", self.name);
        MemoryError::embedder(kind(&error), FETCH, message).with_source(error)
    }
}

/// A model's folder in the hub's cache.
struct Snapshot {
    folder: PathBuf,
    /// Whether every optional file is either there or known not to exist.
    is_certain: bool,
}

/// What sort of failure it is for a caller.
fn kind(error: &HFError) -> ErrorKind {
    match error {
        HFError::RepoNotFound { .. }
        | HFError::RevisionNotFound { .. }
        | HFError::EntryNotFound { .. }
        | HFError::LocalEntryNotFound { .. } => ErrorKind::Missing,
        HFError::Request { .. }
        | HFError::RateLimited { .. }
        | HFError::CacheLockTimeout { .. } => ErrorKind::Unavailable,
        HFError::Http { context } if context.status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}
