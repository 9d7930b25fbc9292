//! Index maintenance: which ANN index each very large entity has, and how widely it is
//! searched.
//!
//! | module | contents |
//! |---|---|
//! | `required` | which entities are large enough |
//! | `records` | what is on record of the indexes, and whether they are used |
//! | `build` | building indexes and choosing among them |
//! | `measure` | recall and time of an index |
//! | `width_search` | how widely an index has to be searched |

mod build;
mod measure;
mod records;
mod required;
mod width_search;

use std::time::Duration;

use memory_core::{
    ErrorKind, IndexAction, IndexReason, IndexReport, MaintenanceReport, MaintenanceRequest,
    MemoryError, MemoryResult,
};
use sqlx::Row;

use crate::ann::ann_index::{AnnIndex, is_outgrown};
use crate::connections::connecting::CLIENT_CHECK;
use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::error::Failure;
use crate::options::Pooler;

use self::measure::BuiltIndex;
use self::records::IndexRecord;
use self::required::RequiredIndex;

const OPERATION: &str = "maintain_indexes";

/// Maintains the indexes of all large entities, one after the other, on a connection
/// outside the pool.
pub(crate) async fn maintain_indexes(
    database: &Database,
    request: &MaintenanceRequest,
) -> MemoryResult<MaintenanceReport> {
    database.check_open(OPERATION)?;
    request.validate()?;
    if !request.dry_run {
        database.check_writable(OPERATION)?;
    }
    if database.options.pooler == Pooler::Transaction || database.options.row_level_security {
        // A session lock does not survive a pooler; policies hide most rows.
        return Err(MemoryError::Unsupported {
            operation: "maintain_indexes through a pooler or under row-level security",
            backend: "postgres",
        });
    }
    let connection = database.acquire().await.map_err(into_error)?;
    let mut run = Run::new(database, request, connection.detach());
    let outcome = run.run().await.map_err(into_error);
    // The server may take a moment to end the session, so the lock is released explicitly.
    let _ = run
        .connection
        .execute_batch("SELECT pg_advisory_unlock_all()")
        .await;
    outcome?;
    Ok(run.report)
}

fn into_error(failure: Failure) -> MemoryError {
    failure.into_error(OPERATION)
}

/// One run.
struct Run<'a> {
    database: &'a Database,
    /// Of its own: it has the lock and settings of the session. No transaction is open
    /// between two statements.
    connection: Connection,
    policy: AnnIndex,
    target: f64,
    min_vectors: u64,
    dry_run: bool,
    /// The settings of the session for searches, as they were last set.
    settings: Vec<String>,
    /// Whether the vectors are in a partitioned table, which no index is built on while
    /// others write.
    is_partitioned: bool,
    /// Whether an index that was not scanned here was not scanned at all.
    counts_all_scans: bool,
    /// The indexes that are left, and whether they were used since the last run.
    kept: Vec<(String, bool)>,
    report: MaintenanceReport,
}

impl<'a> Run<'a> {
    fn new(database: &'a Database, request: &MaintenanceRequest, connection: Connection) -> Self {
        let options = &database.options;
        let target = request.target_recall.unwrap_or(options.ann_target_recall);
        Self {
            database,
            connection,
            policy: options.ann_index,
            target,
            min_vectors: request.min_vectors.unwrap_or(options.ann_min_vectors),
            dry_run: request.dry_run,
            settings: Vec::new(),
            is_partitioned: false,
            counts_all_scans: false,
            kept: Vec::new(),
            report: MaintenanceReport::new(request.dry_run, target),
        }
    }

