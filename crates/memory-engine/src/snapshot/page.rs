//! Pages: some memories with all that the indexes of a snapshot need of them, in bytes.
//!
//! A snapshot is loaded from pages. Making one takes most of the time: it analyzes texts
//! and encodes vectors. So a store may keep them ([`memory_core::SnapshotPages`]): reading
//! one copies bytes. Accesses, which change with every recall, are left out.
//!
//! ```text
//! number of memories, dimensions, vectors, passages, stems, occurrences of stems,
//!   pairs, labels: 4 bytes each
//! of each memory: vectors, passages, words, pairs, packed bytes: 4 each;
//!   largest error and largest length of its vectors: 4 each; whether it names a time: 1
//! terms of each passage: 4
//! digest of each stem, ascending: 8; the end of its occurrences: 4
//! passage of each occurrence: 4
//! each pair, ascending: 4; its memory: 1
//! digest of each label, ascending: 8; its memory: 1
//! scale of each vector: 4; codes: 1 a component; refinements: 1 a component
//! the packed memories
//! ```
//! Each line is a column, or columns one after the other. Numbers are little endian;
//! memories and passages are known by their positions in the page.

use memory_core::SnapshotPage;

use super::analysis::AnalyzedMemory;
use super::digest::Digest;
use super::packed_memory::PackedMemory;

/// Maximum number of memories of a page: its lists know them by one byte.
pub(super) const PAGE_MEMORIES: usize = SnapshotPage::MAX_MEMORIES;

/// Makes the page of at most [`PAGE_MEMORIES`] memories.
pub(super) fn encode(memories: &[AnalyzedMemory], dimensions: usize) -> Vec<u8> {
    let mut columns = Columns::default();
    for (position, memory) in (0u8..).zip(memories) {
        columns.push(position, memory);
    }
    columns.into_bytes(memories.len(), dimensions)
}

/// The columns of a page that is made.
#[derive(Default)]
struct Columns {
    vectors: Vec<u32>,
    passages: Vec<u32>,
    words: Vec<u32>,
    pair_counts: Vec<u32>,
    lengths: Vec<u32>,
    max_errors: Vec<f32>,
    max_lengths: Vec<f32>,
    has_time: Vec<u8>,
    terms: Vec<u32>,
    occurrences: Vec<(Digest, u32)>,
    pairs: Vec<(u32, u8)>,
    labels: Vec<(Digest, u8)>,
    scales: Vec<f32>,
    codes: Vec<u8>,
    refinements: Vec<u8>,
    packed: Vec<u8>,
}

impl Columns {
    fn push(&mut self, position: u8, memory: &AnalyzedMemory) {
        let (analysis, rows) = (&memory.analysis, &memory.rows);
        self.vectors.push(to_u32(rows.len()));
        self.passages.push(to_u32(analysis.passages.len()));
        self.words.push(analysis.words);
        self.pair_counts.push(to_u32(analysis.pairs.len()));
        self.max_errors.push(rows.max_error);
        self.max_lengths.push(rows.max_length);
        self.has_time.push(u8::from(analysis.has_time));
        for passage in &analysis.passages {
            let number = to_u32(self.terms.len());
            self.terms.push(passage.length());
            let stems = passage.stems.iter();
            self.occurrences.extend(stems.map(|stem| (*stem, number)));
        }
        let pairs = analysis.pairs.iter();
        self.pairs.extend(pairs.map(|pair| (pair.0, position)));
        let labels = analysis.labels.iter();
        self.labels.extend(labels.map(|label| (*label, position)));
        self.scales.extend(&rows.scales);
        self.codes.extend(&rows.codes);
        self.refinements.extend(&rows.refinements);
        let start = self.packed.len();
        PackedMemory(&memory.memory).put_without_accesses(&mut self.packed);
        self.lengths.push(to_u32(self.packed.len() - start));
    }

