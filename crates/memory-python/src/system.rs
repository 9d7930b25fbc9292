//! The two classes of systems: one whose calls wait, one for asyncio.
//!
//! Each operation is declared once, in `systems!` below, with the signature that Python
//! sees. Both classes get it: it waits in `MemorySystem`, and is a coroutine in
//! `AsyncMemorySystem`.

#![expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of Python, one for each field of a request"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use memory::onnx::Precision;
use memory::{MemoryKind, Ranking, RecallRequest, ReflectRequest};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::identifiers::{Id, from_ids};
use crate::names::{Named, Scope};
use crate::opening::{builder, open};
use crate::operations;
use crate::requests::Labels;
use crate::requests::arguments::{
    consolidate_request, list_request, patch, recall_request, reembed_request,
};
use crate::requests::config::MemoryConfig;
use crate::requests::count::{count, optional_rate, stored_count};
use crate::requests::filter::{MemoryFilter, or_everything};
use crate::requests::item::MemoryBatchItem;
use crate::requests::patch::ContextChange;
use crate::runtime::{check_process, coroutine, start_function, wait};
use crate::times::Time;
use crate::values::memory::{Memory, PageCursor};
use crate::values::stats::CacheStats;

// The signatures below have these as literals, so that Python shows them.
const _: () = assert!(RecallRequest::DEFAULT_LIMIT == 10);
const _: () = assert!(ReflectRequest::DEFAULT_CONTEXT_CHARS == 12_000);

/// A memory system. A call waits until its operation is done; other threads of Python run
/// meanwhile.
#[pyclass(frozen, module = "memory")]
#[derive(Debug)]
pub(crate) struct MemorySystem(memory::MemorySystem);

/// A memory system for asyncio. A call returns a coroutine.
#[pyclass(frozen, module = "memory")]
#[derive(Debug)]
pub(crate) struct AsyncMemorySystem(memory::MemorySystem);

