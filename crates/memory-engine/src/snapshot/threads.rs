//! Work that is divided among the processors.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::{self, ScopedJoinHandle};

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
        .map(|_| items.split_off(items.len() - length))
        .collect();
    thread::scope(|scope| {
        let others = others.into_iter();
        let others: Vec<_> = others.map(|part| scope.spawn(|| map_part(part))).collect();
        let mut all = map_part(items);
        for other in others.into_iter().rev() {
            all.extend(join(other));
        }
        all
    })
}

/// Waits for a thread. Its panic is this one's.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_in_order() {
        for count in [0, 1, 9, 100 * processors() + 3] {
            let mapped = map_all((0..count).collect(), 10, |item| item * 2);
            assert!(mapped.into_iter().eq((0..count).map(|item| item * 2)));
        }
    }
}
