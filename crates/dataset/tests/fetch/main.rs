//! The downloader against servers that misbehave, all on loopback, all in temporary folders.

mod archive;
mod caches;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod disk;
mod place;
mod proxy;
mod real;
mod resume;
mod server;
mod setup;
mod trouble;
