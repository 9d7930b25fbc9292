//! An embedder that needs no model: hashed words.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, Fingerprint, MemoryResult, limits, normalize,
};

/// A deterministic [`Embedder`] for tests: texts that share words are similar.
///
/// Each lower-cased word and each pair of neighboring words is hashed to a
/// component and a sign; the sum is scaled to length 1. Equal texts give equal
/// vectors in every process and on every machine; both roles embed alike. A
/// text without words still has a vector of its own.
///
/// Clones share the counters. A hook can hold an inference open or fail it:
///
/// ```
/// use memory_core::{ErrorKind, MemoryError};
/// use memory_testkit::HashEmbedder;
/// let failing = HashEmbedder::new().with_hook(|_texts| async {
///     Err(MemoryError::embedder(ErrorKind::Other, "embed", "out of order"))
/// });
/// ```
#[derive(Clone)]
pub struct HashEmbedder {
    profile: EmbedderProfile,
    hook: Option<Hook>,
    counters: Arc<Counters>,
}

/// What runs before each inference, with the number of texts.
type Hook = Arc<dyn Fn(usize) -> HookFuture + Send + Sync>;
type HookFuture = Pin<Box<dyn Future<Output = MemoryResult<()>> + Send>>;

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    texts: AtomicU64,
}

impl HashEmbedder {
    /// Components of a vector unless [`with_dimensions`](Self::with_dimensions)
    /// says otherwise.
    pub const DIMENSIONS: usize = 256;
    /// The window, in words, unless [`with_window`](Self::with_window) says
    /// otherwise: that of the models it stands in for, in tokens.
    pub const WINDOW: usize = 256;

    /// 256 dimensions, a window of 256 words.
    #[must_use]
    pub fn new() -> Self {
        let embedder = Self {
            profile: EmbedderProfile::new("hash", "", Self::DIMENSIONS).max_tokens(Self::WINDOW),
            hook: None,
            counters: Arc::default(),
        };
        embedder.refingerprinted()
    }

    /// Sets the components of a vector, 1 to [`limits::MAX_DIMENSIONS`]
    /// (what lies outside is moved to the nearer end).
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.profile.dimensions = dimensions.clamp(1, limits::MAX_DIMENSIONS);
        self.refingerprinted()
    }

    /// Sets how many words of a text count, at least 2 (pieces of one word
    /// could not overlap); longer texts are cut by [`Embedder::chunk`].
    #[must_use]
    pub fn with_window(mut self, words: usize) -> Self {
        self.profile.max_tokens = words.max(2);
        self.refingerprinted()
    }

    /// Acts as another model: its vectors have another fingerprint and differ.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.profile.model = model.into();
        self.refingerprinted()
    }

    /// Runs `hook` in every [`Embedder::embed`] before it computes, with the
    /// number of texts: to wait, to hold an inference open, or to fail it.
    #[must_use]
    pub fn with_hook<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = MemoryResult<()>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |texts| Box::pin(hook(texts))));
        self
    }

    /// Calls of [`Embedder::embed`] so far, the empty and the failed included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.counters.calls.load(Ordering::SeqCst)
    }

    /// Texts handed to [`Embedder::embed`] so far.
    #[must_use]
    pub fn texts(&self) -> u64 {
        self.counters.texts.load(Ordering::SeqCst)
    }

    /// The vector of one text: what [`Embedder::embed`] gives for it.
    #[must_use]
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let words: Vec<String> = tokens(text)
            .take(self.profile.max_tokens)
            .map(|word| text[word].to_lowercase())
            .collect();
        let mut vector = vec![0.0; self.profile.dimensions];
        for word in &words {
            self.add(&mut vector, &[word]);
        }
        for pair in words.windows(2) {
            self.add(&mut vector, &[&pair[0], &pair[1]]);
        }
        if normalize(&mut vector).is_err() {
            // No word at all, or words that cancelled each other out: the text
            // as a whole is one feature, which is a unit vector by itself.
            self.add(&mut vector, &["", text]);
        }
        vector
    }

    /// Adds one feature to the sum.
    fn add(&self, vector: &mut [f32], feature: &[&str]) {
        let hash = feature.iter().fold(
            fnv(FNV_OFFSET, self.profile.model.as_bytes()),
            |hash, part| {
                // A byte that no UTF-8 text holds keeps the parts apart.
                fnv(fnv(hash, &[0xff]), part.as_bytes())
            },
        );
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        let place = mixed(hash) % vector.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "less than the length")]
        {
            vector[place as usize] += sign;
        }
    }

    /// Renames the fingerprint after all that decides a vector.
    fn refingerprinted(mut self) -> Self {
        let profile = &mut self.profile;
        profile.fingerprint = Fingerprint::from(format!(
            "hash-1/{}/{}/{}",
            profile.model, profile.dimensions, profile.max_tokens
        ));
        self
    }

    /// Cuts a text into overlapping pieces of at most the window's words.
    fn pieces(&self, text: &str) -> Vec<Range<usize>> {
        let window = self.profile.max_tokens;
        let words: Vec<Range<usize>> = tokens(text).collect();
        let stride = window - (window / 4).max(1);
        let mut pieces = Vec::new();
        let mut first = 0;
        // A piece runs up to the next one's first word beyond it, so that
        // punctuation and white space between them belong to one at least.
        while first + window < words.len() {
            pieces.push(start_of(&words, first)..words[first + window].start);
            first += stride;
        }
        pieces.push(start_of(&words, first)..text.len());
        pieces
    }
}

