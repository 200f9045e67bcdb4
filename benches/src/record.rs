//! What a committed run says of itself: when, where, with which versions.

use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use trainer::format::bytes;
use trainer::roofline::Machine;

/// Versions that the lock file pins, of our peers in the comparison.
pub const PEERS: [&str; 4] = ["matrixmultiply", "gemm", "faer", "private-gemm-x86"];

/// The version of a package in a lock file.
pub fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name)?;
    Some(rest.split_once('"')?.0)
}

/// The day of a time since the epoch, UTC: `2026-01-31`.
///
/// From days to a date by H. Hinnant, "chrono-compatible low-level date algorithms", 2013.
pub fn day(since_epoch: Duration) -> String {
    let days = (since_epoch.as_secs() / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Today, UTC.
pub fn today() -> String {
    day(UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// Letters and digits of a processor's name, in lower case, joined by dashes.
pub fn slug(name: &str) -> String {
    let lower = name.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// The first line that a command prints, `unknown` if it does not run.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The commit, and whether files that it tracks have been changed since.
pub fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
    let changed = first_line("git", &["status", "--porcelain", "--untracked-files=no"]);
    let clean = matches!(&*changed, "unknown" | "");
    if clean { commit } else { format!("{commit} with changes") }
}

/// Machine, versions and commit, as a Markdown list.
pub fn description(machine: &Machine, lock: &str) -> String {
    let Machine { processor, cores, isa, caches } = machine;
    let size = |count: usize| bytes(count as u64);
    let peers: Vec<String> = PEERS
        .iter()
        .map(|peer| format!("{peer} {}", version(lock, peer).unwrap_or("of unknown version")))
        .collect();
    format!(
        "- {processor}, {cores} cores; L1 {}, L2 {} a core, L3 {}; kernels for {isa}\n\
         - {}; {}\n\
         - commit {}\n",
        size(caches.l1),
        size(caches.l2),
        size(caches.l3),
        peers.join(", "),
        first_line("rustc", &["--version"]),
        commit()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        let date = |days: u64| day(Duration::from_secs(days * 86_400 + 86_399));
        // Python: datetime.date.fromordinal(719163 + days)
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"gemm-c32\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"gemm\"\nversion = \"0.19.0\"\n";
        assert_eq!(version(lock, "gemm"), Some("0.19.0"));
        assert_eq!(version(lock, "faer"), None);
    }

    #[test]
    fn slugs_are_names_of_files() {
        assert_eq!(
            slug("Intel(R) Xeon(R) Gold 6338 CPU @ 2.0GHz"),
            "intel-xeon-gold-6338-cpu-2-0ghz"
        );
    }

    #[test]
    fn what_does_not_run_is_unknown() {
        assert_eq!(first_line("no-such-program-here", &[]), "unknown");
        assert_eq!(first_line("echo", &["a"]), "a");
    }
}
