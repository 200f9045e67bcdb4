//! A file from the first mirror that gives it whole.
//!
//! ```text
//! for each mirror (the one that the part came from first):
//!     up to `attempts` times, waiting longer each time:
//!         ask for the file, or for what is missing of it
//!         append what arrives to the part
//!         if it ended where it should: verify; good -> done, bad -> next mirror
//!         if it failed for a passing reason: once more; otherwise -> next mirror
//! ```

use std::io::{self, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::MirrorFailure;
use super::http::{Answer, Client, Identity};
use super::part::{From, Part};
use super::payload::Problem;
use super::{Event, FetchError, Network, Reason};

/// An attempt that received this much more than any before it starts the count of attempts anew:
/// a line that breaks every few minutes still ends up with a file of half a gigabyte.
const PROGRESS: u64 = 1 << 20;

/// One file to download.
pub(super) struct Download<'a> {
    pub client: &'a Client<'a>,
    pub network: &'a Network,
    /// Where it may be had.
    pub urls: &'a [String],
    /// More bytes than this it cannot have.
    pub limit: u64,
    /// The name that messages give it.
    pub name: &'a str,
    pub progress: &'a mut dyn FnMut(&Event<'_>),
}

/// Why a download ended without its file.
pub(super) enum Failure {
    /// Every mirror failed.
    Mirrors(Vec<MirrorFailure>),
    /// Something here failed: no mirror could help.
    Local(FetchError),
}

impl std::convert::From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Local(error)
    }
}

/// How one attempt failed.
enum Attempt {
    Mirror { reason: Reason, retry_after: Option<Duration> },
    Local(FetchError),
}

impl std::convert::From<Reason> for Attempt {
    fn from(reason: Reason) -> Self {
        Self::Mirror { reason, retry_after: None }
    }
}

impl std::convert::From<FetchError> for Attempt {
    fn from(error: FetchError) -> Self {
        Self::Local(error)
    }
}

