//! Faults of index maintenance.

use memory_core::{
    EntityId, Fingerprint, IndexAction, IndexReason, IndexReport, MaintenanceReport,
    MaintenanceRequest, MemoryResult, SearchOutcome, Store,
};

use super::{FaultyStore, StoreFault as Fault};

impl FaultyStore {
    pub(super) async fn faulty_maintain_indexes(
        &self,
        request: &MaintenanceRequest,
    ) -> MemoryResult<MaintenanceReport> {
        let mut lenient = *request;
        if self.has(Fault::AcceptsEveryTargetRecall) {
            lenient.target_recall = None;
        }
        let mut report = self.inner.maintain_indexes(&lenient).await?;
        match self.fault {
            Fault::WritesInADryRun if request.dry_run => {
                self.everybody().iter().for_each(|it| self.shift(it, 1));
            }
            Fault::BuildsIndexesAgain | Fault::IndexesSmallEntities => {
                report.indexes = self.everybody().into_iter().map(built).collect();
            }
            Fault::MissesTheNearest => self.fault_state().has_indexes = !request.dry_run,
            _ => {}
        }
        Ok(report)
    }

    /// Puts the last candidate in the place of every other one, which the search missed.
    pub(super) fn miss_nearest(&self, found: &mut SearchOutcome) {
        if !self.fault_state().has_indexes {
            return;
        }
        if let Some(last) = found.candidates.last().cloned() {
            let missed = found.candidates.iter_mut().step_by(2);
            missed.for_each(|candidate| *candidate = last.clone());
        }
    }
}

fn built(entity: EntityId) -> IndexReport {
    let mut report = IndexReport::new(
        entity,
        Fingerprint::from("testkit/model-a"),
        0,
        IndexAction::Build,
        IndexReason::TargetReached,
    );
    report.build_ms = Some(1.0);
    report
}
