//! Making search pages in the background, after a search missed some.

use memory_core::PendingWork;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row, query, query_scalar};

use crate::blocking::run_blocking;
use crate::error::Failure;
use crate::own_commits::Origin;
use crate::page::{self, MissingPage, PageTable};
use crate::transaction::Transaction;
use crate::word_page::{self, MemoryWords};
use crate::writer::Writer;
use crate::{database, vector_page};

/// Pages of one transaction: writes wait for it some ten milliseconds at most.
const BATCH: usize = 4;

/// Makes pages, one search's at a time.
#[derive(Debug, Default)]
pub(crate) struct PageBuilder(PendingWork<()>);

impl PageBuilder {
    /// Makes pages in a task of its own. Does nothing while one is running: a later
    /// search misses them again.
    pub(crate) fn start(&self, writer: Writer, missing: Vec<MissingPage>) {
        if missing.is_empty() {
            return;
        }
        let Some(permit) = self.0.start() else { return };
        let build = async move {
            for pages in missing.chunks(BATCH) {
                let pages = pages.to_vec();
                let made = writer
                    .clone()
                    .transact(BuildPages { pages }, Origin::Upkeep);
                if let Err(error) = made.await {
                    tracing::debug!(kind = ?error.kind(), "search pages were not made");
                    break;
                }
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
}

impl Transaction for BuildPages {
    type Output = ();
    const OPERATION: &'static str = "build_search_pages";
    /// They can be made again.
    const SURVIVES_POWER_FAILURE: bool = false;

    async fn run(self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        for page in self.pages {
            let content = match page.table {
                PageTable::Vectors => vectors(conn, &page).await?,
                PageTable::Words => words(conn, &page).await?,
            };
            // The entity or the space may be gone.
            let Some(content) = content else { continue };
            let sql = format!(
                "INSERT OR REPLACE INTO {} (page_key, checksum, content) VALUES (?1, ?2, ?3)",
                page.table.name()
            );
            query(AssertSqlSafe(sql))
                .bind(page::key(page.owner, page.page))
                .bind(page::checksum(&content))
                .bind(content)
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
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

async fn words(
    conn: &mut SqliteConnection,
    page: &MissingPage,
) -> Result<Option<Vec<u8>>, Failure> {
    let (first, last) = page.row_keys();
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
