//! How much memory there is for a data set.

use std::fs;
use std::path::Path;

/// Half of what this process may use: of the machine's memory, or of its control group's where that
/// is less. `None` where the system does not say.
///
/// Of what there is, not of what is free at the moment: the order of a run whose data do not fit
/// depends on this, and should be the same the next time.
pub(crate) fn budget() -> Option<u64> {
    in_all(Path::new("/")).map(|bytes| bytes / 2)
}

/// The memory that this process may use, as the files under `root` have it.
fn in_all(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    // A line a hierarchy, `number:controllers:path`; version 2 has one, without controllers.
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (folder, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // The limits of the groups above hold as well. Within a container the path may be that
        // outside, where only the uppermost is to be found.
        let above = Path::new(path.trim_start_matches('/')).ancestors();
        let limit = |group: &Path| {
            let text = fs::read_to_string(root.join(folder).join(group).join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        above.filter_map(limit).min()
    });
    machine.into_iter().chain(limits).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        in_all(root.path())
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       2000 kB\nMemFree:  7 kB\n");

    #[test]
    fn the_machines_memory() {
        assert_eq!(system(&[MACHINE]), Some(2_048_000));
        assert_eq!(system(&[]), None);
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_above_it() {
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let of = |a, b| {
            let files = [("sys/fs/cgroup/a/memory.max", a), ("sys/fs/cgroup/a/b/memory.max", b)];
            system(&[&[MACHINE, group][..], &files].concat())
        };
        assert_eq!(of("300000\n", "max\n"), Some(300_000));
        assert_eq!(of("300000\n", "20000\n"), Some(20_000));
        assert_eq!(of("max\n", "9999999\n"), Some(2_048_000));
        let outside = ("proc/self/cgroup", "4:cpu,memory:/docker/0123\n1:name=systemd:/\n");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "50000\n");
        assert_eq!(system(&[MACHINE, outside, limit]), Some(50_000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(budget().unwrap() > 1 << 20);
    }
}
