//! A folder that holds the four IDX files of a data set, under any of the names they go by.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::FILE_NAMES;
use crate::formats::{self, ReadOptions};
use crate::idx::Idx;
use crate::{Dataset, Error, Part, lookup};

/// What a folder holds of the four files.
pub(crate) enum Holding {
    /// None of them.
    Nothing,
    /// Some; the names of the missing ones.
    Incomplete(Vec<String>),
    /// All: training images and labels, test images and labels.
    All([PathBuf; 4]),
}

/// Looks for the four files of the data set `name` in `folder`: the first of each in the order of
/// [`candidates`]. An unreadable folder holds nothing.
pub(crate) fn scan(folder: &Path, name: &str) -> Holding {
    first_of_each(candidates(folder, name).unwrap_or_default())
}

/// Everything in `folder` that goes by the names of the four files of the data set `name`, for each
/// of the four what is preferred first. A folder that is not there has nothing.
///
/// A file's name is `[NAME-]{train|t10k|test}-{images|labels}{-|.}idxN-TYPE[.gz]`. A raw file is
/// preferred to a gzipped one. What is no file comes last: archives of MNIST unpack to a folder
/// `train-images-idx3-ubyte` beside the file `train-images.idx3-ubyte`.
pub(crate) fn candidates(folder: &Path, name: &str) -> Result<[Vec<PathBuf>; 4], Error> {
    let mut found = [const { Vec::new() }; 4];
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(found);
        }
        Err(e) => return Err(Error::read(folder, e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        if let Some(role) = path.file_name().and_then(|n| role(n.to_str()?, name)) {
            found[role].push(path);
        }
    }
    let rank = |path: &PathBuf| (!path.is_file(), is_named_gzip(path), path.clone());
    found.iter_mut().for_each(|paths| paths.sort_by_cached_key(rank));
    Ok(found)
}

/// Whether a file is a gzipped one by its name.
pub(crate) fn is_named_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn first_of_each(candidates: [Vec<PathBuf>; 4]) -> Holding {
    let found = candidates.map(|paths| paths.into_iter().next());
    if found.iter().all(Option::is_none) {
        return Holding::Nothing;
    }
    let missing = FILE_NAMES.iter().zip(&found).filter(|(_, path)| path.is_none());
    let missing: Vec<String> = missing.map(|(name, _)| (*name).into()).collect();
    match found {
        [Some(a), Some(b), Some(c), Some(d)] => Holding::All([a, b, c, d]),
        _ => Holding::Incomplete(missing),
    }
}

/// Which of the four files goes by `file`: 0 to 3 in the order of [`FILE_NAMES`].
pub(crate) fn role(file: &str, name: &str) -> Option<usize> {
    let file = file.strip_suffix(".gz").unwrap_or(file);
    let file = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).unwrap_or(file);
    let (part, rest) = file.split_once('-')?;
    let part = match part {
        "train" => 0,
        "t10k" | "test" => 2,
        _ => return None,
    };
    let (kind, rest) = rest.split_once(['-', '.'])?;
    let kind = match kind {
        "images" => 0,
        "labels" => 1,
        _ => return None,
    };
    let (rank, element) = rest.strip_prefix("idx")?.split_once('-')?;
    let is_idx = rank.parse::<u8>().is_ok() && element.chars().all(|c| c.is_ascii_alphanumeric());
    is_idx.then_some(part + kind)
}

/// Opens the data set in `folder`, to be called `name`, with `test` in place of its own test part if
/// there is one.
pub(crate) fn open(
    folder: &Path,
    name: &str,
    test: Option<Part>,
    options: &ReadOptions,
) -> Result<Dataset, Error> {
    let files = all_four(folder, name)?;
    let mut not_kept = Vec::new();
    let train = open_part(&files[..2], &mut not_kept)?;
    let test = match test {
        Some(test) => test,
        None => open_part(&files[2..], &mut not_kept)?,
    };
    let mut set = formats::put_together(folder, name, train, Some(test), None, options)?;
    if let Some(reason) = not_kept.first() {
        set.notices.push(format!(
            "{}: inflated in memory, as every time: no raw copy can be kept beside it ({reason})",
            folder.display()
        ));
    }
    Ok(set)
}

