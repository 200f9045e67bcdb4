//! The built-in data set: synthetic digits, so that there is something to train on before anything
//! is downloaded, and so that tests need no data.
//!
//! 60,000 training and 10,000 test images of 28x28 pixels, drawn from the strokes of a pen
//! (skeleton.rs) with random bends, slants, places, widths and ink (draw.rs). Glyph `i` depends
//! on the seed and `i` alone. They look like handwriting and are not: an accuracy on them says that
//! training works, nothing about reading people's digits.

mod draw;
#[rustfmt::skip] // Points in rows, not one a line.
mod skeleton;

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::catalogue::{DIGITS, FILE_NAMES, GLYPHS};
use crate::folder::{self, Holding};
use crate::formats::{ReadOptions, target};
use crate::idx::{self, ElementType, Header};
use crate::{Dataset, Error, Part, Search, write_atomically};
use draw::Dice;

/// Pixels of a side.
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;

/// The seed of the data set.
pub const SEED: u64 = 1;

/// Glyphs `0..TRAIN` are for training, those from there to `TRAIN + TEST` for testing.
const TRAIN: u64 = 60_000;
const TEST: u64 = 10_000;

/// Glyphs drawn at a time where there are many: 6 MiB of them.
const AT_A_TIME: usize = 8192;

/// The cache's folder; a generator that draws differently gets a new one.
const CACHE_FOLDER: &str = "glyphs-v1";

/// Draws the glyphs numbered `range`: pixels, `[range.len(), 28, 28]`, 0 for paper and up to 255
/// for ink, and their digits, `[range.len()]`. In parallel; the same on any number of threads.
pub fn generate(seed: u64, range: Range<u64>) -> (Vec<u8>, Vec<u8>) {
    let count = (range.end - range.start) as usize;
    let (mut pixels, mut labels) = (vec![0; count * PIXELS], vec![0; count]);
    let images = pixels.par_chunks_exact_mut(PIXELS);
    images.zip(&mut labels).enumerate().for_each(|(i, (image, label))| {
        let mut dice = Dice::new(seed, range.start + i as u64);
        let digit = dice.below(DIGITS.len());
        *label = digit as u8;
        draw::glyph(digit, &mut dice, image);
    });
    (pixels, labels)
}

/// Opens the glyphs from the cache of `search`, drawing them into it if they are not there or not
/// whole; without a cache that can be written they are drawn into memory.
///
/// # Errors
/// If a file that was just written cannot be read back.
pub(crate) fn load(search: &Search) -> Result<Dataset, Error> {
    let folder = search.cache_dir.as_ref().map(|cache| cache.join(CACHE_FOLDER));
    // A damaged file in the cache is no reason to bother anybody: it is made again.
    if let Some(folder) = &folder
        && let Ok(set) = open(folder)
        && (set.train.len() as u64, set.test.len() as u64) == (TRAIN, TEST)
    {
        return Ok(set);
    }
    let train = generate(SEED, 0..TRAIN);
    let test = generate(SEED, TRAIN..TRAIN + TEST);
    let reason = match &folder {
        Some(folder) => match store(folder, [&train, &test]) {
            Ok(()) => return open(folder),
            Err(error) => error.to_string(),
        },
        None => "there is no cache folder".into(),
    };
    let path = folder.unwrap_or_else(|| CACHE_FOLDER.into());
    let part = |(pixels, labels): (Vec<u8>, Vec<u8>)| {
        let labels = labels.into_iter().map(u16::from).collect();
        Part::from_pixels(&path, &[SIDE, SIDE], pixels, labels)
    };
    let mut set = named(&path, part(train), part(test))?;
    set.notices.push(format!("glyphs are kept in memory and drawn again next time: {reason}"));
    Ok(set)
}

/// Sees to it that `options` ask for nothing that the glyphs have themselves.
///
/// # Errors
/// If they name test data or class names.
pub(crate) fn check_options(options: &ReadOptions) -> Result<(), Error> {
    for (path, flag) in [(&options.test, "--test-data"), (&options.class_names, "--class-names")] {
        if let Some(path) = path {
            let expected = "none with this built-in data set, which has its own: name the data set \
                            that it belongs to";
            let found = path.display().to_string();
            return Err(Error::invalid(Path::new(GLYPHS), flag, found, expected));
        }
    }
    Ok(())
}

/// The folder of the glyphs in the cache, if all their files are there.
pub(crate) fn cached(search: &Search) -> Option<PathBuf> {
    let folder = search.cache_dir.as_ref()?.join(CACHE_FOLDER);
    matches!(folder::scan(&folder, GLYPHS), Holding::All(_)).then_some(folder)
}

/// Draws `train` and `test` glyphs into IDX files in `folder`, without ever holding more than a few
/// megabytes of them: for trying out data sets larger than memory.
///
/// `folder` must be new or empty, and appears only once everything is in it.
///
/// # Errors
/// If `folder` is there and not an empty folder, a count is 0 or does not fit into 32 bits, or
/// writing fails; then nothing is left.
pub fn write_many(folder: &Path, train: u64, test: u64, seed: u64) -> Result<(), Error> {
    for (count, part) in [(train, "training examples"), (test, "test examples")] {
        if count == 0 || count > u64::from(u32::MAX) {
            let expected = "1 to 4294967295";
            return Err(Error::invalid(folder, part, count.to_string(), expected));
        }
    }
    target::new_folder(folder, |folder| {
        let parts = [0..train, train..train + test];
        for (range, names) in parts.into_iter().zip(FILE_NAMES.chunks_exact(2)) {
            let count = (range.end - range.start) as usize;
            let header = |dims: &[usize]| Header { element: ElementType::U8, dims: dims.to_vec() };
            let mut labels = header(&[count]).to_bytes();
            target::write_file(&folder.join(names[0]), |out| {
                out.write_all(&header(&[count, SIDE, SIDE]).to_bytes())?;
                for start in range.clone().step_by(AT_A_TIME) {
                    let some = generate(seed, start..(start + AT_A_TIME as u64).min(range.end));
                    out.write_all(&some.0)?;
                    labels.extend(some.1);
                }
                Ok(())
            })?;
            target::write_file(&folder.join(names[1]), |out| out.write_all(&labels))?;
        }
        Ok(())
    })
}

fn open(folder: &Path) -> Result<Dataset, Error> {
    let set = folder::open(folder, GLYPHS, None, &ReadOptions::default())?;
    Ok(Dataset { synthetic: true, ..set })
}

fn named(path: &Path, train: Part, test: Part) -> Result<Dataset, Error> {
    let classes = DIGITS.iter().map(|&digit| digit.into()).collect();
    let set = Dataset::new(GLYPHS, path, Some(classes), train, test)?;
    Ok(Dataset { synthetic: true, ..set })
}

fn store(folder: &Path, parts: [&(Vec<u8>, Vec<u8>); 2]) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
    for (part, names) in parts.into_iter().zip(FILE_NAMES.chunks_exact(2)) {
        let (pixels, labels) = part;
        let count = labels.len();
        write_atomically(&folder.join(names[0]), |out| {
            idx::write_to(out, &[count, SIDE, SIDE], pixels)
        })?;
        write_atomically(&folder.join(names[1]), |out| idx::write_to(out, &[count], labels))?;
    }
    Ok(())
}
