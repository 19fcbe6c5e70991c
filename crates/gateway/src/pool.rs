//! Large buffers, used again.
//!
//! An allocator gives the pages of a large buffer back to the kernel soon after it is freed, and touching fresh pages
//! costs more than anything that is then done with them. So a worker keeps a few.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

/// The buffers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// The one that lay here longest first.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Smaller ones are the allocator's business.
const LARGE_BYTES: usize = 32 << 10;
/// Larger ones are rare.
const BUFFER_BYTES_MAX: usize = 2 << 20;
/// All that is kept.
const KEPT_BYTES_MAX: usize = 16 << 20;

impl Pool {
    /// An empty buffer with at least this capacity, and at most twice as much: what is in it may wait in a queue, which
    /// would otherwise hold many times what it counts.
    pub(crate) fn take(&self, capacity: usize) -> Vec<u8> {
        if (LARGE_BYTES..=BUFFER_BYTES_MAX).contains(&capacity) {
            let mut free = self.lock();
            let fits = |buffer: &Vec<u8>| (capacity..=2 * capacity).contains(&buffer.capacity());
            if let Some(buffer) =
                free.buffers.iter().rposition(fits).and_then(|at| free.buffers.swap_remove_back(at))
            {
                free.bytes -= buffer.capacity();
                return buffer;
            }
        }
        Vec::with_capacity(capacity)
    }

    /// Takes a buffer back. Those that lay there longest go for it: nobody seems to want their size any more.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !(LARGE_BYTES..=BUFFER_BYTES_MAX).contains(&capacity) {
            return;
        }
        buffer.clear();
        let mut free = self.lock();
        while free.bytes + capacity > KEPT_BYTES_MAX
            && let Some(oldest) = free.buffers.pop_front()
        {
            free.bytes -= oldest.capacity();
        }
        free.bytes += capacity;
        free.buffers.push_back(buffer);
    }

    /// The buffer's content, shared; when the last share is gone, the buffer comes back.
    pub(crate) fn share(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < LARGE_BYTES {
            return buffer.into();
        }
        Bytes::from_owner(Shared { buffer, pool: Arc::clone(self) })
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().expect("nothing panics while it holds this lock")
    }
}

struct Shared {
    buffer: Vec<u8>,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_share_is_gone() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take(100_000);
        buffer.extend_from_slice(&[7; 50_000]);
        let address = buffer.as_ptr();
        let shared = pool.share(buffer);
        let slice = shared.slice(10..20);
        drop(shared);
        assert_eq!(pool.lock().buffers.len(), 0, "a slice still needs it");
        assert_eq!(&slice[..], [7; 10]);
        drop(slice);
        let again = pool.take(100_000);
        assert!(again.is_empty() && again.as_ptr() == address);
        assert_eq!(pool.lock().bytes, 0);
    }

    #[test]
    fn a_buffer_of_quite_another_size_is_left_where_it_is() {
        let pool = Pool::default();
        pool.give(Vec::with_capacity(BUFFER_BYTES_MAX));
        for wish in [LARGE_BYTES, LARGE_BYTES + 1, BUFFER_BYTES_MAX / 2 - 1] {
            assert!(pool.take(wish).capacity() <= 2 * wish, "{wish}");
        }
        assert_eq!(pool.lock().buffers.len(), 1);
        assert_eq!(
            pool.take(BUFFER_BYTES_MAX / 2).capacity(),
            BUFFER_BYTES_MAX,
            "twice the wish is close enough"
        );
    }

    #[test]
    fn sizes_that_nobody_wants_any_more_make_room() {
        let pool = Pool::default();
        for _ in 0..KEPT_BYTES_MAX / LARGE_BYTES {
            pool.give(Vec::with_capacity(LARGE_BYTES));
        }
        let mut buffer = pool.take(1 << 20);
        buffer.push(7);
        let address = buffer.as_ptr();
        pool.give(buffer);
        let again = pool.take(1 << 20);
        assert_eq!(again.as_ptr(), address);
        assert!(pool.lock().bytes <= KEPT_BYTES_MAX);
    }

    #[test]
    fn only_so_much_is_kept() {
        let pool = Pool::default();
        for _ in 0..100 {
            pool.give(Vec::with_capacity(1 << 20));
            pool.give(Vec::with_capacity(10));
            pool.give(Vec::with_capacity(BUFFER_BYTES_MAX + 1));
        }
        assert_eq!(pool.lock().bytes, KEPT_BYTES_MAX);
        assert_eq!(pool.lock().buffers.len(), KEPT_BYTES_MAX >> 20);
        assert!(pool.take(1 << 20).capacity() >= 1 << 20);
        assert_eq!(pool.take(BUFFER_BYTES_MAX + 1).capacity(), BUFFER_BYTES_MAX + 1, "not a smaller one");
    }
}
