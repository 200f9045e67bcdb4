//! Archives, arrays and pictures made to do harm, or just damaged.

use super::*;
use dataset::ReadOptions;
use dataset::formats::npy::{Array, Dtype, Header};
use dataset::formats::npz;
use dataset::formats::png::Picture;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

const PATH: &str = "file";

fn npy(descr: &str, order: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    header(1, text.as_bytes())
}

fn header(version: u8, text: &[u8]) -> Vec<u8> {
    let mut bytes = [b"\x93NUMPY".as_slice(), &[version, 0]].concat();
    match version {
        1 => bytes.extend((text.len() as u16).to_le_bytes()),
        _ => bytes.extend((text.len() as u32).to_le_bytes()),
    }
    bytes.extend_from_slice(text);
    bytes
}

fn array(bytes: &[u8]) -> Result<Array, Error> {
    Array::parse(Path::new(PATH), bytes.to_vec())
}

#[test]
fn headers_of_arrays_are_what_numpy_writes() {
    for shape in [vec![], vec![3], vec![60_000, 28, 28]] {
        let header = Header { dtype: Dtype::F32, big_endian: false, shape };
        let bytes = header.to_bytes();
        assert_eq!(bytes.len() % 64, 0);
        assert_eq!(Header::parse(&bytes), Ok((header, bytes.len())));
    }
    let header = Header { dtype: Dtype::U8, big_endian: false, shape: vec![9, 5, 5] };
    let mut numpy = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': \
                      (9, 5, 5), }"
        .to_vec();
    numpy.resize(127, b' ');
    numpy.push(b'\n');
    assert_eq!(header.to_bytes(), numpy);
}

