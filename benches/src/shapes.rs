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
}
