//! Names of classes: which are refused where they are read, and whose order counts.

use super::*;
use dataset::ReadOptions;

fn named(file: &Path) -> ReadOptions {
    ReadOptions { class_names: Some(file.into()), ..ReadOptions::default() }
}

#[test]
fn a_file_of_names_that_cannot_be_used_is_refused_by_its_line() {
    let folder = Folder::with("set");
    for (text, says) in [
        ("0\tcat\n1\tdog\n2\towl\n", "line 1: found \"0\\tcat\", expected a name without control"),
        ("cat\ndog\u{1b}[2J\nowl\n", "line 2: found \"dog\\u{1b}[2J\", expected a name without"),
        ("cat\ndog\ndog\n", "line 3: found \"dog\" again, as in line 2, expected another name"),
        ("b\na\nb\na\n", "line 3: found \"b\" again, as in line 1"),
    ] {
        fs::write(folder.path("set/classes.txt"), text).unwrap();
        let error = folder.find("set").expect_err(text).to_string();
        assert!(error.contains("set/classes.txt: ") && error.contains(says), "{error}");
        fs::remove_file(folder.path("set/classes.txt")).unwrap();
        fs::write(folder.path("names.txt"), text).unwrap();
        let options = named(&folder.path("names.txt"));
        let error = Dataset::open_with(&folder.path("set"), &options).expect_err(text).to_string();
        assert!(error.contains("names.txt: ") && error.contains(says), "{error}");
    }
    fs::write(folder.path("set/classes.txt"), " cat \r\nd\u{e9}j\u{e0} vu\n\u{65e5}\n").unwrap();
    assert_eq!(folder.find("set").unwrap().classes, ["cat", "d\u{e9}j\u{e0} vu", "\u{65e5}"]);
}

#[test]
fn a_label_with_control_characters_is_refused_by_its_row() {
    let folder = Folder::empty();
    for (label, shown) in [("ca\tt", r"ca\tt"), ("ca\nt", r"ca\nt")] {
        let text = format!("label,a\ndog,1\n\"{label}\",2\n");
        fs::write(folder.path("table.csv"), text).unwrap();
        let error = Dataset::open(&folder.path("table.csv")).unwrap_err().to_string();
        let says = format!("table.csv: row 3, label: found \"{shown}\", expected a name without");
        assert!(error.contains(&says), "{error}");
    }
}

#[test]
fn folders_whose_names_are_no_names_of_classes_are_refused() {
    let folder = Folder::empty();
    let picture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/fixtures/pictures/bits.png");
    let add = |class: &str| {
        fs::create_dir_all(folder.path(&format!("set/{class}"))).unwrap();
        for i in 0..2 {
            fs::copy(&picture, folder.path(&format!("set/{class}/{i}.png"))).unwrap();
        }
    };
    add("T-shirt%2Ftop");
    add("T-shirt%2ftop");
    let error = folder.find("set").unwrap_err().to_string();
    assert!(
        error.contains("T-shirt%2ftop: name of a class: found \"T-shirt/top\" again"),
        "{error}"
    );
    fs::remove_dir_all(folder.path("set/T-shirt%2ftop")).unwrap();
    add("dog");
    assert_eq!(folder.find("set").unwrap().classes, ["T-shirt/top", "dog"]);
    add("a%0Ab");
    let error = folder.find("set").unwrap_err().to_string();
    let says = r#"set/a%0Ab: name of a class: found "a\nb", expected a name without control"#;
    assert!(error.contains(says), "{error}");
}

#[test]
fn labels_that_are_names_are_numbered_as_the_file_has_them() {
    let folder = Folder::empty();
    let (train, names) = (folder.path("train.csv"), folder.path("names.txt"));
    fs::write(&train, "a,kind\n1,cat\n2,dog\n3,cat\n").unwrap();
    fs::write(folder.path("test.csv"), "a,kind\n5,dog\n").unwrap();
    fs::write(&names, "dog\nowl\ncat\n").unwrap();
    let set = Dataset::open_with(&train, &named(&names)).unwrap();
    assert_eq!(set.classes, ["dog", "owl", "cat"]);
    assert_eq!(
        (set.train.label_counts(3), set.test.label_counts(3)),
        (vec![1, 0, 2], vec![1, 0, 0])
    );
    fs::write(&names, "dog\nowl\n").unwrap();
    let error = Dataset::open_with(&train, &named(&names)).unwrap_err().to_string();
    let says = "train.csv: row 2, label: found \"cat\", expected a class named in ";
    assert!(error.contains(says) && error.ends_with("names.txt"), "{error}");
    // Numbers are lines of the file, as ever.
    fs::write(&train, "a,label\n1,1\n2,0\n").unwrap();
    fs::write(folder.path("test.csv"), "a,label\n5,1\n").unwrap();
    let set = Dataset::open_with(&train, &named(&names)).unwrap();
    assert_eq!((set.classes.join(" "), set.test.label_counts(2)), ("dog owl".into(), vec![0, 1]));
}
