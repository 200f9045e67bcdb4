//! Which instruction sets the processor has, and how a kernel is run on one of them.

use std::fmt;
use std::sync::OnceLock;

use crate::simd::{Kernel, Portable};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// An instruction set that this processor has: a value of this type is the proof, so kernels that
/// take one owe no further check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa(Level);

/// Names that `KERNELS_ISA` and `KERNELS_REQUIRE` know, slowest first.
pub const NAMES: [&str; 3] = ["portable", "avx2", "avx512"];

impl Isa {
    /// The fastest instruction set of this processor, or the one that the environment variable
    /// `KERNELS_ISA` names. Detected once.
    ///
    /// # Panics
    /// If `KERNELS_ISA` names none, or one that this processor lacks.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| match std::env::var("KERNELS_ISA") {
            Err(_) => *Self::available().last().expect("the portable kernels are always there"),
            Ok(name) => Self::by_name(&name).unwrap_or_else(|| {
                panic!(
                    "KERNELS_ISA={name}: this processor has {}",
                    Self::available().iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
                )
            }),
        })
    }

    /// All instruction sets of this processor, slowest first.
    pub fn available() -> Vec<Self> {
        let mut all = vec![Isa(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("avx512vpopcntdq");
            if avx2 {
                all.push(Isa(Level::Avx2));
            }
            if avx512 {
                all.push(Isa(Level::Avx512));
            }
        }
        all
    }

    /// The instruction set of that name, if this processor has it.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// The name used in reports and in `KERNELS_ISA`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 16,
            _ => 8,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Level::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a value of `Isa` exists only for what `available` found.
            Level::Avx2 => unsafe { crate::simd::avx2::run(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx512 => unsafe { crate::simd::avx512::run(kernel) },
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `KERNELS_REQUIRE=avx2,avx512` turns an instruction set that the tests would skip, because
    /// this machine lacks it, into a failure.
    #[test]
    fn required_instruction_sets_are_here() {
        let Ok(required) = std::env::var("KERNELS_REQUIRE") else { return };
        for name in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            assert!(NAMES.contains(&name), "KERNELS_REQUIRE names {name}; known: {NAMES:?}");
            assert!(Isa::by_name(name).is_some(), "KERNELS_REQUIRE names {name}: not available");
        }
    }

    #[test]
    fn names_are_found_again() {
        for isa in Isa::available() {
            assert_eq!(Isa::by_name(isa.name()), Some(isa));
        }
        assert_eq!(Isa::by_name("neon"), None);
    }
}
