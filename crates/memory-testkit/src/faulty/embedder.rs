//! An embedder that breaks one promise.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use memory_core::{
    EmbedRole, Embedder, EmbedderProfile, ErrorKind, MemoryError, MemoryResult, normalize,
};

use super::faults;
use crate::hash_embedder::HashEmbedder;
use crate::timing::yield_now;

faults! {
    /// The one promise that a [`FaultyEmbedder`] breaks.
    pub enum EmbedderFault {
        /// The model has no fingerprint.
        HasNoFingerprint => "vectors::come_from_a_named_model",
        /// The fingerprint is longer than stores can keep.
        HasALongFingerprint => "vectors::come_from_a_named_model",
        /// Vectors come in the opposite order.
        ReversesVectors => "vectors::come_one_for_each_text_in_order",
        /// The last text of a batch has no vector.
        LosesTheLast => "vectors::come_one_for_each_text_in_order",
        /// Vectors have a component more than the profile says.
        AddsAComponent => "vectors::are_unit_vectors",
        /// Vectors are not scaled to length 1.
        SkipsNormalization => "vectors::are_unit_vectors",
        /// No two calls give the same vectors.
        Drifts => "vectors::are_repeatable",
        /// Queries are not embedded.
        RefusesQueries => "vectors::serve_both_roles",
        /// Vectors depend on the longest text of the batch.
        PadsToTheLongest => "batches::do_not_affect_vectors",
        /// A text that occurs twice in a batch has a vector once.
        MergesRepeats => "batches::may_repeat_a_text",
        /// An empty batch is an error.
        RefusesNothing => "batches::may_be_empty",
        /// Batches beyond 64 texts are cut.
        CutsLargeBatches => "batches::may_be_large",
        /// A text without words has no direction.
        GivesZeros => "texts::of_any_shape_are_taken",
        /// A text without words is an error.
        RefusesBlankText => "texts::of_any_shape_are_taken",
        /// Text beyond the window counts.
        ReadsBeyondTheWindow => "texts::beyond_the_window_do_not_count",
        /// Text beyond 100,000 bytes is an error.
        RefusesLongText => "texts::may_be_very_long",
        /// The ranges of a batch come in the opposite order.
        ReversesRanges => "chunks::come_one_list_for_each_text",
        /// Ranges leave out the white space around a text that fits.
        TrimsShortTexts => "chunks::leave_fitting_texts_whole",
        /// A range ends where a byte limit happens to lie.
        SplitsCharacters => "chunks::lie_on_characters",
        /// The last piece of a long text is missing.
        DropsTheTail => "chunks::cover_everything",
        /// From the second segment of a large batch on, each text has the ranges
        /// of the text before it.
        ShiftsRangesBetweenSegments => "chunks::cover_each_text_of_a_large_batch",
        /// Pieces do not overlap.
        CutsCleanly => "chunks::overlap",
        /// Every text is one piece, however long.
        CutsNothing => "chunks::fit_the_window",
        /// Calls at the same time share a buffer.
        MixesCalls => "batches::concurrent_calls_do_not_mix",
        /// Calls at the same time are embedded in the role of the first.
        MixesRoles => "batches::concurrent_roles_do_not_mix",
        /// The share of unknown tokens is divided by the number of tokens, also by none.
        DividesByNoTokens => "texts::unknown_tokens_are_a_share",
        /// The share of unknown tokens is their number.
        CountsUnknownTokens => "texts::unknown_tokens_are_a_share",
        /// After a dropped call, the embedder is busy for ever.
        StaysBusy => "batches::dropped_calls_have_no_effect",
        /// Vectors distinguish texts without meaning.
        IgnoresMeaning => "meaning::related_texts_are_closer",
    }
}

/// A [`HashEmbedder`] with one fault.
#[derive(Debug)]
pub struct FaultyEmbedder {
    inner: HashEmbedder,
    profile: EmbedderProfile,
    fault: EmbedderFault,
    calls: AtomicU64,
    busy: AtomicBool,
    buffer: Mutex<Vec<String>>,
    /// That of the first of the running calls.
    role: Mutex<Option<EmbedRole>>,
}

impl FaultyEmbedder {
    /// An embedder with this fault and a window of 32 words.
    #[must_use]
    pub fn new(fault: EmbedderFault) -> Self {
        let inner = HashEmbedder::new().with_window(32);
        let mut profile = inner.profile().clone();
        if fault == EmbedderFault::HasNoFingerprint {
            profile.fingerprint = "".into();
        }
        if fault == EmbedderFault::HasALongFingerprint {
            profile.fingerprint = "f".repeat(3_000).into();
        }
        Self {
            inner,
            profile,
            fault,
            calls: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            buffer: Mutex::default(),
            role: Mutex::default(),
        }
    }

