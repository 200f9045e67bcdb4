//! What a data set looks like in numbers.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Dataset, Examples, FeaturesView, Part, mix};

/// Numbers about one part of a data set.
#[derive(Clone, Debug)]
pub struct PartStatistics {
    /// How many examples each class has.
    pub label_counts: Vec<usize>,
    /// The smallest and the largest feature. Pixels of bytes count from 0 to 1 here, as in training.
    pub range: (f64, f64),
    /// The mean of all features.
    pub mean: f64,
    /// Their standard deviation, about that mean and divided by their number.
    pub deviation: f64,
    /// The fraction of features that are not zero.
    pub density: f64,
    /// How many of an example's features are zero in every example.
    pub always_zero: usize,
    /// Examples whose features are those of an earlier one in this part.
    pub duplicates: usize,
}

/// Numbers about a data set.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// About its training part.
    pub train: PartStatistics,
    /// About its test part.
    pub test: PartStatistics,
    /// Test examples whose features are those of a training example.
    pub test_in_train: usize,
}

impl Dataset {
    /// Reads everything once and counts.
    pub fn inspect(&self) -> Inspection {
        let parts = [&self.train, &self.test].map(Part::examples);
        let hashes = parts.map(|examples| hashes(&examples));
        let statistics = |i: usize, part: &Part| statistics(part, self.classes.len(), &hashes[i]);
        let test_in_train = hashes[1].iter().filter(|&&(hash, i)| {
            let from = hashes[0].partition_point(|&(other, _)| other < hash);
            let alike = hashes[0][from..].iter().take_while(|&&(other, _)| other == hash);
            { alike }.any(|&(_, j)| same(&parts[1], i, &parts[0], j))
        });
        Inspection {
            train: statistics(0, &self.train),
            test: statistics(1, &self.test),
            test_in_train: test_in_train.count(),
        }
    }
}

fn statistics(part: &Part, classes: usize, hashes: &[(u64, u32)]) -> PartStatistics {
    let examples = part.examples();
    let sums = sums(&examples);
    let count = (examples.len() * examples.width()) as f64;
    let mean = sums.sum / count;
    PartStatistics {
        label_counts: part.label_counts(classes),
        range: (sums.low, sums.high),
        mean,
        deviation: (sums.squares / count - mean * mean).max(0.0).sqrt(),
        density: sums.not_zero as f64 / count,
        always_zero: sums.ever.iter().filter(|&&ever| !ever).count(),
        duplicates: duplicates(&examples, hashes),
    }
}

struct Sums {
    sum: f64,
    squares: f64,
    not_zero: usize,
    low: f64,
    high: f64,
    /// Which features are not zero in some example.
    ever: Vec<bool>,
}

/// Sums over all examples: blocks in parallel, added up in their order, so that the result does not
/// depend on the number of threads.
fn sums(examples: &Examples<'_>) -> Sums {
    const BLOCK: usize = 1024;
    let blocks: Vec<Sums> = (0..examples.len().div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let range = block * BLOCK..((block + 1) * BLOCK).min(examples.len());
            block_sums(&examples.slice(range))
        })
        .collect();
    let empty = Sums {
        sum: 0.0,
        squares: 0.0,
        not_zero: 0,
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        ever: vec![false; examples.width()],
    };
    blocks.into_iter().fold(empty, |mut all, block| {
        all.sum += block.sum;
        all.squares += block.squares;
        all.not_zero += block.not_zero;
        all.low = all.low.min(block.low);
        all.high = all.high.max(block.high);
        all.ever.iter_mut().zip(block.ever).for_each(|(all, block)| *all |= block);
        all
    })
}

fn block_sums(examples: &Examples<'_>) -> Sums {
    let mut ever = vec![false; examples.width()];
    let mut sums = Sums {
        sum: 0.0,
        squares: 0.0,
        not_zero: 0,
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        ever: Vec::new(),
    };
    let mut add = |row: &mut dyn Iterator<Item = f64>| {
        for (value, ever) in row.zip(&mut ever) {
            sums.sum += value;
            sums.squares += value * value;
            sums.low = sums.low.min(value);
            sums.high = sums.high.max(value);
            if value != 0.0 {
                sums.not_zero += 1;
                *ever = true;
            }
        }
    };
    match examples.features() {
        FeaturesView::U8(pixels) => {
            let row = |row: &[u8]| add(&mut row.iter().map(|&p| f64::from(p) / 255.0));
            pixels.chunks_exact(examples.width()).for_each(row);
        }
        FeaturesView::F32(numbers) => {
            let row = |row: &[f32]| add(&mut row.iter().map(|&n| f64::from(n)));
            numbers.chunks_exact(examples.width()).for_each(row);
        }
    }
    Sums { ever, ..sums }
}

