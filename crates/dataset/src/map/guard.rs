//! A mapped file that is cut short: zeros and an error in place of a signal that ends the process.
//!
//! Reading a page of a map that the file no longer reaches, or that the disk fails to deliver,
//! raises SIGBUS. The handler here puts a page of zeros there and takes a note, so that the read
//! goes on and [`Map::check_unchanged`](super::Map::check_unchanged) can report what happened.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Maps that can be guarded at a time: a data set has four. One more is mapped without a guard.
const SLOTS: usize = 64;

/// A guarded map, found by its addresses: a signal handler may look at atomics, not at a lock.
struct Slot {
    taken: AtomicBool,
    /// Address of the first byte; 0 while the slot stands for no map.
    start: AtomicUsize,
    /// Address after the last byte.
    end: AtomicUsize,
    /// Whether zeros were put in place of what was there.
    lost: AtomicBool,
}

static MAPS: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    }
}; SLOTS];

/// Makes it known to the handler that a map lies at some addresses, until it is dropped.
#[derive(Debug)]
pub(super) struct Guard(Option<usize>);

impl Guard {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let free = |slot: &Slot| {
            slot.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let index = MAPS.iter().position(free);
        if let Some(index) = index {
            let (slot, start) = (&MAPS[index], bytes.as_ptr() as usize);
            slot.lost.store(false, Ordering::Relaxed);
            slot.end.store(start + bytes.len(), Ordering::Relaxed);
            slot.start.store(start, Ordering::Release);
        }
        Self(index)
    }

    /// Whether part of the map reads as zeros that were not in the file.
    pub(super) fn has_lost(&self) -> bool {
        self.0.is_some_and(|index| MAPS[index].lost.load(Ordering::Relaxed))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(index) = self.0 {
            MAPS[index].start.store(0, Ordering::Release);
            MAPS[index].taken.store(false, Ordering::Release);
        }
    }
}

/// From now on, reading part of a [`Map`](crate::Map) that is gone from its file gives zeros, and
/// [`check_unchanged`](crate::Map::check_unchanged) an error afterwards. Without this the process
/// is ended by SIGBUS.
///
/// For the `main` of a program: it sets the process's handler of SIGBUS (faults elsewhere than in
/// a map go to the one that was there before). Nothing happens where there is no such signal.
pub fn survive_lost_pages() {
    #[cfg(unix)]
    handler::install();
}

#[cfg(unix)]
mod handler {
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering;

    use super::MAPS;

    /// What the handler needs to know, found out before it can be called.
    struct Before {
        action: libc::sigaction,
        page: usize,
    }

    static BEFORE: OnceLock<Before> = OnceLock::new();

    pub(super) fn install() {
        BEFORE.get_or_init(|| {
            // SAFETY: the structures are plain data for which zeros are valid, the pointers are to
            // them or null, and the handler is a function of the signature that SA_SIGINFO asks
            // for, which calls nothing but what a signal handler may.
            unsafe {
                let mut before: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before);
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_fault as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut action.sa_mask);
                let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
                libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
                Before { action: before, page }
            }
        });
    }

    /// Puts zeros where the fault was, up to the end of the map, and returns to the read that
    /// failed: it is tried again. Of a fault that is not in a map, and where that does not work,
    /// the handler before this one is told: the fault happens once more.
    extern "C" fn on_fault(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        _context: *mut libc::c_void,
    ) {
        // SAFETY: the system passes a valid pointer, for a signal that has an address.
        let address = unsafe { (*info).si_addr() } as usize;
        let Some(before) = BEFORE.get() else {
            // Between the handler's set-up and the line after it: the fault happens again.
            return;
        };
        for slot in &MAPS {
            let start = slot.start.load(Ordering::Acquire);
            let end = slot.end.load(Ordering::Relaxed);
            if start == 0 || !(start..end).contains(&address) {
                continue;
            }
            let page = address / before.page * before.page;
            // SAFETY: the pages from the fault's to the map's last belong to that map, which is
            // alive: somebody just read from it. They are readable before and after. Their bytes
            // change under a `&[u8]`, as they do whenever the file of a map changes; see
            // `Map::open`.
            let zeros = unsafe {
                libc::mmap(
                    page as *mut libc::c_void,
                    end - page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if zeros != libc::MAP_FAILED {
                slot.lost.store(true, Ordering::Relaxed);
                return;
            }
        }
        // SAFETY: the action is one that the system returned.
        unsafe { libc::sigaction(signal, &raw const before.action, std::ptr::null_mut()) };
    }
}
