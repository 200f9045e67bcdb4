//! Every format says the same: what NumPy and Pillow wrote is read as it was meant, and what this
//! crate writes reads back as it was.

use super::*;
use dataset::formats::png::{Picture, Samples};
use dataset::formats::{Format, write};
use dataset::{Examples, FeaturesView, LabelsView, Part, ReadOptions};
use std::io::BufReader;

/// `data/fixtures/`: `tiny` in each format, made with NumPy 2.4, Pillow 13 and Python.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/fixtures").join(name)
}

fn features(examples: &Examples<'_>) -> Vec<f32> {
    match examples.features() {
        FeaturesView::U8(pixels) => pixels.iter().map(|&p| f32::from(p)).collect(),
        FeaturesView::F32(numbers) => numbers.to_vec(),
    }
}

fn labels(part: &Part) -> Vec<usize> {
    let labels = part.examples().labels();
    (0..labels.len()).map(|i| labels.get(i)).collect()
}

pub fn assert_same(found: &Dataset, expected: &Dataset, what: &str) {
    assert_eq!(found.classes, expected.classes, "{what}");
    for (found, expected) in [(&found.train, &expected.train), (&found.test, &expected.test)] {
        assert_eq!(found.shape(), expected.shape(), "{what}");
        assert_eq!(found.dtype(), expected.dtype(), "{what}");
        assert_eq!(labels(found), labels(expected), "{what}");
        let [found, expected] = [found, expected].map(|part| features(&part.examples()));
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn the_same_data_in_every_format_are_the_same() {
    let idx = Dataset::open(&fixture("tiny/idx")).unwrap();
    assert_eq!((idx.train.len(), idx.test.len(), idx.train.shape()), (9, 6, &[5, 5][..]));
    assert_eq!(idx.classes, ["dash", "bar", "slash/diagonal"]);
    for path in ["tiny/tiny.npz", "tiny/npy", "tiny/npy/x_train.npy", "tiny/csv", "tiny/images"] {
        let set = Dataset::open(&fixture(path)).unwrap();
        assert_same(&set, &idx, path);
        assert!(set.notices.is_empty(), "{path}: {:?}", set.notices);
    }
    let options = ReadOptions {
        class_names: Some(fixture("tiny/csv/classes.txt")),
        ..ReadOptions::default()
    };
    let file = fixture("tiny/csv/tiny_train.csv");
    assert_same(&Dataset::open_with(&file, &options).unwrap(), &idx, "a train.csv beside test.csv");
}

#[test]
fn a_data_set_is_found_by_name_in_any_format() {
    let folder = Folder::empty();
    fs::create_dir(folder.path("data")).unwrap();
    fs::copy(fixture("tiny/tiny.npz"), folder.path("data/mnist.npz")).unwrap();
    let search = Search { local_dir: Some(folder.path("data")), ..Search::default() };
    let set = Dataset::find("mnist", &search).unwrap();
    assert_eq!((set.source, set.classes.len()), (folder.path("data/mnist.npz"), 10));
    fs::copy(fixture("tiny/csv/tiny_train.csv"), folder.path("data/mine.csv")).unwrap();
    assert_eq!(Dataset::find("mine", &search).unwrap().name, "mine");
    let listed = dataset::list(&search).unwrap();
    let here: Vec<_> = listed
        .iter()
        .filter_map(|set| set.found.as_ref().map(|f| (&*set.name, f.format, f.bytes)))
        .collect();
    let size = |path| fs::metadata(fixture(path)).unwrap().len();
    let expected = [
        ("mnist", Format::Npz, size("tiny/tiny.npz")),
        ("mine", Format::Csv, size("tiny/csv/tiny_train.csv")),
    ];
    assert_eq!(here, expected);
    assert!(listed.iter().any(|set| set.name == "glyphs" && set.synthetic && set.found.is_none()));
}

/// Data sets of every kind: pixels and numbers, grey and in colour, images and rows, few classes and
/// more than a byte holds.
fn kinds() -> Vec<(&'static str, Dataset)> {
    let part = |shape: &[usize], count: usize, deep: bool, classes: usize| {
        let path = Path::new("made for the test");
        let width: usize = shape.iter().product();
        let labels: Vec<u16> = (0..count).map(|i| (i * 7 % classes) as u16).collect();
        let hash = |i: usize| dataset::mix(i as u64);
        if deep {
            // Multiples of 1/65535, as pictures of 16 bits hold them.
            let level = |i| (hash(i) % 65_536) as f32 / 65_535.0;
            Part::from_numbers(path, shape, (0..count * width).map(level).collect(), labels)
        } else {
            let pixels = (0..count * width).map(|i| hash(i) as u8).collect();
            Part::from_pixels(path, shape, pixels, labels)
        }
    };
    let set = |shape: &[usize], deep, classes: usize, names: Option<Vec<String>>| {
        let count = classes.max(12);
        let (train, test) = (part(shape, count, deep, classes), part(shape, 5, deep, classes));
        Dataset::new("kind", Path::new("made"), names, train, test).unwrap()
    };
    let names = Some(["T-shirt/top", "ankle boot", "日本", "../x"].map(String::from).to_vec());
    vec![
        ("grey images", set(&[4, 4], false, 4, names.clone())),
        ("images that are not square", set(&[2, 5], false, 3, None)),
        ("colour images", set(&[3, 4, 3], false, 4, names)),
        ("deep images", set(&[4, 4], true, 3, None)),
        ("deep colour images", set(&[2, 3, 3], true, 3, None)),
        ("many classes", set(&[3, 3], false, 300, None)),
        ("rows of numbers", set(&[5], true, 3, None)),
    ]
}

#[test]
fn what_is_written_reads_back_as_it_was() {
    let folder = Folder::empty();
    for (kind, set) in kinds() {
        for format in Format::ALL {
            let what = format!("{kind} as {format}");
            let extension = if format == Format::Npz { ".npz" } else { "" };
            let target = folder.path(&format!("{kind}-{format}{extension}"));
            if format == Format::Images && set.train.shape().len() == 1 {
                let error = write(&set, format, &target).unwrap_err().to_string();
                assert!(error.contains("shaped [5]") && error.contains("images"), "{error}");
                assert!(!target.exists());
                continue;
            }
            write(&set, format, &target).unwrap_or_else(|e| panic!("{what}: {e}"));
            let read = Dataset::open(&target).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_same(&read, &set, &what);
            assert!(read.notices.is_empty(), "{what}: {:?}", read.notices);
        }
    }
    let left: Vec<_> = folder.names("").into_iter().filter(|n| n.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_same_data_give_the_same_file() {
    let folder = Folder::empty();
    let set = Dataset::open(&fixture("tiny/idx")).unwrap();
    let write = |name: &str| {
        write(&set, Format::Npz, &folder.path(name)).unwrap();
        fs::read(folder.path(name)).unwrap()
    };
    assert_eq!(write("a.npz"), write("b.npz"));
    // And replace those of before, names of classes included.
    assert_eq!(write("a.npz"), write("b.npz"));
    assert_eq!(folder.names("").len(), 4);
}

#[test]
fn a_folder_with_something_in_it_is_not_written_into() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    for target in ["set", "set/train-images-idx3-ubyte"] {
        for format in Format::ALL.into_iter().filter(|&format| format != Format::Npz) {
            let error = write(&set, format, &folder.path(target)).unwrap_err().to_string();
            assert!(error.contains("expected a new or an empty folder"), "{error}");
        }
    }
    fs::create_dir(folder.path("empty")).unwrap();
    write(&set, Format::Csv, &folder.path("empty")).unwrap();
    assert_eq!(folder.names("empty"), ["test.csv", "train.csv"]);
    assert_eq!(folder.names("set").len(), 4);
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    fs::create_dir(folder.path("locked")).unwrap();
    read_only(&folder.path("locked"), true);
    for format in Format::ALL {
        let error = write(&set, format, &folder.path("locked/new")).unwrap_err().to_string();
        assert!(
            error.contains("locked/new: cannot be written: the folder is read-only"),
            "{error}"
        );
    }
    assert!(folder.names("locked").is_empty());
    read_only(&folder.path("locked"), false);
    let error = write(&set, Format::Npz, &folder.path("no/where.npz")).unwrap_err().to_string();
    assert!(error.contains("no/where.npz: cannot be written"), "{error}");
    // Numbers that are no pixels, found out after a few pictures.
    let wild = Part::from_numbers(Path::new("wild"), &[2, 2], vec![0.5, 0.1, 0.2, 7.0], vec![0]);
    let tame = Part::from_numbers(Path::new("tame"), &[2, 2], vec![0.5; 4], vec![0]);
    let set = Dataset::new("x", Path::new("x"), None, tame, wild).unwrap();
    let error = write(&set, Format::Images, &folder.path("pictures")).unwrap_err().to_string();
    assert!(error.contains("found 7, expected 0 to 1"), "{error}");
    assert_eq!(folder.names(""), ["locked", "set"]);
}

#[test]
fn pictures_are_what_pillow_sees() {
    let read = |name: &str| {
        let path = fixture("pictures").join(name);
        Picture::read(&path, BufReader::new(fs::File::open(&path).unwrap())).unwrap()
    };
    let rgb = read("rgb.png");
    assert_eq!((rgb.height, rgb.width, rgb.channels), (3, 4, 3));
    let Samples::Eight(values) = rgb.samples else { panic!() };
    assert_eq!(values[..12], [63, 101, 207, 156, 27, 220, 93, 29, 143, 200, 63, 11]);
    let deep = [21897, 52982, 33238, 60107, 31089, 53966, 63688, 41236, 29236, 28927, 14030, 33693];
    assert_eq!(read("grey16.png").samples, Samples::Sixteen(deep.to_vec()));
    let bits = [255, 0, 0, 0, 255, 255, 255, 0, 255, 0, 255, 255];
    assert_eq!(read("bits.png").samples, Samples::Eight(bits.to_vec()));
    // Image.alpha_composite of it on white paper, which rounds its own way.
    let Samples::Eight(values) = read("rgba.png").samples else { panic!() };
    let pillow = [
        222, 205, 198, 249, 140, 153, 161, 236, 169, 212, 201, 215, 131, 188, 70, 255, 255, 252,
        247, 246, 252, 222, 219, 218, 128, 150, 24, 143, 81, 106, 170, 141, 199, 221, 253, 222,
    ];
    assert!(values.iter().zip(pillow).all(|(&found, pillow)| found.abs_diff(pillow) <= 1));
    assert_eq!(values.len(), pillow.len());
}

#[test]
fn pictures_of_all_kinds_together_become_the_widest() {
    let folder = Folder::empty();
    for (class, names) in [("a", ["rgb", "rgba"]), ("b", ["grey16", "bits"])] {
        fs::create_dir_all(folder.path(&format!("set/{class}"))).unwrap();
        for name in names {
            let target = folder.path(&format!("set/{class}/{name}.png"));
            fs::copy(fixture("pictures").join(format!("{name}.png")), target).unwrap();
        }
    }
    let options = ReadOptions { holdout: 0.5, ..ReadOptions::default() };
    let set = Dataset::open_with(&folder.path("set"), &options).unwrap();
    assert_eq!((set.train.shape(), set.train.dtype()), (&[3, 4, 3][..], "float32"));
    assert_eq!((set.classes.join(" "), set.train.len(), set.test.len()), ("a b".into(), 2, 2));
    assert!(set.notices[0].contains("2 of its 4 examples are held out"), "{:?}", set.notices);
    let all = [&set.train, &set.test].map(|part| features(&part.examples())).concat();
    assert!(all.contains(&(21_897.0 / 65_535.0)) && all.contains(&(101.0 / 255.0)));
    // Grey and small.
    let options = ReadOptions { grey: true, resize: Some((2, 2)), ..options };
    let set = Dataset::open_with(&folder.path("set"), &options).unwrap();
    assert_eq!(set.train.shape(), [2, 2]);
}

#[test]
fn grey_and_resized_from_every_format() {
    let options = ReadOptions { grey: true, resize: Some((1, 1)), ..ReadOptions::default() };
    let expected = Dataset::open_with(&fixture("tiny/idx"), &options).unwrap();
    assert_eq!(expected.train.shape(), [1, 1]);
    for path in ["tiny/tiny.npz", "tiny/npy", "tiny/csv", "tiny/images"] {
        let set = Dataset::open_with(&fixture(path), &options).unwrap();
        assert_same(&set, &expected, path);
    }
}

/// An array in row-major order.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'shape': {shape}, 'fortran_order': False, 'descr': '{descr}'}}\n");
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend((text.len() as u32).to_le_bytes());
    [&bytes, text.as_bytes(), data].concat()
}

#[test]
fn arrays_of_every_element_type() {
    let folder = Folder::empty();
    fs::create_dir(folder.path("set")).unwrap();
    let labels = npy("|b1", "(2,)", &[0, 1]);
    for part in ["train", "test"] {
        fs::write(folder.path(&format!("set/y_{part}.npy")), &labels).unwrap();
    }
    let cases: [(&str, &[u8], [f32; 2]); 15] = [
        ("|b1", &[1, 0], [1.0, 0.0]),
        ("|i1", &[255, 3], [-1.0, 3.0]),
        ("<u2", &[255, 255, 0, 0], [1.0, 0.0]),
        (">u2", &[255, 255, 0, 0], [1.0, 0.0]),
        ("<i2", &[1, 2, 255, 255], [513.0, -1.0]),
        (">i2", &[1, 2, 255, 255], [258.0, -1.0]),
        ("<i4", &[1, 0, 0, 0, 255, 255, 255, 255], [1.0, -1.0]),
        (">u4", &[0, 0, 1, 0, 0, 0, 0, 7], [256.0, 7.0]),
        ("<i8", &[5, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], [5.0, -1.0]),
        // 1 and -2; the largest and the smallest; zero below zero, and the largest below normal.
        ("<f2", &[0, 0x3c, 0, 0xc0], [1.0, -2.0]),
        (">f2", &[0x7b, 0xff, 0, 1], [65_504.0, 5.960_464_5e-8]),
        ("<f2", &[0, 0x80, 0xff, 3], [-0.0, 6.097_555e-5]),
        ("<f4", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40], [1.0, 2.0]),
        (">f4", &[0x3f, 0x80, 0, 0, 0x40, 0, 0, 0], [1.0, 2.0]),
        ("<f8", &[0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0], [0.5, -2.0]),
    ];
    for (descr, data, expected) in cases {
        for part in ["train", "test"] {
            let path = folder.path(&format!("set/x_{part}.npy"));
            fs::write(path, npy(descr, "(2, 1)", data)).unwrap();
        }
        let set = folder.find("set").unwrap_or_else(|e| panic!("{descr}: {e}"));
        assert_eq!(features(&set.train.examples()), expected, "{descr}");
        assert_eq!((set.train.dtype(), labels_len(&set)), ("float32", 2));
    }
}

#[test]
fn a_float16_that_is_no_number_is_refused() {
    let folder = Folder::with("set");
    for what in ["images-idx3", "labels-idx1"] {
        for part in ["train", "t10k"] {
            fs::remove_file(folder.path(&format!("set/{part}-{what}-ubyte"))).unwrap();
        }
    }
    for (element, shown) in [([0, 0x7c], "inf"), ([0, 0xfc], "-inf"), ([1, 0x7c], "NaN")] {
        for part in ["train", "test"] {
            let data = [&[0, 0x3c], &element[..]].concat();
            let path = |what| folder.path(&format!("set/{what}_{part}.npy"));
            fs::write(path("x"), npy("<f2", "(2, 1)", &data)).unwrap();
            fs::write(path("y"), npy("|b1", "(2,)", &[0, 1])).unwrap();
        }
        let error = folder.find("set").unwrap_err().to_string();
        assert!(error.contains(&format!("feature 1: found {shown}, expected a finite")), "{error}");
    }
}

fn labels_len(set: &Dataset) -> usize {
    match set.train.examples().labels() {
        LabelsView::U8(labels) => labels.len(),
        LabelsView::U16(labels) => labels.len(),
    }
}

#[test]
fn a_change_of_a_mapped_array_is_noticed() {
    let folder = Folder::empty();
    let (_, set) = kinds().pop().unwrap();
    write(&set, Format::Npy, &folder.path("set")).unwrap();
    let set = folder.find("set").unwrap();
    set.check_unchanged().unwrap();
    let path = folder.path("set/x_train.npy");
    let bytes = fs::read(&path).unwrap();
    // Numbers lie in the map, at a multiple of their size, and are not copied.
    fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    assert!(matches!(set.check_unchanged(), Err(Error::Changed { .. })));
}

#[test]
fn resplitting_pools_both_parts() {
    let set = Dataset::open(&fixture("tiny/idx")).unwrap();
    let split = set.resplit(1.0 / 3.0, 5).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (10, 5));
    assert_eq!(split.classes, set.classes);
    let rows = |set: &Dataset| {
        let parts = [&set.train, &set.test];
        let mut rows: Vec<(usize, Vec<u32>)> = parts
            .into_iter()
            .flat_map(|part| {
                let features = features(&part.examples());
                let rows = features.chunks(25).map(|row| row.iter().map(|&v| v as u32).collect());
                labels(part).into_iter().zip(rows.collect::<Vec<_>>())
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(&split), rows(&set));
    assert_eq!(
        labels(&set.resplit(0.3, 5).unwrap().test),
        labels(&set.resplit(0.3, 5).unwrap().test)
    );
    for fraction in [0.0, 1.0, f64::NAN, -1.0, 1e-9] {
        assert!(set.resplit(fraction, 0).is_err(), "{fraction}");
    }
}

#[test]
fn hashes_are_those_of_the_raw_idx_files_in_any_format() {
    use dataset::Verdict;
    let of = |path: &str| Dataset::open(&fixture(path)).unwrap().verify();
    let idx = of("tiny/idx");
    assert!(idx.iter().all(|array| array.verdict == Verdict::NoneKnown));
    for path in ["tiny/tiny.npz", "tiny/npy", "tiny/csv", "tiny/images"] {
        for (array, idx) in of(path).iter().zip(&idx) {
            assert_eq!(
                (array.name, array.bytes, &array.sha256),
                (idx.name, idx.bytes, &idx.sha256)
            );
        }
    }
    for array in idx {
        use sha2::{Digest, Sha256};
        let bytes = fs::read(fixture("tiny/idx").join(array.name)).unwrap();
        let digits: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!((array.bytes, array.sha256), (bytes.len() as u64, digits));
    }
    let folder = Folder::with("mnist");
    let verdicts = folder.find("mnist").unwrap().verify();
    assert!(verdicts.iter().all(|array| matches!(array.verdict, Verdict::Differs(_))));
}
