//! The engine through the library's public face: its numbers, its bits, what it does at the edges.

mod behaviour;
mod bits;
mod data;
mod gradients;
mod keras;
mod naive;
mod not_finite;
mod predictions;
mod streaming;
mod threads;
