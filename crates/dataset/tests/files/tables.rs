//! CSV: which column is the label, what are pixels, and what is wrong where.

use super::*;
use dataset::formats::csv::{Table, TableFeatures};
use dataset::formats::{self, Format};
use dataset::{FeaturesView, Part, ReadOptions};

fn read(text: &str) -> Result<Table, Error> {
    read_with(text, ReadOptions::default())
}

fn read_with(text: &str, options: ReadOptions) -> Result<Table, Error> {
    Table::read(Path::new("table.csv"), text.as_bytes(), &options, None)
}

fn asking_for(label: &str) -> ReadOptions {
    ReadOptions { label_column: Some(label.into()), ..ReadOptions::default() }
}

fn numbers(table: &Table) -> &[f32] {
    let TableFeatures::Numbers(numbers) = &table.features else { panic!("{:?}", table.features) };
    numbers
}

#[test]
fn kaggles_digits_are_pixels() {
    for names in [["pixel0", "pixel1", "pixel2", "pixel3"], ["1x1", "1x2", "2x1", "2x2"]] {
        let table = read(&format!("label,{}\n7,0,255,3,4\n1,5,6,7,8\n", names.join(","))).unwrap();
        assert_eq!(table.features, TableFeatures::Pixels(vec![0, 255, 3, 4, 5, 6, 7, 8]));
        assert_eq!((table.shape, table.labels, table.classes), (vec![2, 2], vec![7, 1], None));
    }
    let table = read("label,1x1x1,1x1x2,1x1x3,2x1x1,2x1x2,2x1x3\n0,1,2,3,4,5,6\n").unwrap();
    assert_eq!(table.shape, [2, 1, 3]);
    // Seven columns of pixels make no square.
    let names: Vec<_> = (0..7).map(|i| format!("pixel{i}")).collect();
    let table = read(&format!("label,{}\n0,1,2,3,4,5,6,7\n", names.join(","))).unwrap();
    assert_eq!((table.shape, matches!(table.features, TableFeatures::Pixels(_))), (vec![7], true));
}

#[test]
fn a_square_of_bytes_without_a_header_is_pixels_behind_a_label() {
    let row = |label: u8| format!("{label},{}\n", ["9"; 64].join(","));
    let table = read(&[row(3), row(5)].concat()).unwrap();
    assert_eq!((table.shape, table.labels), (vec![8, 8], vec![3, 5]));
    assert_eq!(table.features, TableFeatures::Pixels(vec![9; 128]));
}

#[test]
fn pixels_that_are_no_bytes_are_numbers() {
    let table = read("label,pixel0,pixel1\n0,1,2\n1,0.5,256\n").unwrap();
    assert_eq!(numbers(&table), [1.0, 2.0, 0.5, 256.0]);
}

#[test]
fn bytes_with_a_point_are_bytes_in_columns_of_pixels() {
    let table = read("label,pixel0,pixel1\n0,1.0,2\n1,0.000,255.0\n").unwrap();
    assert_eq!(table.features, TableFeatures::Pixels(vec![1, 2, 0, 255]));
    for cell in ["256.0", "1.01", "-1.0", ".0", "1e0"] {
        let table = read(&format!("label,pixel0,pixel1\n0,7.0,8\n1,9,{cell}\n")).unwrap();
        assert_eq!(numbers(&table)[..3], [7.0, 8.0, 9.0], "{cell}");
    }
    // Black and white is on the scale that training wants, and a test table like it.
    let train = read("label,pixel0,pixel1\n0,1.0,0.0\n1,0.0,1.0\n").unwrap();
    assert_eq!(numbers(&train), [1.0, 0.0, 0.0, 1.0]);
    let whole = read("label,pixel0,pixel1\n0,1,0\n1,0,1\n").unwrap();
    assert_eq!(whole.features, TableFeatures::Pixels(vec![1, 0, 0, 1]));
    // Columns of other names are used as they are.
    assert_eq!(numbers(&read("label,a,b\n0,1.0,2\n").unwrap()), [1.0, 2.0]);
}

