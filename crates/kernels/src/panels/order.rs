//! In which order a batch holds its features.

/// In which order a batch holds the features of an example, and with it which four of them share a
/// panel.
///
/// The more often neighbours in a panel are zero together, the less there is to compute. Of MNIST's
/// pixels 28 % are kept in panels of four neighbours in a row, 26 % in patches of two by two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureOrder {
    features: usize,
    /// Width of an image cut into patches.
    patches: Option<usize>,
}

impl FeatureOrder {
    /// As they come.
    pub fn as_given(features: usize) -> Self {
        Self { features, patches: None }
    }

    /// Patches of two by two pixels, of each the two upper ones first, where height and width are
    /// even; as they come elsewhere.
    pub fn of_image(height: usize, width: usize) -> Self {
        let even = height.is_multiple_of(2) && width.is_multiple_of(2) && width > 0;
        Self { features: height * width, patches: even.then_some(width) }
    }

    /// Features of an example.
    pub fn features(self) -> usize {
        self.features
    }

    /// Width of the image whose patches these are, if they are.
    pub fn patches(self) -> Option<usize> {
        self.patches
    }

    /// All features, in this order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = usize> + Clone {
        (0..self.features).map(move |at| match self.patches {
            None => at,
            Some(width) => {
                let (patch, pixel) = (at / 4, at % 4);
                let (down, across) = (patch / (width / 2), patch % (width / 2));
                (2 * down + pixel / 2) * width + 2 * across + pixel % 2
            }
        })
    }
}
