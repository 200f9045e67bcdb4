//! Getting the well-known data sets: from the caches of other tools, or from their mirrors.
//!
//! ```no_run
//! use dataset::fetch::{self, Caches, Event, Network, Settings};
//!
//! # fn main() -> Result<(), fetch::FetchError> {
//! let settings = Settings {
//!     root: "data".into(),
//!     caches: Caches::of_this_user(),
//!     network: Some(Network::default()),
//! };
//! let fetched = fetch::get(&fetch::source("mnist")?, &settings, &mut |event: &Event| {
//!     if let Event::Receiving { name, received, .. } = event {
//!         eprint!("\r{name}: {received} bytes");
//!     }
//! })?;
//! println!("{}", fetched.folder.display());
//! # Ok(())
//! # }
//! ```
//!
//! A file gets its name in the set's folder only once it has been verified whole: the gzip data
//! inflate, the IDX header and the length are the published ones, and so is the sha256 where one
//! is known. Until then it is `NAME.gz.part` (what has arrived; `NAME.gz.part.from` says from where, so
//! that the next run goes on where this one was stopped) and a temporary file (what is inflated). Nothing here uses the network but [`get()`],
//! and that only with a [`Network`].

mod archive;
mod caches;
mod download;
mod error;
mod get;
mod http;
mod part;
mod payload;
mod sources;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use caches::Caches;
pub use error::{ByHand, FetchError, MirrorFailure, Reason};
pub use get::{get, in_place};
pub use payload::Check;
pub use sources::{Archive, Keep, Source, SourceFile, source, sources};

/// Where to look for files, and where they go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of all data sets; each set gets a folder of its name in it.
    pub root: PathBuf,
    /// Caches of other tools, which are read before any mirror is asked.
    pub caches: Caches,
    /// How to use the network; `None` does not use it.
    pub network: Option<Network>,
}

/// How the network is used.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long a name may take to resolve, and a connection to come about.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
    /// A server that sends less than [`slow_bytes`](Self::slow_bytes) in this time is given up.
    pub slow_time: Duration,
    /// See [`slow_time`](Self::slow_time).
    pub slow_bytes: u64,
    /// How often a mirror is tried without getting further.
    pub attempts: u32,
    /// How long to wait before the second attempt; twice as long before each one after that.
    pub backoff: Duration,
    /// The longest wait, whatever the server asks for.
    pub longest_wait: Duration,
    /// How many redirects are followed.
    pub redirects: u32,
    /// Through which proxy.
    pub proxy: Proxy,
}

/// Through which proxy the mirrors are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// What `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, in either case of letters.
    Environment,
    /// None.
    None,
    /// This one: `http://host:port`, `https://...` or `socks5://...`.
    Address(String),
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            slow_time: Duration::from_secs(60),
            slow_bytes: 16 << 10,
            attempts: 4,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(10),
            redirects: 5,
            proxy: Proxy::Environment,
        }
    }
}

impl Network {
    /// How long to wait after attempt number `failed`, counted from 1.
    fn wait(&self, failed: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << failed.saturating_sub(1).min(16));
        retry_after.unwrap_or_default().max(doubled).min(self.longest_wait)
    }
}

/// What [`get()`] is doing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A cache of another tool holds the file.
    Copying {
        /// The file, by the name it gets.
        name: &'a str,
        /// Whose cache.
        tool: &'a str,
        /// Where it lies there.
        from: &'a Path,
    },
    /// A cache of another tool, or the place where the file belongs, holds something else.
    Skipped {
        /// The file that was looked at.
        path: &'a Path,
        /// What is wrong with it, in words that continue "it".
        why: &'a str,
    },
    /// Bytes are arriving.
    Receiving {
        /// The file, by the name it has at the mirror.
        name: &'a str,
        /// From where.
        url: &'a str,
        /// Bytes so far, with those of earlier attempts.
        received: u64,
        /// Bytes in all, if the server said.
        total: Option<u64>,
    },
    /// The same mirror is asked again after a wait.
    Retry {
        /// From where.
        url: &'a str,
        /// Why.
        reason: &'a Reason,
        /// How long until then.
        wait: Duration,
    },
    /// A mirror is given up.
    MirrorFailed {
        /// Which, and why.
        failure: &'a MirrorFailure,
    },
    /// A file is in place and verified.
    Placed {
        /// The file.
        file: &'a Fetched,
    },
}

/// A data set that is in place.
#[derive(Clone, Debug)]
pub struct FetchedSet {
    /// The folder of the set.
    pub folder: PathBuf,
    /// Its files.
    pub files: Vec<Fetched>,
}

/// A file that is in place.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it lies.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: Origin,
    /// How far it was checked.
    pub check: Check,
}

/// Where a file came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    InPlace,
    /// A file that lay beside it and is the same, such as the gzipped one.
    Beside {
        /// That file.
        path: PathBuf,
    },
    /// The cache of another tool.
    Cache {
        /// Whose.
        tool: String,
        /// The file there.
        path: PathBuf,
    },
    /// A mirror.
    Mirror {
        /// The whole address.
        url: String,
    },
    /// An archive that holds several sets, kept at this path.
    Archive {
        /// The archive.
        path: PathBuf,
    },
}
