//! Callers that wait while another process has the lock of writers.
//!
//! They wait for the one connection that writes, and each would wait for the whole busy timeout
//! when its turn comes: the last of thirty for thirty times as long. So the failure of an
//! attempt is also that of all who waited since before it began.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_core::ErrorKind;

/// The last attempt that waited for the lock for the whole busy timeout.
#[derive(Debug, Default)]
pub(crate) struct FailedWait {
    /// When it began; `None` if one succeeded since.
    began: Mutex<Option<Instant>>,
}

impl FailedWait {
    /// Notes how an attempt ended that would have waited for the whole busy timeout.
    pub(crate) fn note(&self, began: Instant, error: Option<ErrorKind>) {
        *self.began() = (error == Some(ErrorKind::Unavailable)).then_some(began);
    }

    /// Whether who waits since a moment has waited as long as an attempt that failed, and none
    /// succeeded after it.
    pub(crate) fn covers(&self, since: Instant) -> bool {
        self.began().is_some_and(|began| since <= began)
    }

    fn began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_attempt_fails_for_those_who_waited_before_it_began() {
        let wait = FailedWait::default();
        let now = Instant::now();
        let later = now + Duration::from_millis(1);
        assert!(!wait.covers(now));
        wait.note(now, Some(ErrorKind::Unavailable));
        assert!(wait.covers(now) && !wait.covers(later));
        wait.note(later, Some(ErrorKind::Conflict));
        assert!(!wait.covers(now), "it had the lock");
    }
}