#[test]
fn training_and_test_pixels_are_on_one_scale() {
    let folder = Folder::empty();
    let header = "label,pixel0,pixel1";
    let write = |part: &str, rows: &str| {
        fs::write(folder.path(&format!("{part}.csv")), format!("{header}\n{rows}\n")).unwrap();
    };
    let open = || Dataset::open(&folder.path("train.csv"));
    write("train", "0,12,255\n1,3,4");
    write("test", "1,12.0,0.0");
    let set = open().unwrap();
    assert_eq!((set.train.dtype(), set.test.dtype()), ("uint8", "uint8"));
    write("test", "1,12.0,0\n1,0,0.5");
    let error = open().unwrap_err().to_string();
    assert!(
        error.contains("test.csv: row 3, column 3: found \"0.5\", expected a whole"),
        "{error}"
    );
    assert!(error.contains("train.csv: put both tables on one scale"), "{error}");
    // Black and white as numbers, and what is like it or not.
    write("train", "0,0.0,1.0\n1,1.0,0.0");
    write("test", "1,0,1");
    let set = open().unwrap();
    assert_eq!((set.train.dtype(), set.test.dtype()), ("float32", "float32"));
    write("test", "1,0,7");
    let error = open().unwrap_err().to_string();
    assert!(error.contains("test.csv: pixels: found other whole numbers, expected 0.0"), "{error}");
    // The other way round it is the training table that is pointed at.
    write("train", "0,-1,0.5\n1,0.5,1");
    write("test", "1,0,1");
    let error = open().unwrap_err().to_string();
    assert!(error.contains("train.csv: row 2, column 2: found \"-1\", expected a w"), "{error}");
    write("test", "1,0.5,1");
    assert_eq!(open().unwrap().test.dtype(), "float32");
}

#[test]
fn images_of_whole_floats_stay_floats_as_tables() {
    let folder = Folder::empty();
    let part = |numbers: &[f32]| {
        Part::from_numbers(Path::new("made"), &[2, 2], numbers.to_vec(), vec![0; numbers.len() / 4])
    };
    let (train, test) = (part(&[0.0, 1.0, -0.0, 255.0]), part(&[0.0, 1.0, 12.0, 1.0]));
    let set = Dataset::new("x", Path::new("x"), None, train, test).unwrap();
    formats::write(&set, Format::Csv, &folder.path("set")).unwrap();
    super::formats::assert_same(&folder.find("set").unwrap(), &set, "whole floats");
}

#[test]
fn a_table_of_flowers() {
    let rows = "5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n";
    let header = "sepal_length,sepal_width,species\n";
    for text in [rows.into(), format!("{header}{rows}"), format!("\u{feff}{header}{rows}")] {
        let table = read(&text).unwrap();
        assert_eq!(numbers(&table), [5.1, 3.5, 7.0, 3.2, 4.9, 3.0]);
        assert_eq!((table.labels, table.shape), (vec![0, 1, 0], vec![2]));
        assert_eq!(table.classes.unwrap(), ["setosa", "versicolor"]);
    }
    // As spreadsheets of other countries, and as tabs.
    for delimiter in [";", "\t", " , "] {
        assert_eq!(read(&rows.replace(',', delimiter)).unwrap().labels, [0, 1, 0]);
    }
    assert_eq!(read(&rows.replace('\n', "\r\n")).unwrap().labels, [0, 1, 0]);
    assert_eq!(read(rows.trim_end()).unwrap().labels, [0, 1, 0]);
    assert_eq!(read(&rows.replace("setosa", "\"setosa, or so\"")).unwrap().labels, [0, 1, 0]);
}