fn duplicates(examples: &Examples<'_>, hashes: &[(u64, u32)]) -> usize {
    let alike = hashes.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
    // Of examples with one hash, those that some earlier one equals. (Sorted: earlier is smaller.)
    let equals_earlier = |alike: &[(u64, u32)]| {
        let later = alike.iter().enumerate().skip(1);
        later
            .filter(|&(n, &(_, i))| alike[..n].iter().any(|&(_, j)| same(examples, i, examples, j)))
            .count()
    };
    alike.map(equals_earlier).sum()
}

/// A hash of each example's features and its number, sorted.
fn hashes(examples: &Examples<'_>) -> Vec<(u64, u32)> {
    let hash = |i: usize| (hash(bytes(examples, i)), i as u32);
    let mut hashes: Vec<_> = (0..examples.len()).into_par_iter().map(hash).collect();
    hashes.par_sort_unstable();
    hashes
}

fn same(a: &Examples<'_>, i: u32, b: &Examples<'_>, j: u32) -> bool {
    bytes(a, i as usize) == bytes(b, j as usize)
}

/// The bytes of an example's features.
fn bytes<'a>(examples: &Examples<'a>, i: usize) -> &'a [u8] {
    let row: Range<usize> = i * examples.width()..(i + 1) * examples.width();
    match examples.features() {
        FeaturesView::U8(pixels) => &pixels[row],
        FeaturesView::F32(numbers) => bytemuck::cast_slice(&numbers[row]),
    }
}

/// Good enough to tell examples apart; what it finds alike is compared.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    let step = |hash: u64, word: &[u8; 8]| mix(hash ^ u64::from_le_bytes(*word));
    step(words.iter().fold(bytes.len() as u64, step), &tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn set(train: Part, test: Part) -> Dataset {
        Dataset::new("test", Path::new("test"), None, train, test).unwrap()
    }

    #[test]
    fn numbers_of_pixels_are_those_counted_by_hand() {
        let path = Path::new("test");
        let train =
            Part::from_pixels(path, &[2], vec![0, 255, 0, 51, 0, 255, 0, 0], vec![0, 1, 1, 2]);
        let test = Part::from_pixels(path, &[2], vec![0, 51, 7, 7], vec![0, 0]);
        let found = set(train, test).inspect();
        assert_eq!(found.train.label_counts, [1, 2, 1]);
        assert_eq!(found.train.range, (0.0, 1.0));
        assert!((found.train.mean - 2.2 / 8.0).abs() < 1e-12);
        let variance = 2.04 / 8.0 - (2.2f64 / 8.0).powi(2);
        assert!((found.train.deviation - variance.sqrt()).abs() < 1e-12);
        assert_eq!((found.train.density, found.train.always_zero), (3.0 / 8.0, 1));
        assert_eq!((found.train.duplicates, found.test.duplicates), (1, 0));
        assert_eq!((found.test_in_train, found.test.always_zero), (1, 0));
    }

    #[test]
    fn numbers_of_many_blocks_are_those_of_one_sum() {
        let path = Path::new("test");
        let numbers: Vec<f32> = (0..5000).map(|i| (i % 100) as f32 - 20.0).collect();
        let train = Part::from_numbers(path, &[2], numbers, vec![0; 2500]);
        let test = Part::from_numbers(path, &[2], vec![0.5, 1.5], vec![0]);
        let found = set(train, test).inspect();
        assert_eq!(found.train.range, (-20.0, 79.0));
        assert!((found.train.mean - 29.5).abs() < 1e-9);
        assert!((found.train.deviation - (9999.0f64 / 12.0).sqrt()).abs() < 1e-9);
        assert_eq!(found.train.duplicates, 2450);
        assert_eq!(found.test_in_train, 0);
    }
}
