//! Asking the questions of a data set through the real system.

use std::error::Error;
use std::sync::Arc;

use memory::embed::Embedder;
use memory::{ByteSize, MemoryConfig, MemorySystem, Ranking, RecallHit, RecallPath, RecallRequest};
use memory_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::data_set::DataSet;
use super::relevance::{QuestionKind, QuestionResults};
use super::scores::QuestionScore;
use crate::locomo::{Conversation, Question};
use crate::warm_up::load_snapshot;

/// Turns retained in one call.
const BATCH: usize = 256;

/// Results of a scored question.
const RESULTS: usize = 20;

/// Results that both paths of a recall are compared by.
const COMPARED: usize = 10;

/// A long time for an entry of a cache, in seconds: a cached snapshot must
/// outlive the run, since a recall without one may take the other path.
const DAY: u64 = 86_400;

/// A data set retained in a database of its own, open twice: recalls of one
/// system use snapshots, those of the other search the store.
pub struct Measurement {
    /// What was retained.
    pub data: Arc<DataSet>,
    snapshots: MemorySystem,
    pushed_down: MemorySystem,
    _folder: TempDir,
}

impl Measurement {
    /// Retains the conversations and loads their snapshots.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn new(data: DataSet, embedder: Arc<dyn Embedder>) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite://{}", folder.path().join("quality.db").display());
        let store = Arc::new(SqliteStore::open(&url).await?);
        let open = async |entity_cache_max_bytes| {
            MemorySystem::builder()
                .store(Arc::clone(&store))
                .embedder(Arc::clone(&embedder))
                .config(MemoryConfig {
                    entity_cache_max_bytes,
                    cache_ttl_seconds: DAY,
                    cache_tti_seconds: DAY,
                    embedding_cache_capacity: 10_000,
                    embedding_cache_ttl_seconds: DAY,
                    ..MemoryConfig::default()
                })
                .build()
                .await
        };
        let this = Self {
            snapshots: open(MemoryConfig::default().entity_cache_max_bytes).await?,
            pushed_down: open(ByteSize(0)).await?,
            data: Arc::new(data),
            _folder: folder,
        };
        for conversation in &this.data.conversations {
            for batch in conversation.turns.chunks(BATCH) {
                this.snapshots.retain_batch(batch.to_vec()).await?;
            }
            load_snapshot(&this.snapshots, &conversation.name, "hello").await?;
        }
        Ok(this)
    }

    /// Scores every question under a ranking, in the order of the file.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn score(&self, ranking: Ranking) -> Result<Vec<QuestionScore>, Box<dyn Error>> {
        let system = self.snapshots.clone();
        self.for_each_conversation(move |number, data| {
            let system = system.clone();
            async move {
                let conversation = &data.conversations[number];
                let mut scores = Vec::with_capacity(conversation.questions.len());
                for question in &conversation.questions {
                    let request = request(conversation, question, ranking, RESULTS);
                    let hits = recall(&system, conversation, request, RecallPath::Snapshot).await?;
                    scores.push(QuestionScore::new(number, question, &turn_ids(&hits)));
                }
                Ok(scores)
            }
        })
        .await
    }

    /// The first ten results of every question, also of those that have no answer and
    /// those of the next conversation, with the features of their relevance.
    pub(super) async fn results(&self) -> Result<Vec<QuestionResults>, Box<dyn Error>> {
        let system = self.snapshots.clone();
        self.for_each_conversation(move |number, data| {
            let system = system.clone();
            async move {
                let conversation = &data.conversations[number];
                let next = &data.conversations[(number + 1) % data.conversations.len()];
                let of_kind = [
                    (&conversation.questions, QuestionKind::Answerable),
                    (&conversation.unanswerable, QuestionKind::Unanswerable),
                    (&next.questions, QuestionKind::OffTopic),
                ];
                let mut results = Vec::new();
                for (questions, kind) in of_kind {
                    for question in questions {
                        let request = request(conversation, question, Ranking::default(), COMPARED);
                        let hits = recall(&system, conversation, request, RecallPath::Snapshot);
                        results.push(QuestionResults::new(kind, question, &hits.await?));
                    }
                }
                Ok(results)
            }
        })
        .await
    }

    /// The share of the first ten results that both paths of a recall agree on,
    /// of each question.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn overlaps(&self, ranking: Ranking) -> Result<Vec<f64>, Box<dyn Error>> {
        let systems = (self.snapshots.clone(), self.pushed_down.clone());
        self.for_each_conversation(move |number, data| {
            let (snapshots, pushed_down) = systems.clone();
            async move {
                let conversation = &data.conversations[number];
                let mut overlaps = Vec::with_capacity(conversation.questions.len());
                for question in &conversation.questions {
                    let request = request(conversation, question, ranking, COMPARED);
                    let recall = async |system, path| {
                        let hits = recall(system, conversation, request.clone(), path).await?;
                        Ok::<_, MeasurementError>(turn_ids(&hits))
                    };
                    let one = recall(&snapshots, RecallPath::Snapshot).await?;
                    let other = recall(&pushed_down, RecallPath::Store).await?;
                    overlaps.push(overlap(&one, &other));
                }
                Ok(overlaps)
            }
        })
        .await
    }

    /// Runs `ask` on every conversation by its number, and joins what it returns
    /// in their order.
    async fn for_each_conversation<T, F>(
        &self,
        ask: impl Fn(usize, Arc<DataSet>) -> F,
    ) -> Result<Vec<T>, Box<dyn Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<Vec<T>, MeasurementError>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for number in 0..self.data.conversations.len() {
            let asked = ask(number, Arc::clone(&self.data));
            tasks.spawn(async move { (number, asked.await) });
        }
        let mut answers = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            let (number, answer) = joined?;
            let answer = answer.map_err(|error| -> Box<dyn Error> { error })?;
            answers.push((number, answer));
        }
        answers.sort_unstable_by_key(|(number, _)| *number);
        Ok(answers.into_iter().flat_map(|(_, answer)| answer).collect())
    }
}

/// Errors of a task, which move between threads.
type MeasurementError = Box<dyn Error + Send + Sync>;

/// The clock is pinned to the end of the conversation.
fn request(
    conversation: &Conversation,
    question: &Question,
    ranking: Ranking,
    limit: usize,
) -> RecallRequest {
    RecallRequest::new(&question.text)
        .limit(limit)
        .ranking(ranking)
        .as_of(conversation.end)
}

async fn recall(
    system: &MemorySystem,
    conversation: &Conversation,
    request: RecallRequest,
    path: RecallPath,
) -> Result<Vec<RecallHit>, MeasurementError> {
    let hits = system.recall(conversation.name.as_str(), request).await?;
    if hits.iter().any(|hit| hit.explanation.path != path) {
        return Err(format!("a recall did not take the path {path:?}").into());
    }
    Ok(hits)
}

fn turn_ids(hits: &[RecallHit]) -> Vec<String> {
    let ids = hits
        .iter()
        .filter_map(|hit| hit.memory.metadata.get("dia_id"));
    ids.cloned().collect()
}

/// The share of the longer list that the other also has; 1 if both are empty.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn overlap(one: &[String], other: &[String]) -> f64 {
    let longer = one.len().max(other.len());
    if longer == 0 {
        return 1.0;
    }
    let common = one.iter().filter(|id| other.contains(id)).count();
    common as f64 / longer as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_a_share_of_the_longer_list() {
        let ids = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(overlap(&ids("a b c d"), &ids("d x a y")), 0.5);
        assert_eq!(overlap(&ids("a b"), &ids("b a c d")), 0.5);
        assert_eq!(overlap(&[], &[]), 1.0);
    }
}
