//! A folder of images for each class: `train/cat/1.png`, `test/cat/2.png`; or `cat/1.png` alone.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::ReadOptions;
use super::png::{Picture, Samples};
use crate::picture::{Resize, check_size, grey};
use crate::{Error, Examples, FeaturesView, Part, class_names, shuffle};

/// What pictures are called. Those that are not PNG are pointed out rather than passed over.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff"];

/// The folders of the parts, if `folder` has them.
pub(crate) fn parts(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let part = |names: &[&str]| {
        let mut paths = names.iter().map(|name| folder.join(name));
        paths.find(|path| !classes(path).unwrap_or_default().is_empty())
    };
    Some((part(&["train", "training"])?, part(&["test", "testing"])?))
}

/// The folders in `folder` that hold pictures, sorted by name, numbers by value.
pub(crate) fn classes(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut classes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !is_hidden(&path) && !pictures(&path)?.is_empty() {
            classes.push(path);
        }
    }
    classes.sort_by_key(|path| (number(path), path.clone()));
    Ok(classes)
}

/// The pictures in the folder of a class, of this or another format.
fn pictures(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && !is_hidden(&path) && EXTENSIONS.iter().any(|e| has(&path, e)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn has(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// What a file's or folder's name is as a number; others come behind.
fn number(path: &Path) -> u64 {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.parse().unwrap_or(u64::MAX)
}

/// The names of the classes: the lines of `classes.txt` in `root`, or the folders' names in `part`.
pub(crate) fn class_names(root: &Path, part: &Path) -> Result<Vec<String>, Error> {
    if let Some(names) = class_names::read(&root.join("classes.txt"))? {
        return Ok(names);
    }
    let folders = classes(part).map_err(|e| Error::read(part, e))?;
    let names = folders.iter().map(|folder| name_of(folder)).collect::<Result<Vec<_>, _>>()?;
    // %2F and %2f lead to the same name.
    if let Some((first, again)) = class_names::repeated(&names) {
        let found = format!("{:?} again, as of {}", names[again], folders[first].display());
        let expected = "another name for each class";
        return Err(Error::invalid(&folders[again], "name of a class", found, expected));
    }
    Ok(names)
}

/// Reads all images below `folder`, whose subfolders are named after `names`.
///
/// Where every file's name is a number that no other has, they come in that order; else in an order
/// drawn from `options.seed`, so that no class comes last.
///
/// # Errors
/// If a folder is not a class, a picture is damaged, sizes differ and no size is asked for, or one is
/// that no picture can have.
pub(crate) fn read(folder: &Path, names: &[String], options: &ReadOptions) -> Result<Part, Error> {
    if let Some(size) = options.resize {
        check_size(folder, size)?;
    }
    let mut files = Vec::new();
    for class_folder in classes(folder).map_err(|e| Error::read(folder, e))? {
        let name = name_of(&class_folder)?;
        let class = names.iter().position(|known| *known == name).ok_or_else(|| {
            let expected = match &options.class_names {
                Some(file) => format!("a folder for each class named in {}", file.display()),
                None => "one of the classes of the training part or of classes.txt".into(),
            };
            Error::invalid(&class_folder, "class", format!("{name:?}"), expected)
        })?;
        let class = u16::try_from(class).map_err(|_| {
            let found = names.len().to_string();
            Error::invalid(folder, "classes", found, "at most 65536")
        })?;
        let pictures = pictures(&class_folder).map_err(|e| Error::read(&class_folder, e))?;
        if let Some(other) = pictures.iter().find(|path| !has(path, "png")) {
            let found = format!(".{}", other.extension().unwrap_or_default().display());
            return Err(Error::invalid(other, "picture", found, "a .png file: convert it first"));
        }
        files.extend(pictures.into_iter().map(|path| (path, class)));
    }
    sort(&mut files, options.seed);
    let read = |(path, _): &(PathBuf, u16)| {
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        Picture::read(path, BufReader::new(file)).map(|picture| fit(picture, options))
    };
    let pictures = files.par_iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    let Some(first) = pictures.first() else {
        let path = folder.to_owned();
        return Err(Error::Missing {
            path,
            expected: "a folder of PNG files for each class".into(),
        });
    };
    for (picture, (path, _)) in pictures.iter().zip(&files) {
        if (picture.height, picture.width) != (first.height, first.width) {
            let found = format!("{} x {} pixels", picture.height, picture.width);
            let expected = format!(
                "{} x {}, as of {} (or a size for all of them, with --resize)",
                first.height,
                first.width,
                files[0].0.display()
            );
            return Err(Error::invalid(path, "picture", found, expected));
        }
    }
    let labels = files.iter().map(|&(_, class)| class).collect();
    Ok(assemble(folder, &pictures, labels))
}

fn sort(files: &mut Vec<(PathBuf, u16)>, seed: u64) {
    files.sort_by_key(|(path, class)| (number(path), *class, path.clone()));
    let numbers: Vec<u64> = files.iter().map(|(path, _)| number(path)).collect();
    let distinct = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    if !distinct || numbers.last() == Some(&u64::MAX) {
        let mut order = vec![0; files.len()];
        shuffle(&mut order, seed, 0);
        *files = order.into_iter().map(|i| files[i as usize].clone()).collect();
    }
}

/// The picture in grey and resized, as asked for.
fn fit(picture: Picture, options: &ReadOptions) -> Picture {
    let Picture { height, width, channels, samples } = picture;
    let greys = options.grey && channels == 3;
    let resize = options.resize.filter(|&to| to != (height, width));
    if !greys && resize.is_none() {
        return Picture { height, width, channels, samples };
    }
    let convert = |values: Vec<f32>| {
        let (values, channels) = if greys { (grey(&values), 1) } else { (values, channels) };
        match resize {
            Some(to) => Resize::new((height, width), to).apply(&values, channels),
            None => values,
        }
    };
    let samples = match samples {
        Samples::Eight(values) => {
            let values = convert(values.into_iter().map(f32::from).collect());
            Samples::Eight(values.into_iter().map(|v| v.round() as u8).collect())
        }
        Samples::Sixteen(values) => {
            let values = convert(values.into_iter().map(f32::from).collect());
            Samples::Sixteen(values.into_iter().map(|v| v.round() as u16).collect())
        }
    };
    let (height, width) = resize.unwrap_or((height, width));
    Picture { height, width, channels: if greys { 1 } else { channels }, samples }
}

/// Pictures of one size: in colour if one of them is, in 16 bits (0 to 1) if one of them is.
fn assemble(folder: &Path, pictures: &[Picture], labels: Vec<u16>) -> Part {
    let channels = pictures.iter().map(|picture| picture.channels).max().unwrap_or(1);
    let mut shape = vec![pictures[0].height, pictures[0].width];
    if channels > 1 {
        shape.push(channels);
    }
    // A grey picture among colours has the same value in each.
    let repeat = |picture: &Picture| channels / picture.channels;
    let mut eight = Vec::new();
    let mut sixteen = Vec::new();
    let deep = pictures.iter().any(|picture| matches!(picture.samples, Samples::Sixteen(_)));
    for picture in pictures {
        let times = repeat(picture);
        match &picture.samples {
            Samples::Eight(values) if !deep => {
                eight.extend(values.iter().flat_map(|&v| std::iter::repeat_n(v, times)));
            }
            Samples::Eight(values) => sixteen.extend(
                values.iter().flat_map(|&v| std::iter::repeat_n(f32::from(v) / 255.0, times)),
            ),
            Samples::Sixteen(values) => sixteen.extend(
                values.iter().flat_map(|&v| std::iter::repeat_n(f32::from(v) / 65_535.0, times)),
            ),
        }
    }
    if deep {
        Part::from_numbers(folder, &shape, sixteen, labels)
    } else {
        Part::from_pixels(folder, &shape, eight, labels)
    }
}

/// Writes a part as PNG files, `folder/CLASS/NUMBER.png`, numbered in their order.
///
/// Bytes become pictures of 8 bits, numbers from 0 to 1 pictures of 16.
///
/// # Errors
/// If the examples are no images, a number is not within 0 to 1, or writing fails.
pub(crate) fn write(folder: &Path, part: &Part, names: &[String]) -> Result<(), Error> {
    let examples = part.examples();
    let (height, width, channels) = match *examples.shape() {
        [height, width] | [height, width, 1] => (height, width, 1),
        [height, width, 3] => (height, width, 3),
        _ => {
            let found = format!("examples shaped {:?}", examples.shape());
            let expected = "images, [rows, columns] or [rows, columns, 3]";
            return Err(Error::invalid(part.images_path(), "dimensions", found, expected));
        }
    };
    let folders: Vec<PathBuf> = names.iter().map(|name| folder.join(folder_name(name))).collect();
    for folder in &folders {
        fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
    }
    let labels = examples.labels();
    let digits = (examples.len().max(2) - 1).ilog10() as usize + 1;
    (0..examples.len()).into_par_iter().try_for_each(|i| {
        let samples = samples(part, &examples.slice(i..i + 1))?;
        let path = folders[labels.get(i)].join(format!("{i:0digits$}.png"));
        let write = || {
            let mut out = BufWriter::new(File::create_new(&path)?);
            Picture { height, width, channels, samples }.write(&mut out)?;
            out.flush()
        };
        write().map_err(|e| Error::write(&path, e))
    })
}

fn samples(part: &Part, example: &Examples<'_>) -> Result<Samples, Error> {
    match example.features() {
        FeaturesView::U8(pixels) => Ok(Samples::Eight(pixels.to_vec())),
        FeaturesView::F32(numbers) => {
            if let Some(number) = numbers.iter().find(|n| !(0.0..=1.0).contains(*n)) {
                let expected = "0 to 1, so that it can be a pixel";
                let found = number.to_string();
                return Err(Error::invalid(part.images_path(), "feature", found, expected));
            }
            Ok(Samples::Sixteen(numbers.iter().map(|n| (n * 65_535.0).round() as u16).collect()))
        }
    }
}

/// The name of a class's folder: what no file system or path would take is written %XX.
fn folder_name(class: &str) -> String {
    let mut name = String::new();
    for (i, c) in class.chars().enumerate() {
        let special = c.is_control() || r#"/\%:*?"<>|"#.contains(c) || i == 0 && c == '.';
        if special {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| name.push_str(&format!("%{b:02X}")));
        } else {
            name.push(c);
        }
    }
    name
}

/// The class of a folder: its name with %XX undone.
fn name_of(folder: &Path) -> Result<String, Error> {
    let invalid = |name: &str, expected: &str| {
        Error::invalid(folder, "name of a class", format!("{name:?}"), expected)
    };
    let text = "text in UTF-8";
    let name =
        folder.file_name().and_then(|name| name.to_str()).ok_or_else(|| invalid("", text))?;
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let class = String::from_utf8(bytes).map_err(|_| invalid(name, text))?;
    if class_names::is_fit(&class) { Ok(class) } else { Err(invalid(&class, class_names::FIT)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_any_name_gets_a_folder_that_leads_back_to_it() {
        for (class, folder) in [
            ("cat", "cat"),
            ("T-shirt/top", "T-shirt%2Ftop"),
            ("..", "%2E."),
            (r"a\b:c", "a%5Cb%3Ac"),
            ("100%", "100%25"),
            ("日本 o", "日本 o"),
        ] {
            assert_eq!(folder_name(class), folder);
            assert_eq!(name_of(Path::new(folder)).unwrap(), class);
        }
        assert_eq!(name_of(Path::new("50%")).unwrap(), "50%");
        assert!(name_of(Path::new("%FF")).is_err());
        let error = name_of(Path::new("a%09b")).unwrap_err().to_string();
        assert!(error.contains(r#"found "a\tb", expected a name without control"#), "{error}");
    }
}
