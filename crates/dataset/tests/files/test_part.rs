//! A test part that is asked for: it is the one that is taken, or there is an error.

use super::*;
use dataset::ReadOptions;
use dataset::formats::{Format, write};

fn with_test(path: &Path) -> ReadOptions {
    ReadOptions { test: Some(path.into()), ..ReadOptions::default() }
}

/// Two data sets in `format`, `own` with a test part of four examples and `other` with one of two.
fn two(format: Format) -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::with("made");
    let own = folder.find("made").unwrap();
    let other = own.resplit(0.2, 1).unwrap();
    assert_eq!((own.test.len(), other.test.len()), (4, 2));
    let paths = ["own", "other"].map(|name| match format {
        Format::Npz => folder.path(&format!("{name}.npz")),
        _ => folder.path(name),
    });
    write(&own, format, &paths[0]).unwrap();
    write(&other, format, &paths[1]).unwrap();
    let [own, other] = paths;
    (folder, own, other)
}

const ALL_BUT_CSV: [Format; 5] =
    [Format::Idx, Format::IdxGz, Format::Npz, Format::Npy, Format::Images];

#[test]
fn it_is_taken_in_place_of_the_data_sets_own() {
    for format in ALL_BUT_CSV {
        let (folder, own, other) = two(format);
        let set = Dataset::open_with(&own, &with_test(&other)).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (6, 2), "{format}");
        assert!(set.test.images_path().starts_with(&other), "{format}");
        drop(folder);
    }
    let (_folder, own, other) = two(Format::Csv);
    let set = Dataset::open_with(&own, &with_test(&other.join("test.csv"))).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (6, 2));
}

#[test]
fn all_of_a_source_of_one_part_is_the_test_part() {
    let (folder, own, other) = two(Format::Images);
    let set = Dataset::open_with(&own, &with_test(&other.join("train"))).unwrap();
    assert_eq!(set.test.len(), 8);
    let (_other_folder, own, other) = two(Format::Npy);
    fs::create_dir(folder.path("one")).unwrap();
    for name in ["x", "y"] {
        let part = other.join(format!("{name}_train.npy"));
        fs::copy(part, folder.path(&format!("one/{name}.npy"))).unwrap();
    }
    let set = Dataset::open_with(&own, &with_test(&folder.path("one"))).unwrap();
    assert_eq!(set.test.len(), 8);
}

#[test]
fn one_that_is_missing_or_in_another_format_is_an_error() {
    for format in ALL_BUT_CSV {
        let (folder, own, _other) = two(format);
        let open = |test: &str| {
            Dataset::open_with(&own, &with_test(&folder.path(test))).unwrap_err().to_string()
        };
        let error = open("nowhere");
        let says = format!("nowhere: no such file or folder; expected test data as {format}");
        assert!(error.contains(&says), "{error}");
        fs::write(folder.path("table.csv"), "label,a\n0,1\n").unwrap();
        let error = open("table.csv");
        let says = format!("table.csv: test data: found csv, expected {format}, as the training");
        assert!(error.contains(&says), "{error}");
        fs::create_dir(folder.path("empty")).unwrap();
        let error = open("empty");
        assert!(error.contains("empty: test data: found a folder of something else"), "{error}");
        #[cfg(unix)]
        {
            // What cannot be read is not called missing: a link to itself, which no user may read.
            std::os::unix::fs::symlink("loop", folder.path("loop")).unwrap();
            assert!(open("loop").contains("loop: cannot be read: "), "{}", open("loop"));
        }
    }
    let (folder, own, _other) = two(Format::Csv);
    let error = Dataset::open_with(&own, &with_test(&folder.path("no.csv"))).unwrap_err();
    assert!(error.to_string().contains("no.csv: no such file or folder"), "{error}");
}

#[test]
fn the_built_in_data_set_has_its_own() {
    let folder = Folder::empty();
    let path = Some(folder.path("x"));
    let test = ReadOptions { test: path.clone(), ..ReadOptions::default() };
    let names = ReadOptions { class_names: path, ..ReadOptions::default() };
    for (options, flag) in [(test, "--test-data"), (names, "--class-names")] {
        let error = Dataset::find_with("glyphs", &folder.search(), &options).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("glyphs: {flag}: found ")), "{error}");
        assert!(error.contains("expected none with this built-in data set"), "{error}");
    }
}
