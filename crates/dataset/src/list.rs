//! What is known and what is here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::formats::{self, Format};
use crate::{Error, Search, glyphs, known, lookup};

/// A data set that is known by name, or that lies in one of the folders looked in.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name it can be asked for by.
    pub name: String,
    /// One line about it; empty for one's own.
    pub about: &'static str,
    /// Whether it is made by this program rather than collected.
    pub synthetic: bool,
    /// Where it is, if it is here.
    pub found: Option<Found>,
}

/// A data set that is here.
#[derive(Clone, Debug)]
pub struct Found {
    /// The folder or file.
    pub path: PathBuf,
    /// In what format.
    pub format: Format,
    /// The size of everything at `path`, in bytes.
    pub bytes: u64,
}

/// Lists the known data sets, then all others in the folders of `search`. Reads no contents.
///
/// # Errors
/// As [`Search::locate`].
pub fn list(search: &Search) -> Result<Vec<Listed>, Error> {
    let mut listed = Vec::new();
    for known in known() {
        let synthetic = known.is_synthetic();
        let place = if synthetic { glyphs::cached(search) } else { search.locate(known.name)? };
        let found = place.and_then(|path| found(path, known.name));
        listed.push(Listed { name: known.name.into(), about: known.about, synthetic, found });
    }
    let mut own: Vec<Listed> = Vec::new();
    for folder in search.folders() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_file = path.is_file();
            let name = if is_file { path.file_stem() } else { path.file_name() };
            let Some(name) = name.and_then(|name| name.to_str()) else { continue };
            let taken = name.starts_with('.')
                || lookup(name).is_some()
                || known().iter().any(|known| known.torchvision == Some(name))
                || glyphs::cached(search).is_some_and(|cached| cached == path)
                || own.iter().any(|listed| listed.name == name)
                || is_file && path.extension().is_some_and(|e| e == "npy");
            if !taken && let Some(found) = found(path.clone(), name) {
                let found = Some(found);
                own.push(Listed { name: name.into(), about: "", synthetic: false, found });
            }
        }
    }
    listed.append(&mut own);
    Ok(listed)
}

fn found(path: PathBuf, name: &str) -> Option<Found> {
    let format = formats::detect(&path, name)?.format();
    let bytes = size(&path);
    Some(Found { path, format, bytes })
}

/// Bytes of a file, or of all files below a folder (links not followed).
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return fs::metadata(path).map_or(0, |metadata| metadata.len());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}
