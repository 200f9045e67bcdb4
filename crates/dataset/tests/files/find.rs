//! Names, folders, spellings, and what is kept where.

use super::*;
use dataset::{FeaturesView, LabelsView};

/// The digits of `mnist`, so that its ten class names fit.
fn mnist() -> Folder {
    Folder::with("mnist")
}

#[test]
fn a_known_name_brings_its_classes() {
    let set = mnist().find("mnist").unwrap();
    assert_eq!((set.name.as_str(), set.title().as_str()), ("mnist", "mnist"));
    assert_eq!(set.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(!set.synthetic);
    assert!(set.notices.is_empty());
    let set = Folder::with("fashion-mnist").find("Fashion_MNIST").unwrap();
    assert_eq!(set.classes[9], "Ankle boot");
}

#[test]
fn pixels_and_labels_are_those_of_the_files() {
    let set = mnist().find("mnist").unwrap();
    let (train, test) = (set.train.examples(), set.test.examples());
    assert_eq!((train.len(), test.len(), train.shape()), (6, 4, &[2, 3][..]));
    let FeaturesView::U8(pixels) = train.features() else { panic!("pixels are bytes") };
    assert_eq!(pixels, (0..36).collect::<Vec<u8>>());
    let LabelsView::U8(labels) = test.labels() else { panic!("labels are bytes") };
    assert_eq!(labels, [0, 1, 2, 0]);
    assert_eq!((set.train.dtype(), set.train.label_dtype()), ("uint8", "uint8"));
    assert_eq!(set.train.label_counts(3), [2, 2, 2]);
}

#[test]
fn both_spellings_and_torchvisions_folder() {
    let folder = Folder::empty();
    folder.add("mnist", ["train-", "t10k-"], '.');
    assert_eq!(folder.find("mnist").unwrap().source, folder.path("mnist"));
    let folder = Folder::empty();
    folder.add("FashionMNIST/raw", ["train-", "t10k-"], '-');
    let set = folder.find("fashion-mnist").unwrap();
    assert_eq!((set.source, set.classes.len()), (folder.path("FashionMNIST/raw"), 10));
}

#[test]
fn gzip_is_inflated_once_beside_it_and_then_mapped() {
    let folder = mnist();
    let name = "mnist/train-images-idx3-ubyte";
    let raw = fs::read(folder.path(name)).unwrap();
    compress(&folder.path(name));
    let set = folder.find("mnist").unwrap();
    assert!(set.notices.is_empty(), "{:?}", set.notices);
    assert_eq!(fs::read(folder.path(name)).unwrap(), raw);
    // The gzipped file is not needed any more, nor looked at.
    fs::write(folder.path(&format!("{name}.gz")), b"rubbish").unwrap();
    folder.find("mnist").unwrap();
    assert_eq!(folder.names("mnist").len(), 5, "{:?}", folder.names("mnist"));
}

#[test]
fn a_gzip_file_asked_for_itself_is_not_answered_with_an_older_raw_one() {
    use std::time::{Duration, SystemTime};
    let folder = Folder::empty();
    let (raw, compressed) = (folder.path("a"), folder.path("a.gz"));
    idx::write(&raw, &[2], &[5u8, 6]).unwrap();
    fs::write(&compressed, gzip(&fs::read(&raw).unwrap())).unwrap();
    idx::write(&raw, &[2], &[7u8, 8]).unwrap();
    let aged = |age| {
        let file = fs::File::options().write(true).open(&raw).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        idx::Idx::open(&compressed).unwrap().payload().to_vec()
    };
    assert_eq!(aged(0), [7, 8]);
    assert_eq!(aged(3600), [5, 6]);
    // Whatever it is, the older file is not ours to replace.
    assert_eq!(fs::read(&raw).unwrap()[8..], [7, 8]);
}

#[test]
fn gzip_in_a_read_only_folder_is_inflated_in_memory_with_a_notice() {
    let folder = mnist();
    compress(&folder.path("mnist/train-images-idx3-ubyte"));
    read_only(&folder.path("mnist"), true);
    let set = folder.find("mnist");
    read_only(&folder.path("mnist"), false);
    let set = set.unwrap();
    assert_eq!(set.notices.len(), 1);
    assert!(set.notices[0].contains("inflated in memory"), "{}", set.notices[0]);
    let FeaturesView::U8(pixels) = set.train.examples().features() else { panic!() };
    assert_eq!(pixels, (0..36).collect::<Vec<u8>>());
    assert!(!folder.path("mnist/train-images-idx3-ubyte").exists());
}

#[test]
fn gzip_under_a_raw_name_and_raw_under_a_gzip_name() {
    let folder = mnist();
    let images = folder.path("mnist/train-images-idx3-ubyte");
    fs::write(&images, gzip(&fs::read(&images).unwrap())).unwrap();
    let labels = folder.path("mnist/train-labels-idx1-ubyte");
    fs::rename(&labels, labels.with_extension("gz")).unwrap();
    let set = folder.find("mnist").unwrap();
    assert_eq!(set.train.len(), 6);
}

#[test]
fn several_gzip_members_are_one_stream() {
    let folder = mnist();
    let path = folder.path("mnist/train-images-idx3-ubyte");
    let raw = fs::read(&path).unwrap();
    let both = [gzip(&raw[..20]), gzip(&raw[20..])].concat();
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("gz"), &both).unwrap();
    fs::rename(path.with_extension("gz"), format!("{}.gz", path.display())).unwrap();
    folder.find("mnist").unwrap();
    assert_eq!(fs::read(&path).unwrap(), raw);
}

