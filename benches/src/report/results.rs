//! The results of all benches in a folder.

use std::error::Error;
use std::path::Path;

use crate::cache_comparison::results::Results;
use crate::records::{Run, RunRecords};

/// What was measured; `None` for a bench that did not run.
#[derive(Debug, Default)]
pub struct ReportResults {
    /// `memory_benchmarks`.
    pub memory: Option<RunRecords>,
    /// `scale`.
    pub scale: Option<RunRecords>,
    /// `conversation`.
    pub conversation: Option<RunRecords>,
    /// `embedding`.
    pub embedding: Option<RunRecords>,
    /// `stores`.
    pub stores: Option<RunRecords>,
    /// `cache_comparison`.
    pub caches: Option<Results>,
}

impl ReportResults {
    /// Reads the files `BENCH.jsonl`, and `cache_comparison.json`.
    ///
    /// # Errors
    /// If a file exists and cannot be read.
    pub fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let records = |bench: &str| {
            let path = folder.join(format!("{bench}.jsonl"));
            RunRecords::read(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let caches = folder.join("cache_comparison.json");
        let caches = caches.exists().then(|| std::fs::read(caches)).transpose()?;
        Ok(Self {
            memory: records("memory_benchmarks")?,
            scale: records("scale")?,
            conversation: records("conversation")?,
            embedding: records("embedding")?,
            stores: records("stores")?,
            caches: caches
                .map(|json| serde_json::from_slice(&json))
                .transpose()?,
        })
    }

    /// The records of a bench.
    #[must_use]
    pub fn records(&self, bench: &str) -> Option<&RunRecords> {
        let all = [
            &self.memory,
            &self.scale,
            &self.conversation,
            &self.embedding,
            &self.stores,
        ];
        let mut all = all.into_iter().flatten();
        all.find(|records| records.run.bench == bench)
    }

    /// The runs, in the order of the page.
    #[must_use]
    pub fn runs(&self) -> Vec<&Run> {
        let records = [
            &self.memory,
            &self.scale,
            &self.conversation,
            &self.embedding,
            &self.stores,
        ];
        let runs = records.into_iter().flatten().map(|records| &records.run);
        let caches = self.caches.iter().filter_map(|caches| caches.run.as_ref());
        runs.chain(caches).collect()
    }
}
