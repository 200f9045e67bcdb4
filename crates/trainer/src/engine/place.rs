//! A processor for each thread of a team.
//!
//! Threads that wait for each other twice a step are best on processors of their own. But the system
//! wakes a team from one processor, often onto one, and may leave two threads there for a tenth of a
//! second with another processor idle: they run in turns and look busy to it.

/// Puts this thread, the `index`th of a team, on the `index`th of its processors, from where the system
/// may move it again. Does nothing unless the team is as large as there are processors, as choosing among
/// more is the system's business; nor where the system does not let one choose.
pub(crate) fn on_own_processor(index: usize, team: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

        let Ok(allowed) = sched_getaffinity(None) else { return };
        let Some(processor) = own_processor(&allowed, index, team) else { return };
        if processor == sched_getcpu() {
            return;
        }
        let mut own = CpuSet::new();
        own.set(processor);
        if sched_setaffinity(None, &own).is_ok() {
            // The set it had. Should that be refused, the thread stays where it is, the only one there.
            let _ = sched_setaffinity(None, &allowed);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (index, team);
}

/// The `index`th processor of as many as the team has threads.
#[cfg(target_os = "linux")]
fn own_processor(allowed: &rustix::thread::CpuSet, index: usize, team: usize) -> Option<usize> {
    if team < 2 || allowed.count() as usize != team {
        return None;
    }
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).nth(index)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::*;

    #[test]
    fn each_thread_has_its_own_of_as_many_processors() {
        let mut allowed = CpuSet::new();
        for processor in [1, 4, 900] {
            allowed.set(processor);
        }
        let own = |index, team| own_processor(&allowed, index, team);
        assert_eq!([0, 1, 2, 3].map(|index| own(index, 3)), [Some(1), Some(4), Some(900), None]);
        // Fewer threads or more: the system's business.
        assert_eq!([own(0, 2), own(0, 4)], [None, None]);
        let mut one = CpuSet::new();
        one.set(3);
        assert_eq!(own_processor(&one, 0, 1), None);
    }

    #[test]
    fn all_processors_stay_allowed() {
        let before = sched_getaffinity(None).unwrap();
        let team = before.count() as usize;
        for index in 0..=team {
            on_own_processor(index, team);
            assert!(sched_getaffinity(None).unwrap() == before, "thread {index} of {team}");
        }
    }
}
