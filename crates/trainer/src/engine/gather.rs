//! A batch on its way from the data set to the first layer: its rows, and the lists made of them.
//!
//! Every thread makes all lists for itself. Sharing them was slower: what one thread had listed came
//! to the other from a far cache in more time than listing it again.

use std::ops::Range;

use dataset::{Examples, FeaturesView};
use kernels::panels::{Ahead, Batch, FeatureOrder, Form, Panels};
use kernels::{Arena, Isa};

use super::BYTE_SCALE;

/// A thread's batches: the one at hand, the next, and what is known of the one after it.
#[derive(Debug)]
pub(crate) struct Gather {
    order: FeatureOrder,
    /// Rows of the batch announced.
    pub(crate) announced: Vec<u32>,
    /// The rows copied last, features in their order.
    rows: Batch,
    /// What is not zero in the batch at hand.
    pub(crate) current: Panels,
    /// What is not zero in the next one.
    pub(crate) next: Panels,
    /// Class numbers of the examples listed last: the next batch's, and from `turn` on those of the
    /// one at hand.
    pub(crate) labels: Vec<u16>,
}

impl Gather {
    pub(crate) fn new(arena: &mut Arena, examples: &Examples<'_>, batch_size: usize) -> Self {
        let (form, width) = (form(examples), examples.width());
        Self {
            order: feature_order(examples),
            announced: Vec::with_capacity(batch_size),
            rows: Batch::with_capacity(arena, form, batch_size, width),
            current: Panels::with_capacity(arena, form, width, batch_size),
            next: Panels::with_capacity(arena, form, width, batch_size),
            labels: Vec::with_capacity(batch_size),
        }
    }

    /// Announces a batch: the next that will be copied.
    pub(crate) fn announce(&mut self, rows: &[u32]) {
        self.announced.clear();
        self.announced.extend_from_slice(rows);
    }

    /// Copies the rows of the batch announced last.
    pub(crate) fn copy(&mut self, isa: Isa, examples: &Examples<'_>) {
        let width = examples.width();
        self.rows.clear();
        for row in &self.announced {
            let range = *row as usize * width..(*row as usize + 1) * width;
            match (examples.features(), self.order.patches()) {
                (FeaturesView::U8(pixels), Some(width)) => {
                    self.rows.push_patches(isa, &pixels[range], width);
                }
                _ => push(&mut self.rows, examples, range),
            }
        }
    }

    /// Lists the features of the rows that were copied: the next batch. Announces the one after it.
    pub(crate) fn list(&mut self, isa: Isa, examples: &Examples<'_>, after: &[u32]) {
        self.next.fill_features(isa, &self.rows);
        self.labels.clear();
        let labels = examples.labels();
        self.labels.extend(self.announced.iter().map(|row| labels.get(*row as usize) as u16));
        self.announce(after);
    }

    /// The next batch becomes the one at hand.
    pub(crate) fn turn(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
    }
}

/// Adds the features in `range`, those of one example, to a batch.
pub(crate) fn push(batch: &mut Batch, examples: &Examples<'_>, range: Range<usize>) {
    match examples.features() {
        FeaturesView::U8(pixels) => batch.push_bytes(&pixels[range]),
        FeaturesView::F32(values) => batch.push_floats(&values[range]),
    }
}

/// The announced `rows`, to be sent for in `times` portions.
pub(crate) fn ahead<'a>(examples: &Examples<'a>, rows: &'a [u32], times: usize) -> Ahead<'a> {
    match examples.features() {
        FeaturesView::U8(pixels) => Ahead::new(pixels, examples.width(), rows, times),
        FeaturesView::F32(values) => Ahead::new(values, examples.width(), rows, times),
    }
}

/// The order in which the first layer reads the features, and keeps its weights: patches of pixels,
/// where the examples are images of bytes.
pub(crate) fn feature_order(examples: &Examples<'_>) -> FeatureOrder {
    match (examples.features(), examples.shape()) {
        (FeaturesView::U8(_), &[height, width]) => FeatureOrder::of_image(height, width),
        _ => FeatureOrder::as_given(examples.width()),
    }
}

/// What batches of these examples are made of.
pub(crate) fn form(examples: &Examples<'_>) -> Form {
    match examples.features() {
        FeaturesView::U8(_) => Form::Bytes(BYTE_SCALE),
        FeaturesView::F32(_) => Form::Floats,
    }
}