    fn into_bytes(mut self, memories: usize, dimensions: usize) -> Vec<u8> {
        self.occurrences.sort_unstable();
        self.pairs.sort_unstable();
        self.labels.sort_unstable();
        let (mut stems, mut ends, mut end) = (Vec::new(), Vec::new(), 0);
        for occurrences in self.occurrences.chunk_by(|a, b| a.0 == b.0) {
            end += to_u32(occurrences.len());
            stems.push(occurrences[0].0);
            ends.push(end);
        }
        let fixed = 8 * 4 + memories * 29 + self.terms.len() * 4 + stems.len() * 12;
        let lists = self.occurrences.len() * 4 + self.pairs.len() * 5 + self.labels.len() * 9;
        let vectors = self.scales.len() * 4 + self.codes.len() + self.refinements.len();
        let mut bytes = Vec::with_capacity(fixed + lists + vectors + self.packed.len());
        let counts = [
            memories,
            dimensions,
            self.scales.len(),
            self.terms.len(),
            stems.len(),
            self.occurrences.len(),
            self.pairs.len(),
            self.labels.len(),
        ];
        put(&mut bytes, counts.map(|count| to_u32(count).to_le_bytes()));
        for column in [
            &self.vectors,
            &self.passages,
            &self.words,
            &self.pair_counts,
            &self.lengths,
        ] {
            put(&mut bytes, column.iter().map(|it| it.to_le_bytes()));
        }
        for column in [&self.max_errors, &self.max_lengths] {
            put(&mut bytes, column.iter().map(|it| it.to_le_bytes()));
        }
        bytes.extend(&self.has_time);
        put(&mut bytes, self.terms.iter().map(|it| it.to_le_bytes()));
        let digests = stems.iter().map(|stem| u64::from(*stem).to_le_bytes());
        put(&mut bytes, digests);
        put(&mut bytes, ends.iter().map(|it| it.to_le_bytes()));
        let passages = self.occurrences.iter();
        put(&mut bytes, passages.map(|(_, it)| it.to_le_bytes()));
        put(&mut bytes, self.pairs.iter().map(|it| it.0.to_le_bytes()));
        bytes.extend(self.pairs.iter().map(|it| it.1));
        let labels = self.labels.iter();
        put(&mut bytes, labels.map(|it| u64::from(it.0).to_le_bytes()));
        bytes.extend(self.labels.iter().map(|it| it.1));
        put(&mut bytes, self.scales.iter().map(|it| it.to_le_bytes()));
        bytes.extend(&self.codes);
        bytes.extend(&self.refinements);
        bytes.extend(&self.packed);
        bytes
    }
}

fn put<const N: usize>(bytes: &mut Vec<u8>, numbers: impl IntoIterator<Item = [u8; N]>) {
    numbers.into_iter().for_each(|it| bytes.extend(it));
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A page that is read: its columns, of which everything is within its limits.
pub(super) struct Page<'a> {
    vectors: &'a [[u8; 4]],
    passages: &'a [[u8; 4]],
    words: &'a [[u8; 4]],
    pair_counts: &'a [[u8; 4]],
    lengths: &'a [[u8; 4]],
    max_errors: &'a [[u8; 4]],
    max_lengths: &'a [[u8; 4]],
    has_time: &'a [u8],
    terms: &'a [[u8; 4]],
    stems: &'a [[u8; 8]],
    ends: &'a [[u8; 4]],
    occurrences: &'a [[u8; 4]],
    pairs: &'a [[u8; 4]],
    pair_owners: &'a [u8],
    labels: &'a [[u8; 8]],
    label_owners: &'a [u8],
    scales: &'a [[u8; 4]],
    /// The codes and the refinements of the vectors, concatenated.
    pub(super) codes: &'a [u8],
    pub(super) refinements: &'a [u8],
    packed: &'a [u8],
}

/// One memory of a page.
pub(super) struct PageMemory<'a> {
    pub(super) packed: &'a [u8],
    /// The numbers of its vectors, passages, words and pairs.
    pub(super) vectors: u32,
    pub(super) passages: u32,
    pub(super) words: u32,
    pub(super) pairs: u32,
    pub(super) has_time: bool,
    /// As those of `EncodedRows`, of its vectors.
    pub(super) max_error: f32,
    pub(super) max_length: f32,
}

