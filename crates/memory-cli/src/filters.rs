//! Filter options of recall, reflect and list.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use clap::Args;
use memory::{Excerpt, MemoryFilter, MemoryId, MemoryKind, MemoryTagMode};

use crate::exit::Failure;
use memory_json::time;

/// Conditions that a memory must meet, all of them.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Only this kind: world, experience, opinion or observation (repeatable)
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<MemoryKind>,

    /// Only memories with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// How tags match: any or all of them; any-strict and all-strict exclude
    /// untagged memories
    #[arg(long, value_name = "MODE", default_value_t)]
    tag_mode: MemoryTagMode,

    /// Only memories from this RFC 3339 time on
    #[arg(long, alias = "from", value_name = "TIME", value_parser = time::parse_exact)]
    since: Option<DateTime<Utc>>,

    /// Only memories before this RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = time::parse_exact)]
    until: Option<DateTime<Utc>>,

    /// Only memories with this metadata entry (repeatable)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,

    /// Only memories in which this entity participates
    #[arg(long, value_name = "NAME")]
    involves: Option<String>,

    /// Only memories that link to the memory with this id
    #[arg(long, value_name = "UUID")]
    relates_to: Option<MemoryId>,
}

impl Filters {
    pub(crate) fn into_filter(self) -> Result<MemoryFilter, Failure> {
        Ok(MemoryFilter {
            kinds: self.kinds.into_iter().collect(),
            tags: self.tags.into_iter().collect(),
            tag_mode: self.tag_mode,
            since: self.since,
            until: self.until,
            metadata: into_unique_map("--meta", self.metadata)?,
            involves: self.involves.map(Into::into),
            relates_to: self.relates_to,
        })
    }
}

/// Parses `KEY=VALUE`; the value may contain further equals signs.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE, but there is no '='".to_owned())
}

/// Collects pairs into a map. A repeated key is refused, because keeping one of
/// the two values would silently lose the other.
pub(crate) fn into_unique_map<K: Ord + Display>(
    option: &str,
    pairs: Vec<(K, String)>,
) -> Result<BTreeMap<K, String>, Failure> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        match map.entry(key) {
            Entry::Vacant(entry) => entry.insert(value),
            Entry::Occupied(entry) => {
                let key = Excerpt::from(entry.key().to_string().as_str());
                return Err(Failure::usage(format!(
                    "{option} is given twice with the key {key}; give each key once"
                )));
            }
        };
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_equals_sign_separates_key_and_value() {
        let owned = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(parse_pair("place=mill"), owned("place", "mill"));
        assert_eq!(parse_pair("sum=1+1=2"), owned("sum", "1+1=2"));
        assert_eq!(parse_pair("empty="), owned("empty", ""));
        assert!(parse_pair("nothing").is_err());
    }

    #[test]
    fn repeated_keys_are_refused() {
        let pairs = |second: &'static str| vec![("k", "a".to_owned()), (second, "b".to_owned())];
        assert_eq!(into_unique_map("--meta", pairs("l")).unwrap().len(), 2);
        assert_eq!(into_unique_map("--meta", pairs("k")).unwrap_err().code(), 2);
    }
}
