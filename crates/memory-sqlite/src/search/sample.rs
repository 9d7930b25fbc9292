//! A sample of the memories that a filter matches.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::query_scalar;
use sqlx::sqlite::SqliteConnection;

use crate::connections::blocking::run_blocking;
use crate::error::Failure;
use crate::rows::row_keys;
use crate::rows::{EntityRow, to_json};
use crate::search::matching::Matching;

/// The keys of up to `size` of the memories that match: the first of a sequence
/// that visits every number once, whatever the query.
pub(crate) async fn find(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    matching: &Matching,
    size: usize,
) -> Result<HashSet<i64>, Failure> {
    if size == 0 {
        return Ok(HashSet::new());
    }
    let entity_key = entity.key;
    let key = move |number: u32| row_keys::key(entity_key, i64::from(number));
    let mut visits = Visits::new(entity.next_number);
    if let Matching::Some(numbers) = matching {
        let numbers = Arc::clone(numbers);
        // However few match, all numbers may have to be visited.
        let visited = usize::try_from(entity.next_number).unwrap_or(usize::MAX);
        let find = move || -> HashSet<i64> {
            if numbers.len() <= size {
                return numbers.iter().map(key).collect();
            }
            let found = visits.filter(|number| numbers.contains(*number));
            found.take(size).map(key).collect()
        };
        return run_blocking(visited, find).await;
    }
    // Some numbers are of memories that were removed or archived.
    let numbers = entity.next_number.unsigned_abs();
    let numbers_of_one = usize::try_from(numbers / entity.memory_count.max(1)).unwrap_or(1) + 1;
    let mut found = HashSet::new();
    while found.len() < size {
        let missing = size - found.len();
        let tries = missing.saturating_mul(numbers_of_one);
        let tried: Vec<i64> = visits.by_ref().take(tries).map(key).collect();
        if tried.is_empty() {
            break;
        }
        let live: Vec<i64> = query_scalar(
            "SELECT m.memory_key FROM json_each(?1) AS tried
             CROSS JOIN memory AS m ON m.memory_key = tried.value
             WHERE m.archived_by IS NULL ORDER BY tried.key LIMIT ?2",
        )
        .bind(to_json(&tried)?)
        .bind(i64::try_from(missing).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
        found.extend(live);
    }
    Ok(found)
}

/// The numbers below `end`, each once, spread evenly: the multiples of the golden
/// ratio modulo a power of two (Knuth, The Art of Computer Programming 3, 6.4:
/// Fibonacci hashing).
struct Visits {
    next: u64,
    bits: u32,
    end: u64,
}

impl Visits {
    fn new(end: i64) -> Self {
        let end = end.clamp(0, 1 << 32).cast_unsigned();
        Self {
            next: 0,
            bits: end.next_power_of_two().trailing_zeros(),
            end,
        }
    }
}

impl Iterator for Visits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        /// 2^32 divided by the golden ratio.
        const STEP: u64 = 0x9e37_79b9;
        while self.next >> self.bits == 0 {
            // Odd, so that every number modulo the power of two is visited.
            let step = STEP >> (32 - self.bits.min(32)) | 1;
            let number = self.next.wrapping_mul(step) & ((1 << self.bits) - 1);
            self.next += 1;
            if number < self.end {
                return u32::try_from(number).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_visited_once() {
        for end in [0, 1, 2, 3, 100, 512, 1_000] {
            let visited: Vec<u32> = Visits::new(end).collect();
            let distinct: BTreeSet<u32> = visited.iter().copied().collect();
            let all: BTreeSet<u32> = (0..u32::try_from(end).unwrap()).collect();
            assert_eq!((distinct, visited.len()), (all.clone(), all.len()), "{end}");
        }
    }

    #[test]
    fn the_first_visits_are_spread() {
        for end in [1_000, 10_000, 100_000] {
            let first: Vec<u32> = Visits::new(end).take(256).collect();
            for period in [2, 3, 20] {
                for rest in 0..period {
                    let count = first.iter().filter(|it| *it % period == rest).count();
                    let wanted = 256 / period as usize;
                    assert!(count * 2 > wanted && count < wanted * 2, "{end} {period}");
                }
            }
            let early = first.iter().filter(|it| i64::from(**it) < end / 4).count();
            assert!((48..80).contains(&early), "{end}: {early}");
        }
    }
}
