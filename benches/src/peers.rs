//! Matrix products of other crates, and ours, behind one interface.
//!
//! | | threads | AVX-512 |
//! |---|---|---|
//! | ours | a team, each thread its share, a barrier after each product | at run time |
//! | matrixmultiply | its own pool, at most four, chosen once a process | its default feature |
//! | gemm | rayon | its feature `x86-v4` |
//! | faer | rayon | at run time in its x86 backend; its feature `nightly` elsewhere |
//!
//! All of them write the same row-major C from the same A and B.

use std::time::{Duration, Instant};

use kernels::Isa;
use trainer::roofline::{Operands, Product, time_team, warming};

/// Whose product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// `kernels::gemm`
    Ours,
    /// The crate `matrixmultiply`.
    Matrixmultiply,
    /// The crate `gemm`.
    Gemm,
    /// The crate `faer`.
    Faer,
}

impl Contender {
    /// Ours first.
    pub const ALL: [Self; 4] = [Self::Ours, Self::Matrixmultiply, Self::Gemm, Self::Faer];

    /// The crate's name, without ours.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "flatiron",
            Self::Matrixmultiply => "matrixmultiply",
            Self::Gemm => "gemm",
            Self::Faer => "faer",
        }
    }

    /// Time of `repetitions` products on `threads` threads, after a quarter as many that are
    /// not timed.
    pub fn time(self, operands: &mut Operands, threads: usize, repetitions: usize) -> Duration {
        match self {
            Self::Ours => time_team(&mut operands.team(Isa::best(), threads, None), repetitions),
            Self::Matrixmultiply => timed(repetitions, || matrixmultiply(operands)),
            Self::Gemm => timed(repetitions, || gemm(operands, threads)),
            Self::Faer => timed(repetitions, || faer(operands, threads)),
        }
    }
}

fn timed(repetitions: usize, mut work: impl FnMut()) -> Duration {
    for _ in 0..warming(repetitions) {
        work();
    }
    let start = Instant::now();
    for _ in 0..repetitions {
        work();
    }
    start.elapsed()
}

/// Sets how many threads `matrixmultiply` uses in this process.
///
/// # Safety
/// To be called at the start of `main`, while there is no other thread: it sets the environment
/// variable that the crate reads at its first product, the only way it can be told.
pub unsafe fn set_matrixmultiply_threads(threads: usize) {
    // SAFETY: no other thread can be reading the environment.
    unsafe { std::env::set_var("MATMUL_NUM_THREADS", threads.to_string()) };
}

fn matrixmultiply(operands: &mut Operands) {
    let Product { m, k, n, .. } = operands.product;
    let (a_row, a_col) = operands.product.a_strides();
    let (b_row, b_col) = operands.product.b_strides();
    // SAFETY: `Operands` has matrices of these shapes and strides.
    unsafe {
        ::matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            operands.a.as_ptr(),
            a_row as isize,
            a_col as isize,
            operands.b.as_ptr(),
            b_row as isize,
            b_col as isize,
            0.0,
            operands.c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

fn gemm(operands: &mut Operands, threads: usize) {
    let Product { m, k, n, .. } = operands.product;
    let (a_row, a_col) = operands.product.a_strides();
    let (b_row, b_col) = operands.product.b_strides();
    let parallelism = match threads {
        1 => ::gemm::Parallelism::None,
        _ => ::gemm::Parallelism::Rayon(threads),
    };
    // SAFETY: `Operands` has matrices of these shapes and strides.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            operands.c.as_mut_ptr(),
            1,
            n as isize,
            false,
            operands.a.as_ptr(),
            a_col as isize,
            a_row as isize,
            operands.b.as_ptr(),
            b_col as isize,
            b_row as isize,
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn faer(operands: &mut Operands, threads: usize) {
    let Product { m, k, n, layout, .. } = operands.product;
    use faer::linalg::matmul::matmul;
    use faer::{Accum, MatMut, MatRef, Par};
    use trainer::roofline::Layout;
    let a = match layout {
        Layout::TransposedA => MatRef::from_row_major_slice(&operands.a, k, m).transpose(),
        _ => MatRef::from_row_major_slice(&operands.a, m, k),
    };
    let b = match layout {
        Layout::TransposedB => MatRef::from_row_major_slice(&operands.b, n, k).transpose(),
        _ => MatRef::from_row_major_slice(&operands.b, k, n),
    };
    let c = MatMut::from_row_major_slice_mut(&mut operands.c, m, n);
    let par = if threads == 1 { Par::Seq } else { Par::rayon(threads) };
    matmul(c, Accum::Replace, a, b, 1.0_f32, par);
}

/// Asserts that all contenders compute the same product, within the rounding of two sums of k
/// products each.
///
/// # Panics
/// If one of them does not.
pub fn assert_equal_results(product: &Product, threads: usize) {
    let mut results = Contender::ALL.iter().map(|contender| {
        let mut operands = Operands::new(product);
        contender.time(&mut operands, threads, 0);
        (contender.name(), operands)
    });
    let (_, ours) = results.next().expect("ours is the first");
    for (name, theirs) in results {
        if let Err(difference) = compare(&ours, &theirs.c) {
            panic!("{} {}: {name} and ours differ: {difference}", product.name, product.shape());
        }
    }
}

/// Compares C with `other`.
fn compare(ours: &Operands, other: &[f32]) -> Result<(), String> {
    let Product { m, k, n, .. } = ours.product;
    // |A| |B| is at most the product of the norms of a row and a column (Cauchy, Schwarz).
    let norms = |data: &[f32], count: usize, (stride, along): (usize, usize)| -> Vec<f32> {
        let norm = |i: usize| (0..k).map(|p| data[i * stride + p * along].powi(2)).sum::<f32>();
        (0..count).map(|i| norm(i).sqrt()).collect()
    };
    let (b_row, b_col) = ours.product.b_strides();
    let rows = norms(&ours.a, m, ours.product.a_strides());
    let columns = norms(&ours.b, n, (b_col, b_row));
    for i in 0..m {
        for j in 0..n {
            let (x, y) = (ours.c[i * n + j], other[i * n + j]);
            let bound = 2.0 * k as f32 * f32::EPSILON * rows[i] * columns[j];
            let close = (x - y).abs() <= bound;
            // NaN is not close.
            if !close {
                return Err(format!("{x} and {y} at ({i}, {j}), more than {bound:e} apart"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use trainer::roofline::WORKLOADS;

    use super::*;

    #[test]
    fn the_peers_compute_what_we_compute() {
        for product in WORKLOADS.iter().flat_map(|workload| workload.products()) {
            for threads in [1, 2] {
                assert_equal_results(&product, threads);
            }
        }
    }

    #[test]
    fn a_wrong_result_is_noticed() {
        let product = &WORKLOADS[0].products()[0];
        let mut operands = Operands::new(product);
        Contender::Ours.time(&mut operands, 1, 0);
        let mut other = operands.c.to_vec();
        assert_eq!(compare(&operands, &other), Ok(()));
        other[77] += 0.05;
        assert!(compare(&operands, &other).unwrap_err().contains("at (0, 77)"));
        other[77] = f32::NAN;
        assert!(compare(&operands, &other).is_err());
    }
}