/// Opens the test part of the data set in `folder`, which is called `name`.
pub(crate) fn open_test(folder: &Path, name: &str) -> Result<Part, Error> {
    open_part(&all_four(folder, name)?[2..], &mut Vec::new())
}

fn all_four(folder: &Path, name: &str) -> Result<[PathBuf; 4], Error> {
    let missing = match first_of_each(candidates(folder, name)?) {
        Holding::All(files) => return Ok(files),
        Holding::Incomplete(missing) => missing,
        Holding::Nothing => vec!["all four".into()],
    };
    Err(Error::Incomplete { folder: folder.to_owned(), missing })
}

/// Opens images and labels; why they could not be kept inflated, where so, goes to `not_kept`.
fn open_part(files: &[PathBuf], not_kept: &mut Vec<String>) -> Result<Part, Error> {
    let (mut images, mut labels) = (Idx::open(&files[0])?, Idx::open(&files[1])?);
    not_kept.extend([&mut images, &mut labels].into_iter().filter_map(|i| i.not_kept.take()));
    Part::from_idx(images, labels)
}

/// The name of the data set at `path`: the folder's own name, the one above it for `NAME/raw`, a
/// file's without what follows the point, that of its folder for an array.
pub(crate) fn name_of(path: &Path) -> String {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let is_array = absolute.extension().is_some_and(|e| e == "npy");
    let folder = if is_array { absolute.parent() } else { absolute.is_dir().then_some(&*absolute) };
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = match folder {
        None => absolute.file_stem().map(|n| n.to_string_lossy().into_owned()),
        Some(raw) if raw.ends_with("raw") => raw.parent().and_then(name).or_else(|| name(raw)),
        Some(folder) => name(folder),
    }
    .unwrap_or_else(|| "data".into());
    let alias = crate::known().iter().find(|known| known.torchvision == Some(name.as_str()));
    match alias.or_else(|| lookup(&name)) {
        Some(known) => known.name.into(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_raw_and_gzipped_are_recognised() {
        for (file, expected) in [
            ("train-images-idx3-ubyte", Some(0)),
            ("train-images.idx3-ubyte", Some(0)),
            ("train-labels-idx1-ubyte.gz", Some(1)),
            ("t10k-images.idx3-ubyte.gz", Some(2)),
            ("t10k-labels-idx1-ubyte", Some(3)),
            ("test-labels-idx1-ubyte", Some(3)),
            ("train-images-idx4-ubyte", Some(0)),
            ("train-images-idx2-float", Some(0)),
            ("emnist-digits-train-images-idx3-ubyte.gz", Some(0)),
            ("emnist-letters-train-images-idx3-ubyte.gz", None),
            ("train-images-idx3-ubyte.part", None),
            ("train-images", None),
            (".part-train-images-idx3-ubyte", None),
            ("train-images.png", None),
        ] {
            assert_eq!(role(file, "emnist-digits"), expected, "{file}");
        }
    }

    #[test]
    fn a_folder_is_named_after_what_it_holds() {
        let root = tempfile::tempdir().unwrap();
        for (folder, name) in [
            ("mine", "mine"),
            ("mnist", "mnist"),
            ("MNIST/raw", "mnist"),
            ("FashionMNIST/raw", "fashion-mnist"),
        ] {
            let folder = root.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            assert_eq!(name_of(&folder), name);
        }
        for (file, name) in [("mine/x_train.npy", "mine"), ("mine/mnist.npz", "mnist")] {
            let file = root.path().join(file);
            fs::write(&file, b"").unwrap();
            assert_eq!(name_of(&file), name);
        }
    }
}