#[test]
fn folders_are_tried_in_order() {
    let (first, second, third, fourth) = (mnist(), mnist(), mnist(), mnist());
    let root = |folder: &Folder| Some(folder.path(""));
    let mut search = Search {
        data_dir: root(&first),
        env_dir: root(&second),
        local_dir: root(&third),
        cache_dir: root(&fourth),
    };
    for expected in [&first, &second, &third, &fourth] {
        let set = Dataset::find("mnist", &search).unwrap();
        assert_eq!(set.source, expected.path("").join("mnist"));
        assert_eq!(search.locate("mnist").unwrap(), Some(set.source));
        fs::remove_dir_all(expected.path("mnist")).unwrap();
    }
    let error = Dataset::find("mnist", &search).unwrap_err().to_string();
    for folder in search.folders() {
        assert!(error.contains(&folder.join("mnist").display().to_string()), "{error}");
    }
    assert!(error.contains("trainer data get mnist"), "{error}");
    search.data_dir = Some(first.path("gone"));
    let error = Dataset::find("mnist", &search).unwrap_err().to_string();
    assert!(error.contains("gone: no such file or folder") && error.contains("--data-dir"));
}

#[test]
fn a_folder_called_after_one_data_set_is_never_taken_for_another() {
    let folder = mnist();
    let search = Search { data_dir: Some(folder.path("mnist")), ..Search::default() };
    assert!(Dataset::find("mnist", &search).is_ok());
    assert!(matches!(Dataset::find("fashion-mnist", &search), Err(Error::NotFound { .. })));
    // A folder of no telling name counts if it is given on the command line, and only then.
    fs::rename(folder.path("mnist"), folder.path("files")).unwrap();
    let given = Search { data_dir: Some(folder.path("files")), ..Search::default() };
    assert!(Dataset::find("fashion-mnist", &given).is_ok());
    let environment = Search { env_dir: Some(folder.path("files")), ..Search::default() };
    assert!(Dataset::find("fashion-mnist", &environment).is_err());
}

#[test]
fn some_of_the_files_are_told_about_unless_all_are_elsewhere() {
    let (torn, whole) = (mnist(), mnist());
    fs::remove_file(torn.path("mnist/t10k-images-idx3-ubyte")).unwrap();
    let error = torn.find("mnist").unwrap_err();
    assert!(matches!(&error, Error::Incomplete { missing, .. } if missing.len() == 1), "{error}");
    let search = Search { cache_dir: Some(whole.path("")), ..torn.search() };
    assert!(Dataset::find("mnist", &search).unwrap().source.starts_with(whole.path("")));
}

#[test]
fn ones_own_data_by_folder_name_and_by_path() {
    let folder = Folder::with("animals");
    fs::write(folder.path("animals/classes.txt"), "cat\ndog\ncow\nowl\n").unwrap();
    let by_name = folder.find("animals").unwrap();
    let path = folder.path("animals");
    let by_path = Dataset::find(path.to_str().unwrap(), &Search::default()).unwrap();
    for set in [by_name, by_path] {
        assert_eq!((set.name.as_str(), set.train.len()), ("animals", 6));
        assert_eq!(set.classes, ["cat", "dog", "cow", "owl"]);
    }
    fs::remove_file(folder.path("animals/classes.txt")).unwrap();
    assert_eq!(folder.find("animals").unwrap().classes, ["0", "1", "2"]);
}

