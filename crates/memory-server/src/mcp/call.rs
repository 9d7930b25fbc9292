//! One call of a tool: reads its arguments, performs the operation, answers.

use memory::{
    ConsolidateRequest, EntityId, EntityStats, LinkDirection, ListRequest, MemoryBatchItem,
    MemoryError, MemoryId, MemoryKind, MemoryPatch, MemorySystem, PageCursor, ReflectRequest,
};
use memory_json::{Metadata, Roles, count_omitted_links, format_cursor, parse_cursor};
use rmcp::model::{JsonObject, Tool};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answers::{self, Entry, Fitted, MemoriesAnswer, ReflectAnswer, is_zero};
use super::arguments::{Consolidate, Forget, Get, List, Recall, Relate, Retain, Stats, Update};
use super::refusal::Refusal;
use super::tools::{ENTITY, Operation};

/// A call whose entity is known.
pub(super) struct Call<'a> {
    pub(super) memory: &'a MemorySystem,
    pub(super) entity: EntityId,
    /// Whether the server serves no other entity, so that calls do not name it.
    pub(super) is_only_entity: bool,
    pub(super) tool: &'a Tool,
    /// Without the one that names the entity.
    pub(super) arguments: JsonObject,
}

/// The id of what was written.
#[derive(Serialize)]
struct Written {
    id: MemoryId,
}

/// A memory and its links.
#[derive(Serialize)]
struct GetAnswer {
    memory: Option<Box<RawValue>>,
    /// Links in both directions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Box<RawValue>>,
    /// How many more links there are: those that did not fit, and those of live memories to
    /// it beyond 1,000.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// What is said of links that are not included, of which raising `max_chars` shows no more.
const MORE_LINKS: &str = "More memories link to it: list them with relates_to.";

#[derive(Serialize)]
struct Link<'a> {
    direction: LinkDirection,
    relation: &'a str,
    id: MemoryId,
}

#[derive(Serialize)]
struct ForgetAnswer {
    /// The ids of the memory and of the summaries made from it.
    forgotten: Vec<Box<RawValue>>,
    /// How many more were removed, whose ids did not fit.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

impl ForgetAnswer {
    /// The memory that the caller named is first.
    fn new(
        id: MemoryId,
        mut forgotten: Vec<MemoryId>,
        mut fitted: Fitted,
    ) -> Result<Self, Refusal> {
        forgotten.sort_unstable_by_key(|it| (*it != id, *it));
        fitted.add_values(&forgotten)?;
        Ok(Self {
            omitted: forgotten.len() - fitted.len(),
            forgotten: fitted.into_entries(),
        })
    }
}

#[derive(Serialize)]
struct ConsolidateAnswer {
    /// How many groups were summarized.
    summarized: usize,
    summaries: Vec<Box<RawValue>>,
    /// How many groups were left as they are.
    skipped: usize,
}

#[derive(Serialize)]
struct StatsAnswer {
    memories: u64,
    archived: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl Call<'_> {
    /// Performs the operation and returns its answer as JSON.
    pub(super) async fn run(self, operation: Operation) -> Result<String, Refusal> {
        match operation {
            Operation::Retain => self.retain().await,
            Operation::Recall => self.recall().await,
            Operation::Reflect => self.reflect().await,
            Operation::Get => self.get().await,
            Operation::List => self.list().await,
            Operation::Update => self.update().await,
            Operation::Forget => self.forget().await,
            Operation::Relate => self.relate().await,
            Operation::Consolidate => self.consolidate().await,
            Operation::Stats => self.stats().await,
        }
    }

    async fn retain(self) -> Result<String, Refusal> {
        let given: Retain = self.parse()?;
        let kind = given.kind.map_or(MemoryKind::Experience, Into::into);
        let mut item = MemoryBatchItem::new(self.entity, kind, given.content);
        item.id = given.id;
        item.timestamp = given.timestamp;
        item.importance = given.importance;
        item.context = given.context;
        item.tags = given.tags;
        item.metadata = given.metadata;
        item.entities = given.entities;
        item.related = given.related;
        item.validate()?;
        let ids = self.memory.retain_batch([item]).await;
        let ids = ids.map_err(MemoryError::without_item)?;
        let id = ids.into_iter().next();
        let id = id.ok_or_else(|| Refusal::new("Nothing was stored; call again."))?;
        json(&Written { id })
    }

