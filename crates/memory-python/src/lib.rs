//! The native module of the Python package `memory`: the facade's operations for Python.
//!
//! It converts arguments and results, and performs no work of its own. `python/memory/`
//! has the rest of the package: the exceptions, and the types of everything here.
//!
//! | module | contents |
//! |---|---|
//! | `system` | the classes `MemorySystem` and `AsyncMemorySystem` |
//! | `operations` | what both call |
//! | `opening` | the parts of a system from keyword arguments |
//! | `runtime` | calls that wait, and coroutines, on one tokio runtime |
//! | `requests/` | what operations take |
//! | `values/` | what operations return |
//! | `errors` | errors as exceptions |
//! | `identifiers`, `times`, `names` | ids, times, and values by name |
//! | `state` | objects in pickles |
//! | `language_model` | a callable as language model |

mod errors;
mod identifiers;
mod language_model;
mod names;
mod opening;
mod operations;
mod requests;
mod runtime;
mod state;
mod system;
mod times;
mod values;

/// `memory._native`; `memory/__init__.py` exports its classes.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::requests::config::MemoryConfig;
    #[pymodule_export]
    use crate::requests::filter::MemoryFilter;
    #[pymodule_export]
    use crate::requests::item::MemoryBatchItem;
    #[pymodule_export]
    use crate::system::{AsyncMemorySystem, MemorySystem};
    #[pymodule_export]
    use crate::values::lifecycle::{
        ConsolidatedSummary, ConsolidationReport, ReembedReport, RelatedMemory, SkippedGroup,
    };
    #[pymodule_export]
    use crate::values::memory::{ListPage, Memory, PageCursor};
    #[pymodule_export]
    use crate::values::recall::{ExcludedHits, RecallHit, RecallReport, Reflection};
    #[pymodule_export]
    use crate::values::stats::{CacheStats, EntityStats, TierStats};
}
