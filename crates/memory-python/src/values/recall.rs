//! Hits of recalls and reflections.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::float;
use super::memory::Memory;
use super::repr::number;

/// A recalled memory and its score.
#[pyclass(frozen, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct RecallHit(memory::RecallHit);

#[pymethods]
impl RecallHit {
    #[getter]
    fn memory(&self) -> Memory {
        Memory(self.0.memory.clone())
    }

    #[getter]
    fn score(&self) -> f64 {
        float(self.0.score)
    }

    #[getter]
    fn relevance(&self) -> f64 {
        float(self.0.relevance)
    }

    #[getter]
    fn similarity(&self) -> Option<f64> {
        self.0.similarity.map(float)
    }

    /// Every input of the score and of the relevance, by name.
    #[getter]
    fn explanation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = serde_json::to_string(&self.0.explanation)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        py.import(intern!(py, "json"))?
            .call_method1(intern!(py, "loads"), (text,))
    }

    fn __repr__(&self) -> String {
        format!(
            "RecallHit(score={:.3}, relevance={:.3}, similarity={}, memory={})",
            self.0.score,
            self.0.relevance,
            number(self.0.similarity),
            self.memory().__repr__(),
        )
    }
}

impl From<memory::RecallHit> for RecallHit {
    fn from(hit: memory::RecallHit) -> Self {
        Self(hit)
    }
}

/// Hits for Python.
pub(crate) fn to_hits(hits: Vec<memory::RecallHit>) -> Vec<RecallHit> {
    hits.into_iter().map(RecallHit).collect()
}

/// Hits that a recall found and did not return.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExcludedHits {
    count: usize,
    max_relevance: Option<f64>,
}

#[pymethods]
impl ExcludedHits {
    fn __repr__(&self) -> String {
        let max = self.max_relevance;
        let max = max.map_or_else(|| "None".to_owned(), |max| format!("{max:.3}"));
        format!("ExcludedHits(count={}, max_relevance={max})", self.count)
    }
}

/// The hits of a recall, and how many memories could not be compared with the query.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct RecallReport {
    hits: Vec<RecallHit>,
    without_vectors: u64,
    by_previous_model: bool,
    below_min_relevance: ExcludedHits,
}

#[pymethods]
impl RecallReport {
    fn __repr__(&self) -> String {
        format!(
            "RecallReport({} hits, without_vectors={}, below_min_relevance={})",
            self.hits.len(),
            self.without_vectors,
            self.below_min_relevance.__repr__(),
        )
    }
}

impl From<memory::RecallReport> for RecallReport {
    fn from(report: memory::RecallReport) -> Self {
        let excluded = report.below_min_relevance;
        Self {
            hits: to_hits(report.hits),
            without_vectors: report.without_vectors,
            by_previous_model: report.by_previous_model,
            below_min_relevance: ExcludedHits {
                count: excluded.count,
                max_relevance: excluded.max_relevance.map(float),
            },
        }
    }
}

/// The result of a reflection.
#[pyclass(frozen, get_all, module = "memory")]
#[derive(Debug, Clone)]
pub(crate) struct Reflection {
    answer: Option<String>,
    context: String,
    memories: Vec<RecallHit>,
    omitted: usize,
    without_vectors: u64,
    by_previous_model: bool,
}

#[pymethods]
impl Reflection {
    /// The answer, or the context where there is none.
    #[getter]
    fn text(&self) -> &str {
        self.answer.as_deref().unwrap_or(&self.context)
    }

    fn __repr__(&self) -> String {
        let answer = match &self.answer {
            Some(answer) => super::repr::excerpt(answer),
            None => "None".to_owned(),
        };
        format!(
            "Reflection(answer={answer}, {} memories)",
            self.memories.len()
        )
    }
}

impl From<memory::Reflection> for Reflection {
    fn from(reflection: memory::Reflection) -> Self {
        Self {
            answer: reflection.answer,
            context: reflection.context,
            memories: to_hits(reflection.memories),
            omitted: reflection.omitted,
            without_vectors: reflection.without_vectors,
            by_previous_model: reflection.by_previous_model,
        }
    }
}
