//! Building ANN indexes and choosing among them.

use std::time::{Duration, Instant};

use memory_core::{
    IndexAction, IndexDescription, IndexMethod, IndexReason, IndexReport, MemoryError,
};

use super::measure::{BuiltIndex, Question, Tuning};
use super::required::RequiredIndex;
use super::{Run, records};
use crate::ann::ann_index::{AnnIndex, predicate};
use crate::error::Failure;
use crate::rows::sql::quoted;

/// The `maintenance_work_mem` of a build: an HNSW graph of 100,000 vectors of 384
/// dimensions takes about 130 MB, and building one that does not fit takes many
/// times as long.
const BUILD_MEMORY: &str = "512MB";

/// What came of trying the methods.
struct Trial {
    /// The index that is kept.
    winner: Option<(IndexMethod, Tuning)>,
    /// Why it is kept, or why none is.
    reason: IndexReason,
    /// The best that was measured, where none is kept.
    best_loser: Option<Tuning>,
    build: Duration,
}

impl Trial {
    /// Remembers the better of two that are not kept: the one that reaches the target.
    fn add_loser(&mut self, tuning: Tuning, verdict: IndexReason) {
        let is_better = self.best_loser.is_none_or(|best| {
            tuning.estimate.at_least > best.estimate.at_least
                && self.reason == IndexReason::BelowTarget
        });
        if is_better {
            self.best_loser = Some(tuning);
            self.reason = verdict;
        }
    }

    /// Reports that no index is kept. If there was one and this run measured it, that is
    /// what is dropped, for the reason that is in the report already; the others were
    /// tried in its place.
    fn report_none(&self, report: &mut IndexReport) {
        report.action = match report.before {
            Some(_) => IndexAction::Drop,
            None => IndexAction::None,
        };
        if report.measured.is_none() {
            report.measured = self.best_loser.map(|tuning| tuning.measurement());
            report.reason = self.reason;
        }
    }
}

