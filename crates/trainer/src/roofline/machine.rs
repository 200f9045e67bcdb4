//! The machine: its name, its cores, and the sizes of its caches.

use std::fs;
use std::path::Path;
use std::thread;

use kernels::Isa;
use serde::Serialize;

/// Where a working set lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// First-level data cache of a core.
    L1,
    /// Second-level cache of a core.
    L2,
    /// Third-level cache, shared.
    L3,
    /// Main memory.
    Memory,
}

impl Level {
    /// Nearest first.
    pub const ALL: [Self; 4] = [Self::L1, Self::L2, Self::L3, Self::Memory];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::Memory => "memory",
        }
    }
}

/// Sizes of data caches in bytes. The first two are a core's own, the third is shared by all cores
/// and 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Caches {
    /// First level.
    pub l1: usize,
    /// Second level.
    pub l2: usize,
    /// Third level.
    pub l3: usize,
}

impl Caches {
    /// Taken where the system tells nothing: small enough for any processor with AVX2.
    pub const ASSUMED: Self = Self { l1: 32 << 10, l2: 256 << 10, l3: 4 << 20 };

    /// What Linux says about the first core below `cpu`, the folder `/sys/devices/system/cpu`;
    /// [`ASSUMED`](Self::ASSUMED) elsewhere.
    pub fn detect(cpu: &Path) -> Self {
        let mut sizes = [0; 3];
        for index in 0..8 {
            let folder = cpu.join(format!("cpu0/cache/index{index}"));
            let text = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
            let level = text("level").trim().parse::<usize>();
            if let (Ok(level @ 1..=3), Some(size)) = (level, bytes(text("size").trim()))
                && text("type").trim() != "Instruction"
            {
                sizes[level - 1] = size;
            }
        }
        match sizes {
            [0, ..] | [_, 0, _] => Self::ASSUMED,
            [l1, l2, l3] => Self { l1, l2, l3 },
        }
    }

    /// The nearest level that holds `own` bytes in each of `threads` cores.
    pub fn level_of(&self, own: usize, threads: usize) -> Level {
        match own {
            _ if own <= self.l1 => Level::L1,
            _ if own <= self.l2 => Level::L2,
            _ if own * threads <= self.l3 => Level::L3,
            _ => Level::Memory,
        }
    }

    /// Bytes that each of `threads` threads works on to see `level` and no nearer one; `None` where
    /// there is no such level, or its share of a thread is no larger than the level before.
    pub(super) fn probe(&self, level: Level, threads: usize) -> Option<usize> {
        match level {
            Level::L1 => Some(self.l1 / 2),
            Level::L2 => Some(self.l2 / 2),
            // Beyond the second level, but a small part of the third: on a rented machine other
            // people's programs use it too.
            Level::L3 => {
                let own = (self.l3 / 2 / threads).clamp(2 * self.l2, 8 * self.l2);
                (own * threads <= self.l3).then_some(own)
            }
            Level::Memory => Some((4 * self.l3).clamp(256 << 20, 512 << 20) / threads),
        }
    }
}

/// `48K`, `2048K`, `32M`
fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(number) => (number, 1 << (10 * (1 + "KMG".find(&text[number.len()..])?))),
        None => (text, 1),
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// What is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Instruction set of the kernels.
    #[serde(serialize_with = "name_of")]
    pub isa: Isa,
    /// Cache sizes.
    pub caches: Caches,
}

fn name_of<S: serde::Serializer>(isa: &Isa, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(isa.name())
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            processor: processor(&cpuinfo)
                .unwrap_or_else(|| format!("unknown {} processor", std::env::consts::ARCH)),
            cores: thread::available_parallelism().map_or(1, usize::from),
            isa: Isa::best(),
            caches: Caches::detect(Path::new("/sys/devices/system/cpu")),
        }
    }
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, index: usize, level: &str, kind: &str, size: &str) {
        let folder = folder.join(format!("cpu0/cache/index{index}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("level"), format!("{level}\n")).unwrap();
        fs::write(folder.join("type"), format!("{kind}\n")).unwrap();
        fs::write(folder.join("size"), format!("{size}\n")).unwrap();
    }

    #[test]
    fn cache_sizes_are_those_of_data() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, "1", "Data", "48K");
        write(folder.path(), 1, "1", "Instruction", "32K");
        write(folder.path(), 2, "2", "Unified", "1024K");
        write(folder.path(), 3, "3", "Unified", "32M");
        let expected = Caches { l1: 48 << 10, l2: 1 << 20, l3: 32 << 20 };
        assert_eq!(Caches::detect(folder.path()), expected);
    }

    #[test]
    fn a_machine_without_a_third_level_has_none() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, "1", "Data", "32K");
        write(folder.path(), 1, "2", "Unified", "512K");
        let caches = Caches::detect(folder.path());
        assert_eq!(caches, Caches { l1: 32 << 10, l2: 512 << 10, l3: 0 });
        assert_eq!(caches.probe(Level::L3, 1), None);
        assert_eq!(caches.level_of(600 << 10, 1), Level::Memory);
    }

    #[test]
    fn without_an_answer_sizes_are_assumed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Caches::detect(folder.path()), Caches::ASSUMED);
        write(folder.path(), 0, "1", "Data", "much");
        assert_eq!(Caches::detect(folder.path()), Caches::ASSUMED);
    }

    #[test]
    fn a_working_set_lives_in_the_nearest_level_that_holds_it() {
        let caches = Caches { l1: 48 << 10, l2: 1 << 20, l3: 32 << 20 };
        let cases = [
            (48 << 10, 1, Level::L1),
            (49 << 10, 1, Level::L2),
            (1 << 20, 8, Level::L2),
            (16 << 20, 2, Level::L3),
            (17 << 20, 2, Level::Memory),
            (17 << 20, 1, Level::L3),
        ];
        for (own, threads, level) in cases {
            assert_eq!(caches.level_of(own, threads), level, "{own} in each of {threads}");
        }
        for threads in [1, 2, 16] {
            for level in Level::ALL {
                let probe = caches.probe(level, threads).unwrap();
                assert_eq!(caches.level_of(probe, threads), level, "{probe} x {threads}");
            }
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("48K"), Some(48 << 10));
        assert_eq!(bytes("32M"), Some(32 << 20));
        assert_eq!(bytes("64"), Some(64));
        assert_eq!(bytes("K"), None);
        assert_eq!(bytes("4T"), None);
    }

    #[test]
    fn the_processor_has_its_vendors_name() {
        let text = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: A Processor @ 3 GHz\nflags : x\n";
        assert_eq!(processor(text).unwrap(), "A Processor @ 3 GHz");
        assert_eq!(processor("processor : 0\n"), None);
    }
}
