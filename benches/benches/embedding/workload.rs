//! The workloads: which texts are embedded, and how many per call.

use std::error::Error;
use std::path::Path;

use memory_benches::locomo;
use memory_core::EmbedRole;
use memory_sentence_transformers::{ModelDir, ModelOptions, Tokenizer};

use super::engines::Engine;

/// One kind of call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// A text in the embedding tier, through the facade.
    Cached,
    /// One question of twelve tokens.
    Query,
    /// This many questions in one call.
    Short(usize),
    /// All turns of the conversations in one call.
    Turns,
}

/// Texts in input order, with their lengths.
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    /// Lengths in tokens, with special tokens, truncated to the maximum length.
    pub(crate) tokens: Vec<usize>,
    /// Texts per call.
    pub(crate) call: usize,
}

impl Workload {
    pub(crate) const ALL: [Self; 6] = [
        Self::Cached,
        Self::Query,
        Self::Short(10),
        Self::Short(50),
        Self::Short(100),
        Self::Turns,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached query",
            Self::Query => "query of 12 tokens",
            Self::Short(10) => "10 short",
            Self::Short(50) => "50 short",
            Self::Short(_) => "100 short",
            Self::Turns => "turns, mixed lengths",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
    }

    /// A cache hit does not depend on the engine: one engine is enough.
    pub(crate) fn applies_to(self, engine: Engine) -> bool {
        self != Self::Cached || engine == Engine::Full
    }

    /// The texts, from the conversations of a file.
    pub(crate) fn texts(self, data: &Path, turns: usize) -> Result<Texts, Box<dyn Error>> {
        /// The length of the query in tokens.
        const QUERY_TOKENS: usize = 12;
        let conversations = locomo::read(data)?;
        let tokenizer = tokenizer()?;
        let mut texts: Vec<String> = if self == Self::Turns {
            let all = conversations.into_iter().flat_map(|one| one.turns);
            all.map(|turn| turn.content).take(turns).collect()
        } else {
            let all = conversations.into_iter().flat_map(|one| one.questions);
            all.map(|question| question.text).collect()
        };
        let length = |text: &String| tokenizer.encode(text, EmbedRole::Passage).map(|t| t.len());
        let mut tokens = texts.iter().map(length).collect::<Result<Vec<_>, _>>()?;
        if matches!(self, Self::Cached | Self::Query) {
            let mut selected = tokens.iter().map(|tokens| *tokens == QUERY_TOKENS);
            texts.retain(|_| selected.next().unwrap_or(false));
            tokens.retain(|tokens| *tokens == QUERY_TOKENS);
        }
        let call = match self {
            Self::Cached | Self::Query => 1,
            Self::Short(count) => count,
            Self::Turns => texts.len(),
        };
        if texts.len() < call.max(1) {
            return Err(format!("{} has too few texts", data.display()).into());
        }
        Ok(Texts {
            texts,
            tokens,
            call,
        })
    }
}

/// The default model's tokenizer.
fn tokenizer() -> Result<Tokenizer, Box<dyn Error>> {
    let options = ModelOptions::default();
    let folder = ModelDir::read(&options.resolve_model_dir()?, &options)?;
    Ok(Tokenizer::new(&folder)?)
}
