//! Is it what was published? Every array's hash against the known one.

use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::idx::{ElementType, Header, write_to};
use crate::{Dataset, FILE_NAMES, FeaturesView, LabelsView, Part, lookup};

/// One of the four arrays of a data set, hashed.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The name of its IDX file.
    pub name: &'static str,
    /// Where it was read from.
    pub path: PathBuf,
    /// The length of its raw IDX file, in bytes.
    pub bytes: u64,
    /// The sha256 of its raw IDX file, whatever format it lies in here, in hexadecimal.
    pub sha256: String,
    /// Whether that is the published one.
    pub verdict: Verdict,
}

/// What a hash says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the published one.
    Published,
    /// It is another than the published one, which is this.
    Differs(&'static str),
    /// No hash of this data set is known; the file is whole, which was checked when it was opened.
    NoneKnown,
}

impl Dataset {
    /// Hashes all four arrays, as the raw IDX files they are published as.
    pub fn verify(&self) -> Vec<Verified> {
        let known = lookup(&self.name).and_then(|known| known.sha256);
        let hashes = [&self.train, &self.test].into_iter().flat_map(hash_both);
        let arrays = FILE_NAMES.into_iter().zip(hashes).enumerate();
        let verified = |(i, (name, (path, bytes, sha256))): (usize, (_, (_, _, String)))| {
            let verdict = match known {
                Some(known) if known[i] == sha256 => Verdict::Published,
                Some(known) => Verdict::Differs(known[i]),
                None => Verdict::NoneKnown,
            };
            Verified { name, path, bytes, sha256, verdict }
        };
        arrays.map(verified).collect()
    }
}

/// Path, length and sha256 of features and labels.
fn hash_both(part: &Part) -> [(PathBuf, u64, String); 2] {
    let examples = part.examples();
    let mut dims = vec![examples.len()];
    dims.extend_from_slice(examples.shape());
    let count = [examples.len()];
    let features = match examples.features() {
        FeaturesView::U8(pixels) => {
            hash(&dims, ElementType::U8, |mut out| write_to(&mut out, &dims, pixels))
        }
        FeaturesView::F32(numbers) => {
            hash(&dims, ElementType::F32, |mut out| write_to(&mut out, &dims, numbers))
        }
    };
    let labels = match examples.labels() {
        LabelsView::U8(labels) => {
            hash(&count, ElementType::U8, |mut out| write_to(&mut out, &count, labels))
        }
        LabelsView::U16(labels) => {
            let labels: Vec<i32> = labels.iter().map(|&label| label.into()).collect();
            hash(&count, ElementType::I32, |mut out| write_to(&mut out, &count, &labels))
        }
    };
    let with = |path: &std::path::Path, (bytes, sha256)| (path.to_owned(), bytes, sha256);
    [with(part.images_path(), features), with(part.labels_path(), labels)]
}

/// Length and sha256 of an IDX file.
fn hash(
    dims: &[usize],
    element: ElementType,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> (u64, String) {
    let mut sink = Sink(Sha256::new());
    write(&mut sink).expect("a hash takes everything");
    let header = Header { element, dims: dims.to_vec() };
    let digits = sink.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    (header.file_size() as u64, digits)
}

struct Sink(Sha256);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
