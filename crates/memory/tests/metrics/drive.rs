//! Runs each operation, successfully and, where it can fail, with an error.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use memory::metrics::Operation;
use memory::{
    ListRequest, MaintenanceRequest, Memory, MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind,
    MemoryPatch, MemorySystem, MemoryTagMode, RecallRequest, ReembedRequest,
};

const ENTITY: &str = "quillon-entity";
const STREAM_ENTITY: &str = "quillon-stream";
const CONTENT: &str = "Xanthic marmosets guard the obsidian lighthouse.";
const QUESTION: &str = "which plovers saw the obsidian lighthouse?";

/// Words that must not appear in any metric or trace.
const WORDS: &[&str] = &[
    "quillon",
    "xanthic",
    "obsidian",
    "plovers",
    "zephyrtag",
    "vexmeta",
    "bramblewick",
    "gorgonrole",
    "kryptonepisode",
    "wyvernpatch",
    "mandrakelink",
];

/// A system, and the memories that it made.
pub(crate) struct Driver {
    memory: MemorySystem,
    url: String,
    folder: PathBuf,
    ids: Vec<MemoryId>,
    summary: Option<(Memory, Vec<MemoryId>)>,
}

fn item(content: &str) -> MemoryBatchItem {
    MemoryBatchItem::new(ENTITY, MemoryKind::Experience, content)
        .with_tag("zephyrtag")
        .with_metadata("vexmeta-key", "vexmeta")
        .with_entity("bramblewick", "gorgonrole")
        .with_context("kryptonepisode")
}

impl Driver {
    pub(crate) fn new(memory: MemorySystem, url: String, folder: &Path) -> Self {
        Self {
            memory,
            url,
            folder: folder.to_owned(),
            ids: Vec::new(),
            summary: None,
        }
    }

