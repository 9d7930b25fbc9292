//! Entities and memories as resources.

use memory::{EntityId, ErrorKind, ListRequest, Memory, MemoryError, MemoryId, ReflectRequest};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, Resource, ResourceContents, ResourceTemplate};

use super::McpServer;
use super::answers::{self, Entry, Fitted, MemoriesAnswer};
use super::refusal::Refusal;
use crate::entity_names;
use crate::tokens::{Access, TokenScope};

/// The start of every URI; the percent-encoded name of the entity follows.
const PREFIX: &str = "memory://entities/";

/// Between the entity and the id of a memory.
const MEMORIES: &str = "/memories/";

const JSON: &str = "application/json";

/// Entities, and memories, per page.
const PAGE: usize = 100;

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    entity: EntityId,
    /// One memory, or the newest ones.
    memory: Option<MemoryId>,
}

impl Target {
    fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix(PREFIX)?;
        let (entity, memory) = match rest.split_once(MEMORIES) {
            Some((entity, id)) => (entity, Some(id.parse().ok()?)),
            None => (rest, None),
        };
        if entity.contains('/') {
            return None;
        }
        let entity = percent_decode_str(entity).decode_utf8().ok()?;
        let entity = EntityId::from(entity.as_ref());
        entity.validate().ok()?;
        Some(Self { entity, memory })
    }
}

fn uri(entity: &EntityId) -> String {
    let name = utf8_percent_encode(entity.as_str(), NON_ALPHANUMERIC);
    format!("{PREFIX}{name}")
}

/// The URIs that can be read.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let newest = ResourceTemplate::new(format!("{PREFIX}{{entity}}"), "entity")
        .with_title("Memories of an entity")
        .with_description("The newest memories of an entity, as JSON")
        .with_mime_type(JSON);
    let one = ResourceTemplate::new(format!("{PREFIX}{{entity}}{MEMORIES}{{id}}"), "memory")
        .with_title("A memory")
        .with_description("One memory, as JSON")
        .with_mime_type(JSON);
    vec![newest, one]
}

/// A page of the entities that the server serves and the token covers; the cursor is
/// the last entity's name.
pub(super) async fn list(
    server: &McpServer,
    scope: &TokenScope,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let (entities, next) = match &server.entity {
        Some(only) if scope.allows(only.as_str(), Access::Read) => (vec![only.clone()], None),
        Some(_) => (Vec::new(), None),
        None => {
            let after = cursor.map(EntityId::from);
            entity_names::list(&server.memory, &scope.entities, after, PAGE)
                .await
                .map_err(|error| to_error(&error))?
        }
    };
    let resources = entities.iter().map(|entity| {
        Resource::new(uri(entity), entity.as_str())
            .with_description("The newest memories of this entity, as JSON")
            .with_mime_type(JSON)
    });
    let mut page = ListResourcesResult::with_all_items(resources.collect());
    page.next_cursor = next.map(|entity| entity.as_str().to_owned());
    Ok(page)
}

/// Reads what a URI names, in at most 12,000 characters.
pub(super) async fn read(
    server: &McpServer,
    scope: &TokenScope,
    uri: &str,
) -> Result<ResourceContents, ErrorData> {
    let is_served = |target: &Target| {
        server
            .entity
            .as_ref()
            .is_none_or(|only| *only == target.entity)
            && scope.allows(target.entity.as_str(), Access::Read)
    };
    // The same answer for entities that may not be read and for URIs of nothing.
    let target = Target::parse(uri).filter(is_served).ok_or_else(|| {
        ErrorData::resource_not_found("no such resource; resources/list has the URIs", None)
    })?;
    let answer = match target.memory {
        Some(id) => {
            let memory = server.memory.get_memory(&target.entity, id).await;
            let memory = memory.map_err(|error| to_error(&error))?;
            quote(std::slice::from_ref(&*memory), false)
        }
        None => {
            let request = ListRequest::new(PAGE);
            let page = server.memory.list_memories(&target.entity, &request).await;
            let page = page.map_err(|error| to_error(&error))?;
            quote(&page.memories, page.next.is_some())
        }
    };
    let text = answer.map_err(|Refusal(why)| ErrorData::internal_error(why, None))?;
    Ok(ResourceContents::text(text, uri).with_mime_type(JSON))
}

/// Quotes memories, and says where not all fit, or where there are further ones.
fn quote(memories: &[Memory], has_more: bool) -> Result<String, Refusal> {
    let mut fitted = Fitted::new(ReflectRequest::DEFAULT_CONTEXT_CHARS)?;
    fitted.add_memories(memories.iter().map(Entry::from))?;
    let omitted = memories.len() - fitted.len();
    Ok(serde_json::to_string(&MemoriesAnswer {
        memories: fitted.into_entries(),
        omitted,
        note: (has_more || omitted > 0).then_some(answers::OMITTED_OF_RESOURCE),
        ..MemoriesAnswer::default()
    })?)
}

fn to_error(error: &MemoryError) -> ErrorData {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => ErrorData::resource_not_found(text, None),
        ErrorKind::InvalidInput => ErrorData::invalid_params(text, None),
        _ => ErrorData::internal_error(text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_any_name_parse_back() {
        for name in [
            "mira",
            "npc 7",
            "a/b",
            "a/memories/b",
            "%2F",
            "ü",
            "?#",
            ".",
        ] {
            let entity = EntityId::from(name);
            let newest = uri(&entity);
            let parsed = Target::parse(&newest).unwrap();
            assert_eq!((parsed.entity, parsed.memory), (entity.clone(), None));
            let id = MemoryId::new();
            let parsed = Target::parse(&format!("{newest}/memories/{id}")).unwrap();
            assert_eq!((parsed.entity, parsed.memory), (entity, Some(id)));
        }
    }

    #[test]
    fn other_uris_name_nothing() {
        for bad in [
            "",
            "memory://entities/",
            "memory://entities/a/b",
            "memory://entities/a/memories/x",
            "memory://entities/%FF",
            "file:///etc/passwd",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }
}