#[test]
fn the_label_can_be_asked_for_by_name_or_number() {
    let text = "a,b,c\n1,2,3\n4,5,6\n";
    let table = read_with(text, asking_for("b")).unwrap();
    assert_eq!((numbers(&table), &table.labels[..]), (&[1.0, 3.0, 4.0, 6.0][..], &[2, 5][..]));
    assert_eq!(read_with(text, asking_for("2")).unwrap().labels, [3, 6]);
    assert_eq!(read_with("1,2,4\n4,5,6\n", asking_for("0")).unwrap().labels, [1, 4]);
    // Columns called by their numbers are no row.
    assert_eq!(read("label,0,1\n7,0.5,0.5\n").unwrap().labels, [7]);
    let error = read_with(text, asking_for("d")).unwrap_err().to_string();
    assert!(error.contains("none that is \"d\"") && error.contains("one of a, b, c"), "{error}");
    let error = read_with("1,1\n", asking_for("2")).unwrap_err().to_string();
    assert!(error.contains("a number from 0 to 1"), "{error}");
}

#[test]
fn what_is_wrong_is_said_with_its_row() {
    for (text, says) in [
        ("", "is empty"),
        ("label,a\n", "a header alone"),
        ("1,2,4\n4,5,6\n", "no column that is clearly the label"),
        ("a,b,c\n1,x,y\n", "no column that is clearly the label"),
        ("label,a\n1,2\n1,2,3\n", "row 3: found 3 cells, expected 2"),
        ("label,a\n1,2\n1\n", "row 3: found 1 cells, expected 2"),
        ("label,a,b\n1,2,3\n1,2,?\n", "row 3, column 3: found \"?\", expected a finite number"),
        ("label,a\n1,\n", "row 2, column 2: found \"\""),
        ("label,a\n1,nan\n", "found \"nan\", expected a finite number"),
        ("label,a\n1,1e999\n", "found \"1e999\""),
        ("label\n1,2\n", "row 2: found 2 cells, expected 1, as many as the header has"),
        ("label\n1\n", "columns: found 1, expected a label and at least one feature"),
        ("label,a\n1,2\n,3\nx,4\n", "row 3, label: found \"\""),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text:?}: {error}");
        assert!(error.starts_with("table.csv: "), "{error}");
    }
    let error = read("label,a\n1,2\n65536,3\n").unwrap();
    assert_eq!(error.classes.unwrap(), ["1", "65536"], "labels beyond the numbers are names");
    let mut text = String::from("label,a\n");
    (0..65_537).for_each(|i| text.push_str(&format!("n{i},0\n")));
    let error = read(&text).unwrap_err().to_string();
    assert!(error.contains("at most 65536 different labels"), "{error}");
}

#[test]
fn a_test_table_has_the_columns_and_classes_of_the_training_table() {
    let folder = Folder::empty();
    fs::write(folder.path("train.csv"), "a,kind\n1,cat\n2,dog\n3,cat\n").unwrap();
    fs::write(folder.path("test.csv"), "a,kind\n5,dog\n").unwrap();
    let open = || Dataset::open(&folder.path("train.csv"));
    let set = open().unwrap();
    assert_eq!((set.classes.join(" "), set.test.examples().labels().get(0)), ("cat dog".into(), 1));
    fs::write(folder.path("test.csv"), "a,kind\n5,owl\n").unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("test.csv: row 2, label: found \"owl\""), "{error}");
    fs::write(folder.path("test.csv"), "5\n").unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("test.csv: row 1: found 1 cells, expected 2"), "{error}");
    // A test part that is asked for is taken instead.
    fs::write(folder.path("other.csv"), "a,kind\n9,cat\n8,cat\n").unwrap();
    let test = Some(folder.path("other.csv"));
    let options = ReadOptions { test, ..ReadOptions::default() };
    let set = Dataset::open_with(&folder.path("train.csv"), &options).unwrap();
    assert_eq!(set.test.len(), 2);
}

