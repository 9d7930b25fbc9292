//! Making search pages in the background, after a search missed some.

use std::time::{Duration, Instant};

use memory_core::{Language, PendingWork};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query, query_scalar};

use crate::connections::blocking::run_blocking;
use crate::connections::database;
use crate::connections::stop_signal::StopSignal;
use crate::connections::transaction::Transaction;
use crate::connections::writer::Writer;
use crate::error::Failure;
use crate::reindex::WordCounts;
use crate::reindex::analysis_state::AnalysisState;
use crate::search::lexical;
use crate::search::page::{self, MissingPage, PageTable};
use crate::search::vector_page;
use crate::search::word_page::{self, MemoryWords};
use crate::wal::own_commits::Origin;

/// Maximum number of pages of one transaction.
const MAX_PAGES: usize = 4;

/// How long a transaction has lasted when it begins no other page: writes wait for it.
const TARGET: Duration = Duration::from_millis(10);

/// The longest pause between two transactions.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Maximum number of bytes of the texts that are analyzed for a page.
const MAX_TEXT_BYTES: i64 = 512 * 1024;

/// Makes pages, one search's at a time.
#[derive(Debug, Default)]
pub(crate) struct PageBuilder(PendingWork<()>);

impl PageBuilder {
    /// Makes pages in a task of its own. Does nothing while one is running: a later
    /// search misses them again.
    pub(crate) fn start(
        &self,
        writer: Writer,
        missing: Vec<MissingPage>,
        language: Option<Language>,
        mut stop: StopSignal,
    ) {
        if missing.is_empty() {
            return;
        }
        let Some(permit) = self.0.start() else { return };
        let build = async move {
            let mut pages = missing.as_slice();
            while !pages.is_empty() && !stop.is_stopped() {
                let next = BuildPages {
                    pages: pages.iter().take(MAX_PAGES).copied().collect(),
                    language,
                };
                let started = Instant::now();
                match writer.clone().transact(next, Origin::Upkeep).await {
                    Ok(made) => pages = pages.get(made.max(1)..).unwrap_or_default(),
                    Err(error) => {
                        tracing::debug!(kind = ?error.kind(), "search pages were not made");
                        break;
                    }
                }
                // So that others have the database half of the time.
                stop.sleep(started.elapsed().min(MAX_PAUSE)).await;
            }
            drop(permit);
        };
        // Without a runtime, a later search tries again.
        drop(database::spawn_detached(BuildPages::OPERATION, build));
    }
}

/// Makes pages from the rows as they are now.
pub(crate) struct BuildPages {
    pub(crate) pages: Vec<MissingPage>,
    pub(crate) language: Option<Language>,
}

impl Transaction for BuildPages {
    /// How many of the pages it has looked at.
    type Output = usize;
    const OPERATION: &'static str = "build_search_pages";
    /// A later search misses them again: nobody should wait for them.
    const MAX_BUSY_TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));
    /// They can be made again.
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(self, conn: &mut SqliteConnection) -> Result<usize, Failure> {
        let (started, mut done) = (Instant::now(), 0);
        let analysis = AnalysisState::read(conn).await?;
        for page in self.pages {
            match page.table {
                PageTable::Vectors => {
                    // The space may be gone.
                    if let Some(content) = vectors(conn, &page).await? {
                        query(
                            "INSERT OR REPLACE INTO vector_page (page_key, checksum, content)
                             VALUES (?1, ?2, ?3)",
                        )
                        .bind(page::key(page.owner, page.page))
                        .bind(page::checksum(&content))
                        .bind(content)
                        .execute(&mut *conn)
                        .await?;
                    }
                }
                // Of another version of the analysis, no page would be read.
                PageTable::Words(_) => {
                    let content = words(conn, &page, analysis, self.language).await?;
                    if let Some((conversion, content)) = analysis.conversion().zip(content) {
                        query(
                            "INSERT OR REPLACE INTO word_page
                                 (page_key, checksum, content, conversion)
                             VALUES (?1, ?2, ?3, ?4)",
                        )
                        .bind(page::key(page.owner, page.page))
                        .bind(page::checksum(&content))
                        .bind(content)
                        .bind(conversion)
                        .execute(&mut *conn)
                        .await?;
                    }
                }
            }
            done += 1;
            if started.elapsed() >= TARGET {
                break;
            }
        }
        Ok(done)
    }
}