    async fn recall(self) -> Result<String, Refusal> {
        let recall: Recall = self.parse()?;
        let max_chars = check_max_chars(recall.max_chars)?;
        let request = recall.into_request();
        let report = self.memory.recall_report(&self.entity, &request).await?;
        let note = self.note_if_none(report.hits.is_empty()).await;
        json(&answers::recalled(&report.hits, 0, max_chars, note)?)
    }

    async fn reflect(self) -> Result<String, Refusal> {
        let recall: Recall = self.parse()?;
        let max_chars = check_max_chars(recall.max_chars)?;
        let request = ReflectRequest::new(recall.into_request()).max_context_chars(max_chars);
        let reflection = self.memory.reflect(&self.entity, request).await?;
        match &reflection.answer {
            Some(answer) => json(&ReflectAnswer::new(answer, &reflection, max_chars)?),
            None => {
                let note = self.note_if_none(reflection.memories.is_empty()).await;
                let note = note.or(Some(answers::ANSWER_YOURSELF));
                let (hits, omitted) = (&reflection.memories, reflection.omitted);
                json(&answers::recalled(hits, omitted, max_chars, note)?)
            }
        }
    }

    async fn get(self) -> Result<String, Refusal> {
        let get: Get = self.parse()?;
        let mut fitted = Fitted::new(get.max_chars)?;
        let memory = self.memory.get_memory(&self.entity, get.id).await?;
        let related = self.memory.related(&self.entity, get.id).await?;
        fitted.add_memories(std::iter::once(Entry::from(&*memory)))?;
        let (memory, mut links) = fitted.split();
        links.add_values(related.iter().map(|link| Link {
            direction: link.direction,
            relation: &link.relation,
            id: link.memory.id,
        }))?;
        let counted = count_omitted_links(self.memory, &self.entity, get.id, &related).await?;
        let unlisted = usize::try_from(counted).unwrap_or(usize::MAX);
        let omitted = (related.len() - links.len()).saturating_add(unlisted);
        let note = match unlisted {
            0 => answers::note_omitted(omitted),
            _ => Some(MORE_LINKS),
        };
        json(&GetAnswer {
            memory: memory.into_iter().next(),
            related: links.into_entries(),
            omitted,
            note,
        })
    }

    async fn list(self) -> Result<String, Refusal> {
        let list: List = self.parse()?;
        let mut fitted = Fitted::new(list.max_chars)?;
        let mut request = ListRequest::new(list.limit).filter(list.filter.into());
        if let Some(after) = &list.after {
            let cursor = parse_cursor(after)
                .map_err(|_| Refusal::new("`after` must be `next` of an earlier answer."))?;
            request = request.after(cursor);
        }
        let page = self.memory.list_memories(&self.entity, &request).await?;
        fitted.add_memories(page.memories.iter().map(Entry::from))?;
        let last = fitted.len().checked_sub(1);
        let last = last.and_then(|at| page.memories.get(at));
        // Where not all fit, the next page begins after the last one that did.
        let next = match fitted.len() < page.memories.len() {
            true => last.map(PageCursor::from),
            false => page.next,
        };
        let is_none = page.memories.is_empty() && list.after.is_none();
        json(&MemoriesAnswer {
            memories: fitted.into_entries(),
            next: next.as_ref().map(format_cursor),
            note: self.note_if_none(is_none).await,
            ..MemoriesAnswer::default()
        })
    }

    async fn update(self) -> Result<String, Refusal> {
        let update: Update = self.parse()?;
        let id = update.id;
        let patch = MemoryPatch::from(update);
        if patch == MemoryPatch::new() {
            return Err(Refusal::new(
                "Nothing to change was given: name what is to change, such as `content`.",
            ));
        }
        self.memory.alter_memory(self.entity, id, patch).await?;
        json(&Written { id })
    }

    async fn forget(self) -> Result<String, Refusal> {
        let Forget { id, max_chars } = self.parse()?;
        // Before anything is removed.
        let fitted = Fitted::new(max_chars)?;
        let forgotten = self.memory.forget(self.entity, id).await?;
        json(&ForgetAnswer::new(id, forgotten, fitted)?)
    }