    async fn run(&mut self) -> Result<(), Failure> {
        self.unlimit().await?;
        // The server would finish a build, and keep the lock, for a process that is gone.
        // Some platforms refuse the setting.
        let check = format!("SET {CLIENT_CHECK}");
        match self.connection.execute_batch(&check).await {
            Err(failure) if !failure.is_refusal() => return Err(failure),
            _ => {}
        }
        self.check_server().await?;
        if !self.dry_run {
            self.lock().await?;
        }
        self.counts_all_scans = !self.database.has_replicas()
            && records::counts_all_scans(&mut self.connection).await?;
        let max_indexes = match self.policy {
            AnnIndex::None => 0,
            _ => self.database.options.ann_max_indexes,
        };
        let required = required::load(&mut self.connection, self.min_vectors, max_indexes).await?;
        let mut records = records::load(&mut self.connection).await?;
        let is_required =
            |record: &mut IndexRecord| !required.iter().any(|it| it.key == record.key);
        for record in records.extract_if(.., is_required) {
            self.drop_not_required(&record).await?;
        }
        for index in &required {
            let of_index = |record: &mut IndexRecord| record.key == index.key;
            let own = records.extract_if(.., of_index).collect();
            let report = self.maintain(index, own).await?;
            self.report.indexes.push(report);
        }
        if !self.dry_run {
            self.flush_statistics().await?;
            records::record_scans(&mut self.connection, &self.kept).await?;
            self.database
                .index_catalog
                .load(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Refuses a version of pgvector without iterative scans, which searches set.
    async fn check_server(&mut self) -> Result<(), Failure> {
        let query = sqlx::query(
            "SELECT string_to_array(x.extversion, '.')::integer[] >= '{0,8}' AS is_supported, \
             (SELECT c.relkind = 'p' FROM pg_class c \
              WHERE c.oid = to_regclass('memory_embedding')) AS is_partitioned \
             FROM pg_extension x WHERE x.extname = 'vector'",
        );
        let rows = self.connection.fetch_all(query).await?;
        if let Some(row) = rows.first()
            && row.try_get("is_supported")?
        {
            let is_partitioned: Option<bool> = row.try_get("is_partitioned")?;
            self.is_partitioned = is_partitioned.unwrap_or(false);
            return Ok(());
        }
        let message = "ANN indexes need the extension vector 0.8 or newer; install it and run \
                       ALTER EXTENSION vector UPDATE";
        Err(MemoryError::store(ErrorKind::Missing, OPERATION, message).into())
    }

    async fn lock(&mut self) -> Result<(), Failure> {
        let lock = "SELECT pg_try_advisory_lock(hashtext('memory-pg maintenance'), \
                    hashtext(current_schema())) AS acquired";
        let rows = self.connection.fetch_all(sqlx::query(lock)).await?;
        if rows
            .first()
            .map_or(Ok(false), |row| row.try_get("acquired"))?
        {
            return Ok(());
        }
        let message = "another process is already running index maintenance";
        Err(MemoryError::store(ErrorKind::Unavailable, OPERATION, message).into())
    }

    async fn drop_not_required(&mut self, record: &IndexRecord) -> Result<(), Failure> {
        if !self.dry_run {
            self.drop_index(record).await?;
        }
        if record.method.is_some() {
            let mut report = IndexReport::new(
                record.key.entity.clone(),
                record.key.model.clone(),
                record.built_rows,
                IndexAction::Drop,
                IndexReason::NotRequired,
            );
            report.before = record.description();
            self.report.indexes.push(report);
        }
        Ok(())
    }

    /// Maintains the index for the vectors of one entity and model.
    async fn maintain(
        &mut self,
        index: &RequiredIndex,
        mut records: Vec<IndexRecord>,
    ) -> Result<IndexReport, Failure> {
        let usable = records.iter().position(|it| self.is_usable(it, index));
        let usable = usable.map(|at| records.swap_remove(at));
        let is_decided = |it: &IndexRecord| it.standing_decision(index.rows, self.target);
        let decision = match self.policy {
            AnnIndex::Auto => records.iter().find_map(is_decided),
            _ => None,
        };
        let mut report = IndexReport::new(
            index.key.entity.clone(),
            index.key.model.clone(),
            index.rows,
            IndexAction::None,
            IndexReason::NotBuilt,
        );
        let all = usable.iter().chain(&records);
        report.before = all.filter_map(IndexRecord::description).next();
        let is_replaced = records.iter().find(|it| it.method.is_some());
        let is_replaced = is_replaced.map(|it| why_not_usable(it, index));
        if let Some(reason) = decision.filter(|_| usable.is_none()) {
            // Nothing is built; what is left of an interrupted run goes.
            self.drop_others(&records, false).await?;
            report.reason = reason;
            report.is_known = true;
            if is_replaced.is_some() {
                report.action = IndexAction::Drop;
            }
            return Ok(report);
        }
        self.drop_others(&records, true).await?;
        if let Some(record) = usable {
            return self.review(index, &record, report).await;
        }
        if self.dry_run {
            report.measured = Some(self.measure_exact(index).await?);
            report.action = match report.before {
                Some(_) => IndexAction::Replace,
                None => IndexAction::Build,
            };
            report.reason = is_replaced.unwrap_or(IndexReason::NotBuilt);
            return Ok(report);
        }
        let questions = self.sample(index).await?;
        self.build_best(index, &questions, None, report).await
    }

    /// Whether an index can be kept, as far as that is known without measuring it.
    fn is_usable(&self, record: &IndexRecord, index: &RequiredIndex) -> bool {
        let Some(method) = record.method.filter(|_| record.is_valid()) else {
            return false;
        };
        // Without a width it is left of a run that was about to compare it with others.
        let is_chosen = self.policy != AnnIndex::Auto || record.width.is_some();
        is_chosen
            && !is_outgrown(method, record.built_rows, index.rows)
            && self
                .policy
                .accepts(method, &record.parameters, record.built_rows)
    }

    /// Drops the indexes that are not kept, and with `decisions` the records that there is
    /// none.
    async fn drop_others(
        &mut self,
        records: &[IndexRecord],
        decisions: bool,
    ) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        for record in records {
            if decisions || record.method.is_some() {
                self.drop_index(record).await?;
            }
        }
        Ok(())
    }

    /// Measures an existing index, and keeps it if it is of use.
    async fn review(
        &mut self,
        index: &RequiredIndex,
        record: &IndexRecord,
        mut report: IndexReport,
    ) -> Result<IndexReport, Failure> {
        let is_configured = self.policy != AnnIndex::Auto;
        if !is_configured && self.counts_all_scans && record.is_unused() {
            report.action = IndexAction::Drop;
            report.reason = IndexReason::Unused;
            self.give_up(index, record, IndexReason::Unused).await?;
            return Ok(report);
        }
        let Some(method) = record.method else {
            return Ok(report);
        };
        let questions = self.sample(index).await?;
        let built = BuiltIndex {
            vectors: index,
            method,
            name: &record.name,
        };
        let tuning = match self.policy.configured_width() {
            Some(width) => self.measure_width(built, width, &questions).await?,
            None => self.tune(built, &questions, record.width).await?,
        };
        report.measured = Some(tuning.measurement());
        report.reason = match is_configured {
            true => IndexReason::Configured,
            false => tuning.verdict(self.target),
        };
        match report.reason {
            IndexReason::TargetReached | IndexReason::Configured => {
                report.action = IndexAction::Keep;
                let kept = report.before.clone();
                report.after = kept.map(|kept| kept.search_width(Some(tuning.width)));
                if !self.dry_run {
                    let (name, width) = (&record.name, tuning.width);
                    records::set_width(&mut self.connection, name, width, self.target).await?;
                    self.kept.push((name.clone(), record.was_scanned()));
                }
                Ok(report)
            }
            IndexReason::BelowTarget if self.dry_run => {
                report.action = IndexAction::Replace;
                Ok(report)
            }
            IndexReason::BelowTarget => {
                self.drop_index(record).await?;
                // Of as many vectors the same method builds as good an index.
                let has_grown = index.rows > record.built_rows + record.built_rows / 4;
                let except = Some(method).filter(|_| !has_grown);
                self.build_best(index, &questions, except, report).await
            }
            reason => {
                report.action = IndexAction::Drop;
                self.give_up(index, record, reason).await?;
                Ok(report)
            }
        }
    }

    /// Drops an index and records why there is none.
    async fn give_up(
        &mut self,
        index: &RequiredIndex,
        record: &IndexRecord,
        reason: IndexReason,
    ) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        self.drop_index(record).await?;
        let connection = &mut self.connection;
        records::insert_decision(connection, &index.key, index.rows, self.target, reason).await
    }

    async fn drop_index(&mut self, record: &IndexRecord) -> Result<(), Failure> {
        match record.method {
            Some(_) => self.drop_by_name(&record.name).await,
            None => records::delete(&mut self.connection, &record.name).await,
        }
    }

    async fn drop_by_name(&mut self, name: &str) -> Result<(), Failure> {
        self.unlimit().await?;
        let qualified = records::qualified(&mut self.connection, name).await?;
        self.connection
            .execute_batch(&format!("DROP INDEX CONCURRENTLY IF EXISTS {qualified}"))
            .await?;
        records::delete(&mut self.connection, name).await
    }

    /// Makes the server count the scans of this session, which it would do up to a second
    /// later: they are no use of an index.
    async fn flush_statistics(&mut self) -> Result<(), Failure> {
        let query =
            sqlx::query("SELECT to_regproc('pg_stat_force_next_flush') IS NOT NULL AS can_flush");
        let rows = self.connection.fetch_all(query).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        if row.try_get("can_flush")? {
            return self
                .connection
                .execute_batch("SELECT pg_stat_force_next_flush()")
                .await;
        }
        // PostgreSQL 14: at the end of a statement, and at most every half a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.connection.execute_batch("SELECT 1").await
    }
}

/// Why an index is not kept as it is.
fn why_not_usable(record: &IndexRecord, index: &RequiredIndex) -> IndexReason {
    match record.method {
        Some(_) if !record.is_valid() => IndexReason::Incomplete,
        Some(method) if is_outgrown(method, record.built_rows, index.rows) => IndexReason::Outgrown,
        _ if record.width.is_none() => IndexReason::Incomplete,
        _ => IndexReason::Configured,
    }
}
