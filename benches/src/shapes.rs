//! The products that are compared: one list, whatever measures them.

use trainer::roofline::{Layout, Product, WORKLOADS, Workload};

/// The five products of a training step of each reference workload.
pub fn layers() -> Vec<Product> {
    WORKLOADS.iter().flat_map(Workload::products).collect()
}

/// Square products.
pub fn squares() -> Vec<Product> {
    [256, 512, 1024, 2048].map(|size| plain(&format!("square {size}"), size, size, size)).to_vec()
}

/// All: the layers', the squares, and one image through the wider first layer.
pub fn all() -> Vec<Product> {
    let mut all = layers();
    all.extend(squares());
    all.push(plain("single row", 1, 784, 512));
    all
}

/// The layers' forward products with weights that lie in panels, ours: each is compared with the peers' products of
/// the same matrices.
pub fn packed() -> Vec<Product> {
    WORKLOADS.iter().flat_map(Workload::packed).collect()
}

/// Examples of the steps in [`wide`].
const BATCHES: [usize; 8] = [1, 2, 8, 32, 128, 512, 2048, 8192];
/// Inputs and outputs of its layers.
const WIDTHS: [(usize, usize); 7] =
    [(128, 10), (784, 128), (784, 512), (512, 512), (1024, 1024), (784, 2048), (4096, 4096)];
/// Multiply-adds of a product up to which it is among them: a second, for four contenders.
const MOST: usize = 1 << 34;

/// What else a dense network may ask for: the three products of a step, from one example to thousands,
/// of layers between ten and 4,096 wide.
pub fn wide() -> Vec<Product> {
    let steps = WIDTHS.into_iter().flat_map(|widths| BATCHES.map(|batch| (batch, widths)));
    let products = steps.flat_map(|(batch, (inputs, outputs))| {
        let product = |name: &str, m, k, n, layout| {
            let name = format!("{name} {inputs} to {outputs}, {batch}");
            Product { name, m, k, n, layout }
        };
        [
            product("forward", batch, inputs, outputs, Layout::Plain),
            product("weight gradient", inputs, batch, outputs, Layout::TransposedA),
            product("input gradient", batch, outputs, inputs, Layout::TransposedB),
        ]
    });
    products.filter(|Product { m, k, n, .. }| m * k * n <= MOST).collect()
}

fn plain(name: &str, m: usize, k: usize, n: usize) -> Product {
    Product { name: name.to_owned(), m, k, n, layout: Layout::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_those_of_the_workloads() {
        let shapes: Vec<String> = all().iter().map(Product::shape).collect();
        let expected = [
            "32x784x128",
            "32x128x10",
            "784x32x128 A'",
            "128x32x10 A'",
            "32x10x128 B'",
            "128x784x512",
            "128x512x10",
            "784x128x512 A'",
            "512x128x10 A'",
            "128x10x512 B'",
            "256x256x256",
            "512x512x512",
            "1024x1024x1024",
            "2048x2048x2048",
            "1x784x512",
        ];
        assert_eq!(shapes, expected);
    }

    #[test]
    fn forward_products_are_compared_in_panels_too() {
        let packed = packed();
        let shapes: Vec<String> = packed.iter().map(Product::shape).collect();
        assert_eq!(shapes, ["32x784x128", "32x128x10", "128x784x512", "128x512x10"]);
        assert_eq!(packed[2].name, "W2 forward 1, packed");
    }

    #[test]
    fn a_wide_step_has_three_products() {
        let wide = wide();
        assert!(wide.len() > 150 && wide.len().is_multiple_of(3), "{}", wide.len());
        let shapes: Vec<String> = wide[..3].iter().map(Product::shape).collect();
        assert_eq!(shapes, ["1x128x10", "128x1x10 A'", "1x10x128 B'"]);
        assert_eq!(wide[2].name, "input gradient 128 to 10, 1");
    }
}
