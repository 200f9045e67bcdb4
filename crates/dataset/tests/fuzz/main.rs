//! Damaged files by the hundred thousand: nothing panics, and what is read means what was written.
//!
//! The fixtures are changed at random, byte by byte, and read. Reading may refuse them, with an error;
//! it must not panic or take long, and what it accepts must come back the same when it is written and
//! read again. Each target runs for a second; `FLATIRON_FUZZ_SECONDS` says how many instead, and
//! `FLATIRON_FUZZ_SEED` which random numbers. A file that fails is kept under a name that the message
//! gives; put into `data/fixtures/crashers/TARGET/`, it is read first by every later run.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dataset::formats::csv::{self, Table};
use dataset::formats::npy::Array;
use dataset::formats::npz;
use dataset::formats::png::Picture;
use dataset::idx::{Header, Idx};
use dataset::{FeaturesView, Part, ReadOptions, mix};

/// Nothing that small may take that long to read, not even on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(10);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/fixtures")
}

/// Runs `read` on damaged copies of `seeds`. It returns whether the file was accepted.
fn fuzz(target: &str, seeds: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seconds: f64 = number("FLATIRON_FUZZ_SECONDS").unwrap_or(1.0);
    let mut random = Random(mix(number("FLATIRON_FUZZ_SEED").unwrap_or(0.0) as u64));
    let check = |bytes: &[u8]| {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| read(bytes)));
        if result.is_err() || start.elapsed() > TOO_LONG {
            let path = std::env::temp_dir()
                .join(format!("crasher-{target}-{:x}", mix(bytes.len() as u64)));
            fs::write(&path, bytes).unwrap();
            panic!("{target}: {} panics, or takes {:?}", path.display(), start.elapsed());
        }
        result.unwrap_or_default()
    };
    let crashers = fs::read_dir(fixtures().join("crashers").join(target)).into_iter().flatten();
    for crasher in crashers {
        check(&fs::read(crasher.unwrap().path()).unwrap());
    }
    assert!(seeds.iter().all(|seed| check(seed)), "{target}: a seed is refused");
    let start = Instant::now();
    let (mut runs, mut accepted) = (0u64, 0u64);
    // What is accepted although it was changed is a seed as well: damage adds up.
    let mut corpus = seeds.to_vec();
    while start.elapsed().as_secs_f64() < seconds {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut bytes, &corpus, &mut random);
        }
        runs += 1;
        if check(&bytes) {
            accepted += 1;
            if bytes.len() < 4096 && corpus.len() < 512 {
                corpus.push(bytes);
            }
        }
    }
    eprintln!(
        "{target}: {runs} damaged files in {seconds} s, {accepted} of them read all the same"
    );
    assert!(runs > 0);
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn damage(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(0);
    }
    let at = random.below(bytes.len());
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        // The values that arithmetic gets wrong.
        2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        3 => {
            let word = [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(5)];
            let word = if random.below(2) == 0 { word.to_be_bytes() } else { word.to_le_bytes() };
            bytes.iter_mut().skip(at).zip(word).for_each(|(byte, new)| *byte = new);
        }
        4 => bytes.truncate(at),
        5 => bytes.insert(at, random.next() as u8),
        6 => drop(bytes.remove(at)),
        7 => {
            let from = random.below(bytes.len());
            let piece = bytes[from..(from + random.below(32)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(64)).min(other.len())];
            let end = (at + piece.len()).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
    }
}

fn seeds(paths: &[&str]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(fixtures().join(path)).unwrap()).collect()
}

