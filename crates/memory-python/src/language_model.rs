//! A callable of Python as language model.

use std::sync::Arc;

use async_trait::async_trait;
use memory::{ErrorKind, LanguageModel, MemoryError, MemoryResult};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// What the model does, in errors.
const OPERATION: &str = "complete a prompt";

/// A callable that takes a prompt and returns the answer. It is called on a thread of its
/// own, so it may take as long as it likes, and may call the system.
#[derive(Debug)]
pub(crate) struct PythonModel(Arc<Py<PyAny>>);

impl PythonModel {
    pub(crate) fn new(callable: Py<PyAny>) -> Self {
        Self(Arc::new(callable))
    }
}

#[async_trait]
impl LanguageModel for PythonModel {
    async fn complete(&self, prompt: &str) -> MemoryResult<String> {
        let (callable, prompt) = (Arc::clone(&self.0), prompt.to_owned());
        let call = tokio::task::spawn_blocking(move || {
            Python::attach(|py| {
                let answer = callable.bind(py).call1((prompt,)).map_err(|exception| {
                    // Its text may quote the prompt; it stays available as the cause.
                    let name = type_name(&exception.get_type(py));
                    failure(format!("the callable raised {name}")).with_source(exception)
                })?;
                answer.extract::<String>().map_err(|_| {
                    let name = type_name(&answer.get_type());
                    failure(format!("the callable returned {name}; it must return str"))
                })
            })
        });
        let stopped = || failure("the interpreter was stopped during the call".to_owned());
        call.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn failure(message: String) -> MemoryError {
    MemoryError::language_model(ErrorKind::Other, OPERATION, message)
}

fn type_name(class: &Bound<'_, PyType>) -> String {
    let name = class.name();
    name.map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