impl Download<'_> {
    /// Downloads into `part` until `accept` takes it. Returns what `accept` returned, and the
    /// address the file came from.
    pub fn run<T>(
        &mut self,
        part: &mut Part,
        mut accept: impl FnMut(&Part) -> Result<T, Problem>,
    ) -> Result<(T, String), Failure> {
        let mut failures = Vec::new();
        let mut urls: Vec<&String> = self.urls.iter().collect();
        // A stable sort: the mirror whose bytes are here goes first, the others keep their order.
        urls.sort_by_key(|&url| part.from().is_none_or(|from| from.url != *url));
        for url in urls {
            match self.ask_mirror(url, part, &mut accept)? {
                Ok(accepted) => return Ok((accepted, url.clone())),
                Err(failure) => {
                    (self.progress)(&Event::MirrorFailed { failure: &failure });
                    failures.push(failure);
                }
            }
        }
        Err(Failure::Mirrors(failures))
    }

    fn ask_mirror<T>(
        &mut self,
        url: &str,
        part: &mut Part,
        accept: &mut impl FnMut(&Part) -> Result<T, Problem>,
    ) -> Result<Result<T, MirrorFailure>, FetchError> {
        let (mut tried, mut since_progress, mut furthest) = (0, 0, part.len());
        let mut verified_resumed = false;
        let reason = loop {
            tried += 1;
            since_progress += 1;
            let resumed = part.len() > 0 && part.from().is_some_and(|from| from.url == url);
            match self.attempt(url, part) {
                Ok(()) => match accept(part) {
                    Ok(accepted) => return Ok(Ok(accepted)),
                    Err(Problem::Damaged(why)) => {
                        part.clear()?;
                        // Two halves of two versions look like this too: once more, from the start.
                        if resumed && !verified_resumed {
                            verified_resumed = true;
                            continue;
                        }
                        break Reason::Damaged(why);
                    }
                    Err(Problem::Read(source)) => {
                        return Err(FetchError::Read { path: part.path().into(), source });
                    }
                    Err(Problem::Write(path, source)) => {
                        return Err(FetchError::Write { path, kept: true, source });
                    }
                },
                Err(Attempt::Local(error)) => return Err(error),
                Err(Attempt::Mirror { reason, retry_after }) => {
                    if part.len() >= furthest + PROGRESS {
                        furthest = part.len();
                        since_progress = 0;
                    }
                    if !reason.is_passing() || since_progress >= self.network.attempts {
                        break reason;
                    }
                    let wait = self.network.wait(since_progress, retry_after);
                    (self.progress)(&Event::Retry { url, reason: &reason, wait });
                    sleep(wait);
                }
            }
        };
        Ok(Err(MirrorFailure { url: url.into(), reason, attempts: tried }))
    }

    /// Asks `url` once. `Ok` means that, as far as the server says, `part` is the whole file.
    fn attempt(&mut self, url: &str, part: &mut Part) -> Result<(), Attempt> {
        let known = part.from().filter(|from| from.url == url).cloned();
        let offset = if known.is_some() { part.len() } else { 0 };
        let identity = known.map(|from| from.identity).unwrap_or_default();
        if offset > 0 && identity.total == Some(offset) {
            return Ok(());
        }
        match self.client.ask(url, offset, &identity)? {
            Answer::Refused { reason, retry_after } => Err(Attempt::Mirror { reason, retry_after }),
            // The file is shorter than what is here or than was announced: it may be the whole.
            Answer::Ended { total } if total.is_none_or(|total| total == offset) => Ok(()),
            Answer::Ended { .. } => Err(self.start_over(part, "another length than before")?),
            Answer::Body { body, start, identity: found } => {
                if start == 0 {
                    part.begin(From { url: url.into(), identity: found.clone() })?;
                } else if start != offset || changed(&identity, &found) {
                    return Err(self.start_over(part, "a range of another file or place")?);
                }
                let total = found.total.or(identity.total);
                self.receive(url, body, part, total)
            }
        }
    }

    /// Forgets what is here, since it does not fit what the server has.
    fn start_over(&mut self, part: &mut Part, why: &str) -> Result<Attempt, FetchError> {
        part.clear()?;
        Ok(Reason::Protocol(why.into()).into())
    }

    /// Appends all of `body` to `part`.
    fn receive(
        &mut self,
        url: &str,
        mut body: Box<dyn Read>,
        part: &mut Part,
        total: Option<u64>,
    ) -> Result<(), Attempt> {
        let limit = self.limit;
        if total.is_some_and(|total| total > limit) {
            part.clear()?;
            return Err(Reason::TooLong(limit).into());
        }
        let name = self.name;
        (self.progress)(&Event::Receiving { name, url, received: part.len(), total });
        let mut pace = Pace::new(self.network);
        let mut piece = vec![0; 1 << 16];
        loop {
            let got = match body.read(&mut piece) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(error, part.len(), total).into()),
            };
            part.append(&piece[..got])?;
            if part.len() > limit {
                part.clear()?;
                return Err(Reason::TooLong(limit).into());
            }
            (self.progress)(&Event::Receiving { name, url, received: part.len(), total });
            pace.check(got as u64)?;
        }
        match total {
            Some(total) if part.len() < total => Err(Reason::CutOff(part.len(), total).into()),
            Some(total) if part.len() > total => {
                Err(self.start_over(part, "more bytes than announced")?)
            }
            _ => Ok(()),
        }
    }

    fn broken(&self, error: io::Error, received: u64, total: Option<u64>) -> Reason {
        let cut_off = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
        );
        match total {
            Some(total) if cut_off => Reason::CutOff(received, total),
            _ => self.client.reason(error.into()),
        }
    }
}

/// Whether the rest of a file is announced as the rest of another one.
fn changed(before: &Identity, now: &Identity) -> bool {
    let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
    let totals = before.total.zip(now.total);
    differ(&before.validator, &now.validator) || totals.is_some_and(|(a, b)| a != b)
}

/// A floor under the rate, for servers that send a byte now and then to keep a line open.
struct Pace<'a> {
    network: &'a Network,
    since: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(network: &'a Network) -> Self {
        Self { network, since: Instant::now(), bytes: 0 }
    }

    fn check(&mut self, got: u64) -> Result<(), Reason> {
        self.bytes += got;
        if self.since.elapsed() < self.network.slow_time {
            return Ok(());
        }
        if self.bytes < self.network.slow_bytes {
            return Err(Reason::Slow(self.network.slow_bytes, self.network.slow_time));
        }
        *self = Self::new(self.network);
        Ok(())
    }
}
