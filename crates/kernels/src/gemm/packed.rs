//! A right operand in panels of its own: weights that many products share.

use std::fmt;

use super::cycles::round_up;
use super::{pack, rules};
use crate::simd::{Kernel, Simd};
use crate::view::MatRef;
use crate::{Aligned, Arena, Isa};

/// A matrix `B` `[k, n]`, copied once into the panels that tiles read, for all products with it.
///
/// A product that finds B so copies nothing of it, whatever the strides of the matrix were; where B is large
/// (1 MiB), and with AVX-512, tiles ask for each panel before it is needed. Results have the bits of the product with
/// the matrix itself. One or two rows of A are multiplied as fast, or faster, without.
///
/// ```text
///          width
///   B  k │ 0 │ 1 │ 2 │..     panel i: [k, width], columns i * width on, filled up with zeros
/// ```
#[derive(Clone)]
pub struct PackedB {
    isa: Isa,
    k: usize,
    n: usize,
    /// Columns of a panel.
    width: usize,
    /// Panel after panel.
    values: Aligned,
}

impl PackedB {
    /// A copy of `b`.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new(isa: Isa, b: MatRef<'_>) -> Self {
        let bytes = b.rows().saturating_mul(b.cols()).saturating_mul(size_of::<f32>());
        let mut packed = Self::zeros(&mut Arena::for_bytes(bytes), isa, b.rows(), b.cols());
        packed.pack(b);
        packed
    }

    /// `[k, n]` zeros, in memory from `arena`.
    ///
    /// # Panics
    /// If there is not enough.
    pub fn zeros(arena: &mut Arena, isa: Isa, k: usize, n: usize) -> Self {
        let width = rules::width_of_packed(isa, n, k);
        // Saturating: a view with strides of zero may be larger than any memory.
        let values = arena.zeros(round_up(n, width).saturating_mul(k));
        Self { isa, k, n, width, values }
    }

    /// Copies another matrix of the same shape, of any strides, in place of this one; allocates nothing.
    ///
    /// # Panics
    /// If `b` is not `[k, n]`.
    pub fn pack(&mut self, b: MatRef<'_>) {
        assert!((b.rows(), b.cols()) == (self.k, self.n), "{b:?} for [{}, {}]", self.k, self.n);
        if self.k > 0 && self.n > 0 {
            self.isa.run(Pack { b, width: self.width, panels: &mut self.values });
        }
    }

    /// Rows of B, `k`.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Columns of B, `n`.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// Columns of a panel.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The instruction set whose tiles read it.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The columns of the first panel. The others lie behind it, each `k` times as many floats as a panel is wide.
    fn first_panel(&self) -> MatRef<'_> {
        MatRef::with_strides(&self.values, self.k, self.n.min(self.width), self.width, 1)
    }
}

impl fmt::Debug for PackedB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { isa, k, n, width, .. } = self;
        write!(f, "PackedB[{k}, {n}] in panels of {width} columns for {isa}")
    }
}

struct Pack<'a> {
    b: MatRef<'a>,
    width: usize,
    panels: &'a mut [f32],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: there are as many panels as the columns of `b` fill, of as many rows as it has.
        unsafe { pack::pack_b(s, self.b, self.width, self.panels.as_mut_ptr()) };
    }
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    /// A matrix where it lies.
    Matrix(MatRef<'a>),
    /// A matrix in panels.
    Packed(&'a PackedB),
}

impl fmt::Debug for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matrix(b) => b.fmt(f),
            Self::Packed(b) => b.fmt(f),
        }
    }
}

impl<'a> From<MatRef<'a>> for Right<'a> {
    fn from(matrix: MatRef<'a>) -> Self {
        Self::Matrix(matrix)
    }
}

impl<'a> From<&'a PackedB> for Right<'a> {
    fn from(packed: &'a PackedB) -> Self {
        Self::Packed(packed)
    }
}

impl<'a> Right<'a> {
    pub(super) fn shape(self) -> (usize, usize) {
        match self {
            Self::Matrix(b) => (b.rows(), b.cols()),
            Self::Packed(b) => (b.k, b.n),
        }
    }

    /// Panics if it lies in panels for other tiles.
    pub(super) fn assert_for(self, isa: Isa) {
        if let Self::Packed(b) = self {
            assert!(b.isa == isa, "{b:?}, in a product on {isa}");
        }
    }

    /// How it lies, for the plan.
    pub(super) fn layout(self) -> rules::LayoutB {
        match self {
            Self::Matrix(b) if b.col_stride() == 1 || b.cols() <= 1 => rules::LayoutB::ByRows,
            Self::Matrix(_) => rules::LayoutB::ByColumns,
            Self::Packed(b) => rules::LayoutB::Packed { width: b.width },
        }
    }

    /// Where the tiles begin: the matrix, or the first panel.
    pub(super) fn first(self) -> MatRef<'a> {
        match self {
            Self::Matrix(b) => b,
            Self::Packed(b) => b.first_panel(),
        }
    }
}