    /// What must not be found: words of the contents and names, and every id.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let ids = self.ids.iter().flat_map(|id| {
            let text = id.to_string();
            [text.replace('-', ""), text]
        });
        WORDS
            .iter()
            .map(|&word| word.to_owned())
            .chain(ids)
            .collect()
    }

    fn id(&self) -> MemoryId {
        self.ids[0]
    }

    /// Retains a stream of one batch.
    pub(crate) async fn retain_stream(&self) {
        let item = MemoryBatchItem::new(STREAM_ENTITY, MemoryKind::World, CONTENT);
        let mut progress = self.memory.retain_stream(stream::iter([item]));
        assert!(progress.next().await.unwrap().is_ok());
    }

    /// Runs an operation.
    pub(crate) async fn run(&mut self, operation: Operation) {
        let memory = self.memory.clone();
        match operation {
            Operation::Retain => {
                let retained = memory.retain(ENTITY, MemoryKind::World, CONTENT).await;
                self.ids.push(retained.unwrap());
                let blank = memory.retain(ENTITY, MemoryKind::World, " ").await;
                assert!(blank.is_err());
            }
            Operation::RetainBatch => {
                let items = [item(CONTENT), item(CONTENT), item(QUESTION)];
                self.ids.extend(memory.retain_batch(items).await.unwrap());
                let taken = item("another text").with_id(self.id());
                assert!(memory.retain_batch([taken]).await.is_err());
            }
            Operation::GenerateEmbeddingsBatch => {
                let texts = [
                    QUESTION,
                    CONTENT,
                    "a text that is much longer than the others",
                ];
                memory.generate_embeddings_batch(texts).await.unwrap();
            }
            Operation::Recall => self.recall_after_a_write_elsewhere().await,
            Operation::RecallReport => {
                let filter = MemoryFilter::new().tags(["zephyrtag"], MemoryTagMode::Any);
                let request = RecallRequest::new(QUESTION).filter(filter);
                memory.recall_report(ENTITY, request).await.unwrap();
            }
            Operation::GetMemory => {
                for _ in 0..2 {
                    memory.get_memory(ENTITY, self.id()).await.unwrap();
                }
                assert!(memory.get_memory(ENTITY, MemoryId::new()).await.is_err());
            }
            Operation::GetMemories => {
                memory.get_memories(ENTITY, self.ids.clone()).await.unwrap();
            }
            Operation::ListMemories => {
                let request = ListRequest::new(10);
                memory.list_memories(ENTITY, request).await.unwrap();
            }
            Operation::ListMemoriesAsOf => {
                let (now, request) = (chrono::Utc::now(), ListRequest::new(10));
                let page = memory.list_memories_as_of(ENTITY, now, request);
                page.await.unwrap();
            }
            Operation::CountMemories => {
                let filter = MemoryFilter::new().tags(["zephyrtag"], MemoryTagMode::Any);
                memory.count_memories(ENTITY, filter).await.unwrap();
            }
            Operation::AlterMemory => {
                let patch = MemoryPatch::new().content("wyvernpatch sleeps");
                let id = self.ids.pop().unwrap();
                memory.alter_memory(ENTITY, id, patch).await.unwrap();
                self.ids.push(id);
            }
            Operation::DeleteMemory => {
                let id = memory.retain(ENTITY, MemoryKind::Opinion, "Plovers lie.");
                let id = id.await.unwrap();
                memory.delete_memory(ENTITY, id).await.unwrap();
                self.ids.push(id);
            }
            _ => self.run_lifecycle(operation).await,
        }
    }

    async fn run_lifecycle(&mut self, operation: Operation) {
        let memory = self.memory.clone();
        match operation {
            Operation::Reflect => {
                memory.reflect(ENTITY, QUESTION).await.unwrap();
            }
            Operation::Consolidate => {
                let report = memory.consolidate(ENTITY).await.unwrap();
                let written = &report.summaries[0];
                let id = written.id;
                let summary = memory.get_memory(ENTITY, id).await.unwrap();
                self.summary = Some(((*summary).clone(), written.sources.clone()));
                self.ids.push(id);
            }
            Operation::AutoConsolidate => {
                memory.auto_consolidate_if_needed(ENTITY).await.unwrap();
            }
            Operation::UndoConsolidation => {
                let id = self.summary.as_ref().unwrap().0.id;
                memory.undo_consolidation(ENTITY, id).await.unwrap();
            }
            Operation::Reembed => {
                let request = ReembedRequest::new().all(true);
                memory.reembed(ENTITY, request).await.unwrap();
            }
            Operation::Prune => {
                let prune = memory.prune_low_importance_memories(ENTITY, 1);
                prune.await.unwrap();
            }
            Operation::Relate => {
                let (from, to) = (self.ids[0], self.ids[1]);
                let relate = memory.relate(ENTITY, from, to, "mandrakelink");
                relate.await.unwrap();
            }
            Operation::Unrelate => {
                let (from, to) = (self.ids[0], self.ids[1]);
                memory.unrelate(ENTITY, from, to).await.unwrap();
            }
            Operation::Related => {
                memory.related(ENTITY, self.id()).await.unwrap();
            }
            Operation::Forget => {
                let id = memory.retain(ENTITY, MemoryKind::Opinion, "Plovers lie.");
                let id = id.await.unwrap();
                memory.forget(ENTITY, id).await.unwrap();
                self.ids.push(id);
            }
            Operation::RestoreMemories => {
                let exported = memory.get_memory(ENTITY, self.id()).await.unwrap();
                memory.forget(ENTITY, self.id()).await.unwrap();
                let restored = memory.restore_memories([(*exported).clone()]);
                restored.await.unwrap();
            }
            Operation::RestoreSummary => {
                let (summary, sources) = self.summary.clone().unwrap();
                memory.restore_summary(summary, sources).await.unwrap();
            }
            _ => self.administer(operation).await,
        }
    }

    async fn administer(&self, operation: Operation) {
        let memory = &self.memory;
        match operation {
            Operation::EntityStats => {
                memory.entity_stats(ENTITY).await.unwrap();
            }
            Operation::CountByModel => {
                memory.count_by_model(ENTITY).await.unwrap();
            }
            Operation::CheckEmbedder => memory.check_embedder().await.unwrap(),
            Operation::ListEntities => {
                memory.list_entities(None, 10).await.unwrap();
            }
            Operation::ClearAllCaches => memory.clear_all_caches(),
            Operation::InvalidateMemoryCache => memory.invalidate_memory_cache(self.id()),
            Operation::InvalidateEntityCache => memory.invalidate_entity_cache(ENTITY),
            Operation::Backup => {
                let copy = self.folder.join("copy.db");
                // A server has tools of its own for it.
                let is_supported = self.url.starts_with("sqlite");
                assert_eq!(memory.backup(&copy).await.is_ok(), is_supported);
                // A target that exists is refused.
                assert!(memory.backup(&copy).await.is_err());
            }
            Operation::MaintainIndexes => {
                let dry_run = MaintenanceRequest::new().dry_run(true);
                // SQLite has no approximate indexes.
                let is_supported = self.url.starts_with("postgres");
                let outcome = memory.maintain_indexes(&dry_run).await;
                assert_eq!(outcome.is_ok(), is_supported);
                // No recall can be reached that is beyond all.
                let refused = memory.maintain_indexes(&dry_run.target_recall(2.0)).await;
                assert!(refused.is_err());
            }
            Operation::Close => {
                memory.close().await.unwrap();
                assert!(memory.recall(ENTITY, QUESTION).await.is_err());
            }
            // A new operation is driven here, or this fails.
            other => panic!("{} is not driven", other.name()),
        }
    }

    /// Recalls what another system wrote, so that the snapshot is brought up to
    /// date.
    async fn recall_after_a_write_elsewhere(&mut self) {
        self.memory.recall(ENTITY, QUESTION).await.unwrap();
        let other = MemorySystem::open(&self.url).await.unwrap();
        let retained = other.retain(ENTITY, MemoryKind::Observation, "Marmosets sleep.");
        self.ids.push(retained.await.unwrap());
        other.close().await.unwrap();
        self.memory.recall(ENTITY, QUESTION).await.unwrap();
    }
}