    async fn relate(self) -> Result<String, Refusal> {
        let Relate { from, to, relation } = self.parse()?;
        self.memory.relate(self.entity, from, to, relation).await?;
        json(&Written { id: from })
    }

    async fn consolidate(self) -> Result<String, Refusal> {
        let consolidate: Consolidate = self.parse()?;
        let mut fitted = Fitted::new(consolidate.max_chars)?;
        let request = ConsolidateRequest::from(consolidate);
        let report = self.memory.consolidate_with(self.entity, &request).await?;
        fitted.add_values(&report.summaries)?;
        json(&ConsolidateAnswer {
            summarized: report.summaries.len(),
            summaries: fitted.into_entries(),
            skipped: report.skipped.len(),
        })
    }

    async fn stats(self) -> Result<String, Refusal> {
        let Stats {} = self.parse()?;
        let stats = self.memory.entity_stats(&self.entity).await?;
        json(&StatsAnswer {
            memories: stats.memory_count,
            archived: stats.archived_count,
            note: is_empty(&stats).then(|| self.note_empty()),
        })
    }

    /// What to say where no memory was found.
    async fn note_if_none(&self, is_none: bool) -> Option<&'static str> {
        if !is_none {
            return None;
        }
        // What was found stands, also where this cannot be told.
        let stats = self.memory.entity_stats(&self.entity).await;
        Some(match stats.is_ok_and(|stats| is_empty(&stats)) {
            true => self.note_empty(),
            false => answers::NOTHING_FOUND,
        })
    }

    /// What to say of an entity without memories: a caller that named it may have
    /// misspelled it.
    fn note_empty(&self) -> &'static str {
        match self.is_only_entity {
            true => answers::NOTHING_STORED,
            false => answers::NO_MEMORIES,
        }
    }

    /// The arguments that the tool requires and the call lacks, quoted; empty if none.
    fn missing(&self) -> String {
        let required = self.tool.input_schema.get("required");
        let required = required.and_then(Value::as_array).into_iter().flatten();
        let missing = required
            .filter_map(Value::as_str)
            .filter(|&key| key != ENTITY && !self.arguments.contains_key(key));
        let missing: Vec<_> = missing.map(|key| format!("`{key}`")).collect();
        missing.join(" and ")
    }

    /// The arguments, or which of them is wrong and what it must be.
    fn parse<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let properties = self.tool.input_schema.get("properties");
        let schema_of = |key: &str| properties.and_then(|properties| properties.get(key));
        let missing = self.missing();
        if let Some(unknown) = self.arguments.keys().find(|key| schema_of(key).is_none()) {
            let known = properties.and_then(Value::as_object).into_iter().flatten();
            let mut known: Vec<_> = known.map(|(key, _)| key.as_str()).collect();
            known.sort_unstable();
            let unknown: String = unknown.chars().take(60).collect();
            let advice = match missing.is_empty() {
                true => "Call again without it.".to_owned(),
                false => format!("It requires {missing}: call again with that in its place."),
            };
            return Err(Refusal::new(format!(
                "{} has no argument {unknown:?}; it has: {}. {advice}",
                self.tool.name,
                known.join(", ")
            )));
        }
        if !missing.is_empty() {
            let tool = &self.tool.name;
            return Err(Refusal::new(format!(
                "{tool} requires {missing}: call again with that."
            )));
        }
        let mut arguments = self.arguments.clone();
        read_text_maps(&mut arguments)?;
        if let Ok(arguments) = serde_json::from_value(Value::Object(arguments.clone())) {
            return Ok(arguments);
        }
        // serde does not say where; leaving one out tells.
        let is_wrong = |key: &&String| {
            let mut others = arguments.clone();
            others.remove(key.as_str());
            match serde_json::from_value::<T>(Value::Object(others)) {
                Ok(_) => true,
                Err(error) => error
                    .to_string()
                    .starts_with(&format!("missing field `{key}`")),
            }
        };
        Err(match arguments.keys().find(is_wrong) {
            Some(key) => {
                let schema = schema_of(key).map(Value::to_string).unwrap_or_default();
                Refusal::new(format!(
                    "`{key}` is not as its schema says: {schema}. Call again."
                ))
            }
            None => Refusal::new(
                "Several arguments are not as the schema of the tool says. Correct them and call \
                 again.",
            ),
        })
    }
}

