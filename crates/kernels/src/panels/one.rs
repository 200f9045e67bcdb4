//! A single example: its values that are not zero.

use bytemuck::cast_slice;

use super::{Data, FeatureOrder, Form, PANEL, Values};
use crate::Isa;
use crate::aligned::{Aligned, Arena};
use crate::simd::{Kernel, Simd};

/// The values of one example that are not zero, and which features they are.
#[derive(Clone, Debug)]
pub struct One {
    form: Form,
    order: FeatureOrder,
    /// Its bytes in the order of the features, in whole vectors.
    bytes: Aligned<u8>,
    len: usize,
    list: Aligned<u32>,
    /// Bytes, one a word, or the bits of floats.
    values: Aligned<u32>,
    table: Aligned,
}

impl One {
    /// Room for an example whose features are read in an order.
    pub fn new(arena: &mut Arena, form: Form, order: FeatureOrder) -> Self {
        let padded = order.features().next_multiple_of(64);
        Self {
            form,
            order,
            bytes: arena.zeros(padded),
            len: 0,
            list: arena.zeros(padded + 16),
            values: arena.zeros(padded + 16),
            table: form.table(arena),
        }
    }

    /// Reads an example.
    ///
    /// # Panics
    /// If it is of another form, or has another number of features.
    pub fn fill(&mut self, isa: Isa, example: Data<'_>) {
        let (features, len) = (self.order.features(), example.len());
        assert_eq!(len, features, "features of an example");
        match (example, self.form) {
            (Data::Bytes(bytes), Form::Bytes(_)) => isa.run(FillBytes { one: self, bytes }),
            (Data::Floats(floats), Form::Floats) => {
                self.len = 0;
                for (feature, x) in (0..).zip(floats) {
                    if *x != 0.0 {
                        (self.list[self.len], self.values[self.len]) = (feature, x.to_bits());
                        self.len += 1;
                    }
                }
            }
            _ => panic!("bytes or floats"),
        }
    }

    /// Features of the example.
    pub fn features(&self) -> usize {
        self.order.features()
    }

    /// Features that are not zero.
    pub(crate) fn list(&self) -> &[u32] {
        &self.list[..self.len]
    }

    /// Their values, one a feature: a byte a word, or a float.
    pub(crate) fn values(&self) -> Values<'_> {
        let values = &self.values[..self.len];
        match self.form {
            Form::Bytes(_) => Values::Bytes(values, &self.table),
            Form::Floats => Values::Floats(cast_slice(values)),
        }
    }
}

struct FillBytes<'a> {
    one: &'a mut One,
    bytes: &'a [u8],
}

impl Kernel for FillBytes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { one, bytes } = self;
        match one.order.patches() {
            None => one.bytes[..bytes.len()].copy_from_slice(bytes),
            Some(width) => {
                let pairs = bytes.chunks_exact(2 * width);
                for (rows, patches) in pairs.zip(one.bytes.chunks_exact_mut(2 * width)) {
                    let (upper, lower) = rows.split_at(width);
                    let words: *mut u32 = patches.as_mut_ptr().cast();
                    debug_assert_eq!(patches.len(), PANEL * width / 2);
                    // SAFETY: both rows have `width` bytes, the words half as many; they lie at
                    // multiples of four bytes in aligned memory.
                    unsafe { s.patches(upper.as_ptr(), lower.as_ptr(), width / 2, words) };
                }
            }
        }
        // SAFETY: whole vectors of bytes, and room for as many entries and sixteen more.
        one.len = unsafe {
            let (list, values) = (one.list.as_mut_ptr(), one.values.as_mut_ptr());
            s.list_bytes(one.bytes.as_ptr(), bytes.len(), list, values)
        };
    }
}
