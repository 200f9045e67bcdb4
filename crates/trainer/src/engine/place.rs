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

        let Ok(all) = sched_getaffinity(None) else { return };
        if team < 2 || all.count() as usize != team {
            return;
        }
        let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor));
        let Some(processor) = processors.nth(index).filter(|own| *own != sched_getcpu()) else {
            return;
        };
        let mut own = CpuSet::new();
        own.set(processor);
        if sched_setaffinity(None, &own).is_ok() {
            // To the set it had: if that were refused, the thread would stay where it is well placed.
            let _ = sched_setaffinity(None, &all);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (index, team);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::sched_getaffinity;

    use super::*;

    #[test]
    fn all_processors_stay_allowed() {
        let before = sched_getaffinity(None).unwrap();
        let team = before.count() as usize;
        for index in 0..team {
            on_own_processor(index, team);
            assert!(sched_getaffinity(None).unwrap() == before, "thread {index} of {team}");
        }
        // One too many, or a thread that the team does not have: nothing.
        on_own_processor(0, team + 1);
        on_own_processor(team, team);
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}
