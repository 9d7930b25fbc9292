//! Every cache at the same work: how often it is right, what it costs, what it
//! holds.
//!
//! `cargo bench -p memory-benches --bench cache_swap -- [--quick] [--data FILE]
//! [--json FILE]`; `cargo xtask bench-report` runs it and writes the page. FILE
//! holds conversations in the LoCoMo format; without it (or the variable
//! `MEMORY_CONVERSATIONS`) the agent's life is left out. Caches are registered
//! in `memory_benches::swap::contenders`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a report is what this program is for"
)]

mod counting_allocator {
    //! An allocator that counts, while it is told to.

    #![allow(unsafe_code, reason = "an allocator is unsafe to write")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    /// Off while times are taken: a count that all threads share is slow.
    pub(crate) static COUNTING: AtomicBool = AtomicBool::new(false);
    static HELD: AtomicI64 = AtomicI64::new(0);

    /// Bytes asked for and not given back, so far as they were counted.
    pub(crate) fn held() -> i64 {
        HELD.load(Ordering::SeqCst)
    }

    struct Counting;

    // SAFETY: every call is the system's, with the same arguments.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size(), 1);
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            count(layout.size(), -1);
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(memory, layout) }
        }

        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(layout.size(), -1);
            count(size, 1);
            // SAFETY: the caller's promise.
            unsafe { System.realloc(memory, layout, size) }
        }
    }

    fn count(bytes: usize, sign: i64) {
        if COUNTING.load(Ordering::Relaxed) {
            HELD.fetch_add(bytes.cast_signed() as i64 * sign, Ordering::Relaxed);
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;
}

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_benches::locomo::{self, Conversation};
use memory_benches::swap::contenders::{Trial, each};
use memory_benches::swap::life::{self, Span};
use memory_benches::swap::outside::NoBackend;
use memory_benches::swap::patterns::{self, Size};
use memory_benches::swap::results::{
    LifeRow, PaceRow, Ratio, Results, RoomRow, StampedeRow, StatementsRow,
};
use memory_benches::swap::trace::Trace;
use memory_benches::swap::{pace, room, stampede};
use memory_core::CacheBackend;
use memory_moka::MokaBackend;
use memory_quick::QuickBackend;
use tokio::runtime::Runtime;

use counting_allocator::{COUNTING, held};

/// Bounds of the caches, as shares of all that a trace reads.
const SHARES: [f64; 5] = [0.02, 0.05, 0.1, 0.2, 0.4];

/// How much is done.
struct Effort {
    patterns: Size,
    /// How much of the conversations is lived for the trace.
    life: Span,
    /// And how much of it once more without any cache, which is slow.
    counted: Span,
    /// Batches of operations timed by each thread.
    batches: usize,
    /// Entries of which one tenant's are let go.
    tenants: u64,
    /// Entries that are weighed.
    weighed: u64,
}

const FULL: Effort = Effort {
    patterns: Size {
        keys: 20_000,
        ops: 300_000,
    },
    life: Span {
        conversations: 5,
        turns: 400,
    },
    counted: Span {
        conversations: 1,
        turns: 300,
    },
    batches: 8_000,
    tenants: 1_000_000,
    weighed: 200_000,
};

const QUICK: Effort = Effort {
    patterns: Size {
        keys: 2_000,
        ops: 20_000,
    },
    life: Span {
        conversations: 2,
        turns: 60,
    },
    counted: Span {
        conversations: 1,
        turns: 40,
    },
    batches: 300,
    tenants: 50_000,
    weighed: 20_000,
};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test` runs benches too, to see that they run.
    let quick = flag("--quick") || !flag("--bench");
    let effort = if quick { QUICK } else { FULL };
    let data =
        value("--data").or_else(|| std::env::var_os("MEMORY_CONVERSATIONS").map(PathBuf::from));
    let conversations = data.map_or_else(|| Ok(Vec::new()), |file| locomo::read(&file))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;

    let results = measure(&effort, &conversations, &runtime, quick)?;
    if let Some(file) = value("--json") {
        std::fs::write(file, serde_json::to_vec_pretty(&results)?)?;
    }
    print!("{}", memory_benches::page::tables(&results));
    Ok(())
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

fn value(name: &str) -> Option<PathBuf> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map(PathBuf::from)
}

fn measure(
    effort: &Effort,
    conversations: &[Conversation],
    runtime: &Runtime,
    quick: bool,
) -> Result<Results, Box<dyn Error>> {
    let mut results = Results {
        quick,
        clock_nanos: pace::clock_nanos(),
        ..Results::default()
    };
    let start = Instant::now();
    let done = |what: &str| eprintln!("{:>6.1} s: {what}", start.elapsed().as_secs_f64());

    let mut traces = patterns::all(effort.patterns);
    if conversations.is_empty() {
        eprintln!("no conversations: the agent's life is left out (--data FILE)");
    } else {
        traces.push(runtime.block_on(life::record(conversations, effort.life))?);
        done("a life recorded");
        results.statements = statements(effort, conversations, runtime)?;
        done("statements counted");
    }
    each(&mut Rooms(effort, &mut results.rooms))?;
    done("memory weighed, tenants let go");
    each(&mut Paces(effort, &mut results.paces))?;
    done("operations timed");
    each(&mut Stampedes(runtime, &mut results.stampedes))?;
    done("stampedes run");
    each(&mut Replays {
        traces: &traces,
        ratios: &mut results.ratios,
        lives: &mut results.lives,
    })?;
    done("traces replayed");
    Ok(results)
}

struct Replays<'a> {
    traces: &'a [Trace],
    ratios: &'a mut Vec<Ratio>,
    lives: &'a mut Vec<LifeRow>,
}

impl Trial for Replays<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        for trace in self.traces {
            for share in SHARES {
                let score = trace.replay(&backend, share);
                let names = trace.tiers.iter().enumerate();
                let tiers = names.map(|(n, tier)| (tier.clone(), score.hit_ratio_of(n)));
                self.ratios.push(Ratio {
                    work: trace.name.clone(),
                    cache: backend.name().to_owned(),
                    share,
                    hits: score.hit_ratio(),
                    byte_hits: score.byte_hit_ratio(),
                    tiers: tiers.collect(),
                });
                if trace.tiers.len() > 1 {
                    self.lives.push(LifeRow {
                        cache: backend.name().to_owned(),
                        share,
                        reads: score.reads(),
                        misses: score.missed(),
                        cache_seconds: score.elapsed.as_secs_f64(),
                    });
                }
            }
        }
        Ok(())
    }
}

struct Paces<'a>(&'a Effort, &'a mut Vec<PaceRow>);

impl Trial for Paces<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(effort, rows) = self;
        for threads in [1, 2, 4] {
            let gets = pace::gets(&backend, threads, effort.batches);
            let inserts = pace::inserts(&backend, threads, effort.batches);
            for (operation, pace) in [("get", gets), ("insert", inserts)] {
                rows.push(PaceRow {
                    cache: backend.name().to_owned(),
                    operation: operation.to_owned(),
                    threads,
                    p50: pace.p50,
                    p99: pace.p99,
                });
            }
        }
        Ok(())
    }
}

struct Rooms<'a>(&'a Effort, &'a mut Vec<RoomRow>);

impl Trial for Rooms<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(effort, rows) = self;
        COUNTING.store(true, Ordering::SeqCst);
        let bytes_per_entry = room::bytes_per_entry(&backend, effort.weighed, held);
        COUNTING.store(false, Ordering::SeqCst);
        let gone = room::let_go(&backend, effort.tenants);
        rows.push(RoomRow {
            cache: backend.name().to_owned(),
            entries: effort.tenants,
            removed: gone.removed,
            tenant_micros: gone.tenant.as_secs_f64() * 1e6,
            clear_millis: gone.clear.as_secs_f64() * 1e3,
            settle_millis: gone.settled.as_secs_f64() * 1e3,
            bytes_per_entry,
        });
        Ok(())
    }
}

struct Stampedes<'a>(&'a Runtime, &'a mut Vec<StampedeRow>);

impl Trial for Stampedes<'_> {
    fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
        let Self(runtime, rows) = self;
        let cache = backend.name().to_owned();
        let loads = runtime.block_on(stampede::run(backend))?;
        rows.push(StampedeRow { cache, loads });
        Ok(())
    }
}

/// The same life with the house's caches, and without any.
fn statements(
    effort: &Effort,
    conversations: &[Conversation],
    runtime: &Runtime,
) -> Result<Vec<StatementsRow>, Box<dyn Error>> {
    struct Lives<'a>(
        &'a Effort,
        &'a [Conversation],
        &'a Runtime,
        Vec<StatementsRow>,
    );
    impl Trial for Lives<'_> {
        fn run<B: CacheBackend>(&mut self, backend: B) -> Result<(), Box<dyn Error>> {
            let Self(effort, conversations, runtime, rows) = self;
            let cache = backend.name().to_owned();
            let lived = life::count(backend, conversations, effort.counted);
            let (calls, deeds) = runtime.block_on(lived)?;
            rows.push(StatementsRow {
                cache,
                calls,
                recalls: deeds.recalls,
                gets: deeds.gets,
            });
            Ok(())
        }
    }
    let mut lives = Lives(effort, conversations, runtime, Vec::new());
    lives.run(NoBackend)?;
    lives.run(MokaBackend)?;
    lives.run(QuickBackend)?;
    Ok(lives.3)
}
