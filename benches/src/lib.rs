//! Shapes and peers shared by the benches.
