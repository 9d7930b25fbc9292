//! What a model wants put before a text.

use std::collections::BTreeMap;
use std::path::Path;

use memory_core::{EmbedRole, MemoryResult};
use serde::Deserialize;

use super::read_json_if_there;
use crate::options::FolderOptions;

/// The prefix of each role; mostly empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    query: String,
    passage: String,
}

/// `config_sentence_transformers.json`, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

impl Prompts {
    /// Reads the folder's prompts; those set in the options win.
    ///
    /// Models name the prompt for kept texts `passage` or `document`. A role
    /// without a prompt of its own takes the default prompt, if there is one,
    /// as sentence-transformers does for every text.
    pub(super) fn read(folder: &Path, options: &FolderOptions) -> MemoryResult<Self> {
        let file = folder.join("config_sentence_transformers.json");
        let raw: Raw = read_json_if_there(&file)?;
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

    /// What is put before each text of a role.
    #[must_use]
    pub fn of(&self, role: EmbedRole) -> &str {
        match role {
            EmbedRole::Query => &self.query,
            EmbedRole::Passage => &self.passage,
        }
    }
}
