//! The options that choose memories, shared by recall and list.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use memory::{MemoryFilter, MemoryKind, MemoryTagMode};

use crate::exit::Failure;
use crate::time;

/// Conditions, all of which a memory must meet.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Of this kind (may be given again): world, experience, opinion or observation
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<MemoryKind>,

    /// With this tag (may be given again)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// How tags are held against each other: any and all let untagged memories
    /// through, any-strict and all-strict do not
    #[arg(long, value_name = "MODE", default_value_t)]
    tag_mode: MemoryTagMode,

    /// Happened at this RFC 3339 time or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<DateTime<Utc>>,

    /// Happened before this RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<DateTime<Utc>>,

    /// With exactly this metadata (may be given again)
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,

    /// In which this entity takes part
    #[arg(long, value_name = "NAME")]
    involves: Option<String>,
}

impl Filters {
    pub(crate) fn into_filter(self) -> Result<MemoryFilter, Failure> {
        Ok(MemoryFilter {
            kinds: self.kinds.into_iter().collect(),
            tags: self.tags.into_iter().collect(),
            tag_mode: self.tag_mode,
            since: self.from,
            until: self.until,
            metadata: unique("--meta", self.metadata)?,
            involves: self.involves.map(Into::into),
            relates_to: None,
        })
    }
}

/// Reads `KEY=VALUE`; the value may hold further equals signs.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "there is no = in it".to_owned())
}

/// A map of pairs, unless a key stands twice: to keep one of the two values
/// would lose the other without a word.
pub(crate) fn unique<K: Ord>(
    option: &str,
    pairs: Vec<(K, String)>,
) -> Result<BTreeMap<K, String>, Failure> {
    let given = pairs.len();
    let map: BTreeMap<K, String> = pairs.into_iter().collect();
    if map.len() < given {
        return Err(Failure::usage(format!("{option} names the same key twice")));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_divides() {
        let owned = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(pair("place=mill"), owned("place", "mill"));
        assert_eq!(pair("sum=1+1=2"), owned("sum", "1+1=2"));
        assert_eq!(pair("empty="), owned("empty", ""));
        assert!(pair("nothing").is_err());
    }

    #[test]
    fn no_value_is_lost_without_a_word() {
        let pairs = |second: &'static str| vec![("k", "a".to_owned()), (second, "b".to_owned())];
        assert_eq!(unique("--meta", pairs("l")).unwrap().len(), 2);
        assert_eq!(unique("--meta", pairs("k")).unwrap_err().code(), 2);
    }
}
