//! How much memory reading takes: a file must not make its reader ask for more than a file of that
//! length could need, whatever it says of itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting the bytes of each thread.
struct Counting;

thread_local! {
    /// Bytes that this thread holds; below zero where it freed what others had asked for.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that it has held since [`within`] began.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Counts before the system is asked: a request that it refuses is one all the same.
fn hold(bytes: isize) {
    let held = HELD.get().saturating_add(bytes);
    HELD.set(held);
    MOST.set(MOST.get().max(held));
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        hold(layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        hold(size as isize - layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: the caller's.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `read` and returns what it returned.
///
/// # Panics
/// If it held more than `limit` bytes at once, or asked for more, whether it got them or not.
pub fn within<T>(limit: usize, read: impl FnOnce() -> T) -> T {
    let before = HELD.get();
    MOST.set(before);
    let result = read();
    let most = MOST.get() - before;
    assert!(most <= limit as isize, "reading took {most} bytes, more than {limit}");
    result
}
