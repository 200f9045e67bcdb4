//! A batch on its way from the data set to the first layer.
//!
//! Every thread makes all lists for itself. Sharing them was slower: what one thread had listed came
//! to the other from a far cache in more time than listing it again.

use dataset::{Examples, FeaturesView};
use kernels::panels::{Ahead, Data, FeatureOrder, Form, PANEL, Panels};
use kernels::{Arena, Isa};

use super::BYTE_SCALE;

/// A thread's batches: the one at hand, the next, and what is known of the one after it.
#[derive(Debug)]
pub(crate) struct Gather {
    /// Rows of the batch announced.
    pub(crate) announced: Vec<u32>,
    pub(crate) current: Batch,
    pub(crate) next: Batch,
}

/// What a thread has read of a batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) panels: Panels,
    /// Class numbers.
    pub(crate) labels: Vec<u16>,
}

impl Gather {
    pub(crate) fn new(arena: &mut Arena, reading: Reading, batch_size: usize) -> Self {
        let Reading { form, order } = reading;
        let mut batch = || Batch {
            panels: Panels::with_capacity(arena, form, order, batch_size),
            labels: Vec::with_capacity(batch_size),
        };
        let (current, next) = (batch(), batch());
        Self { announced: Vec::with_capacity(batch_size), current, next }
    }

    /// Announces a batch: the next that will be read.
    pub(crate) fn announce(&mut self, rows: &[u32]) {
        self.announced.clear();
        self.announced.extend_from_slice(rows);
    }

    /// Reads the batch announced last: the next one. Announces the one after it.
    pub(crate) fn read(&mut self, isa: Isa, examples: &Examples<'_>, after: &[u32]) {
        let Batch { panels, labels } = &mut self.next;
        panels.fill(isa, data(examples), &self.announced);
        labels.clear();
        let all = examples.labels();
        labels.extend(self.announced.iter().map(|row| all.get(*row as usize) as u16));
        self.announce(after);
    }

    /// The next batch becomes the one at hand.
    pub(crate) fn turn(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
    }
}

/// The features of all examples.
pub(crate) fn data<'a>(examples: &Examples<'a>) -> Data<'a> {
    match examples.features() {
        FeaturesView::U8(pixels) => Data::Bytes(pixels),
        FeaturesView::F32(values) => Data::Floats(values),
    }
}

/// The announced `rows`, to be sent for in `times` portions.
pub(crate) fn ahead<'a>(examples: &Examples<'a>, rows: &'a [u32], times: usize) -> Ahead<'a> {
    match examples.features() {
        FeaturesView::U8(pixels) => Ahead::new(pixels, examples.width(), rows, times),
        FeaturesView::F32(values) => Ahead::new(values, examples.width(), rows, times),
    }
}

/// How the first layer reads examples: what their features are, and in which order it keeps its weights.
/// Two data sets of the same numbers may have two orders; weights and lists must be of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) form: Form,
    pub(crate) order: FeatureOrder,
}

impl Reading {
    /// For examples like these: patches of pixels, where they are images of bytes.
    pub(crate) fn of(examples: &Examples<'_>) -> Self {
        let as_given = FeatureOrder::as_given(examples.width());
        match (examples.features(), examples.shape()) {
            (FeaturesView::U8(_), &[height, width]) => {
                let order = FeatureOrder::of_image(height, width);
                Self { form: Form::Bytes(BYTE_SCALE), order }
            }
            (FeaturesView::U8(_), _) => Self { form: Form::Bytes(BYTE_SCALE), order: as_given },
            (FeaturesView::F32(_), _) => Self { form: Form::Floats, order: as_given },
        }
    }

    /// Whether examples of the one can be read as the other: as many numbers of a kind.
    pub(crate) fn fits(self, other: Self) -> bool {
        self.form == other.form && self.order.features() == other.order.features()
    }

    /// Panels of an example.
    pub(crate) fn panels(self) -> usize {
        self.order.features().div_ceil(PANEL)
    }
}
