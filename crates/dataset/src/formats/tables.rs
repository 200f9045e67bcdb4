//! A data set of tables: a CSV file of training examples, and maybe one of test examples.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::csv::Table;
use super::{ReadOptions, put_together};
use crate::{Dataset, Error};

/// Words in the name of a training table, and those in the name of a test table.
const TRAIN: [&str; 4] = ["train", "training", "trainset", "traindata"];
const TEST: [&str; 4] = ["test", "testing", "testset", "testdata"];

/// Opens the data set at `path`: a table, or a folder of tables.
pub(super) fn open(path: &Path, name: &str, options: &ReadOptions) -> Result<Dataset, Error> {
    let train = if path.is_dir() { in_folder(path, TRAIN, "training table")? } else { None };
    let train = train.or_else(|| sole(path)).unwrap_or_else(|| path.to_owned());
    let beside = match sibling(&train) {
        _ if options.test.is_some() => None,
        // The only table of a folder may be called test, and is the training table all the same.
        None if path.is_dir() => in_folder(path, TEST, "test table")?.filter(|test| *test != train),
        sibling => sibling,
    };
    let table = Table::read(&train, reader(&train)?, options, None)?;
    let mut notice = None;
    let test = match (options.test.clone(), beside) {
        (None, Some(test)) if table.is_without_labels(&test, reader(&test)?)? => {
            let label = table.label_name().unwrap_or_default();
            notice = Some(format!(
                "{} is left out: it has no labels (no column {label:?})",
                test.display()
            ));
            None
        }
        (asked, beside) => asked.or(beside),
    };
    let test = match test {
        Some(path) => {
            let test = Table::read(&path, reader(&path)?, options, Some(&table))?;
            table.check_scale(&train, &test, &path)?;
            Some(test.into_part(&path))
        }
        None => None,
    };
    let classes = table.classes.clone();
    let mut set = put_together(path, name, table.into_part(&train), test, classes, options)?;
    set.notices.splice(..0, notice);
    Ok(set)
}

fn reader(path: &Path) -> Result<BufReader<File>, Error> {
    crate::map::regular_file_length(path)?;
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// Whether a table in `folder` is called after training.
pub(super) fn has_training(folder: &Path) -> bool {
    !called(folder, TRAIN).is_empty()
}

/// The table in `folder`, if it is the only one.
pub(super) fn sole(folder: &Path) -> Option<PathBuf> {
    match &in_order(folder)[..] {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// What to say of a folder of several tables, none of them called after training.
pub(super) fn none_is_training(folder: &Path) -> Option<Error> {
    let count = in_order(folder).len();
    let found = format!("{count} CSV files and none of them called train");
    let expected = "train.csv among them, or the path of one of them";
    (count > 1).then(|| Error::invalid(folder, "data set", found, expected))
}

fn in_order(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut tables: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "csv")).collect();
    tables.sort();
    tables
}

/// The tables in `folder` with a word of `part` in their names, and none of the other part: what is
/// called after both is neither.
fn called(folder: &Path, part: [&str; 4]) -> Vec<PathBuf> {
    let is_called = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let has = |part: [&str; 4]| words(&stem).iter().any(|(_, word)| is_of(word, part));
        has(part) && !(has(TRAIN) && has(TEST))
    };
    in_order(folder).into_iter().filter(is_called).collect()
}

/// The table of a part in `folder`; of several, the one called just `train` or `test`.
fn in_folder(folder: &Path, part: [&str; 4], what: &str) -> Result<Option<PathBuf>, Error> {
    let tables = called(folder, part);
    let plain = tables.iter().find(|path| path.file_stem().is_some_and(|stem| stem == part[0]));
    match (&tables[..], plain) {
        ([], _) => Ok(None),
        ([only], _) | (_, Some(only)) => Ok(Some(only.clone())),
        _ => {
            let name = |path: &PathBuf| path.file_name().unwrap_or_default().display().to_string();
            let found = tables.iter().map(name).collect::<Vec<_>>().join(" and ");
            let expected = "one only: name the files themselves, the test part with --test-data";
            Err(Error::invalid(folder, what, found, expected))
        }
    }
}

/// The test table beside a training table: Kaggle's mnist_train.csv has mnist_test.csv.
fn sibling(train: &Path) -> Option<PathBuf> {
    let stem = train.file_stem()?.to_str()?;
    let (start, word) = words(stem).into_iter().find(|(_, word)| is_of(word, TRAIN))?;
    let test = match word.as_bytes() {
        [b'T', b'R', ..] => "TEST",
        [b'T', ..] => "Test",
        _ => "test",
    };
    let mut name = stem.to_owned();
    name.replace_range(start..start + TRAIN[0].len(), test);
    let test = train.with_file_name(format!("{name}.{}", train.extension()?.to_str()?));
    test.is_file().then_some(test)
}

fn is_of(word: &str, part: [&str; 4]) -> bool {
    part.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The words of a name and where they start: what stands between other characters than letters, and
/// before a capital behind a small letter. A word in the midst of another (`latest`) is none.
fn words(name: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in name.char_indices().chain([(name.len(), ' ')]) {
        if !c.is_alphabetic() || before.is_lowercase() && c.is_uppercase() {
            words.push((start, &name[start..at]));
            start = at + if c.is_alphabetic() { 0 } else { c.len_utf8() };
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_whole_words() {
        for (name, train, test) in [
            ("train", true, false),
            ("mnist_train", true, false),
            ("MNIST-TEST", false, true),
            ("mnistTrain", true, false),
            ("train2", true, false),
            ("testing set", false, true),
            ("latest_train", true, false),
            ("contest", false, false),
            ("constraints", false, false),
            ("train_and_test", true, true),
            ("日本train", false, false),
            ("日本_train", true, false),
        ] {
            let has = |part| words(name).iter().any(|(_, word)| is_of(word, part));
            assert_eq!((has(TRAIN), has(TEST)), (train, test), "{name}: {:?}", words(name));
        }
    }
}