impl Run<'_> {
    /// Builds an index of each method, keeps the fastest that reaches the target, and
    /// records its width, or why there is none.
    pub(super) async fn build_best(
        &mut self,
        index: &RequiredIndex,
        questions: &[Question],
        except: Option<IndexMethod>,
        mut report: IndexReport,
    ) -> Result<IndexReport, Failure> {
        let trial = self.try_methods(index, questions, except).await?;
        report.build_ms = Some(trial.build.as_secs_f64() * 1_000.0).filter(|it| *it > 0.0);
        let Some((method, tuning)) = trial.winner else {
            trial.report_none(&mut report);
            let (connection, reason) = (&mut self.connection, trial.reason);
            records::insert_decision(connection, &index.key, index.rows, self.target, reason)
                .await?;
            return Ok(report);
        };
        let name = index.key.name(Some(method));
        let connection = &mut self.connection;
        records::set_width(connection, &name, tuning.width, self.target).await?;
        let bytes = records::size(connection, &name).await?;
        let parameters = self.build_options(method).storage_parameters(index.rows);
        let description = IndexDescription::new(method, parameters, bytes);
        report.after = Some(description.search_width(Some(tuning.width)));
        report.reason = trial.reason;
        report.measured = Some(tuning.measurement());
        report.action = match report.before {
            Some(_) => IndexAction::Replace,
            None => IndexAction::Build,
        };
        self.kept.push((name, true));
        Ok(report)
    }

    /// Builds an index of each method that the options allow, and drops all but the
    /// fastest that reaches the target. IVFFlat first, whose build is the shorter one.
    async fn try_methods(
        &mut self,
        index: &RequiredIndex,
        questions: &[Question],
        except: Option<IndexMethod>,
    ) -> Result<Trial, Failure> {
        let methods = match self.policy.method() {
            Some(method) => vec![method],
            None => vec![IndexMethod::IvfFlat, IndexMethod::Hnsw],
        };
        let mut trial = Trial {
            winner: None,
            reason: IndexReason::BelowTarget,
            best_loser: None,
            build: Duration::ZERO,
        };
        for method in methods.into_iter().filter(|it| Some(*it) != except) {
            let started = Instant::now();
            self.create_index(index, method).await?;
            trial.build += started.elapsed();
            let name = index.key.name(Some(method));
            let built = BuiltIndex {
                vectors: index,
                method,
                name: &name,
            };
            if let Some(width) = self.policy.configured_width() {
                let tuning = self.measure_width(built, width, questions).await?;
                trial.reason = IndexReason::Configured;
                trial.winner = Some((method, tuning));
                break;
            }
            let tuning = self.tune(built, questions, None).await?;
            let verdict = tuning.verdict(self.target);
            let loser = if verdict != IndexReason::TargetReached {
                if trial.winner.is_none() {
                    trial.add_loser(tuning, verdict);
                }
                Some(method)
            } else {
                trial.reason = verdict;
                match trial.winner {
                    Some((_, best)) if best.approximate_ms <= tuning.approximate_ms => Some(method),
                    _ => trial
                        .winner
                        .replace((method, tuning))
                        .map(|(method, _)| method),
                }
            };
            if let Some(loser) = loser {
                self.drop_by_name(&index.key.name(Some(loser))).await?;
            }
        }
        Ok(trial)
    }

    /// The parameters with which an index is built.
    fn build_options(&self, method: IndexMethod) -> AnnIndex {
        match (self.policy, method) {
            (AnnIndex::Auto, IndexMethod::IvfFlat) => AnnIndex::ivf_flat(),
            (AnnIndex::Auto, _) => AnnIndex::hnsw(),
            (configured, _) => configured,
        }
    }

    /// Builds an index while others write.
    async fn create_index(
        &mut self,
        index: &RequiredIndex,
        method: IndexMethod,
    ) -> Result<(), Failure> {
        if self.is_partitioned {
            return Err(MemoryError::Unsupported {
                operation: "maintain_indexes on partitioned tables",
                backend: "postgres",
            }
            .into());
        }
        let parameters = self.build_options(method).storage_parameters(index.rows);
        self.unlimit().await?;
        let (key, connection) = (&index.key, &mut self.connection);
        records::insert(connection, key, method, &parameters, index.rows).await?;
        let memory = format!("SET maintenance_work_mem = {}", quoted(BUILD_MEMORY));
        connection.execute_batch(&memory).await?;
        let (name, dimensions) = (key.name(Some(method)), key.dimensions);
        let (entity, model) = (key.entity.as_str(), key.model.as_str());
        connection
            .execute_batch(&format!(
                "CREATE INDEX CONCURRENTLY {name} ON memory_embedding \
                 USING {} ((half::halfvec({dimensions})) halfvec_cosine_ops) \
                 WITH ({parameters}) WHERE {}",
                method.as_str(),
                predicate(method, entity, model, dimensions, ""),
            ))
            .await
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{EntityId, Fingerprint};

    use super::*;
    use crate::ann::recall_estimate::RecallEstimate;

    fn tuning(recall: f64) -> Tuning {
        Tuning {
            width: 40,
            estimate: RecallEstimate {
                questions: 200,
                recall,
                at_least: recall,
            },
            exact_ms: 10.0,
            approximate_ms: 9.0,
            is_planned: true,
        }
    }

    /// A report on an entity whose index this run measured, and on one without an index.
    #[test]
    fn what_is_dropped_is_reported_with_its_own_measurement() {
        let trial = Trial {
            winner: None,
            reason: IndexReason::NotFaster,
            best_loser: Some(tuning(0.97)),
            build: Duration::ZERO,
        };
        let mut report = IndexReport::new(
            EntityId::from("mira"),
            Fingerprint::from("model"),
            1_000,
            IndexAction::None,
            IndexReason::BelowTarget,
        );
        trial.report_none(&mut report);
        assert_eq!(report.action, IndexAction::None);
        assert_eq!(report.reason, IndexReason::NotFaster);
        assert_eq!(report.measured, Some(tuning(0.97).measurement()));

        report.before = Some(IndexDescription::new(IndexMethod::Hnsw, "m = 16", 1));
        report.measured = Some(tuning(0.6).measurement());
        report.reason = IndexReason::BelowTarget;
        trial.report_none(&mut report);
        assert_eq!(report.action, IndexAction::Drop);
        assert_eq!(report.reason, IndexReason::BelowTarget);
        assert_eq!(report.measured, Some(tuning(0.6).measurement()));
    }
}
