//! Whether store and model work, for callers without a token.

use std::sync::{Mutex, PoisonError};

use memory::{MemoryError, MemorySystem};

use crate::model_check::ModelCheck;
use crate::problem::{Answer, Problem};

/// Checks store and model. Everyone may ask, so the answer has the kind of an error alone:
/// its text, which may name hosts and files, is for the log.
#[derive(Debug)]
pub(crate) struct Readiness {
    model_check: ModelCheck,
    /// The error that was logged last, until all works again: supervisors ask each second.
    logged: Mutex<Option<String>>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            model_check: ModelCheck::new(),
            logged: Mutex::default(),
        }
    }

    /// Checks the store, then the model.
    pub(crate) async fn check(&self, memory: MemorySystem) -> Answer<()> {
        if let Err(error) = memory.list_entities(None, 1).await {
            return Err(self.problem("the store", &error));
        }
        let call = || async move { memory.check_embedder().await };
        if let Err(error) = self.model_check.run(call).await {
            return Err(self.problem("the model", &error));
        }
        if self.replace_logged(None).is_some() {
            tracing::info!("store and model work again");
        }
        Ok(())
    }

    fn problem(&self, failed: &str, error: &MemoryError) -> Problem {
        let text = error.to_string();
        if self.replace_logged(Some(text.clone())).as_ref() != Some(&text) {
            tracing::warn!("the server is not ready, as {failed} does not work: {text}");
        }
        Problem::without_text(error, failed)
    }

    fn replace_logged(&self, text: Option<String>) -> Option<String> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *logged, text)
    }
}
