//! How products are shared between threads: planned, not timed.

use kernels::Isa;
use kernels::gemm::Team;

const SIZES: [usize; 11] = [1, 2, 10, 16, 33, 64, 128, 300, 784, 1024, 8192];

fn for_each_shape(mut check: impl FnMut(Isa, [usize; 3])) {
    for isa in Isa::available() {
        for m in SIZES {
            for n in SIZES {
                for k in SIZES {
                    check(isa, [m, n, k]);
                }
            }
        }
    }
}

/// The model's cost never grows with the threads there are.
#[test]
fn more_threads_never_cost_more() {
    for_each_shape(|isa, [m, n, k]| {
        let mut least = f64::INFINITY;
        for available in 1..=9 {
            let team = Team::new(isa, m, n, k, available);
            let cycles = team.cycles(isa, k);
            let what = format!("{isa} [{m}, {k}] x [{k}, {n}] on {available}: {team:?}");
            assert!((1..=available).contains(&team.threads), "{what}");
            assert!(cycles <= least, "{what}: {cycles} cycles after {least}");
            least = cycles;
        }
    });
}

#[test]
fn shares_cover_the_result_once() {
    for_each_shape(|isa, [m, n, k]| {
        for available in [1, 2, 3, 8] {
            let team = Team::new(isa, m, n, k, available);
            let (mut rows, mut cols) = (0, 0);
            for index in 0..team.threads {
                let (r, c) = team.share(index);
                let what = format!("{isa} [{m}, {k}] x [{k}, {n}]: {team:?} {index}");
                assert!(!r.is_empty() && !c.is_empty(), "{what}");
                if team.by_columns {
                    assert_eq!((r.clone(), c.start), (0..m, cols), "{what}");
                } else {
                    assert_eq!((r.start, c.clone()), (rows, 0..n), "{what}");
                }
                (rows, cols) = (r.end, c.end);
            }
            assert_eq!((rows, cols), (m, n), "{isa} [{m}, {k}] x [{k}, {n}]: {team:?}");
        }
    });
}

/// A product that takes no longer than two waits is not shared; one of milliseconds is shared
/// between all.
#[test]
fn small_products_use_one_thread_and_large_ones_all() {
    for isa in Isa::available() {
        for [m, n, k] in [[1, 10, 512], [32, 10, 10], [8, 64, 16], [1, 128, 10]] {
            assert_eq!(Team::new(isa, m, n, k, 8).threads, 1, "{isa} {m} {n} {k}");
        }
        for [m, n, k] in [[784, 512, 128], [1024, 1024, 1024], [8192, 10, 512], [128, 4096, 784]] {
            for available in [2, 4] {
                let team = Team::new(isa, m, n, k, available);
                assert_eq!(team.threads, available, "{isa} {m} {n} {k}");
            }
        }
    }
}

#[test]
fn the_smaller_operand_is_the_one_that_all_read() {
    let isa = Isa::best();
    assert!(Team::new(isa, 128, 512, 784, 2).by_columns);
    assert!(!Team::new(isa, 784, 512, 128, 2).by_columns);
    // A single row has nothing else to cut, nor has a narrow result.
    assert!(Team::new(isa, 1, 4096, 784, 2).by_columns);
    assert!(!Team::new(isa, 8192, 10, 512, 2).by_columns);
}