async fn vectors(
    conn: &mut SqliteConnection,
    page: &MissingPage,
) -> Result<Option<Vec<u8>>, Failure> {
    let dimensions: Option<u32> =
        query_scalar("SELECT dimensions FROM embedding_space WHERE space_key = ?1")
            .bind(page.owner)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(dimensions) = dimensions.and_then(|it| usize::try_from(it).ok()) else {
        return Ok(None);
    };
    let (first, last) = page.row_keys();
    let rows = query(
        "SELECT embedding_key - ?1, vectors FROM memory_embedding
         WHERE embedding_key BETWEEN ?1 AND ?2 ORDER BY embedding_key",
    )
    .bind(first)
    .bind(last)
    .fetch_all(conn)
    .await?;
    let encode = move || {
        let rows = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        vector_page::encode(&rows.collect::<Result<Vec<_>, sqlx::Error>>()?, dimensions)
    };
    run_blocking(usize::MAX, encode).await?.map(Some)
}

/// The words of a page, from entries, or from texts where entries are outdated. `None`
/// where they are not to be made now.
async fn words(
    conn: &mut SqliteConnection,
    page: &MissingPage,
    analysis: AnalysisState,
    language: Option<Language>,
) -> Result<Option<Vec<u8>>, Failure> {
    let (first, last) = page.row_keys();
    if analysis.is_outdated() {
        return Ok(None);
    }
    if analysis.is_key_outdated(last) {
        return words_of_texts(conn, page, language).await;
    }
    let rows = query(
        "SELECT w.rowid - ?1, m.word_count, w.words FROM memory_words AS w
         CROSS JOIN memory AS m ON m.memory_key = w.rowid
         WHERE w.rowid BETWEEN ?1 AND ?2 ORDER BY w.rowid",
    )
    .bind(first)
    .bind(last)
    .fetch_all(conn)
    .await?;
    let encode = move || {
        let memories = rows.iter().map(|row| {
            Ok(MemoryWords {
                number: row.try_get(0)?,
                length: row.try_get(1)?,
                entry: row.try_get(2)?,
            })
        });
        let memories = memories.collect::<Result<Vec<_>, sqlx::Error>>()?;
        Ok(word_page::encode(&memories))
    };
    run_blocking(usize::MAX, encode).await?.map(Some)
}

/// The words of a page from the texts of its memories, whose word counts become those of
/// the current analysis: a search adds what it finds in pages to the counts in rows. Long
/// texts are left to the conversion.
async fn words_of_texts(
    conn: &mut SqliteConnection,
    page: &MissingPage,
    language: Option<Language>,
) -> Result<Option<Vec<u8>>, Failure> {
    let (first, last) = page.row_keys();
    let bytes: i64 = query_scalar(
        "SELECT coalesce(sum(octet_length(content)), 0) FROM memory
         WHERE memory_key BETWEEN ?1 AND ?2",
    )
    .bind(first)
    .bind(last)
    .fetch_one(&mut *conn)
    .await?;
    if bytes > MAX_TEXT_BYTES {
        return Ok(None);
    }
    let rows = query(
        "SELECT memory_key, word_count, content FROM memory
         WHERE memory_key BETWEEN ?1 AND ?2 AND archived_by IS NULL ORDER BY memory_key",
    )
    .bind(first)
    .bind(last)
    .fetch_all(&mut *conn)
    .await?;
    let entity = page.owner;
    let encode = move || {
        let (mut counts, mut memories) = (WordCounts::default(), Vec::new());
        for row in &rows {
            let key: i64 = row.try_get(0)?;
            let (entry, count) = lexical::index_entry(entity, row.try_get(2)?, language);
            counts.add(key, entity, true, row.try_get(1)?, count);
            let damaged = |_| Failure::Damaged("the word count of a memory is out of range");
            memories.push(MemoryWords {
                number: u16::try_from(key - first).map_err(damaged)?,
                length: u32::try_from(count).map_err(damaged)?,
                entry,
            });
        }
        Ok::<_, Failure>((counts, word_page::encode(&memories)))
    };
    let (counts, content) = run_blocking(usize::MAX, encode).await??;
    counts.write(conn).await?;
    Ok(Some(content))
}