#[test]
fn arrays_that_are_not_what_they_say() {
    let cases: [(Vec<u8>, &str); 17] = [
        (b"PK\x03\x04 and so on".to_vec(), "magic string: found [50, 4B, 03, 04, 20, 61]"),
        (b"\x93NUMPY\x09\x00aa".to_vec(), "version: found 9.0"),
        (b"\x93NUMPY\x01".to_vec(), "header: found 7 bytes"),
        (header(1, b"")[..9].to_vec(), "header: found 9 bytes"),
        (header(2, &[b' '; 70_000]), "header: found 70000 bytes, expected at most 65536"),
        (npy("|u1", "False", "(1,)")[..40].to_vec(), "header: found 40 bytes"),
        (header(1, b"[1, 2]"), "header: found [1, 2]"),
        (header(1, b"{'descr': '|u1', 'shape': (1,)}"), "expected {'descr'"),
        (header(1, b"{'descr': '|u1', 'descr': '|u1', "), "expected {'descr'"),
        (npy("|u1", "False", "(1,)}; import os"), "expected {'descr'"),
        (npy("|u1", "False", "(-1,)"), "expected {'descr'"),
        (npy("|u1", "True", "(2, 2)"), "fortran_order: found True"),
        (npy("|O", "False", "(1,)"), "descr: found \"|O\""),
        (npy("<U5", "False", "(1,)"), "descr: found \"<U5\""),
        (npy("<f8", "False", "(4294967296, 4294967296)"), "shape: found [4294967296, 4294967296]"),
        (npy("|u1", "False", "(9223372036854775807,)"), "shape: found [9223372036854775807]"),
        (npy("|u1", "False", "(1000000000000,)"), "expected 10000000000"),
    ];
    for (bytes, says) in cases {
        let error = array(&bytes).expect_err(says).to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    let whole = [npy("|u1", "False", "(3,)"), vec![1, 2, 3]].concat();
    assert_eq!(array(&whole).unwrap().to_f64(), [1.0, 2.0, 3.0]);
    for length in [whole.len() - 1, whole.len() + 1] {
        let mut bytes = whole.clone();
        bytes.resize(length, 0);
        assert!(matches!(array(&bytes), Err(Error::Length { .. })), "{length}");
    }
}

/// An archive of the four arrays, with some of them replaced or added.
fn archive(changes: &[(&str, Option<Vec<u8>>)]) -> Vec<u8> {
    let images = [npy("|u1", "False", "(3, 2, 2)"), vec![7; 12]].concat();
    let labels = [npy("|u1", "False", "(3,)"), vec![0, 1, 0]].concat();
    let mut members = vec![
        ("x_train.npy", images.clone()),
        ("y_train.npy", labels.clone()),
        ("x_test.npy", images),
        ("y_test.npy", labels),
    ];
    for (name, bytes) in changes {
        members.retain(|(member, _)| member != name);
        members.extend(bytes.clone().map(|bytes| (*name, bytes)));
    }
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn refused(bytes: &[u8]) -> String {
    npz::read_from(Path::new("a.npz"), Cursor::new(bytes)).unwrap_err().to_string()
}

#[test]
fn archives_that_lack_or_damage_their_arrays() {
    assert!(npz::read_from(Path::new(PATH), Cursor::new(archive(&[]))).is_ok());
    let error = refused(b"not a zip archive at all");
    assert!(
        error.contains("a.npz: archive: found") && error.contains("zip archive of NPY"),
        "{error}"
    );
    let error = refused(&archive(&[("y_test.npy", None)]));
    assert!(error.contains("expected x_train, y_train, x_test and y_test"), "{error}");
    let error = refused(&archive(&[("x_test.npy", Some(b"rubbish".to_vec()))]));
    assert!(error.contains("x_test.npy: magic string"), "{error}");
    let four = [npy("|u1", "False", "(4,)"), vec![0; 4]].concat();
    let error = refused(&archive(&[("y_train.npy", Some(four))]));
    assert!(error.contains("3 examples") && error.contains("4 labels"), "{error}");
    let one_hot = [npy("|u1", "False", "(3, 2)"), vec![0; 6]].concat();
    let error = refused(&archive(&[("y_train.npy", Some(one_hot))]));
    assert!(error.contains("found [3, 2]") && error.contains("not one-hot"), "{error}");
}

#[test]
fn archives_are_refused_wherever_they_are_cut_or_changed_or_read_as_they_were() {
    let whole = archive(&[]);
    for end in 0..whole.len() {
        assert!(npz::read_from(Path::new(PATH), Cursor::new(&whole[..end])).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        // Whatever a flipped bit does, it must not panic.
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = npz::read_from(Path::new(PATH), Cursor::new(&bytes));
    }
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    for name in ["../x_train.npy", "/etc/passwd", "a/../../b.npy", r"..\b.npy", r"C:\b.npy"] {
        let error = refused(&archive(&[(name, Some(vec![1]))]));
        assert!(error.contains("not to be trusted"), "{name}: {error}");
    }
}

#[test]
fn a_zip_bomb_is_refused() {
    // Sixteen mebibytes of zeros in sixteen kibibytes, behind a header that says a few bytes.
    let mut bomb = npy("|u1", "False", "(3, 2, 2)");
    bomb.resize(16 << 20, 0);
    let bytes = archive(&[("x_train.npy", Some(bomb))]);
    assert!(bytes.len() < 32 << 10);
    let error = refused(&bytes);
    assert!(error.contains("x_train.npy: found 16777216 bytes"), "{error}");
    // The directory says that a member is far larger than deflate could make it.
    let mut bytes = archive(&[]);
    let central = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[central + 24..central + 28].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    let error = refused(&bytes);
    assert!(error.contains("2147483647 bytes claimed"), "{error}");
    // It says less than there is.
    let mut bytes = archive(&[]);
    bytes[central + 24..central + 28].copy_from_slice(&20u32.to_le_bytes());
    assert!(refused(&bytes).contains("x_train.npy"));
    let many: Vec<String> = (0..1100).map(|i| format!("{i}.npy")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), Some(vec![]))).collect();
    assert!(refused(&archive(&many)).contains("members: found 1104, expected at most 1024"));
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![50; (width * height) as usize]).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The same picture with another size in its header, and that header's checksum put right.
fn claiming(mut bytes: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

#[test]
fn pictures_that_are_damaged_or_too_large() {
    let read = |bytes: &[u8]| Picture::read(Path::new("a.png"), Cursor::new(bytes));
    let whole = png(9, 9);
    assert!(read(&whole).is_ok());
    for end in 0..whole.len() - 12 {
        let error = read(&whole[..end]).expect_err("cut short").to_string();
        assert!(error.starts_with("a.png: picture: found"), "{error}");
    }
    let error = read(b"\xff\xd8\xff\xe0 a JPEG picture").unwrap_err().to_string();
    assert!(error.contains("expected a PNG file"), "{error}");
    let error = read(&claiming(whole.clone(), 1 << 16, 1 << 16)).unwrap_err().to_string();
    assert!(error.contains("65536 x 65536 pixels"), "{error}");
    let error = read(&claiming(whole, 8000, 8000)).unwrap_err().to_string();
    assert!(error.contains("8000 x 8000 pixels in"), "{error}");
}

#[test]
fn folders_of_pictures_that_do_not_fit() {
    let folder = Folder::empty();
    for (class, side) in [("a", 4), ("b", 4)] {
        fs::create_dir_all(folder.path(&format!("set/{class}"))).unwrap();
        for i in 0..5 {
            fs::write(folder.path(&format!("set/{class}/p{i}.png")), png(side, side)).unwrap();
        }
    }
    // Files that systems leave about are no pictures.
    fs::write(folder.path("set/a/.DS_Store"), b"x").unwrap();
    fs::write(folder.path("set/a/Thumbs.db"), b"x").unwrap();
    let open = |options: &ReadOptions| Dataset::open_with(&folder.path("set"), options);
    let default = ReadOptions::default();
    assert_eq!(open(&default).unwrap().classes, ["a", "b"]);
    fs::write(folder.path("set/a/odd.png"), png(3, 5)).unwrap();
    let error = open(&default).unwrap_err().to_string();
    assert!(error.contains("--resize") && error.contains("5 x 3 pixels"), "{error}");
    let resized = ReadOptions { resize: Some((2, 2)), ..ReadOptions::default() };
    assert_eq!(open(&resized).unwrap().train.shape(), [2, 2]);
    // A size that no picture can have is refused before the pictures are decoded.
    let huge = ReadOptions { resize: Some((65_535, 65_535)), ..ReadOptions::default() };
    let error = open(&huge).unwrap_err().to_string();
    let says = "set: size: found 65535 x 65535 asked for, expected 1 to 2^26 pixels";
    assert!(error.ends_with(says), "{error}");
    let none = ReadOptions { resize: Some((0, 2)), ..ReadOptions::default() };
    assert!(open(&none).unwrap_err().to_string().contains("found 0 x 2 asked for"));
    fs::remove_file(folder.path("set/a/odd.png")).unwrap();
    fs::write(folder.path("set/b/photo.JPG"), b"x").unwrap();
    let error = open(&default).unwrap_err().to_string();
    assert!(error.contains("photo.JPG: picture: found .JPG, expected a .png file"), "{error}");
    fs::remove_file(folder.path("set/b/photo.JPG")).unwrap();
    fs::write(folder.path("set/classes.txt"), "a\n").unwrap();
    let error = open(&default).unwrap_err().to_string();
    assert!(error.contains("class: found \"b\""), "{error}");
    fs::write(folder.path("set/classes.txt"), "b\na\n").unwrap();
    assert_eq!(open(&default).unwrap().classes, ["b", "a"]);
    fs::write(folder.path("set/b/p0.png"), b"rubbish").unwrap();
    let error = open(&default).unwrap_err().to_string();
    assert!(error.contains("b/p0.png: picture"), "{error}");
}
