//! Every named product on one thread: ours, matrixmultiply, gemm, faer.

mod products;

fn main() {
    // SAFETY: the first thing in the program; there is no other thread yet.
    unsafe { benches::peers::set_matrixmultiply_threads(1) };
    products::bench("products, one thread", 1);
}
