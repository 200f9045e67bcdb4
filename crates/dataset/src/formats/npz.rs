//! NPZ: a zip archive of NPY files, as `numpy.savez` writes it and Keras ships mnist.npz.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::npy::{self, Array};
use crate::gzip::MAX_RATIO;
use crate::map::regular_file_length;
use crate::{Dataset, Error, Part, write_atomically};

/// The names that the four arrays go by: Keras's first, then MedMNIST's.
const NAMES: [[&str; 4]; 2] = [
    ["x_train", "y_train", "x_test", "y_test"],
    ["train_images", "train_labels", "test_images", "test_labels"],
];

/// The names of a features and a labels array that are not split into training and test.
const PAIRS: [[&str; 2]; 3] = [["x", "y"], ["images", "labels"], ["data", "target"]];

/// Members an archive may have: a data set has four arrays, some archives a few more.
const MAX_MEMBERS: usize = 1024;

/// Reads the training part of an NPZ file, and the test part if it has one.
///
/// # Errors
/// If it is no zip archive, lacks the arrays, claims more than it can hold, has a member whose name
/// leads out of a folder, or an array is damaged.
pub fn read(path: &Path) -> Result<(Part, Option<Part>), Error> {
    regular_file_length(path)?;
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    read_from(path, BufReader::new(file))
}

/// As [`read`], from any reader; `path` is used in messages.
///
/// # Errors
/// As [`read`].
pub fn read_from(path: &Path, source: impl Read + Seek) -> Result<(Part, Option<Part>), Error> {
    let mut archive = ZipArchive::new(source).map_err(|e| {
        Error::invalid(path, "archive", e.to_string(), "a zip archive of NPY arrays (.npz)")
    })?;
    if archive.len() > MAX_MEMBERS {
        let expected = format!("at most {MAX_MEMBERS}");
        return Err(Error::invalid(path, "members", archive.len().to_string(), expected));
    }
    let names = archive.file_names().map(|name| name.map(|name| name.into_owned()));
    let names = names
        .collect::<Result<Vec<String>, _>>()
        .map_err(|e| Error::invalid(path, "member", e.to_string(), "a name"))?;
    for name in &names {
        // Nothing is ever extracted by name; an archive with such a name was made to do harm.
        let parts = name.split(['/', '\\']);
        if name.starts_with(['/', '\\']) || name.contains([':', '\0']) || { parts }
            .any(|p| p == "..")
        {
            let expected = "a plain name: the archive is not to be trusted";
            return Err(Error::invalid(path, "member", format!("{name:?}"), expected));
        }
    }
    let has = |name: &str| names.iter().any(|member| *member == format!("{name}.npy"));
    let mut pair = |images: &str, labels: &str| {
        npy::pair(member(&mut archive, path, images)?, member(&mut archive, path, labels)?)
    };
    if let Some(names) = NAMES.iter().find(|names| names.iter().all(|name| has(name))) {
        return Ok((pair(names[0], names[1])?, Some(pair(names[2], names[3])?)));
    }
    if let Some(names) = PAIRS.iter().find(|names| names.iter().all(|name| has(name))) {
        return Ok((pair(names[0], names[1])?, None));
    }
    let expected = "x_train, y_train, x_test and y_test, or x and y";
    Err(Error::invalid(path, "arrays", names.join(", "), expected))
}

/// Inflates and checks one array.
fn member(
    archive: &mut ZipArchive<impl Read + Seek>,
    path: &Path,
    name: &str,
) -> Result<Array, Error> {
    let member_path = path.join(format!("{name}.npy"));
    let flaw =
        |found: String, expected: &str| Error::invalid(&member_path, "member", found, expected);
    let mut entry =
        archive.by_name(&format!("{name}.npy")).map_err(|e| flaw(e.to_string(), "an array"))?;
    let (size, compressed) = (entry.size(), entry.compressed_size());
    let fits = size <= MAX_RATIO.saturating_mul(compressed).max(compressed);
    if !fits {
        let found = format!("{size} bytes claimed of {compressed} compressed ones");
        return Err(flaw(found, "at most 1032 to one, the most that deflate can do"));
    }
    // The compressed size is a claim, too: memory grows with what really comes.
    let mut bytes = Vec::new();
    let read = (&mut entry).take(size + 1).read_to_end(&mut bytes);
    read.map_err(|e| flaw(format!("damaged data ({e})"), "an intact member: get it again"))?;
    if bytes.len() as u64 != size {
        let found = format!("{} bytes or more", bytes.len());
        return Err(flaw(found, &format!("{size}, as the archive says")));
    }
    Array::parse(&member_path, bytes)
}

/// Writes both parts as Keras lays mnist.npz out: x_train, y_train, x_test, y_test, compressed.
///
/// # Errors
/// [`Error::Write`]; nothing is left half-written.
pub(crate) fn write(path: &Path, set: &Dataset) -> Result<(), Error> {
    write_atomically(path, |out| {
        write_to(out, &set.train, &set.test)?;
        set.check_unchanged().map_err(io::Error::other)
    })
}

/// As the npz files that [`formats::write`](super::write) writes, to any writer.
///
/// # Errors
/// What the writer returns.
pub fn write_to(out: impl Write + Seek, train: &Part, test: &Part) -> io::Result<()> {
    let mut archive = ZipWriter::new(out);
    let names = [["x_train", "y_train"], ["x_test", "y_test"]];
    for ([features, labels], part) in names.into_iter().zip([train, test]) {
        // The same data give the same file: no time of day in it.
        let size = part.len() as u64 * part.examples().width() as u64 * 4;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .large_file(size >= u64::from(u32::MAX) - (1 << 20));
        archive.start_file(format!("{features}.npy"), options)?;
        npy::write_features(&mut archive, part)?;
        archive.start_file(format!("{labels}.npy"), options)?;
        npy::write_labels(&mut archive, part)?;
    }
    archive.finish()?.flush()
}
