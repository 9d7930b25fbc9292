//! Search pages: copies of what a search reads of 512 memories, in one row.
//!
//! The driver takes some microseconds for each row, so a search of a large entity
//! reads pages. There is one for each 512 consecutive numbers, of those that are
//! all assigned; memories after the last are read from their own rows. A page can be
//! deleted at any time: whatever changes a row deletes its page (by triggers, see
//! the migration), a search reads the rows of pages that are missing, and
//! `page_builder` makes them again. So pages never decide what is found, only how
//! soon.

use std::collections::BTreeSet;
use std::ops::Range;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row, query};

use crate::connections::blocking::FoldState;
use crate::error::Failure;
use crate::rows::row_keys;
use crate::search::page_batch::PageBatch;

/// Numbers of a page. The migration divides by it as well.
pub(crate) const PAGE_NUMBERS: u32 = 512;

/// An entity with fewer pages has none: its rows are read in a few milliseconds.
const MIN_PAGES: i64 = 4;

/// The most pages that are read at once: 3 MiB of vectors with 384 dimensions.
const MAX_BATCH: i64 = 16;

/// The number that no page has.
const NO_CONVERSION: i64 = -1;

/// A table of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PageTable {
    /// Vectors; pages belong to an embedding space.
    Vectors,
    /// Words; pages belong to an entity. Only those of this conversion are read, see
    /// `analysis_state`; none without it.
    Words(Option<i64>),
}

impl PageTable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Vectors => "vector_page",
            Self::Words(_) => "word_page",
        }
    }
}

/// A page that a search missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MissingPage {
    pub(crate) table: PageTable,
    /// An embedding space or an entity.
    pub(crate) owner: i64,
    pub(crate) page: i64,
}

impl MissingPage {
    /// The keys of the rows that the page copies.
    pub(crate) fn row_keys(&self) -> (i64, i64) {
        let numbers = numbers(self.page);
        let key = |number| row_keys::key(self.owner, number);
        (key(numbers.start), key(numbers.end - 1))
    }
}

/// The pages that an entity may have, by the number of its next memory.
pub(crate) fn complete_pages(next_number: i64) -> Range<i64> {
    let complete = next_number / i64::from(PAGE_NUMBERS);
    0..if complete < MIN_PAGES { 0 } else { complete }
}

/// The numbers of a page.
pub(crate) fn numbers(page: i64) -> Range<i64> {
    let size = i64::from(PAGE_NUMBERS);
    page * size..(page + 1) * size
}

/// The number of a memory from its number within a page.
pub(crate) fn number(page: i64, within: u16) -> Result<u32, Failure> {
    u32::try_from(numbers(page).start + i64::from(within))
        .map_err(|_| Failure::Damaged("the number of a memory is out of range"))
}

/// The key of a page's row.
pub(crate) fn key(owner: i64, page: i64) -> i64 {
    row_keys::key(owner, 0) / i64::from(PAGE_NUMBERS) + page
}

/// The checksum of a page's content.
pub(crate) fn checksum(content: &[u8]) -> i64 {
    i64::from(crc32fast::hash(content))
}

/// Bytes of the content in a row of key, checksum and content.
pub(crate) fn content_len(row: &SqliteRow) -> usize {
    row.try_get::<&[u8], _>(2).map_or(0, <[u8]>::len)
}

/// What is left to read from rows after [`fold`].
pub(crate) struct Unread {
    /// The numbers that no page had.
    pub(crate) numbers: Vec<Range<i64>>,
    pub(crate) missing: Vec<MissingPage>,
}