#[test]
fn an_unknown_name_gets_the_nearest_and_is_a_mistake_of_usage() {
    let error = mnist().find("mnits").unwrap_err();
    assert!(error.is_usage());
    let message = error.to_string();
    assert!(message.contains("did you mean \"mnist\"?"), "{message}");
    assert!(message.contains("mnist, fashion-mnist, kmnist"), "{message}");
    let message = mnist().find("zebra").unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
    let error = mnist().find("some/where").unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

#[test]
fn element_types_other_than_bytes_are_decoded() {
    let folder = Folder::with("set");
    let images = folder.path("set/train-images-idx3-ubyte");
    let numbers: Vec<i16> = (-18..18).map(|i| i * 1000).collect();
    idx::write(&images, &[6, 2, 3], &numbers).unwrap();
    let labels = folder.path("set/train-labels-idx1-ubyte");
    idx::write(&labels, &[6], &[0i32, 300, 2, 65_535, 1, 0]).unwrap();
    let set = folder.find("set").unwrap();
    let FeaturesView::F32(found) = set.train.examples().features() else { panic!() };
    assert!(found.iter().zip(&numbers).all(|(&f, &n)| f == f32::from(n)));
    let LabelsView::U16(found) = set.train.examples().labels() else { panic!() };
    assert_eq!(found, [0, 300, 2, 65_535, 1, 0]);
    assert_eq!((set.classes.len(), set.train.dtype()), (65_536, "float32"));
}

#[test]
fn every_element_type_round_trips() {
    fn check<T: idx::Element + PartialEq + std::fmt::Debug>(values: &[T]) {
        let folder = Folder::empty();
        let path = folder.path("file");
        idx::write(&path, &[values.len(), 1], values).unwrap();
        let read = idx::Idx::open(&path).unwrap();
        assert_eq!((read.element(), read.dims()), (T::TYPE, &[values.len(), 1][..]));
        assert_eq!(read.view::<T>().unwrap(), values);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(idx::Idx::parse(&path, bytes).unwrap().payload(), read.payload());
    }
    check(&[0u8, 1, 255]);
    check(&[0i8, -128, 127]);
    check(&[0i16, -32_768, 258]);
    check(&[0i32, i32::MIN, 16_909_060]);
    check(&[0f32, -1.5, f32::MAX]);
    check(&[0f64, -1.5, f64::MIN_POSITIVE]);
    // Big-endian on the disk: 258 is 01 02.
    let folder = Folder::empty();
    idx::write(&folder.path("file"), &[1], &[258i16]).unwrap();
    assert_eq!(fs::read(folder.path("file")).unwrap(), [0, 0, 0x0b, 1, 0, 0, 0, 1, 1, 2]);
}

/// As MNIST's archive at Kaggle unpacks: a folder has the usual name, and the file is beside it.
#[test]
fn a_file_is_preferred_to_a_folder_of_a_better_name() {
    for gzipped in [false, true] {
        let folder = Folder::empty();
        folder.add("mnist", ["train-", "t10k-"], '.');
        let file = folder.path("mnist/train-images.idx3-ubyte");
        let inner = folder.path("mnist/train-images-idx3-ubyte");
        fs::create_dir(&inner).unwrap();
        fs::copy(&file, inner.join("train-images-idx3-ubyte")).unwrap();
        if gzipped {
            compress(&file);
        }
        let set = folder.find("mnist").unwrap();
        assert_eq!((set.train.len(), set.test.len()), (6, 4), "gzipped: {gzipped}");
    }
}

/// A link that leads to itself is as unreadable as a folder without permission, even to the
/// superuser.
#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_read_is_not_taken_for_one_that_is_not_there() {
    let (first, second) = (Folder::empty(), mnist());
    let looped = |name: &str| {
        let path = first.path(name);
        std::os::unix::fs::symlink(&path, &path).unwrap();
        path
    };
    let mut search = Search { local_dir: Some(second.path("")), ..first.search() };
    let refused = |result: Result<Dataset, Error>, path: &Path| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
        let expected = format!("{}: cannot be read: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    };
    assert!(Dataset::find("mnist", &search).is_ok());
    let link = looped("mnist");
    refused(Dataset::find("mnist", &search), &link);
    refused(Dataset::open(&link), &link);
    let link = looped("mine.csv");
    refused(Dataset::find("mine", &search), &link);
    let link = looped("data");
    refused(Dataset::find(link.to_str().unwrap(), &search), &link);
    search.data_dir = Some(link.clone());
    refused(Dataset::find("mnist", &search), &link);
    // What lies in a file, or has a name longer than any file's, is not there.
    fs::write(first.path("file"), b"").unwrap();
    search.data_dir = None;
    search.env_dir = Some(first.path("file"));
    assert!(Dataset::find("mnist", &search).is_ok());
    let error = Dataset::find(&"x".repeat(5000), &search).unwrap_err();
    assert!(error.is_usage(), "{error}");
}