fn assert_same(a: &Part, b: &Part) {
    assert_eq!((a.shape(), a.dtype(), a.len()), (b.shape(), b.dtype(), b.len()));
    let [a, b] = [a, b].map(Part::examples);
    for i in 0..a.len() {
        assert_eq!(a.labels().get(i), b.labels().get(i));
    }
    match (a.features(), b.features()) {
        (FeaturesView::U8(a), FeaturesView::U8(b)) => assert_eq!(a, b),
        (FeaturesView::F32(a), FeaturesView::F32(b)) => {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        _ => unreachable!("their types are the same"),
    }
}

#[test]
fn idx() {
    let seeds = seeds(&["tiny/idx/train-images-idx3-ubyte", "tiny/idx/t10k-labels-idx1-ubyte"]);
    fuzz("idx", &seeds, |bytes| {
        let Ok(idx) = Idx::parse(Path::new("fuzz"), bytes.to_vec()) else { return false };
        let header = Header { element: idx.element(), dims: idx.dims().to_vec() };
        assert_eq!([&header.to_bytes(), idx.payload()].concat(), bytes);
        assert_eq!(idx.to_f64().len(), header.elements());
        // Images and labels of the same file: mostly refused, never a panic.
        let labels = Idx::parse(Path::new("fuzz"), bytes.to_vec()).unwrap();
        let _ = Part::from_idx(idx, labels);
        true
    });
}

#[test]
fn gzip() {
    use std::io::Write;
    let seeds = seeds(&["tiny/idx/train-images-idx3-ubyte", "tiny/idx/t10k-labels-idx1-ubyte"]);
    let compress = |bytes: &[u8], level| {
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    // Stored as well as deflated: damage to what is stored reaches the header within.
    let seeds: Vec<_> =
        seeds.iter().flat_map(|bytes| [0, 9].map(|level| compress(bytes, level))).collect();
    fuzz("gzip", &seeds, |bytes| {
        let Ok(idx) = Idx::parse(Path::new("fuzz"), bytes.to_vec()) else { return false };
        let header = Header { element: idx.element(), dims: idx.dims().to_vec() };
        let again = compress(&[&header.to_bytes(), idx.payload()].concat(), 1);
        let again = Idx::parse(Path::new("fuzz"), again).unwrap();
        assert_eq!((again.dims(), again.payload()), (idx.dims(), idx.payload()));
        true
    });
}

#[test]
fn npy() {
    let seeds = seeds(&["tiny/npy/x_test.npy", "tiny/npy/y_train.npy", "tiny/npy/y_test.npy"]);
    fuzz("npy", &seeds, |bytes| {
        let Ok(array) = Array::parse(Path::new("fuzz"), bytes.to_vec()) else { return false };
        let again = [&array.header().to_bytes(), array.payload()].concat();
        let again = Array::parse(Path::new("fuzz"), again).unwrap();
        assert_eq!((again.header(), again.payload()), (array.header(), array.payload()));
        let count: usize = array.header().shape.iter().product();
        assert_eq!(array.to_f64().len(), count);
        true
    });
}

#[test]
fn npz() {
    fuzz("npz", &seeds(&["tiny/tiny.npz"]), |bytes| {
        let Ok((train, test)) = npz::read_from(Path::new("fuzz"), Cursor::new(bytes)) else {
            return false;
        };
        let test = test.unwrap_or_else(|| train.select(&[0]));
        let mut again = Cursor::new(Vec::new());
        npz::write_to(&mut again, &train, &test).unwrap();
        let again = npz::read_from(Path::new("fuzz"), again).unwrap();
        assert_same(&again.0, &train);
        assert_same(&again.1.unwrap(), &test);
        true
    });
}

#[test]
fn csv() {
    let mut seeds = seeds(&["tiny/csv/tiny_train.csv", "tiny/csv/tiny_test.csv"]);
    seeds.push(b"5.1,3.5,setosa\n7.0,-3.2e-3,versicolor\n4.9,3,\"setosa\"\n".to_vec());
    seeds.push(format!("3,{}\n", ["9"; 49].join(",")).into_bytes());
    fuzz("csv", &seeds, |bytes| {
        let options = ReadOptions::default();
        let path = Path::new("fuzz");
        let Ok(table) = Table::read(path, bytes, &options, None) else { return false };
        let part = table.into_part(path);
        let mut again = Vec::new();
        csv::write(&mut again, &part).unwrap();
        let again = Table::read(path, &again[..], &options, None);
        let again = again.unwrap_or_else(|e| panic!("what was written is refused: {e}"));
        assert_same(&again.into_part(path), &part);
        true
    });
}

#[test]
fn png() {
    let paths =
        ["pictures/rgb.png", "pictures/rgba.png", "pictures/grey16.png", "pictures/bits.png"];
    let mut seeds = seeds(&paths);
    seeds.extend(self::seeds(&["tiny/images/test/slash%2Fdiagonal/01.png"]));
    fuzz("png", &seeds, |bytes| {
        let mut bytes = bytes.to_vec();
        right_checksums(&mut bytes);
        let Ok(picture) = Picture::read(Path::new("fuzz"), Cursor::new(&bytes)) else {
            return false;
        };
        let mut again = Vec::new();
        picture.write(&mut again).unwrap();
        let again = Picture::read(Path::new("fuzz"), Cursor::new(&again)).unwrap();
        assert_eq!(again, picture);
        true
    });
}

/// Puts the checksum of each chunk right, so that damage gets past it.
fn right_checksums(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = at.checked_add(8).and_then(|n| n.checked_add(length)) else { return };
        if end + 4 > bytes.len() {
            return;
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
}
