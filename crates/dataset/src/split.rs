//! Dividing examples so that every part has its share of every class.

use std::path::Path;

use crate::part::Features;
use crate::picture::labels_of;
use crate::{Bytes, Dataset, Error, FeaturesView, LabelsView, Part, shuffle};

/// Draws `fraction` of the examples, stratified: of each class its share, rounded so that the shares
/// add up to `fraction` of all; but never the last example of a class. Returns the numbers of those
/// that stay and of those drawn, each in an order that is random as well.
///
/// # Panics
/// If `fraction` is not within 0 to 1.
pub fn stratified(labels: LabelsView<'_>, fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    assert!((0.0..=1.0).contains(&fraction), "fraction {fraction} is not in 0..=1");
    let mut order = vec![0; labels.len()];
    shuffle(&mut order, seed, 0);
    let mut members: Vec<Vec<u32>> = Vec::new();
    for &i in &order {
        let class = labels.get(i as usize);
        if class >= members.len() {
            members.resize_with(class + 1, Vec::new);
        }
        members[class].push(i);
    }
    // Largest remainders: everybody gets the whole part of the share, and those with the largest
    // fractional parts one more until the sum is right.
    let share = |class: &Vec<u32>| class.len() as f64 * fraction;
    let mut take: Vec<usize> = members.iter().map(|class| share(class) as usize).collect();
    let total = (labels.len() as f64 * fraction).round() as usize;
    let mut by_remainder: Vec<usize> = (0..members.len()).collect();
    by_remainder.sort_by(|&a, &b| {
        let remainder = |class: usize| share(&members[class]).fract();
        remainder(b).total_cmp(&remainder(a))
    });
    let missing = total.saturating_sub(take.iter().sum());
    by_remainder.iter().take(missing).for_each(|&class| take[class] += 1);
    let mut drawn = vec![false; labels.len()];
    for (class, take) in members.iter().zip(take) {
        let most = class.len().saturating_sub(1);
        class[..take.min(most)].iter().for_each(|&i| drawn[i as usize] = true);
    }
    order.into_iter().partition(|&i| !drawn[i as usize])
}

impl Part {
    /// A copy of the examples numbered `indices`, in that order. Whether their file was whole
    /// meanwhile, [`Part::check_unchanged`] says afterwards.
    ///
    /// # Panics
    /// If one is not the number of an example.
    pub fn select(&self, indices: &[u32]) -> Self {
        let examples = self.examples();
        let width = examples.width();
        let row = |i: u32| i as usize * width..(i as usize + 1) * width;
        let features = match examples.features() {
            FeaturesView::U8(pixels) => {
                let pixels = indices.iter().flat_map(|&i| &pixels[row(i)]).copied().collect();
                Features::pixels(Bytes::Owned(pixels), 0)
            }
            FeaturesView::F32(numbers) => {
                let numbers = indices.iter().flat_map(|&i| &numbers[row(i)]).copied().collect();
                Features::F32(numbers)
            }
        };
        let labels = examples.labels();
        let labels = indices.iter().map(|&i| labels.get(i as usize) as u16).collect();
        let (images_path, labels_path) = (self.images_path().into(), self.labels_path().into());
        Self::assemble(features, labels, self.shape().to_vec(), images_path, labels_path)
    }

    /// A copy of these examples and, behind them, those of `other`, which have the same shape. If
    /// either has numbers for features, all become numbers (bytes divided by 255).
    fn followed_by(&self, other: &Self) -> Self {
        let both = [self.examples(), other.examples()];
        let features = match both.map(|examples| examples.features()) {
            [FeaturesView::U8(a), FeaturesView::U8(b)] => {
                Features::pixels(Bytes::Owned([a, b].concat()), 0)
            }
            both => Features::F32(both.into_iter().flat_map(numbers).collect()),
        };
        let labels = both.map(|examples| labels_of(examples.labels())).concat();
        let (images_path, labels_path) = (self.images_path().into(), self.labels_path().into());
        Self::assemble(features, labels, self.shape().to_vec(), images_path, labels_path)
    }
}

fn numbers(features: FeaturesView<'_>) -> Vec<f32> {
    match features {
        FeaturesView::U8(pixels) => pixels.iter().map(|&p| f32::from(p) / 255.0).collect(),
        FeaturesView::F32(numbers) => numbers.to_vec(),
    }
}

