//! Why a data set could not be had, in one sentence each.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What ended [`fetch::get`](super::get()).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no such data set.
    #[error("there is no data set {name:?} to get{}: known are {known}", did_you_mean(.nearest))]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The name that is nearest to it, if one is near.
        nearest: Option<String>,
        /// All names.
        known: String,
    },
    /// A set that needs no files.
    #[error("{name} is drawn by this program and needs no download")]
    BuiltIn {
        /// The data set's name.
        name: String,
    },
    /// No mirror gave the file.
    #[error(
        "could not get {file} of {set}: {}; try again later, or put {by_hand}", listed(.failures)
    )]
    Unavailable {
        /// The data set's name.
        set: String,
        /// The file that is missing.
        file: String,
        /// What a user can fetch in another way.
        by_hand: ByHand,
        /// Each mirror, in the order they were tried, and why it failed.
        failures: Vec<MirrorFailure>,
    },
    /// The file is in no cache, and the network was not to be used.
    #[error(
        "{file} of {set} is in no known cache, and no download was asked for: ask for one, or put \
         {by_hand}"
    )]
    NotHere {
        /// The data set's name.
        set: String,
        /// The file that is missing.
        file: String,
        /// What a user can fetch in another way.
        by_hand: ByHand,
    },
    /// A file or folder of ours could not be written: disk full, read-only, not a folder.
    #[error("cannot write {}: {source}{}", .path.display(), if *.kept {
        "; what was received is kept, and the next try goes on from there"
    } else {
        ""
    })]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Whether a part of the download is kept beside it.
        kept: bool,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A good file that is not the published one lies where that belongs: somebody's own.
    #[error(
        "{} is a whole IDX file, but not that of {set}: it {why}; it is left as it is: get {set} \
         into another folder (--data-dir), or move this file away and try again", .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The data set's name.
        set: String,
        /// How it differs, in words that continue "it".
        why: String,
    },
    /// Another process is getting the same file.
    #[error("{} is being written by another process: wait for it to end", .path.display())]
    Busy {
        /// The file that it holds.
        path: PathBuf,
    },
    /// A proxy's address makes no sense.
    #[error("the proxy address {address:?} is not one: give it as http://host:port")]
    Proxy {
        /// The address.
        address: String,
    },
}

impl FetchError {
    /// Whether the mistake is in what was asked for (a name, an address): exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownName { .. } | Self::BuiltIn { .. } | Self::Proxy { .. })
    }
}

/// What a user can do by hand.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// The file to fetch in another way.
    pub file: String,
    /// The folder to put it into.
    pub folder: PathBuf,
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} into {} by hand", self.file, self.folder.display())
    }
}

/// A mirror that failed, and why.
#[derive(Debug)]
pub struct MirrorFailure {
    /// The whole address asked for.
    pub url: String,
    /// Why it failed, the last time it was tried.
    pub reason: Reason,
    /// How often it was tried.
    pub attempts: u32,
}

/// Why a mirror did not give the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Its name is not known, which without a network is every name.
    HostNotFound,
    /// No connection came about, or it broke.
    Connection(String),
    /// The proxy would not connect to it.
    Proxy(String),
    /// Its certificate, or the encryption, was refused.
    Tls(String),
    /// An answer other than the file.
    Status(u16),
    /// An HTML page, as portals and error pages with status 200 are.
    HtmlPage,
    /// Nothing arrived for this long.
    Stalled(Duration),
    /// Something arrived, but less than this many bytes in this time.
    Slow(u64, Duration),
    /// The connection ended after this many bytes of so many.
    CutOff(u64, u64),
    /// More redirects than are followed.
    Redirects(u32),
    /// A redirect from https to this address, which is not.
    Insecure(String),
    /// More bytes than the file can have.
    TooLong(u64),
    /// An answer that is not HTTP as it should be.
    Protocol(String),
    /// The whole answer came, but it is not the file.
    Damaged(String),
}

impl Reason {
    /// Whether the same request may well succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Connection(_)
            | Self::Stalled(_)
            | Self::Slow(..)
            | Self::CutOff(..)
            | Self::Protocol(_) => true,
            Self::HostNotFound
            | Self::Proxy(_)
            | Self::Tls(_)
            | Self::HtmlPage
            | Self::Redirects(_)
            | Self::Insecure(_)
            | Self::TooLong(_)
            | Self::Damaged(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNotFound => write!(f, "its name could not be resolved"),
            Self::Connection(why) => write!(f, "connection failed ({why})"),
            Self::Proxy(why) => write!(f, "could not be reached by the proxy ({why})"),
            Self::Tls(why) => write!(f, "encryption failed ({why})"),
            Self::Status(404) => write!(f, "answered 404, not found"),
            Self::Status(status) => write!(f, "answered {status}"),
            Self::HtmlPage => write!(f, "answered with an HTML page in place of the file"),
            Self::Stalled(time) => write!(f, "sent nothing for {} s", time.as_secs_f32()),
            Self::Slow(bytes, time) => {
                write!(f, "sent less than {bytes} bytes in {} s", time.as_secs_f32())
            }
            Self::CutOff(received, total) => write!(f, "cut off after {received} of {total} bytes"),
            Self::Redirects(limit) => write!(f, "redirected more than {limit} times"),
            Self::Insecure(url) => write!(f, "redirected to {url}, which is not https"),
            Self::TooLong(limit) => write!(f, "sent more than the {limit} bytes it can have"),
            Self::Protocol(why) => write!(f, "answered against the protocol ({why})"),
            Self::Damaged(why) => write!(f, "sent a file that {why}"),
        }
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

fn listed(failures: &[MirrorFailure]) -> String {
    let item = |failure: &MirrorFailure| match failure.attempts {
        0 | 1 => format!("{} {}", failure.url, failure.reason),
        n => format!("{} {} ({n} times tried)", failure.url, failure.reason),
    };
    failures.iter().map(item).collect::<Vec<_>>().join(", ")
}
