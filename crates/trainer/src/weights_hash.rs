//! One number for all weights, to see whether two runs gave the same bits.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::Parameters;

impl Parameters {
    /// SHA-256 in lower-case hexadecimal over all values in their order (weights row-major
    /// `[inputs, units]`, then biases, layer by layer), each as four little-endian bytes.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let mut bytes = [0; 4096];
        for values in self.values().chunks(bytes.len() / size_of::<f32>()) {
            for (value, bytes) in values.iter().zip(bytes.chunks_exact_mut(size_of::<f32>())) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
            hasher.update(&bytes[..size_of_val(values)]);
        }
        let mut text = String::with_capacity(64);
        for byte in hasher.finalize() {
            write!(text, "{byte:02x}").expect("a String takes all writes");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_little_endian_bytes() {
        // printf '\x00\x00\x80\x3f\x00\x00\x00\xc0' | sha256sum
        let mut parameters = Parameters::zeros(&[1, 1]);
        parameters.values_mut().copy_from_slice(&[1.0, -2.0]);
        assert_eq!(
            parameters.sha256(),
            "ee4ac73c2bd27756ab82780f27c73a7bc4d3f0bb6acb37e008bc27eccd7e588b"
        );
    }

    #[test]
    fn hashes_all_chunks() {
        // head -c 8000 /dev/zero | sha256sum
        assert_eq!(
            Parameters::zeros(&[1999, 1]).sha256(),
            "668946bab9868b28489bb906205ee1026045c8bcd3ca62a1bdf733c65491351b"
        );
    }
}
