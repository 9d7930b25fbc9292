//! Work that is divided among the processors.

use std::mem;
use std::num::NonZero;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

/// How many processors there are for this process. The system is asked once, since it
/// answers from files.
pub(super) fn processors() -> usize {
    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));
    *PROCESSORS
}

/// Maps items in order, on all processors where there are many: at least `min_part`
/// for each. What is mapped is freed by the thread that mapped it.
pub(super) fn map_all<T: Send, R: Send>(
    mut items: Vec<T>,
    min_part: usize,
    map: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let parts = processors().min(items.len() / min_part).max(1);
    let map_part = |part: Vec<T>| -> Vec<R> { part.into_iter().map(&map).collect() };
    let length = items.len() / parts;
    let others: Vec<_> = (1..parts)
        .map(|_| Mutex::new(items.split_off(items.len() - length)))
        .collect();
    let take = |part: &Mutex<Vec<T>>| -> Vec<T> {
        mem::take(&mut *part.lock().unwrap_or_else(PoisonError::into_inner))
    };
    thread::scope(|scope| {
        let others = others.iter();
        let others = others.map(|part| start(scope, || map_part(take(part))));
        let others: Vec<_> = others.collect();
        let mut all = map_part(items);
        for other in others.into_iter().rev() {
            all.extend(other.join());
        }
        all
    })
}

/// Work that was given to a thread.
pub(super) enum Started<'scope, T> {
    Running(ScopedJoinHandle<'scope, T>),
    /// Done by the thread that wanted to start another.
    Done(T),
}

impl<T> Started<'_, T> {
    /// Waits for the thread. Its panic is this one's.
    pub(super) fn join(self) -> T {
        match self {
            Self::Running(thread) => match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Self::Done(value) => value,
        }
    }
}

/// Starts work on a thread of its own. Where the system allows no more threads, it is done
/// by this one, before the function returns.
pub(super) fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + Copy + 'scope,
) -> Started<'scope, T> {
    start_with(Builder::new(), scope, work)
}

fn start_with<'scope, T: Send + 'scope>(
    builder: Builder,
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + Copy + 'scope,
) -> Started<'scope, T> {
    match builder.spawn_scoped(scope, work) {
        Ok(thread) => Started::Running(thread),
        Err(_) => Started::Done(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_where_no_thread_can_be_started() {
        let calling = thread::current().id();
        thread::scope(|scope| {
            let work = || thread::current().id();
            assert_ne!(start(scope, work).join(), calling);
            // No system has room for such a stack.
            let impossible = Builder::new().stack_size(1 << 60);
            assert_eq!(start_with(impossible, scope, work).join(), calling);
        });
    }

    #[test]
    fn items_stay_in_order() {
        for count in [0, 1, 9, 100 * processors() + 3] {
            let mapped = map_all((0..count).collect(), 10, |item| item * 2);
            assert!(mapped.into_iter().eq((0..count).map(|item| item * 2)));
        }
    }
}