/// Folds an owner's pages into a state, in order, on a blocking thread.
pub(crate) async fn fold<S, F>(
    conn: &mut SqliteConnection,
    table: PageTable,
    owner: i64,
    next_number: i64,
    state: S,
    step: F,
) -> Result<(S, Unread), Failure>
where
    S: Send + 'static,
    F: Fn(&mut S, i64, &[u8]) -> Result<(), Failure> + Copy + Send + 'static,
{
    let pages = complete_pages(next_number);
    let mut read = BTreeSet::new();
    let mut fold = FoldState::Idle((state, BTreeSet::new()));
    let condition = match table {
        PageTable::Vectors => String::new(),
        PageTable::Words(conversion) => {
            format!(" AND conversion = {}", conversion.unwrap_or(NO_CONVERSION))
        }
    };
    let sql = format!(
        "SELECT page_key, checksum, content FROM {}
         WHERE page_key >= ?1 AND page_key < ?2{condition} ORDER BY page_key LIMIT ?3",
        table.name()
    );
    let (mut next, end) = (key(owner, pages.start), key(owner, pages.end));
    let mut size = PageBatch::new(MAX_BATCH);
    while next < end {
        let batch = query(AssertSqlSafe(sql.clone()))
            .bind(next)
            .bind(end)
            .bind(size.size())
            .fetch_all(&mut *conn)
            .await?;
        size.note(batch.iter().map(content_len));
        let Some(last) = batch.last() else { break };
        next = last.try_get::<i64, _>(0)? + 1;
        for row in &batch {
            read.insert(row.try_get::<i64, _>(0)? - key(owner, 0));
        }
        let (mut state, mut damaged) = fold.finish().await?;
        fold = FoldState::start(move || {
            for row in &batch {
                let page = row.try_get::<i64, _>(0)? - key(owner, 0);
                match intact_content(row)? {
                    Some(content) => step(&mut state, page, content)?,
                    None => drop(damaged.insert(page)),
                }
            }
            Ok((state, damaged))
        });
    }
    let (state, damaged) = fold.finish().await?;
    for page in &damaged {
        tracing::warn!(
            table = table.name(),
            page = key(owner, *page),
            "the checksum of a search page differs; its rows are read, and it is made again"
        );
    }
    let missing: Vec<i64> = pages
        .clone()
        .filter(|page| !read.contains(page) || damaged.contains(page))
        .collect();
    let numbers = unread_numbers(&missing, pages.end, next_number);
    // Before a conversion has begun, no page would be of this program's words.
    let can_be_made = !matches!(table, PageTable::Words(None));
    let missing = missing.into_iter().filter(|_| can_be_made);
    let missing = missing.map(|page| MissingPage { table, owner, page });
    Ok((
        state,
        Unread {
            numbers,
            missing: missing.collect(),
        },
    ))
}

fn intact_content(row: &SqliteRow) -> Result<Option<&[u8]>, Failure> {
    let content: &[u8] = row.try_get(2)?;
    let is_intact = checksum(content) == row.try_get::<i64, _>(1)?;
    Ok(is_intact.then_some(content))
}

/// The numbers of missing pages and those after the last page, in as few ranges as
/// possible.
fn unread_numbers(missing: &[i64], pages: i64, next_number: i64) -> Vec<Range<i64>> {
    let mut ranges: Vec<Range<i64>> = Vec::new();
    let after_pages = numbers(pages).start..next_number;
    let unread = missing.iter().map(|page| numbers(*page));
    for range in unread
        .chain([after_pages])
        .filter(|range| !range.is_empty())
    {
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_page_has_is_read_from_rows() {
        assert_eq!(complete_pages(2_047), 0..0);
        assert_eq!(complete_pages(2_048), 0..4);
        let unread = |missing: &[i64], pages, next_number| -> Vec<(i64, i64)> {
            let ranges = unread_numbers(missing, pages, next_number).into_iter();
            ranges.map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(unread(&[], 0, 2_047), [(0, 2_047)]);
        assert_eq!(unread(&[], 4, 2_048), []);
        assert_eq!(unread(&[], 4, 2_050), [(2_048, 2_050)]);
        assert_eq!(unread(&[0, 2, 3], 4, 2_050), [(0, 512), (1_024, 2_050)]);
        // The key of a page is that of its rows, divided.
        assert_eq!(key(7, 3), row_keys::key(7, 3 * 512 + 511) >> 9);
    }
}
