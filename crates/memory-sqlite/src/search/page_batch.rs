//! How many pages a statement reads: a page has the vectors of hundreds of memories, and a
//! memory up to some fifty vectors.

/// Bytes that are read at once, or one page if that is larger.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The number of pages that the next statement reads.
#[derive(Debug)]
pub(crate) struct PageBatch {
    max: i64,
    next: i64,
}

impl PageBatch {
    /// At most `max` pages; the first statement reads one, to know how large they are.
    pub(crate) const fn new(max: i64) -> Self {
        Self { max, next: 1 }
    }

    pub(crate) const fn size(&self) -> i64 {
        self.next
    }

    /// Takes the sizes of pages that were read for those of the next ones.
    pub(crate) fn note(&mut self, pages: impl Iterator<Item = usize>) {
        let largest = pages.max().unwrap_or(0).max(1);
        let fitting = i64::try_from(MAX_BYTES / largest).unwrap_or(self.max);
        self.next = fitting.clamp(1, self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_pages_are_read_as_are_of_some_megabytes() {
        let mut batch = PageBatch::new(16);
        assert_eq!(batch.size(), 1);
        for (sizes, expected) in [
            (vec![1_000, 200_000], 16),
            (vec![300_000, 1_000_000], 4),
            (vec![9_000_000], 1),
            (vec![0], 16),
            (vec![], 16),
        ] {
            batch.note(sizes.into_iter());
            assert_eq!(batch.size(), expected);
        }
    }
}
