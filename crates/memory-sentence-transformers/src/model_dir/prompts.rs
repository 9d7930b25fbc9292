//! The prompts that a model expects before texts.

use std::collections::BTreeMap;
use std::path::Path;

use memory_core::{EmbedRole, MemoryResult};
use serde::Deserialize;

use super::read_json_or_default;
use crate::options::ModelOptions;

/// The prompt of each role; empty for most models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    query: String,
    passage: String,
}

/// The used fields of `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

impl Prompts {
    /// Reads the directory's prompts. Prompts in the options take precedence.
    ///
    /// Models call the prompt for stored texts `passage` or `document`. A role
    /// without a prompt of its own gets the default prompt, if there is one, as
    /// in sentence-transformers.
    pub(super) fn read(folder: &Path, options: &ModelOptions) -> MemoryResult<Self> {
        let file = folder.join("config_sentence_transformers.json");
        let raw: Raw = read_json_or_default(&file)?;
        let prompt = |role, names: &[&str]| {
            let own = names.iter().copied();
            let named = own.chain(raw.default_prompt_name.as_deref());
            let found = named.filter_map(|name| raw.prompts.get(name)?.as_deref());
            let set = options.prefix_of(role);
            set.into_iter()
                .chain(found)
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            query: prompt(EmbedRole::Query, &["query"]),
            passage: prompt(EmbedRole::Passage, &["passage", "document"]),
        })
    }

    /// The prompt prepended to each text of a role.
    #[must_use]
    pub fn of(&self, role: EmbedRole) -> &str {
        match role {
            EmbedRole::Query => &self.query,
            EmbedRole::Passage => &self.passage,
        }
    }
}