impl<'a> Page<'a> {
    /// Reads a page of vectors of so many dimensions; `None` where it is not one that
    /// [`encode`] made.
    pub(super) fn decode(bytes: &'a [u8], dimensions: usize) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [
            memories,
            own,
            vectors,
            passages,
            stems,
            occurrences,
            pairs,
            labels,
        ] = {
            let counts: &[[u8; 4]; 8] = reader.column::<4>(8)?.try_into().ok()?;
            counts.map(|it| number(&it) as usize)
        };
        let page = Self {
            vectors: reader.column(memories)?,
            passages: reader.column(memories)?,
            words: reader.column(memories)?,
            pair_counts: reader.column(memories)?,
            lengths: reader.column(memories)?,
            max_errors: reader.column(memories)?,
            max_lengths: reader.column(memories)?,
            has_time: reader.bytes(memories)?,
            terms: reader.column(passages)?,
            stems: reader.column(stems)?,
            ends: reader.column(stems)?,
            occurrences: reader.column(occurrences)?,
            pairs: reader.column(pairs)?,
            pair_owners: reader.bytes(pairs)?,
            labels: reader.column(labels)?,
            label_owners: reader.bytes(labels)?,
            scales: reader.column(vectors)?,
            codes: reader.bytes(vectors.checked_mul(dimensions)?)?,
            refinements: reader.bytes(vectors.checked_mul(dimensions)?)?,
            packed: reader.0,
        };
        (own == dimensions && page.is_within_limits()).then_some(page)
    }

    /// Whether numbers of parts add up, positions are those of parts, and what is in order
    /// is.
    fn is_within_limits(&self) -> bool {
        let sum = |column: &[[u8; 4]]| column.iter().map(|it| u64::from(number(it))).sum::<u64>();
        let owns = |owners: &[u8]| owners.iter().all(|it| usize::from(*it) < self.len());
        let passages = self.occurrences.iter().map(number);
        self.len() <= PAGE_MEMORIES
            && sum(self.vectors) == self.scales.len() as u64
            && sum(self.passages) == self.terms.len() as u64
            && sum(self.pair_counts) == self.pairs.len() as u64
            && sum(self.lengths) == self.packed.len() as u64
            && self.ends.iter().map(number).is_sorted()
            && self.ends.last().map_or(0, number) as usize == self.occurrences.len()
            && passages
                .max()
                .is_none_or(|it| (it as usize) < self.terms.len())
            && owns(self.pair_owners)
            && owns(self.label_owners)
            && self.stems().is_sorted_by(|stem, next| stem < next)
            && self.occurrences().all(Iterator::is_sorted)
    }

    /// Memories in it.
    pub(super) fn len(&self) -> usize {
        self.vectors.len()
    }

    pub(super) fn memories(&self) -> impl Iterator<Item = PageMemory<'a>> {
        let mut packed = self.packed;
        let at = |column: &'a [[u8; 4]]| column.iter().map(number);
        let float = |column: &'a [[u8; 4]]| column.iter().map(|it| f32::from_le_bytes(*it));
        let counts = at(self.vectors).zip(at(self.passages)).zip(at(self.words));
        let counts = counts.zip(at(self.pair_counts)).zip(at(self.lengths));
        let limits = float(self.max_errors).zip(float(self.max_lengths));
        let rest = limits.zip(self.has_time);
        counts.zip(rest).map(move |(counts, rest)| {
            let ((((vectors, passages), words), pairs), length) = counts;
            let ((max_error, max_length), has_time) = rest;
            let (own, others) = packed.split_at((length as usize).min(packed.len()));
            packed = others;
            PageMemory {
                packed: own,
                vectors,
                passages,
                words,
                pairs,
                has_time: *has_time != 0,
                max_error,
                max_length,
            }
        })
    }

    /// The number of terms of each passage.
    pub(super) fn terms(&self) -> impl ExactSizeIterator<Item = u32> {
        self.terms.iter().map(number)
    }

    /// The digests of its stems, ascending.
    pub(super) fn stems(&self) -> impl ExactSizeIterator<Item = Digest> {
        self.stems
            .iter()
            .map(|it| Digest::from(u64::from_le_bytes(*it)))
    }

    /// For each stem, the passages that it occurs in, ascending, each as often as it
    /// does.
    pub(super) fn occurrences(&self) -> impl Iterator<Item = impl Iterator<Item = u32>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = number(end) as usize;
            let own = &self.occurrences[start..end];
            start = end;
            own.iter().map(number)
        })
    }

    /// The pairs with the positions of their memories, ascending.
    pub(super) fn pairs(&self) -> impl ExactSizeIterator<Item = (u32, u8)> {
        let owners = self.pair_owners.iter().copied();
        self.pairs.iter().map(number).zip(owners)
    }

    /// The digests of labels with the positions of their memories, ascending.
    pub(super) fn labels(&self) -> impl ExactSizeIterator<Item = (Digest, u8)> {
        let owners = self.label_owners.iter().copied();
        let digests = self.labels.iter();
        let digests = digests.map(|it| Digest::from(u64::from_le_bytes(*it)));
        digests.zip(owners)
    }

    /// The scale of each vector.
    pub(super) fn scales(&self) -> impl ExactSizeIterator<Item = f32> {
        self.scales.iter().map(|it| f32::from_le_bytes(*it))
    }
}

