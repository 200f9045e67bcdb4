//! Every named product on all processors: ours, matrixmultiply, gemm, faer.

mod products;

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: asking for the number of processors starts no thread; there is no other one yet.
    unsafe { benches::peers::set_matrixmultiply_threads(threads) };
    products::bench(&format!("products, {threads} threads"), threads);
}
