//! Lists of one number per memory that searches use in turn.
//!
//! A search of a large entity needs some such lists. Pages of fresh memory would cost it
//! more than what it writes to them: the kernel clears each and maps it at the first touch.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shorter lists are not kept: the allocator reuses their memory by itself.
const MIN_LEN: usize = 16_384;

/// Maximum number of bytes of lists that no search uses: those of a search of 1,000,000
/// memories, or of some searches of 100,000 at once.
const MAX_SPARE_BYTES: usize = 32 << 20;

/// Lists that no search uses.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// A list of numbers, of which the memory is kept for another one.
#[derive(Debug)]
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// A list of `len` times `value`.
    pub(super) fn new(len: usize, value: f32) -> Self {
        let mut values = if len < MIN_LEN {
            Vec::new()
        } else {
            spare().pop().unwrap_or_default()
        };
        values.clear();
        if values.capacity() < len {
            // Not enlarged, which would copy what is in it.
            values = Vec::with_capacity(len);
        }
        values.resize(len, value);
        Self(values)
    }

    /// Sets the numbers of memories that are not admitted.
    pub(super) fn exclude(&mut self, admitted: Option<&[bool]>, value: f32) {
        let Some(admitted) = admitted else { return };
        for (own, is_admitted) in self.iter_mut().zip(admitted) {
            *own = if *is_admitted { *own } else { value };
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len(), 0.0);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() < MIN_LEN {
            return;
        }
        let bytes = |values: &Vec<f32>| values.capacity() * size_of::<f32>();
        let mut spare = spare();
        let kept: usize = spare.iter().map(bytes).sum();
        if kept + bytes(&self.0) <= MAX_SPARE_BYTES {
            spare.push(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

fn spare() -> MutexGuard<'static, Vec<Vec<f32>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_nothing_of_the_one_before_it() {
        for len in [10, MIN_LEN, 3 * MIN_LEN, MIN_LEN + 7] {
            let mut buffer = Buffer::new(len, 2.0);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|value| *value == 2.0));
            buffer.fill(9.0);
            assert_eq!(*buffer.clone(), *buffer);
        }
    }

    #[test]
    fn the_memory_that_is_kept_is_bounded() {
        let many: Vec<Buffer> = (0..8).map(|_| Buffer::new(1 << 20, 0.0)).collect();
        drop(many);
        let kept: usize = spare().iter().map(Vec::capacity).sum();
        assert!(kept * size_of::<f32>() <= MAX_SPARE_BYTES);
        assert!(spare().iter().all(|values| values.capacity() >= MIN_LEN));
    }
}