impl Default for HashEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HashEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashEmbedder")
            .field("profile", &self.profile)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], _role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.counters.calls.fetch_add(1, Ordering::SeqCst);
        self.counters
            .texts
            .fetch_add(texts.len() as u64, Ordering::SeqCst);
        if let Some(hook) = &self.hook {
            hook(texts.len()).await?;
        }
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        Ok(texts.iter().map(|text| self.pieces(text)).collect())
    }
}

/// Where the piece that begins with the word `index` begins in the text.
fn start_of(words: &[Range<usize>], index: usize) -> usize {
    match index {
        // Text before the first word belongs to the first piece.
        0 => 0,
        _ => words[index].start,
    }
}

/// The words of a text as byte ranges: runs of letters and digits.
fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(char::is_alphanumeric)?;
        let end = text[start..]
            .find(|c: char| !c.is_alphanumeric())
            .map_or(text.len(), |length| start + length);
        rest = end;
        Some(start..end)
    })
}

/// FNV-1a, 64 bits: simple, and the same everywhere.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Spreads a hash: FNV's low bits follow the last bytes too closely.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::cosine;

    #[test]
    fn shared_words_make_texts_similar() {
        let embedder = HashEmbedder::new();
        let similar = |a: &str, b: &str| cosine(&embedder.vector(a), &embedder.vector(b));
        let related = similar("Tam sold me a lame horse", "who sold me the lame horse?");
        let unrelated = similar("Tam sold me a lame horse", "the bridge was closed by snow");
        assert!(
            related > 0.4 && related > unrelated + 0.3,
            "{related} {unrelated}"
        );
        assert!((similar("LAME horse!", "lame Horse") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_text_without_words_has_a_unit_vector_of_its_own() {
        let embedder = HashEmbedder::new();
        for text in ["", " \n", "…!?", "🐎"] {
            let vector = embedder.vector(text);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-6, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_into_overlapping_pieces() {
        let embedder = HashEmbedder::new().with_window(4);
        let text = "  one two, three four. five six — seven eight nine!";
        let pieces: Vec<&str> = embedder
            .pieces(text)
            .into_iter()
            .map(|piece| &text[piece])
            .collect();
        assert_eq!(
            pieces,
            [
                "  one two, three four. ",
                "four. five six — seven ",
                "seven eight nine!"
            ]
        );
        for whole in ["one two three four", ""] {
            let pieces = embedder.pieces(whole);
            assert_eq!((pieces.len(), &pieces[0]), (1, &(0..whole.len())));
        }
    }

    #[test]
    fn another_model_has_another_fingerprint_and_other_vectors() {
        let (one, other) = (HashEmbedder::new(), HashEmbedder::new().with_model("other"));
        assert_ne!(one.profile().fingerprint, other.profile().fingerprint);
        assert!(cosine(&one.vector("lame horse"), &other.vector("lame horse")) < 0.9);
    }
}
