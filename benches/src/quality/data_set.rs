//! A file of conversations with a name, and the names of its categories.

use std::error::Error;
use std::path::Path;

use crate::locomo::{self, Conversation};

/// Conversations of one origin.
#[derive(Debug)]
pub struct DataSet {
    /// Its name in reports.
    pub name: String,
    /// The scored categories with their names, in the order of the reports.
    pub categories: Vec<(u8, String)>,
    /// Its conversations.
    pub conversations: Vec<Conversation>,
}

/// The start of the file's name, the name of the data set, and its categories.
type Known = (&'static str, &'static str, &'static [(u8, &'static str)]);

const KNOWN: [Known; 3] = [
    (
        "locomo",
        "LoCoMo",
        &[
            (4, "single-hop"),
            (1, "multi-hop"),
            (2, "temporal"),
            (3, "open domain"),
        ],
    ),
    (
        "beam",
        "BEAM",
        &[
            (4, "extraction"),
            (2, "temporal, update, contradiction"),
            (3, "preference, instruction"),
            (1, "other"),
        ],
    ),
    (
        "memsim",
        "MemDaily",
        &[(4, "one memory"), (1, "several memories")],
    ),
];

impl DataSet {
    /// Reads a file in the LoCoMo format. Files whose name starts with that of a
    /// known data set get its name and those of its categories.
    ///
    /// # Errors
    /// When the file cannot be read or is not of this format.
    pub fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let conversations = locomo::read(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let known = KNOWN.iter().find(|(start, ..)| stem.starts_with(start));
        let (name, categories) = match known {
            Some((_, name, categories)) => {
                let categories = categories
                    .iter()
                    .map(|&(code, name)| (code, name.to_owned()));
                ((*name).to_owned(), categories.collect())
            }
            None => (stem.into_owned(), numbered_categories(&conversations)),
        };
        Ok(Self {
            name,
            categories,
            conversations,
        })
    }
}

fn numbered_categories(conversations: &[Conversation]) -> Vec<(u8, String)> {
    let questions = conversations.iter().flat_map(|one| &one.questions);
    let mut codes: Vec<u8> = questions.map(|question| question.category).collect();
    codes.sort_unstable();
    codes.dedup();
    let categories = codes
        .into_iter()
        .map(|code| (code, format!("category {code}")));
    categories.collect()
}
