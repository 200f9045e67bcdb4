//! Which features share a panel.

use super::PANEL;

/// Which four features share a panel of the weight gradient.
///
/// The more often neighbours in a panel are zero together, the less there is to compute. Of MNIST's
/// pixels 28 % are kept in panels of four neighbours in a row, 26 % in patches of two by two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fours {
    features: usize,
    /// Width of an image cut into patches.
    patches: Option<usize>,
}

impl Fours {
    /// Neighbours: features 0 to 3, 4 to 7, and so on.
    pub fn in_order(features: usize) -> Self {
        Self { features, patches: None }
    }

    /// Patches of two by two pixels where height and width are even, neighbours elsewhere.
    pub fn of_image(height: usize, width: usize) -> Self {
        let even = height.is_multiple_of(2) && width.is_multiple_of(2) && width > 0;
        Self { features: height * width, patches: even.then_some(width) }
    }

    /// Width of the image whose patches these are, if they are.
    pub fn patches(self) -> Option<usize> {
        self.patches
    }

    /// All features.
    pub fn features(self) -> usize {
        self.features
    }

    /// Panels.
    pub fn count(self) -> usize {
        self.features.div_ceil(PANEL)
    }

    /// The features of a panel; only the last panel has less than four.
    #[inline(always)]
    pub fn of(self, panel: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        let (first, below) = match self.patches {
            None => (PANEL * panel, 2),
            Some(width) => {
                let across = width / 2;
                (panel / across * 2 * width + panel % across * 2, width)
            }
        };
        let count = PANEL.min(self.features - PANEL * panel);
        (0..count).map(move |r| first + r % 2 + r / 2 * below)
    }
}