impl Call<'_> {
    /// Takes the entity that a call names out of its arguments. `only` is the one that
    /// the server serves, if it serves one.
    pub(super) fn take_entity(
        arguments: &mut JsonObject,
        only: Option<&EntityId>,
    ) -> Result<EntityId, Refusal> {
        match (arguments.remove(ENTITY), only) {
            (None, Some(only)) => Ok(only.clone()),
            (Some(Value::String(named)), Some(only)) if named == only.as_str() => Ok(only.clone()),
            (Some(_), Some(_)) => Err(Refusal::new(
                "This server serves one entity: call again without `entity`.",
            )),
            (Some(Value::String(named)), None) => {
                let entity = EntityId::from(named);
                entity.validate()?;
                Ok(entity)
            }
            (_, None) => Err(Refusal::new(
                "`entity` is missing or not a string. Call again with the name of the user, agent \
                 or project whose memories are meant.",
            )),
        }
    }
}

/// Turns the values of objects into text, as those of bodies and of lines: their types cannot
/// do so within arguments that are flattened.
fn read_text_maps(arguments: &mut JsonObject) -> Result<(), Refusal> {
    for key in ["metadata", "entities", "related"] {
        let Some(value @ Value::Object(_)) = arguments.get(key).cloned() else {
            continue;
        };
        let texts = match key {
            "metadata" => serde_json::from_value(value).map(|Metadata(texts)| texts),
            _ => serde_json::from_value(value).map(|Roles(texts)| texts),
        };
        let texts =
            texts.map_err(|error| Refusal::new(format!("`{key}`: {error}. Call again.")))?;
        let texts = texts.into_iter().map(|(key, text)| (key, text.into()));
        arguments.insert(key.to_owned(), Value::Object(texts.collect()));
    }
    Ok(())
}

/// The length of an answer, if it is within the limits: before a question is asked.
fn check_max_chars(max_chars: usize) -> Result<usize, Refusal> {
    Fitted::new(max_chars).map(|_| max_chars)
}

/// Whether an entity has no memory, live or archived.
fn is_empty(stats: &EntityStats) -> bool {
    stats.memory_count == 0 && stats.archived_count == 0
}

fn json(answer: &impl Serialize) -> Result<String, Refusal> {
    Ok(serde_json::to_string(answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_maps_take_numbers_and_name_the_key_that_is_wrong() {
        let read = |arguments: Value| {
            let mut arguments = arguments.as_object().cloned().unwrap();
            read_text_maps(&mut arguments).map(|()| Value::Object(arguments))
        };
        let given = serde_json::json!({"metadata": {"n": 1, "yes": true, "t": "x"}, "limit": 5});
        let expected =
            serde_json::json!({"metadata": {"n": "1", "yes": "true", "t": "x"}, "limit": 5});
        assert_eq!(read(given).unwrap(), expected);
        for (given, says) in [
            (
                serde_json::json!({"metadata": {"n": null}}),
                "`metadata`: the value of \"n\" is null",
            ),
            (
                serde_json::json!({"entities": {"tam": 1}}),
                "`entities`: the value of \"tam\" is a number; it must be a string",
            ),
        ] {
            let Refusal(refusal) = read(given).unwrap_err();
            assert!(refusal.starts_with(says), "{refusal}");
        }
    }

    #[test]
    fn the_answer_of_forget_fits_and_begins_with_the_named_memory() {
        let ids: Vec<MemoryId> = (0..1_000u128)
            .map(|n| MemoryId::from(uuid::Uuid::from_u128(n)))
            .collect();
        let named = ids[500];
        for (max_chars, all) in [(500, false), (12_000, false), (100_000, true)] {
            let fitted = Fitted::new(max_chars).unwrap();
            let answer = ForgetAnswer::new(named, ids.clone(), fitted).unwrap();
            let text = json(&answer).unwrap();
            assert!(text.chars().count() <= max_chars, "{text}");
            assert!(
                text.starts_with(&format!(r#"{{"forgotten":["{named}""#)),
                "{text}"
            );
            assert_eq!(answer.forgotten.len() + answer.omitted, ids.len());
            assert_eq!(answer.omitted == 0, all, "{max_chars}");
        }
    }
}
