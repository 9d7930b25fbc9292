//! What is to be embedded.

use std::error::Error;
use std::path::Path;

use memory_benches::locomo;
use memory_core::EmbedRole;
use memory_sentence_transformers::{Folder, FolderOptions, Tokenizer};

use super::engine::Engine;

/// One kind of call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A text that the embedding tier holds, through the facade.
    Cached,
    /// One question of twelve tokens.
    Query,
    /// So many questions in one call.
    Short(usize),
    /// All turns of the conversations in one call.
    Turns,
}

/// Texts in the order in which they are given, with their lengths.
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    /// In tokens, special ones included, cut to the window.
    pub(crate) tokens: Vec<usize>,
    /// How many go into one call.
    pub(crate) call: usize,
}

impl Work {
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

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// What the tier holds does not ask what filled it: one engine will do.
    pub(crate) fn is_for(self, engine: Engine) -> bool {
        self != Self::Cached || engine == Engine::Full
    }

    /// The texts, from the conversations of a file.
    pub(crate) fn texts(self, data: &Path, turns: usize) -> Result<Texts, Box<dyn Error>> {
        /// The tokens of the one query.
        const QUERY: usize = 12;
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
            let mut kept = tokens.iter().map(|tokens| *tokens == QUERY);
            texts.retain(|_| kept.next().unwrap_or(false));
            tokens.retain(|tokens| *tokens == QUERY);
        }
        let call = match self {
            Self::Cached | Self::Query => 1,
            Self::Short(count) => count,
            Self::Turns => texts.len(),
        };
        if texts.len() < call.max(1) {
            return Err(format!("{} holds too few texts", data.display()).into());
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
    let options = FolderOptions::default();
    let folder = Folder::read(&options.resolve_model_dir()?, &options)?;
    Ok(Tokenizer::new(&folder)?)
}
