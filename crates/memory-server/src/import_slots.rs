//! How many imports may be in progress at once: in all, and with one token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::problem::Problem;

/// Imports in progress at once: each holds up to three batches, of 4 MiB each.
const MAX_IMPORTS: usize = 4;

/// Those with one token: its holder does not keep everyone else from importing.
const MAX_OF_TOKEN: usize = 3;

/// The imports in progress, by the ids of their tokens.
#[derive(Debug, Default)]
pub(crate) struct ImportSlots(Mutex<HashMap<String, usize>>);

/// An import in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct ImportSlot {
    slots: Arc<ImportSlots>,
    token_id: String,
}

impl ImportSlots {
    /// Begins an import with a token; without tokens, all imports have the empty id, and
    /// one limit.
    ///
    /// # Errors
    /// 503 where as many are in progress as are allowed.
    pub(crate) fn begin(slots: &Arc<Self>, token_id: &str) -> Result<ImportSlot, Problem> {
        let mut counts = slots.counts();
        if counts.values().sum::<usize>() >= MAX_IMPORTS {
            return Err(Problem::busy(
                "as many imports as the server allows are in progress; try again later",
            ));
        }
        let of_token = counts.entry(token_id.to_owned()).or_default();
        if !token_id.is_empty() && *of_token >= MAX_OF_TOKEN {
            return Err(Problem::busy(format!(
                "{MAX_OF_TOKEN} imports with this token are in progress, which is what one token \
                 may have; try again later"
            )));
        }
        *of_token += 1;
        drop(counts);
        Ok(ImportSlot {
            slots: Arc::clone(slots),
            token_id: token_id.to_owned(),
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        let Self(counts) = self;
        counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ImportSlot {
    fn drop(&mut self) {
        let mut counts = self.slots.counts();
        if let Some(count) = counts.get_mut(&self.token_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.token_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leaves_a_slot_for_others_until_its_imports_end() {
        let slots = Arc::new(ImportSlots::default());
        let begin = |token: &str| ImportSlots::begin(&slots, token);
        let mut of_one: Vec<_> = (0..3).map(|_| begin("a").unwrap()).collect();
        assert!(begin("a").is_err(), "a fourth");
        let of_another = begin("b").unwrap();
        assert!(begin("b").is_err(), "a fifth in all");
        of_one.pop();
        assert!(begin("c").is_ok());
        drop((of_one, of_another));
        let without_tokens: Vec<_> = (0..4).map(|_| begin("").unwrap()).collect();
        assert!(begin("").is_err());
        drop(without_tokens);
        assert!(slots.counts().is_empty());
    }
}
