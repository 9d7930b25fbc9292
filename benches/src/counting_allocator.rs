//! An allocator that counts allocated bytes while counting is on.
//!
//! A bench that measures memory makes it its global allocator:
//!
//! ```
//! use memory_benches::counting_allocator::CountingAllocator;
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//! ```

#![allow(unsafe_code, reason = "an allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Off during timing: a counter shared by all threads is slow.
static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATED: AtomicI64 = AtomicI64::new(0);

/// The system allocator with a counter of requested bytes, without its own
/// overhead.
#[derive(Debug)]
pub struct CountingAllocator;

/// Starts or stops counting.
pub fn set_counting(counting: bool) {
    COUNTING.store(counting, Ordering::SeqCst);
}

/// Bytes allocated and not freed while counting was on.
#[must_use]
pub fn allocated() -> i64 {
    ALLOCATED.load(Ordering::SeqCst)
}

// SAFETY: every call is forwarded to the system allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
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
        ALLOCATED.fetch_add(bytes.cast_signed() as i64 * sign, Ordering::Relaxed);
    }
}