#[test]
fn the_columns_of_a_test_table_are_found_by_name() {
    let folder = Folder::empty();
    let train = folder.path("train.csv");
    fs::write(&train, "a,kind,b\n1,cat,2\n3,dog,4\n").unwrap();
    let open = |test: &str| {
        fs::write(folder.path("other.csv"), test).unwrap();
        let test = Some(folder.path("other.csv"));
        Dataset::open_with(&train, &ReadOptions { test, ..ReadOptions::default() })
    };
    let set = open("b,a,kind\n5,6,dog\n7,8,cat\n").unwrap();
    let FeaturesView::F32(numbers) = set.test.examples().features() else { panic!() };
    assert_eq!((numbers, set.test.label_counts(2)), (&[6.0, 5.0, 8.0, 7.0][..], vec![1, 1]));
    // Without a header, their places tell.
    let set = open("6,dog,5\n").unwrap();
    let FeaturesView::F32(numbers) = set.test.examples().features() else { panic!() };
    assert_eq!(numbers, [6.0, 5.0]);
    for (test, says) in [
        (
            "b,c,kind\n5,6,dog\n",
            "other.csv: header: found a column \"c\" and no \"a\", expected the",
        ),
        ("b,a\n5,6\n", "found no column \"kind\", expected the columns of the training table"),
        ("a,kind,b,a\n5,dog,6,7\n", "found a column \"a\" too many"),
        ("b,kind,a\n5,dog,x\n", "row 2, column 3: found \"x\""),
    ] {
        let error = open(test).expect_err(test).to_string();
        assert!(error.contains(says), "{test:?}: {error}");
    }
}

#[test]
fn a_test_table_without_labels_is_left_out() {
    let folder = Folder::empty();
    let rows = "0,1,2\n1,3,4\n".repeat(5);
    fs::write(folder.path("train.csv"), format!("label,pixel0,pixel1\n{rows}")).unwrap();
    fs::write(folder.path("test.csv"), "pixel0,pixel1\n1,2\n3,4\n").unwrap();
    for path in ["", "train.csv"] {
        let set = Dataset::open(&folder.path(path)).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (8, 2));
        let left_out = "test.csv is left out: it has no labels (no column \"label\")";
        assert!(set.notices[0].ends_with(left_out), "{:?}", set.notices);
        assert!(set.notices[1].contains("2 of its 10 examples are held out"), "{:?}", set.notices);
    }
    // Asked for, it cannot be left out.
    let options = ReadOptions { test: Some(folder.path("test.csv")), ..ReadOptions::default() };
    let error = Dataset::open_with(&folder.path("train.csv"), &options).unwrap_err().to_string();
    assert!(error.contains("test.csv: header: found no column \"label\""), "{error}");
}

#[test]
fn a_header_may_count_its_columns() {
    for header in ["0,1,2", "1,2,3"] {
        let table = read(&format!("{header}\n0.5,2,cat\n1.5,4,dog\n")).unwrap();
        assert_eq!((numbers(&table), &table.labels[..]), (&[0.5, 2.0, 1.5, 4.0][..], &[0, 1][..]));
    }
    // Such a header names nothing: a square of bytes is still pixels.
    let header: Vec<_> = (0..65).map(|i| i.to_string()).collect();
    let row = |label: u8| format!("{label},{}\n", ["9"; 64].join(","));
    let table = read(&format!("{}\n{}{}", header.join(","), row(3), row(5))).unwrap();
    assert_eq!((&table.shape[..], &table.labels[..]), (&[8, 8][..], &[3, 5][..]));
    assert_eq!(table.features, TableFeatures::Pixels(vec![9; 128]));
}

#[test]
fn pixels_are_told_wherever_the_label_is() {
    for (label, at) in [("5", 64), ("5", 30), ("cat", 64)] {
        let mut row = vec!["9"; 64];
        row.insert(at, label);
        let text = format!("{}\n", row.join(","));
        let table = read_with(&text, asking_for(&at.to_string())).unwrap();
        assert_eq!((&table.shape[..], table.labels.len()), (&[8, 8][..], 1), "{label} at {at}");
        assert_eq!(table.features, TableFeatures::Pixels(vec![9; 64]));
    }
}

