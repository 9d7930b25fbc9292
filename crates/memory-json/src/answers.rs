//! What operations answer.

use memory::{
    EntityId, ExcludedHits, Explanation, LinkDirection, ListPage, Memory, MemoryFilter, MemoryId,
    MemoryResult, MemorySystem, Ranking, RecallHit, RecallReport, Reflection, RelatedMemory,
    limits,
};
use serde::Serialize;

use crate::cursor::format_cursor;
use crate::line::Line;
use crate::score_parts::ScoreParts;
use crate::time;

/// The answer of a recall: memories, best first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecallAnswer<'a> {
    /// The found memories, best first.
    pub memories: Vec<RecallEntry<'a>>,
    /// Memories that could not be compared by similarity: they have no vector of the
    /// model that compared.
    pub without_vectors: u64,
    /// Whether that was the previous model, as the entity is not completely embedded by
    /// the current one.
    pub by_previous_model: bool,
    /// Memories that were found and left out for their relevance.
    pub below_min_relevance: ExcludedAnswer,
}

/// Memories below the minimum of relevance.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExcludedAnswer {
    /// Their number.
    pub count: usize,
    /// The highest relevance among them, 0 to 1.
    pub max_relevance: Option<f32>,
}

/// A memory that a recall found.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecallEntry<'a> {
    /// What it is ordered by.
    pub score: f32,
    /// The estimated probability that it answers the query, 0 to 1.
    pub relevance: f32,
    /// The cosine similarity to the query, -1 to 1; `null` if it was found by words alone.
    pub similarity: Option<f32>,
    /// The memory.
    pub memory: Line<'a>,
    /// How the score came about, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub explanation: Option<&'a Explanation>,
    /// What each part of the ranking adds to the score, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<ScoreParts>,
}

impl<'a> RecallAnswer<'a> {
    /// The answer to a report, with the explanation of each score if `explain`.
    #[must_use]
    pub fn new(report: &'a RecallReport, explain: bool) -> Self {
        let memories = report.hits.iter().map(|hit| RecallEntry::new(hit, explain));
        Self {
            memories: memories.collect(),
            without_vectors: report.without_vectors,
            by_previous_model: report.by_previous_model,
            below_min_relevance: report.below_min_relevance.into(),
        }
    }

    /// Adds to every memory with an explanation what each part of `ranking`, the one
    /// that the recall used, adds to its score.
    #[must_use]
    pub fn with_parts(mut self, ranking: &Ranking) -> Self {
        for entry in &mut self.memories {
            entry.parts = entry.explanation.map(|it| ScoreParts::new(ranking, it));
        }
        self
    }
}

impl From<ExcludedHits> for ExcludedAnswer {
    fn from(excluded: ExcludedHits) -> Self {
        Self {
            count: excluded.count,
            max_relevance: excluded.max_relevance,
        }
    }
}

impl<'a> RecallEntry<'a> {
    fn new(hit: &'a RecallHit, explain: bool) -> Self {
        Self {
            score: hit.score,
            relevance: hit.relevance,
            similarity: hit.similarity,
            memory: Line::from(&*hit.memory),
            explanation: explain.then_some(&hit.explanation),
            parts: None,
        }
    }
}

/// The answer of a reflection: memories quoted as data for a prompt.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReflectAnswer<'a> {
    /// The memories as JSON lines, within the requested length.
    pub context: &'a str,
    /// What the language model answered, where the system has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a str>,
    /// The memories that the context quotes.
    pub memories: Vec<Line<'a>>,
    /// How many more memories match, which do not fit into the context.
    pub omitted: usize,
    /// Memories that could not be compared by similarity.
    pub without_vectors: u64,
    /// Whether the previous model compared.
    pub by_previous_model: bool,
}

impl<'a> From<&'a Reflection> for ReflectAnswer<'a> {
    fn from(reflection: &'a Reflection) -> Self {
        let memories = reflection.memories.iter();
        Self {
            context: &reflection.context,
            answer: reflection.answer.as_deref(),
            memories: memories.map(|one| Line::from(&*one.memory)).collect(),
            omitted: reflection.omitted,
            without_vectors: reflection.without_vectors,
            by_previous_model: reflection.by_previous_model,
        }
    }
}

/// A page of a list, newest first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListAnswer<'a> {
    /// The memories of the page.
    pub memories: Vec<ListEntry<'a>>,
    /// The cursor of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A memory as import reads it, with its access counts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListEntry<'a> {
    /// The memory.
    pub memory: Line<'a>,
    /// How often it was recalled or read.
    pub access_count: u64,
    /// When it was last recalled or read.
    pub last_accessed: Option<String>,
}

impl<'a> From<&'a ListPage> for ListAnswer<'a> {
    fn from(page: &'a ListPage) -> Self {
        Self {
            memories: page.memories.iter().map(ListEntry::from).collect(),
            next: page.next.as_ref().map(format_cursor),
        }
    }
}

impl<'a> From<&'a Memory> for ListEntry<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            memory: memory.into(),
            access_count: memory.access_count,
            last_accessed: memory.last_accessed.map(time::format_exact),
        }
    }
}

/// The links of a memory, in both directions.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelatedAnswer<'a> {
    /// One entry a link: those of the memory, then the newest 1,000 of live memories to it.
    pub related: Vec<RelatedEntry<'a>>,
    /// How many more live memories link to it: a list with `relates_to` has all of them.
    pub omitted: u64,
}

/// The number of live memories that link to a memory and are not in `related`, which are what
/// [`MemorySystem::related`] returned.
///
/// # Errors
/// Errors of the store.
pub async fn count_omitted_links(
    system: &MemorySystem,
    entity: &EntityId,
    id: MemoryId,
    related: &[RelatedMemory],
) -> MemoryResult<u64> {
    let incoming = related
        .iter()
        .filter(|link| link.direction == LinkDirection::Incoming)
        .count();
    if incoming < limits::MAX_LIMIT {
        return Ok(0);
    }
    let filter = MemoryFilter::new().relates_to(id);
    let count = system.count_memories(entity, filter).await?;
    Ok(count.saturating_sub(incoming as u64))
}

/// A link and the memory at its other end.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelatedEntry<'a> {
    /// `outgoing` for a link to the memory, `incoming` for one from it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub direction: LinkDirection,
    /// The relation, such as "caused by".
    pub relation: &'a str,
    /// The memory at the other end.
    pub memory: Line<'a>,
}

impl<'a> RelatedAnswer<'a> {
    /// The answer with these links, and the number of those that are
    /// [not among them](count_omitted_links).
    #[must_use]
    pub fn new(related: &'a [RelatedMemory], omitted: u64) -> Self {
        let entries = related.iter().map(|link| RelatedEntry {
            direction: link.direction,
            relation: &link.relation,
            memory: Line::from(&*link.memory),
        });
        Self {
            related: entries.collect(),
            omitted,
        }
    }
}

/// The answer of a forget.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForgetAnswer {
    /// The memory that was to be forgotten.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
    pub forgotten: MemoryId,
    /// Everything that was removed, this memory included.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub gone: Vec<MemoryId>,
}

/// The answer of a prune.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PruneAnswer {
    /// The removed memories.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub removed: Vec<MemoryId>,
}

/// The answer of an undone consolidation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UndoAnswer {
    /// The memories that are live again.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub restored: Vec<MemoryId>,
}
