//! Work that waits for a task, of which one runs at a time.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What waits to be done, and whether a task does it. Clones are the same work.
///
/// A caller that adds work where no task runs gets the [`WorkPermit`], and with it has to
/// start one. The task takes work until none waits: a single consumer, without a task that waits
/// for work, and without a wakeup for each piece. `W` is a collection of what waits, or
/// `()` where the task needs nothing but to be the only one.
///
/// ```
/// use memory_core::PendingWork;
///
/// let work = PendingWork::<Vec<&str>>::default();
/// let mut permit = work.add(|waiting| waiting.push("one")).expect("no task has it");
/// assert!(work.add(|waiting| waiting.push("two")).is_none(), "a task has it");
/// let mut done = Vec::new();
/// while let Some((same, next)) = permit.take(Vec::pop) {
///     done.push(next);
///     permit = same;
/// }
/// assert_eq!(done, ["two", "one"]);
/// assert!(work.start().is_some(), "it was returned");
/// ```
pub struct PendingWork<W>(Arc<Mutex<State<W>>>);

#[derive(Default)]
struct State<W> {
    waiting: W,
    /// Whether there is a permit.
    has_task: bool,
}

impl<W: Default> PendingWork<W> {
    /// Adds to what waits, under a lock. Returns the permit where no task has it: then the
    /// caller has to start one.
    #[must_use = "without a task, nothing is done"]
    pub fn add(&self, add: impl FnOnce(&mut W)) -> Option<WorkPermit<W>> {
        let mut state = self.lock();
        add(&mut state.waiting);
        let is_first = !mem::replace(&mut state.has_task, true);
        is_first.then(|| WorkPermit {
            work: self.clone(),
            is_returned: false,
        })
    }

    /// Returns the permit where no task has it, and adds nothing.
    #[must_use = "without a task, nothing is done"]
    pub fn start(&self) -> Option<WorkPermit<W>> {
        self.add(|_| ())
    }
}

impl<W> PendingWork<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Clone for PendingWork<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Default> Default for PendingWork<W> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<W> fmt::Debug for PendingWork<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingWork")
            .field("has_task", &self.lock().has_task)
            .finish_non_exhaustive()
    }
}

/// The right of one task to do the [`PendingWork`].
///
/// Where it is dropped, for instance with a task whose runtime ends, what waits is dropped
/// too, and who adds work next gets another permit.
#[must_use = "without a task, nothing is done"]
pub struct WorkPermit<W: Default> {
    work: PendingWork<W>,
    /// Whether it was returned. From then on another task may have one.
    is_returned: bool,
}

impl<W: Default> WorkPermit<W> {
    /// Takes work out of what waits, under a lock. Where `take` finds none, the permit is
    /// returned, and the next caller that adds work gets another.
    pub fn take<T>(mut self, take: impl FnOnce(&mut W) -> Option<T>) -> Option<(Self, T)> {
        let mut state = self.work.lock();
        let taken = take(&mut state.waiting);
        state.has_task = taken.is_some();
        drop(state);
        self.is_returned = taken.is_none();
        Some((self, taken?))
    }
}

impl<W: Default> Drop for WorkPermit<W> {
    fn drop(&mut self) {
        if self.is_returned {
            return;
        }
        let mut state = self.work.lock();
        state.has_task = false;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        // Not under the lock: it may run code of the caller.
        drop(waiting);
    }
}

impl<W: Default> fmt::Debug for WorkPermit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPermit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_task_at_a_time_does_all_of_the_work() {
        const THREADS: usize = 4;
        const EACH: usize = 5_000;
        let work = PendingWork::<VecDeque<usize>>::default();
        let (running, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (work, running, done) = (work.clone(), &running, &done);
                scope.spawn(move || {
                    for number in 0..EACH {
                        let number = thread * EACH + number;
                        let Some(mut permit) = work.add(|waiting| waiting.push_back(number)) else {
                            continue;
                        };
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        loop {
                            // Counted before the permit may be returned.
                            running.fetch_sub(1, Ordering::SeqCst);
                            let Some((same, number)) = permit.take(VecDeque::pop_front) else {
                                break;
                            };
                            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                            done.lock().unwrap().push(number);
                            permit = same;
                        }
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..THREADS * EACH).collect::<Vec<_>>());
    }

    #[test]
    fn a_permit_that_is_dropped_drops_the_work_and_lets_another_task_start() {
        let work = PendingWork::<Vec<Arc<()>>>::default();
        let piece = Arc::new(());
        let permit = work.add(|waiting| waiting.push(Arc::clone(&piece)));
        assert!(work.start().is_none());
        drop(permit);
        assert_eq!(Arc::strong_count(&piece), 1);
        let permit = work.start().unwrap();
        assert!(permit.take(Vec::pop).is_none());
        // It was returned: dropping what is left of it must not end that of another task.
        let permit = work.add(|waiting| waiting.push(Arc::clone(&piece)));
        assert!(permit.is_some() && work.start().is_none());
        let (_permit, taken) = permit.unwrap().take(Vec::pop).unwrap();
        assert!(Arc::ptr_eq(&taken, &piece));
    }
}