#[test]
fn a_guess_that_makes_one_class_is_no_guess() {
    let flat = format!("0,{}\n", ["9"; 64].join(",")).repeat(2);
    for (text, found, why) in [
        ("1,cm,2\n3,cm,4\n", "\"cm\" in every row", "column 2 was taken for it as the only one"),
        (&flat, "\"0\" in every row", "column 1 was taken for it as the first before a square"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(&format!("label column: found {found}")), "{error}");
        assert!(error.contains(why) && error.ends_with("with --label-column"), "{error}");
    }
    // Who says so is believed.
    assert_eq!(read_with("1,cm,2\n3,cm,4\n", asking_for("1")).unwrap().labels, [0, 0]);
    assert_eq!(read("label,a\n1,2\n1,3\n").unwrap().labels, [1, 1]);
}

#[test]
fn parts_are_the_tables_called_after_them() {
    let folder = Folder::empty();
    let table = |name: &str, rows: usize| {
        let rows = "0,1.5\n1,2.5\n".repeat(rows);
        fs::write(folder.path(name), format!("label,a\n{rows}")).unwrap();
    };
    let open = || Dataset::open(&folder.path(""));
    let lengths = |set: Dataset| (set.train.len(), set.test.len());
    // `latest` holds no test, `constraints` no train.
    table("latest_train.csv", 5);
    table("constraints.csv", 1);
    let set = open().unwrap();
    assert!(set.notices[0].contains("2 of its 10 examples are held out"), "{:?}", set.notices);
    assert_eq!(lengths(set), (8, 2));
    table("latest_test.csv", 3);
    assert_eq!(lengths(open().unwrap()), (10, 6));
    // Two of a kind: the one beside the training table, the one that is called just so, or none.
    table("old_test.csv", 1);
    assert_eq!(lengths(open().unwrap()), (10, 6));
    table("old_train.csv", 1);
    let error = open().unwrap_err().to_string();
    let says = "training table: found latest_train.csv and old_train.csv, expected one only";
    assert!(error.contains(says), "{error}");
    table("train.csv", 4);
    let error = open().unwrap_err().to_string();
    let says = "test table: found latest_test.csv and old_test.csv, expected one only";
    assert!(error.contains(says), "{error}");
    table("test.csv", 2);
    assert_eq!(lengths(open().unwrap()), (8, 4));
    for name in folder.names("").iter().filter(|name| name.contains("train")) {
        fs::remove_file(folder.path(name)).unwrap();
    }
    let error = open().unwrap_err().to_string();
    assert!(error.contains("found 3 CSV files and none of them called train"), "{error}");
    fs::remove_file(folder.path("latest_test.csv")).unwrap();
    fs::remove_file(folder.path("old_test.csv")).unwrap();
    let set = open().unwrap();
    assert!(set.notices[0].contains("1 of its 4 examples are held out"), "{:?}", set.notices);
}

#[test]
fn a_table_alone_has_a_share_of_every_class_held_out() {
    let folder = Folder::empty();
    let rows: Vec<_> =
        (0..50).map(|i| format!("{i},{}", ["a", "b"][usize::from(i >= 30)])).collect();
    fs::write(folder.path("table.csv"), rows.join("\n")).unwrap();
    let set = Dataset::open(&folder.path("table.csv")).unwrap();
    assert_eq!((set.train.label_counts(2), set.test.label_counts(2)), (vec![24, 16], vec![6, 4]));
    assert!(set.notices[0].contains("10 of its 50 examples are held out"), "{:?}", set.notices);
    let seed = |seed| {
        let options = ReadOptions { seed, ..ReadOptions::default() };
        let set = Dataset::open_with(&folder.path("table.csv"), &options).unwrap();
        let FeaturesView::F32(numbers) = set.test.examples().features() else { panic!() };
        numbers.to_vec()
    };
    assert_eq!(seed(1), seed(1));
    assert_ne!(seed(1), seed(2));
    let options = ReadOptions { holdout: 1.5, ..ReadOptions::default() };
    let error = Dataset::open_with(&folder.path("table.csv"), &options).unwrap_err().to_string();
    assert!(error.contains("found 1.5, expected more than 0 and less than 1"), "{error}");
}