/// Declares the methods of both classes: how a system is opened, what is done at once, and
/// the operations, each with its attributes, its arguments, and what they are made to.
macro_rules! systems {
    (
        $(#[$($open_attribute:tt)*])*
        fn open($($part:ident: $part_type:ty),* $(,)?);

        at_once {
            $(
                $(#[$($quick_attribute:tt)*])*
                fn $quick:ident($($quick_argument:ident: $quick_type:ty)?) -> $quick_result:ty;
            )*
        }

        operations {
            $(
                $(#[$($attribute:tt)*])*
                fn $name:ident(
                    $($(#[$($argument_attribute:tt)*])* $argument:ident: $type:ty),* $(,)?
                ) =>
                    $operation:ident($($value:expr),* $(,)?);
            )*
        }
    ) => {
        #[pymethods]
        impl MemorySystem {
            $(#[$($open_attribute)*])*
            #[staticmethod]
            fn open<'py>(
                py: Python<'py>,
                $($part: $part_type),*
            ) -> PyResult<Bound<'py, PyAny>> {
                wait(py, open(builder($($part),*), Self))
            }

            $(
                $(#[$($quick_attribute)*])*
                fn $quick(&self, $($quick_argument: $quick_type)?) -> PyResult<$quick_result> {
                    check_process().map(|()| operations::$quick(&self.0, $($quick_argument)?))
                }
            )*

            $(
                $(#[$($attribute)*])*
                fn $name<'py>(
                    &self,
                    py: Python<'py>,
                    $($(#[$($argument_attribute)*])* $argument: $type),*
                ) -> PyResult<Bound<'py, PyAny>> {
                    wait(py, operations::$operation(self.0.clone(), $($value),*))
                }
            )*

            fn __enter__(this: Py<Self>) -> Py<Self> {
                this
            }

            fn __exit__<'py>(
                &self,
                py: Python<'py>,
                _exc_type: &Bound<'py, PyAny>,
                _exc_value: &Bound<'py, PyAny>,
                _traceback: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                wait(py, operations::close(self.0.clone()))
            }
        }

        #[pymethods]
        impl AsyncMemorySystem {
            $(#[$($open_attribute)*])*
            #[staticmethod]
            fn open<'py>(
                py: Python<'py>,
                $($part: $part_type),*
            ) -> PyResult<Bound<'py, PyAny>> {
                static OPENING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
                let start = start_function(py, open(builder($($part),*), Self))?;
                OPENING.import(py, "memory._asyncio", "Opening")?.call1((start,))
            }

            $(
                $(#[$($quick_attribute)*])*
                fn $quick(&self, $($quick_argument: $quick_type)?) -> PyResult<$quick_result> {
                    check_process().map(|()| operations::$quick(&self.0, $($quick_argument)?))
                }
            )*

            $(
                $(#[$($attribute)*])*
                fn $name<'py>(
                    &self,
                    py: Python<'py>,
                    $($(#[$($argument_attribute)*])* $argument: $type),*
                ) -> PyResult<Bound<'py, PyAny>> {
                    coroutine(py, operations::$operation(self.0.clone(), $($value),*))
                }
            )*

            fn __aenter__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                let system = this.clone().unbind();
                coroutine(this.py(), async move { Ok(system) })
            }

            fn __aexit__<'py>(
                &self,
                py: Python<'py>,
                _exc_type: &Bound<'py, PyAny>,
                _exc_value: &Bound<'py, PyAny>,
                _traceback: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                coroutine(py, operations::close(self.0.clone()))
            }
        }
    };
}

systems! {
    /// Opens a database.
    #[pyo3(signature = (url=None, *, config=None, model=None, precision=None, previous_model=None, settings_file=None, settings_from_env=false, replicas=None, shared_cache_url=None, shared_cache_budget=None, language_model=None))]
    fn open(
        url: Option<String>,
        config: Option<MemoryConfig>,
        model: Option<String>,
        precision: Option<Named<Precision>>,
        previous_model: Option<String>,
        settings_file: Option<PathBuf>,
        settings_from_env: bool,
        replicas: Option<Labels>,
        shared_cache_url: Option<String>,
        shared_cache_budget: Option<Duration>,
        language_model: Option<Py<PyAny>>,
    );

    at_once {
        /// Counters of the three tiers since the system was opened.
        fn cache_stats() -> CacheStats;

        /// Empties all three tiers. Never needed for correctness.
        fn clear_all_caches() -> ();

        /// Removes one memory from the memory tier.
        fn invalidate_memory_cache(id: Id) -> ();

        /// Removes an entity's snapshot from the entity tier.
        fn invalidate_entity_cache(entity: &str) -> ();
    }

    operations {
        /// Retains one memory and returns its id.
        #[pyo3(signature = (entity, kind, content, *, id=None, timestamp=None, importance=None, context=None, metadata=None, related=None, entities=None, tags=None, embedding=None))]
        fn retain(
            entity: &str,
            kind: Named<MemoryKind>,
            content: String,
            id: Option<Id>,
            timestamp: Option<Time>,
            importance: Option<f32>,
            context: Option<String>,
            metadata: Option<BTreeMap<String, String>>,
            related: Option<BTreeMap<Id, String>>,
            entities: Option<BTreeMap<String, String>>,
            tags: Option<Labels>,
            embedding: Option<Vec<f32>>,
        ) => retain(MemoryBatchItem::new(
            entity, kind, content, id, timestamp, importance, context, metadata, related, entities,
            tags, embedding,
        ));

        /// Retains a batch, all or nothing, and returns the ids in order.
        fn retain_batch(items: Vec<MemoryBatchItem>) => retain_batch(items);

        /// Embeds texts as they would be retained, without retaining them.
        fn generate_embeddings_batch(texts: Labels) => generate_embeddings_batch(texts.0);

        /// Recalls the memories that matter to a text, best first.
        #[pyo3(signature = (entity, text, *, filter=None, limit=10, min_similarity=None, min_relevance=None, ranking=None, as_of=None, rerank=true, vector=None))]
        fn recall(
            entity: String,
            text: String,
            filter: Option<MemoryFilter>,
            #[pyo3(from_py_with = count)]
            limit: usize,
            min_similarity: Option<f32>,
            min_relevance: Option<f32>,
            ranking: Option<Named<Ranking>>,
            as_of: Option<Time>,
            rerank: bool,
            vector: Option<Vec<f32>>,
        ) => recall(entity, recall_request(
            text, filter, limit, min_similarity, min_relevance, ranking, as_of, rerank, vector,
        ));

        /// As `recall`, and counts what could not be compared or was left out.
        #[pyo3(signature = (entity, text, *, filter=None, limit=10, min_similarity=None, min_relevance=None, ranking=None, as_of=None, rerank=true, vector=None))]
        fn recall_report(
            entity: String,
            text: String,
            filter: Option<MemoryFilter>,
            #[pyo3(from_py_with = count)]
            limit: usize,
            min_similarity: Option<f32>,
            min_relevance: Option<f32>,
            ranking: Option<Named<Ranking>>,
            as_of: Option<Time>,
            rerank: bool,
            vector: Option<Vec<f32>>,
        ) => recall_report(entity, recall_request(
            text, filter, limit, min_similarity, min_relevance, ranking, as_of, rerank, vector,
        ));

        /// Answers a question from what the entity remembers.
        #[pyo3(signature = (entity, text, *, max_context_chars=12_000, filter=None, limit=10, min_similarity=None, min_relevance=None, ranking=None, as_of=None, rerank=true, vector=None))]
        fn reflect(
            entity: String,
            text: String,
            #[pyo3(from_py_with = count)]
            max_context_chars: usize,
            filter: Option<MemoryFilter>,
            #[pyo3(from_py_with = count)]
            limit: usize,
            min_similarity: Option<f32>,
            min_relevance: Option<f32>,
            ranking: Option<Named<Ranking>>,
            as_of: Option<Time>,
            rerank: bool,
            vector: Option<Vec<f32>>,
        ) => reflect(entity, ReflectRequest::new(recall_request(
            text, filter, limit, min_similarity, min_relevance, ranking, as_of, rerank, vector,
        )).max_context_chars(max_context_chars));

        /// Reads one memory.
        fn get_memory(entity: String, id: Id) => get_memory(entity, id);

        /// Reads memories; `None` where the entity has no such memory.
        fn get_memories(entity: String, ids: Vec<Id>) => get_memories(entity, from_ids(ids));

        /// Reads a page of memories, newest first.
        #[pyo3(signature = (entity, *, limit=20, filter=None, scope=Scope::default(), after=None, as_of=None))]
        fn list_memories(
            entity: String,
            #[pyo3(from_py_with = count)]
            limit: usize,
            filter: Option<MemoryFilter>,
            scope: Scope,
            after: Option<PageCursor>,
            as_of: Option<Time>,
        ) => list_memories(entity, list_request(limit, filter, scope, after), as_of);

        /// Counts the live memories that match a filter.
        #[pyo3(signature = (entity, filter=None))]
        fn count_memories(entity: String, filter: Option<MemoryFilter>) =>
            count_memories(entity, or_everything(filter));

        /// Changes one memory and returns it as it is afterward.
        #[pyo3(signature = (entity, id, *, content=None, kind=None, timestamp=None, importance=None, context=ContextChange::Keep, metadata=None, related=None, relate=None, unrelate=None, entities=None, tags=None))]
        fn alter_memory(
            entity: String,
            id: Id,
            content: Option<String>,
            kind: Option<Named<MemoryKind>>,
            timestamp: Option<Time>,
            importance: Option<f32>,
            context: ContextChange,
            metadata: Option<BTreeMap<String, String>>,
            related: Option<BTreeMap<Id, String>>,
            relate: Option<BTreeMap<Id, String>>,
            unrelate: Option<Vec<Id>>,
            entities: Option<BTreeMap<String, String>>,
            tags: Option<Labels>,
        ) => alter_memory(entity, id, patch(
            content, kind, timestamp, importance, context, metadata, related, relate, unrelate,
            entities, tags,
        ));

        /// Removes one memory permanently; the sources of a summary are live again. Returns
        /// the ids of what was removed: with an archived memory, every summary above it.
        fn delete_memory(entity: String, id: Id) => delete_memory(entity, id);

        /// Forgets a memory, leaving nothing of it, and returns the ids of what was removed.
        fn forget(entity: String, id: Id) => forget(entity, id);

        /// Links one memory to another of the same entity.
        #[pyo3(signature = (entity, from_id, to_id, relation))]
        fn relate(entity: String, from_id: Id, to_id: Id, relation: String) =>
            relate(entity, from_id, to_id, relation);

        /// Removes the link from one memory to another, if there is one.
        #[pyo3(signature = (entity, from_id, to_id))]
        fn unrelate(entity: String, from_id: Id, to_id: Id) => unrelate(entity, from_id, to_id);

        /// The memories that a memory links to, then the live ones that link to it,
        /// newest first, at most 1,000 of these.
        fn related(entity: String, id: Id) => related(entity, id);

        /// Replaces each group of memories that say the same thing by one summary.
        #[pyo3(signature = (entity, *, filter=None, min_similarity=None, min_sources=2))]
        fn consolidate(
            entity: String,
            filter: Option<MemoryFilter>,
            min_similarity: Option<f32>,
            #[pyo3(from_py_with = count)]
            min_sources: usize,
        ) => consolidate(entity, consolidate_request(filter, min_similarity, min_sources));

        /// Consolidates if enough is new since the last time; `None` otherwise.
        fn auto_consolidate_if_needed(entity: String) => auto_consolidate_if_needed(entity);

        /// Removes a summary, makes its sources live again, and returns their ids.
        fn undo_consolidation(entity: String, summary: Id) => undo_consolidation(entity, summary);

        /// Removes faded memories while more than `min_keep` are live, and returns the ids of
        /// what was removed.
        fn prune_low_importance_memories(
            entity: String,
            #[pyo3(from_py_with = stored_count)]
            min_keep: u64,
        ) => prune_low_importance_memories(entity, min_keep);

        /// Embeds memories that lack vectors of the model.
        #[pyo3(signature = (entity, *, all=false, dry_run=false, keep_others=false, max_per_second=None))]
        fn reembed(
            entity: String,
            all: bool,
            dry_run: bool,
            keep_others: bool,
            #[pyo3(from_py_with = optional_rate)]
            max_per_second: Option<NonZeroU32>,
        ) => reembed(entity, reembed_request(all, dry_run, keep_others, max_per_second));

        /// Retains complete memories, as another system returned them, and returns their ids.
        fn restore_memories(memories: Vec<Memory>) => restore_memories(memories);

        /// Restores a summary above its live sources; says whether it was missing.
        fn restore_summary(summary: Memory, sources: Vec<Id>) =>
            restore_summary(summary, from_ids(sources));

        /// How often the entity was written to, and how many memories it has.
        fn entity_stats(entity: String) => entity_stats(entity);

        /// How often the entity was written to.
        fn entity_generation(entity: String) => entity_generation(entity);

        /// How many memories have vectors of each model.
        fn count_by_model(entity: String) => count_by_model(entity);

        /// Entities that have memories, in the order of their names, after `after`.
        #[pyo3(signature = (*, after=None, limit=100))]
        fn list_entities(
            after: Option<String>,
            #[pyo3(from_py_with = count)]
            limit: usize,
        ) => list_entities(after, limit);

        /// Embeds one word with a real call of the model, to check that it works.
        fn check_embedder() => check_embedder();

        /// Copies the whole database to a new file, while it is in use.
        #[pyo3(signature = (target, *, overwrite=false))]
        fn backup(target: PathBuf, overwrite: bool) => backup(target, overwrite);

        /// Finishes work in progress, flushes pending access counts and closes the store.
        fn close() => close();
    }
}