impl Dataset {
    /// All examples of both parts, divided anew: `fraction` of them, stratified and drawn from `seed`,
    /// are the test part.
    ///
    /// # Errors
    /// If `fraction` is not between 0 and 1, or so small that no example is drawn, or a file changed
    /// while it was copied.
    pub fn resplit(&self, fraction: f64, seed: u64) -> Result<Self, Error> {
        let all = self.train.followed_by(&self.test);
        self.check_unchanged()?;
        let classes = Some(self.classes.clone());
        let mut set = Self::held_out(&self.name, &self.source, classes, all, fraction, seed)?;
        set.synthetic = self.synthetic;
        set.notices.clear();
        Ok(set)
    }

    /// A data set of one part, of which `fraction`, stratified, becomes the test part.
    pub(crate) fn held_out(
        name: &str,
        source: &Path,
        classes: Option<Vec<String>>,
        all: Part,
        fraction: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        if !(fraction > 0.0 && fraction < 1.0) {
            let expected = "more than 0 and less than 1";
            return Err(Error::invalid(source, "test fraction", fraction.to_string(), expected));
        }
        let (train, test) = stratified(all.examples().labels(), fraction, seed);
        if train.is_empty() || test.is_empty() {
            let found = format!("{} examples", all.len());
            let expected =
                format!("enough of each class to hold {fraction} of them out for testing");
            return Err(Error::invalid(source, "data set", found, expected));
        }
        let notice = format!(
            "{} has no test part: {} of its {} examples are held out for it (stratified, seed {seed})",
            source.display(),
            test.len(),
            all.len()
        );
        let (train, test) = (all.select(&train), all.select(&test));
        all.check_unchanged()?;
        let mut set = Self::new(name, source, classes, train, test)?;
        set.notices.push(notice);
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(indices: &[u32], labels: &[u8], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        indices.iter().for_each(|&i| counts[labels[i as usize] as usize] += 1);
        counts
    }

    #[test]
    fn every_class_gives_its_share_and_the_shares_add_up() {
        let labels: Vec<u8> = (0..100).map(|i| [0, 0, 0, 0, 0, 1, 1, 1, 2, 2][i % 10]).collect();
        let (stay, drawn) = stratified(LabelsView::U8(&labels), 0.25, 7);
        assert_eq!((stay.len(), drawn.len()), (75, 25));
        let taken = counts(&drawn, &labels, 3);
        // 12.5, 7.5 and 5 of them.
        assert!(taken == [13, 7, 5] || taken == [12, 8, 5], "{taken:?}");
        let mut all = [stay, drawn].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
    }

    #[test]
    fn the_draw_is_the_seeds_and_in_random_order() {
        let labels = [0u8; 50];
        let draw = |seed| stratified(LabelsView::U8(&labels), 0.5, seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(!draw(1).0.is_sorted() && !draw(1).1.is_sorted());
    }

    #[test]
    fn no_class_loses_its_last_example() {
        let labels = [0u16, 1, 2, 2, 300];
        let (stay, drawn) = stratified(LabelsView::U16(&labels), 1.0, 0);
        assert_eq!((stay.len(), drawn.len()), (4, 1));
        assert!([0, 1, 4].iter().all(|i| stay.contains(i)));
    }

    #[test]
    fn selected_examples_keep_their_labels() {
        let pixels: Vec<u8> = (0..12).collect();
        let part = Part::from_pixels(Path::new("test"), &[2], pixels, vec![5, 6, 7, 8, 9, 10]);
        let some = part.select(&[4, 0]);
        let FeaturesView::U8(pixels) = some.examples().features() else { panic!() };
        assert_eq!(pixels, [8, 9, 0, 1]);
        assert_eq!(labels_of(some.examples().labels()), [9, 5]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn pixels_that_change_while_some_are_held_out_are_an_error() {
        use crate::idx::{self, Idx};
        let folder = tempfile::tempdir().unwrap();
        let [images, labels] = ["images", "labels"].map(|name| folder.path().join(name));
        idx::write(&images, &[6, 2, 2], &[7u8; 24]).unwrap();
        idx::write(&labels, &[6], &[0u8; 6]).unwrap();
        let all = Part::from_idx(Idx::open(&images).unwrap(), Idx::open(&labels).unwrap()).unwrap();
        std::fs::File::options().write(true).open(&images).unwrap().set_len(100).unwrap();
        let result = Dataset::held_out("set", folder.path(), None, all, 0.5, 1);
        assert!(matches!(result, Err(Error::Changed { path, .. }) if path == images));
    }
}
