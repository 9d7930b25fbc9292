//! Pages of words: which memories contain a word, and how often.
//!
//! A page has the count of its distinct words, their digests in ascending order
//! (64 bits), for each of them the end of its postings (32 bits), the postings
//! (number of the memory within the page and how often it contains the word, 16
//! bits each), and the word counts of 512 memories (32 bits). Little endian.

use std::collections::BTreeMap;

use memory_text::word_digest;

use crate::error::Failure;
use crate::search::lexical::words_of;
use crate::search::page::PAGE_NUMBERS;

/// The words of a memory, for its page.
pub(crate) struct MemoryWords {
    /// Its number within the page.
    pub(crate) number: u16,
    /// Its word count, see `lexical::index_entry`.
    pub(crate) length: u32,
    /// Its entry in the lexical index: its words, each after the entity's prefix.
    pub(crate) entry: String,
}

/// Encodes the words of memories.
pub(crate) fn encode(memories: &[MemoryWords]) -> Vec<u8> {
    let mut postings: BTreeMap<u64, Vec<(u16, u16)>> = BTreeMap::new();
    let mut lengths = vec![0u32; PAGE_NUMBERS as usize];
    for memory in memories {
        if let Some(length) = lengths.get_mut(usize::from(memory.number)) {
            *length = memory.length;
        }
        for word in words_of(&memory.entry) {
            let list = postings.entry(word_digest(word)).or_default();
            match list.last_mut() {
                Some((number, count)) if *number == memory.number => {
                    *count = count.saturating_add(1);
                }
                _ => list.push((memory.number, 1)),
            }
        }
    }
    let (mut digests, mut ends, mut lists, mut end) = (Vec::new(), Vec::new(), Vec::new(), 0u32);
    let count = u32::try_from(postings.len()).unwrap_or(u32::MAX);
    for (digest, list) in postings {
        digests.extend(digest.to_le_bytes());
        for (number, count) in list {
            end += 1;
            lists.extend(number.to_le_bytes());
            lists.extend(count.to_le_bytes());
        }
        ends.extend(end.to_le_bytes());
    }
    let lengths: Vec<u8> = lengths.iter().flat_map(|it| it.to_le_bytes()).collect();
    [&count.to_le_bytes()[..], &digests, &ends, &lists, &lengths].concat()
}

/// A page of words.
pub(crate) struct WordPage<'a> {
    digests: &'a [[u8; 8]],
    ends: &'a [[u8; 4]],
    postings: &'a [[u8; 4]],
    lengths: &'a [[u8; 4]],
}

/// One memory that contains a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    /// The memory's number within the page.
    pub(crate) number: u16,
    /// How often it contains the word.
    pub(crate) count: u16,
    /// The memory's word count.
    pub(crate) length: u32,
}

impl<'a> WordPage<'a> {
    pub(crate) fn decode(content: &'a [u8]) -> Result<Self, Failure> {
        Self::split(content).ok_or(Failure::Damaged("a page of words has an invalid length"))
    }

    fn split(content: &'a [u8]) -> Option<Self> {
        let (count, rest) = content.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (digests, rest) = rest.split_at_checked(count * 8)?;
        let (ends, rest) = rest.split_at_checked(count * 4)?;
        let lengths = PAGE_NUMBERS as usize * 4;
        let (postings, lengths) = rest.split_at_checked(rest.len().checked_sub(lengths)?)?;
        Some(Self {
            digests: digests.as_chunks().0,
            ends: ends.as_chunks().0,
            postings: postings.as_chunks().0,
            lengths: lengths.as_chunks().0,
        })
    }

    /// The memories that contain the word with this digest, by their numbers.
    pub(crate) fn find(&self, digest: u64) -> impl Iterator<Item = Posting> {
        let digests = self.digests;
        let found = digests.binary_search_by_key(&digest, |bytes| u64::from_le_bytes(*bytes));
        let end = |index: usize| usize::try_from(u32::from_le_bytes(self.ends[index])).ok();
        let range = found.ok().and_then(|index| {
            let start = index.checked_sub(1).map_or(Some(0), end)?;
            self.postings.get(start..end(index)?)
        });
        let postings = range.unwrap_or_default().iter();
        postings.filter_map(|[a, b, c, d]| {
            let number = u16::from_le_bytes([*a, *b]);
            let length = self.lengths.get(usize::from(number))?;
            Some(Posting {
                number,
                count: u16::from_le_bytes([*c, *d]),
                length: u32::from_le_bytes(*length),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_their_counts() {
        let memory = |number, length, entry: &str| MemoryWords {
            number,
            length,
            entry: entry.to_owned(),
        };
        let content = encode(&[
            memory(3, 3, "7_mill 7_river 7_mill"),
            memory(4, 0, ""),
            memory(511, 2, "7_mill 7_v1·2·3"),
        ]);
        let page = WordPage::decode(&content).unwrap();
        let find = |word| page.find(word_digest(word)).collect::<Vec<_>>();
        let posting = |number, count, length| Posting {
            number,
            count,
            length,
        };
        assert_eq!(find("mill"), [posting(3, 2, 3), posting(511, 1, 2)]);
        assert_eq!(find("river"), [posting(3, 1, 3)]);
        assert_eq!(find("v1·2·3"), [posting(511, 1, 2)]);
        assert_eq!(find("7"), []);
        let empty = encode(&[]);
        assert_eq!(WordPage::decode(&empty).unwrap().find(1).count(), 0);
        for length in [0, 3, content.len() / 2] {
            assert!(WordPage::decode(&content[..length]).is_err(), "{length}");
        }
    }
}