    /// What goes wrong before any vector is made.
    fn refuse(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<()> {
        let blank = |text: &&str| !text.contains(char::is_alphanumeric);
        let refused = match self.fault {
            EmbedderFault::RefusesQueries => role == EmbedRole::Query,
            EmbedderFault::RefusesNothing => texts.is_empty(),
            EmbedderFault::RefusesBlankText => texts.iter().any(blank),
            EmbedderFault::RefusesLongText => texts.iter().any(|text| text.len() > 100_000),
            EmbedderFault::StaysBusy => self.busy.swap(true, Ordering::SeqCst),
            _ => false,
        };
        if refused {
            let message = "refused on purpose";
            return Err(MemoryError::embedder(ErrorKind::Other, "embed", message));
        }
        Ok(())
    }

    /// Breaks the vectors of a batch.
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    fn spoil(&self, texts: &[&str], vectors: &mut Vec<Vec<f32>>) {
        match self.fault {
            EmbedderFault::ReversesVectors => vectors.reverse(),
            EmbedderFault::LosesTheLast if texts.len() > 1 => drop(vectors.pop()),
            EmbedderFault::AddsAComponent => vectors.iter_mut().for_each(|v| v.push(0.0)),
            EmbedderFault::SkipsNormalization => {
                vectors.iter_mut().flatten().for_each(|value| *value *= 2.0);
            }
            EmbedderFault::Drifts => {
                let call = self.calls.fetch_add(1, Ordering::SeqCst);
                lean(vectors, 0.01 * (1 + call % 7) as f32);
            }
            EmbedderFault::PadsToTheLongest => {
                let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
                lean(vectors, longest as f32 * 1e-4);
            }
            EmbedderFault::MergesRepeats => {
                for (place, text) in texts.iter().enumerate() {
                    if texts[..place].contains(text) {
                        vectors[place] = vectors[0].iter().map(|value| -value).collect();
                    }
                }
            }
            EmbedderFault::CutsLargeBatches => vectors.truncate(64),
            EmbedderFault::GivesZeros => {
                for (text, vector) in texts.iter().zip(vectors) {
                    if !text.contains(char::is_alphanumeric) {
                        vector.fill(0.0);
                    }
                }
            }
            EmbedderFault::ReadsBeyondTheWindow => {
                let wide = self.inner.clone().with_window(1_000_000);
                *vectors = texts.iter().map(|text| wide.vector(text)).collect();
            }
            EmbedderFault::IgnoresMeaning => {
                let whole = |text: &&str| self.inner.vector(&text.replace(' ', "x"));
                *vectors = texts.iter().map(whole).collect();
            }
            _ => {}
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Embedder for FaultyEmbedder {
    fn profile(&self) -> &EmbedderProfile {
        &self.profile
    }

    async fn embed(&self, texts: &[&str], role: EmbedRole) -> MemoryResult<Vec<Vec<f32>>> {
        self.refuse(texts, role)?;
        let buffer = || self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        *buffer() = texts.iter().map(|&text| text.to_owned()).collect();
        let first_role = || self.role.lock().unwrap_or_else(PoisonError::into_inner);
        let used = *first_role().get_or_insert(role);
        yield_now().await;
        *first_role() = None;
        let mut vectors = if self.fault == EmbedderFault::MixesCalls {
            let texts = buffer().clone();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.inner.embed(&texts, role).await?
        } else {
            self.inner.embed(texts, role).await?
        };
        if self.fault == EmbedderFault::MixesRoles && used == EmbedRole::Query {
            let prompted = texts.iter().map(|text| format!("query: {text}"));
            vectors = prompted.map(|text| self.inner.vector(&text)).collect();
        }
        // Only a call that gets here releases the embedder.
        self.busy.store(false, Ordering::SeqCst);
        self.spoil(texts, &mut vectors);
        Ok(vectors)
    }

    fn unknown_token_share(&self, text: &str) -> f32 {
        let tokens = text.split_whitespace().count();
        let unknown = text.split_whitespace().filter(|token| !token.is_ascii());
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let (unknown, tokens) = (unknown.count() as f32, tokens as f32);
        match self.fault {
            EmbedderFault::DividesByNoTokens => unknown / tokens,
            EmbedderFault::CountsUnknownTokens => unknown,
            _ => self.inner.unknown_token_share(text),
        }
    }

    async fn chunk(&self, texts: &[&str]) -> MemoryResult<Vec<Vec<Range<usize>>>> {
        let mut lists = self.inner.chunk(texts).await?;
        for (text, pieces) in texts.iter().zip(&mut lists) {
            match self.fault {
                EmbedderFault::TrimsShortTexts if pieces.len() == 1 => {
                    let start = text.len() - text.trim_start().len();
                    pieces[0] = start..start + text.trim().len();
                }
                EmbedderFault::SplitsCharacters => {
                    let inside = |at: &usize| !text.is_char_boundary(*at);
                    if let Some(at) = (1..text.len()).find(inside) {
                        *pieces = vec![0..at, at - 1..text.len()];
                    }
                }
                EmbedderFault::DropsTheTail if pieces.len() > 1 => drop(pieces.pop()),
                EmbedderFault::CutsCleanly => {
                    for next in 1..pieces.len() {
                        pieces[next - 1].end = pieces[next].start;
                    }
                }
                EmbedderFault::CutsNothing => {
                    pieces.truncate(1);
                    pieces[0] = 0..text.len();
                }
                _ => {}
            }
        }
        if self.fault == EmbedderFault::ShiftsRangesBetweenSegments {
            shift_after_a_segment(texts, &mut lists);
        }
        if self.fault == EmbedderFault::ReversesRanges {
            lists.reverse();
        }
        Ok(lists)
    }
}

/// Gives each text beyond the first 256 KiB the ranges of the text before it.
fn shift_after_a_segment(texts: &[&str], lists: &mut Vec<Vec<Range<usize>>>) {
    const SEGMENT_BYTES: usize = 256 * 1024;
    let mut bytes = 0;
    let is_beyond = |text: &&str| {
        bytes += text.len();
        bytes > SEGMENT_BYTES
    };
    if let Some(second) = texts.iter().position(is_beyond).filter(|index| *index > 0) {
        lists.insert(second, lists[second - 1].clone());
        lists.truncate(texts.len());
    }
}

/// Turns vectors a little to one side.
fn lean(vectors: &mut [Vec<f32>], by: f32) {
    for vector in vectors {
        vector[0] += by;
        // A unit vector moved by so little keeps a direction.
        let _ = normalize(vector);
    }
}