fn number(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

/// Takes columns from the start of what is left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn column<const N: usize>(&mut self, length: usize) -> Option<&'a [[u8; N]]> {
        let bytes = self.bytes(length.checked_mul(N)?)?;
        Some(bytes.as_chunks().0)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use memory_core::{
        EmbeddedMemory, Embedding, Generation, MemoryBatchItem, MemoryId, MemoryKind,
    };
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};
    use uuid::Uuid;

    use super::super::EntitySnapshot;
    use super::super::page_format::format;
    use super::*;

    const DIMENSIONS: usize = 3;

    fn page() -> Vec<u8> {
        let texts = [
            "The mill by the river burned down on 3 May 2024.",
            "ticket INC-90312: the horse, the horse!",
            "上海的猫是研究生命",
            "민수가 시장에서 말을 샀다",
            "Der Müller wohnt seit gestern in der Mühle",
        ];
        let memories = (0u8..).zip(texts).map(|(number, text)| {
            let vector = vec![f32::from(number), 0.25, -1.0];
            let item = MemoryBatchItem::new("mira", MemoryKind::World, text)
                .with_id(MemoryId::from(Uuid::from_u128(number.into())))
                .with_timestamp(DateTime::<Utc>::UNIX_EPOCH)
                .with_tag(format!("tag {number}"))
                .with_entity("Tam", "seller")
                .with_context("market");
            AnalyzedMemory::new(
                &EmbeddedMemory {
                    memory: item.into_memory(DateTime::<Utc>::UNIX_EPOCH).unwrap(),
                    embedding: Embedding {
                        fingerprint: "test".into(),
                        vectors: vec![vector; usize::from(number) % 3],
                    },
                },
                DIMENSIONS,
                None,
            )
        });
        encode(&memories.collect::<Vec<_>>(), DIMENSIONS)
    }

    #[test]
    fn a_page_is_read_as_it_was_made() {
        let bytes = page();
        let page = Page::decode(&bytes, DIMENSIONS).unwrap();
        assert_eq!(page.len(), 5);
        assert!(page.stems().is_sorted() && page.stems().len() > 10);
        let horse = Digest::from(memory_text::word_digest("hors"));
        let index = page.stems().position(|stem| stem == horse).unwrap();
        let passages: Vec<u32> = page.occurrences().nth(index).unwrap().collect();
        assert_eq!(passages, [1, 1]);
        let vectors: Vec<u32> = page.memories().map(|memory| memory.vectors).collect();
        assert_eq!(vectors, [0, 1, 2, 0, 1]);
        let times: Vec<bool> = page.memories().map(|memory| memory.has_time).collect();
        assert_eq!(times, [true, false, false, false, true]);
        assert_eq!((page.labels().len(), page.scales().len()), (10, 4));
        assert!(Page::decode(&bytes, DIMENSIONS + 1).is_none());
        for length in 0..bytes.len() {
            assert!(
                Page::decode(&bytes[..length], DIMENSIONS).is_none(),
                "{length}"
            );
        }
    }

    /// What pages have of the same memories changes with the version of pages only:
    /// else a store would return what older programs made.
    #[test]
    fn the_version_says_what_is_in_pages() {
        const FORMAT: u64 = 0x0003_7b3d_a140;
        const DIGEST: &str = "c0a60decb429f367";
        let digest = Sha256::digest(page());
        let digest: String = digest[..8].iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!((format(None), digest.as_str()), (FORMAT, DIGEST));
    }

    proptest! {
        /// A store's checksum finds a damaged page; what is none of ours is not worth
        /// a panic.
        #[test]
        fn any_bytes_make_a_snapshot_or_are_no_page(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = page();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if let Some(page) = Page::decode(&bytes, DIMENSIONS) {
                let empty = EntitySnapshot::empty("mira".into(), DIMENSIONS, None);
                let snapshot = empty.with_pages(Generation(1), &[page]);
                prop_assert_eq!(snapshot.len(), 5);
            }
        }
    }
}
