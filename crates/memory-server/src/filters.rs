//! The filters of bodies, and those and the pages of query strings.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use memory::{ListScope, MemoryFilter, MemoryId, MemoryKind, MemoryTagMode};
use memory_json::{Metadata, time};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Conditions that a memory must meet, all of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    /// One of these kinds: `world`, `experience`, `opinion`, `observation`.
    #[schema(value_type = Vec<String>)]
    kinds: BTreeSet<MemoryKind>,
    /// Tags.
    tags: BTreeSet<String>,
    /// How tags match: `any` or `all` of them, or `any-strict` and `all-strict`, which
    /// exclude untagged memories.
    #[schema(value_type = Option<String>)]
    tag_mode: MemoryTagMode,
    /// Happened at this RFC 3339 time or later.
    #[serde(deserialize_with = "time::deserialize")]
    since: Option<DateTime<Utc>>,
    /// Happened before this RFC 3339 time.
    #[serde(deserialize_with = "time::deserialize")]
    until: Option<DateTime<Utc>>,
    /// Every one of these keys has exactly this value. A number or a boolean is its text.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// This entity is a participant.
    involves: Option<String>,
    /// It links to this memory.
    #[schema(value_type = Option<String>)]
    relates_to: Option<MemoryId>,
}

impl From<Filter> for MemoryFilter {
    fn from(filter: Filter) -> Self {
        Self {
            kinds: filter.kinds,
            tags: filter.tags,
            tag_mode: filter.tag_mode,
            since: filter.since,
            until: filter.until,
            metadata: filter.metadata.0,
            involves: filter.involves.map(Into::into),
            relates_to: filter.relates_to,
        }
    }
}

/// A page of a list, in a query string.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The most memories of a page, 1 to 1,000.
    #[serde(default = "default_page")]
    #[param(default = 20, minimum = 1, maximum = 1000)]
    pub(crate) limit: usize,
    /// The cursor that the page before named as `next`.
    pub(crate) after: Option<String>,
    /// Only this kind; may be repeated.
    #[serde(default)]
    pub(crate) kind: Vec<String>,
    /// Only memories with this tag, or without tags; may be repeated.
    #[serde(default)]
    pub(crate) tag: Vec<String>,
    /// How tags match: `any` (the default) or `all` of them, or `any-strict` and
    /// `all-strict`, which exclude untagged memories.
    pub(crate) tag_mode: Option<String>,
    /// Happened at this RFC 3339 time or later.
    pub(crate) since: Option<String>,
    /// Happened before this RFC 3339 time.
    pub(crate) until: Option<String>,
    /// This entity is a participant.
    pub(crate) involves: Option<String>,
    /// A key and the value that it has, as `KEY=VALUE`, where the value may have further
    /// equals signs; may be repeated.
    #[serde(default)]
    pub(crate) metadata: Vec<String>,
    /// It links to the memory with this id.
    pub(crate) relates_to: Option<String>,
    /// What was live at this RFC 3339 time, whatever was consolidated since.
    pub(crate) as_of: Option<String>,
    /// Memories that a consolidation archived, in place of live ones.
    #[serde(default)]
    #[param(default = false)]
    pub(crate) archived: bool,
    /// Memories that the summary with this id replaced, in place of live ones.
    pub(crate) sources_of: Option<String>,
}

/// The memories of a page where a request does not say how many.
pub(crate) const fn default_page() -> usize {
    20
}

impl PageQuery {
    pub(crate) fn filter(&self) -> Result<MemoryFilter, Problem> {
        let kinds = self.kind.iter().map(|kind| kind.parse());
        let kinds: Result<_, _> = kinds.collect();
        Ok(MemoryFilter {
            kinds: kinds.map_err(|_| {
                Problem::invalid_input("`kind` must be world, experience, opinion or observation")
            })?,
            tags: self.tag.iter().cloned().collect(),
            tag_mode: match &self.tag_mode {
                Some(mode) => mode.parse()?,
                None => MemoryTagMode::default(),
            },
            since: parse_time("since", self.since.as_deref())?,
            until: parse_time("until", self.until.as_deref())?,
            metadata: self.metadata()?,
            involves: self.involves.clone().map(Into::into),
            relates_to: parse_id("relates_to", self.relates_to.as_deref())?,
        })
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Problem> {
        let mut metadata = BTreeMap::new();
        for pair in &self.metadata {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Problem::invalid_input(
                    "`metadata` must be KEY=VALUE; in a URL, %3D is an equals sign within it",
                )
            })?;
            if metadata.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Problem::invalid_input(
                    "`metadata` has the same key twice; a key has one value",
                ));
            }
        }
        Ok(metadata)
    }

    /// Live memories, or archived ones.
    pub(crate) fn scope(&self) -> Result<ListScope, Problem> {
        if self.as_of.is_some() && (self.archived || self.sources_of.is_some()) {
            return Err(Problem::invalid_input(
                "`as_of` lists what was live then; leave out `archived` and `sources_of`",
            ));
        }
        match parse_id("sources_of", self.sources_of.as_deref())? {
            Some(id) => Ok(ListScope::SourcesOf(id)),
            None if self.archived => Ok(ListScope::Archived),
            None => Ok(ListScope::Live),
        }
    }
}

/// Parses a time of the query string, as those of bodies are read.
pub(crate) fn parse_time(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    text.map(|text| {
        time::parse_exact(text).map_err(|why| {
            // A plus sign of a query string is a space.
            let hint = match time::parse_exact(&text.replace(' ', "+")) {
                Ok(_) => "; write the plus sign of an offset as %2B in a URL",
                Err(_) => "",
            };
            Problem::invalid_input(format!("`{name}`: {why}{hint}"))
        })
    })
    .transpose()
}

/// Parses an id of the query string.
fn parse_id(name: &str, text: Option<&str>) -> Result<Option<MemoryId>, Problem> {
    let parsed = text.map(|text| {
        text.parse()
            .map_err(|_| Problem::invalid_input(format!("`{name}` is not a UUID")))
    });
    parsed.transpose()
}
