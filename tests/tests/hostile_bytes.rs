//! The fuzzer's oracles in short: on its corpus, on what it once found, and on a fixed number of
//! mutations of both. The same on every run; docs/reliability.md says how to fuzz for longer.

#[path = "../../fuzz/src/lib.rs"]
mod oracle;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Mutations of a target; a debug build is an order of magnitude slower, Miri three.
const MUTATIONS: u64 = match (cfg!(miri), cfg!(debug_assertions)) {
    (true, _) => 20,
    (false, true) => 500,
    (false, false) => 5_000,
};

/// Where a machine is very slow, fewer will do.
const TIME: Duration = Duration::from_secs(10);

/// The files of `fuzz/FOLDER/TARGET`, by name. What a fuzzer left there is called by its hash; it need
/// not be valid.
fn files(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let entries = fs::read_dir(fuzz.join(folder).join(target)).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    let is_hash = |name: &str| name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit());
    files.retain(|(name, _)| !is_hash(name));
    files.sort();
    files
}

/// Counter-based random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        dataset::mix(self.0)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Numbers that counts and lengths go wrong at.
const NUMBERS: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, i64::MAX as u64, u64::MAX];

/// One of several small changes to `bytes`, or a splice with another input.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(9);
    let end = (at + length).min(bytes.len());
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, [random.next() as u8; 8][..length.min(8)].to_vec())),
        3 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        4 => {
            let other = &others[random.below(others.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        5 | 6 => {
            let width = [1, 2, 4, 8][random.below(4)];
            let number = NUMBERS[random.below(NUMBERS.len())];
            let little = number.to_le_bytes();
            let big = number.to_be_bytes();
            let number = if random.below(2) == 0 { &little[..width] } else { &big[8 - width..] };
            if let Some(place) = bytes.get_mut(at..at + width) {
                place.copy_from_slice(number);
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

fn check(target: &str, name: &str, bytes: &[u8]) -> bool {
    let (_, oracle) = oracle::TARGETS.into_iter().find(|(found, _)| *found == target).unwrap();
    catch_unwind(AssertUnwindSafe(|| oracle(bytes))).unwrap_or_else(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("the {target} oracle failed on {name}; `xxd -r -p` makes this a file:\n{hex}")
    })
}

fn smoke(target: &str) {
    let corpus = files("corpus", target);
    assert!(!corpus.is_empty(), "fuzz/corpus/{target} is not there");
    for (name, bytes) in &corpus {
        assert!(check(target, name, bytes), "{target}/{name} is a valid file, and is not read");
    }
    for (name, bytes) in &files("hostile", target) {
        assert!(!check(target, name, bytes), "{target}/{name} was made to do harm, and is read");
    }
    let found = files("regressions", target);
    for (name, bytes) in &found {
        check(target, name, bytes);
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().chain(found).map(|(_, bytes)| bytes).collect();
    let (begun, mut read) = (Instant::now(), 0);
    for number in 0..MUTATIONS {
        if begun.elapsed() > TIME {
            eprintln!("{target}: {number} of {MUTATIONS} mutations in {TIME:?}");
            break;
        }
        let mut random = Random(number);
        let mut bytes = inputs[random.below(inputs.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &inputs, &mut random);
        }
        read += u64::from(check(target, &format!("mutation {number}"), &bytes));
    }
    eprintln!("{target}: {read} mutations were valid files");
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                smoke(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_here() {
            let names: Vec<&str> = oracle::TARGETS.into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets!(idx, gzip, npy, npz, csv, png, model, classes, response, leftovers, cache);
