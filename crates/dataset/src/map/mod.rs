//! The memory map: the only unsafe code of this crate is here and in guard.rs.

mod guard;

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memmap2::Mmap;

use crate::Error;
pub use guard::survive_lost_pages;

/// A file, mapped read-only, that remembers what it looked like when it was mapped.
#[derive(Debug)]
pub struct Map {
    /// Before the map itself: it is dropped first.
    guard: guard::Guard,
    map: Mmap,
    /// Kept open: asked later whether the mapped file (not a new one of the same name) changed.
    file: File,
    path: PathBuf,
    modified: Option<SystemTime>,
}

impl Map {
    /// Maps the whole of `path`, read-only.
    ///
    /// This cannot be made fully safe. A map shows the file as it is now, not as it was: if another
    /// process overwrites the file, values change under a `&[u8]` that Rust believes constant, and
    /// if it truncates the file, reading past the new end kills this process (SIGBUS), unless it has
    /// called [`survive_lost_pages`](crate::survive_lost_pages). No portable system call prevents
    /// either. The files are data sets that nothing rewrites in place: this
    /// program itself only replaces whole files by renaming, which leaves an existing map intact.
    /// [`Map::check_unchanged`] detects both kinds of change after the fact.
    ///
    /// # Errors
    /// If there is no such file, it is not a file, it is empty, or it cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let length = regular_file_length(path)?;
        if length == 0 {
            return Err(Error::Empty { path: path.to_owned(), expected: "data" });
        }
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        let modified = file.metadata().and_then(|m| m.modified()).ok();
        // SAFETY: the map is read-only and private to this value, and the file stays open as long
        // as it. What remains is a change by somebody else while the map is in use, described
        // above: accepted for the sake of reading data sets without a copy.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, e))?;
        Ok(Self { guard: guard::Guard::new(&map), map, file, path: path.to_owned(), modified })
    }

    /// The mapped file's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks whether the mapped file still has the length and modification time it was mapped with.
    ///
    /// A change that keeps both, made within the clock's resolution, is not seen. Replacing the
    /// file by renaming another over it is no change: the map keeps the old file alive.
    ///
    /// # Errors
    /// [`Error::Changed`] if it does not; [`Error::Read`] if the system does not say.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(|e| Error::read(&self.path, e))?;
        let changed = |detail| Err(Error::Changed { path: self.path.clone(), detail });
        if now.len() != self.map.len() as u64 {
            return changed(format!("{} bytes long, was {}", now.len(), self.map.len()));
        }
        if now.modified().ok() != self.modified {
            return changed("written to since it was opened".into());
        }
        if self.guard.has_lost() {
            return changed(
                "a part could not be read: truncated for a while, or a bad disk".into(),
            );
        }
        Ok(())
    }

    /// Tells the system that `part`, a slice of this map, will be read soon. A hint: it reads ahead.
    pub(crate) fn will_need(&self, part: &[u8]) {
        #[cfg(unix)]
        if let Some(range) = self.range_of(part) {
            let advice = memmap2::Advice::WillNeed;
            // A hint that is not taken costs time, nothing else.
            let _ = self.map.advise_range(advice, range.start, range.len());
        }
        #[cfg(not(unix))]
        let _ = part;
    }

    /// Asks for `part`, a slice of this map, on large pages, or for none of them. A hint.
    pub(crate) fn on_large_pages(&self, part: &[u8], wanted: bool) {
        #[cfg(target_os = "linux")]
        if let Some(range) = self.range_of(part) {
            use memmap2::Advice::{HugePage, NoHugePage};
            let advice = if wanted { HugePage } else { NoHugePage };
            // Not every system has them.
            let _ = self.map.advise_range(advice, range.start, range.len());
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (part, wanted);
    }

    /// Takes `part`, a slice of this map, out of this process's memory: the system may use it for
    /// something else. Whoever reads it again, now or later, waits until it is back. (Reading beside
    /// it may bring some of it back as well: systems fetch more than the page that is asked for.)
    pub(crate) fn release(&self, part: &[u8]) {
        #[cfg(unix)]
        if let Some(range) = self.range_of(part) {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the map is of a file, read-only and shared: what is dropped is read from the
            // file again, with the same bytes (or those it has by then, as in any map).
            let _ = unsafe { self.map.unchecked_advise_range(advice, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = part;
    }

    /// Where in the map `part` lies; `None` if it is empty or not a slice of this map.
    #[cfg(unix)]
    fn range_of(&self, part: &[u8]) -> Option<std::ops::Range<usize>> {
        let start = (part.as_ptr() as usize).checked_sub(self.map.as_ptr() as usize)?;
        let inside = !part.is_empty() && start + part.len() <= self.map.len();
        inside.then_some(start..start + part.len())
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// The length of the regular file at `path`, found without opening it (opening a pipe would wait).
pub(crate) fn regular_file_length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Missing { path: path.to_owned(), expected: "a data file".into() }
        }
        _ => Error::read(path, e),
    })?;
    if metadata.is_dir() {
        return Err(Error::NotAFile { path: path.to_owned(), found: "a folder" });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned(), found: "a pipe or a device" });
    }
    Ok(metadata.len())
}

/// The bytes of a file: mapped, or in memory where it had to be inflated or made.
#[derive(Debug)]
pub enum Bytes {
    /// A view of the file.
    Mapped(Map),
    /// A copy in memory.
    Owned(Vec<u8>),
}

impl Bytes {
    /// The map, if it is one.
    pub(crate) fn map(&self) -> Option<&Map> {
        match self {
            Self::Mapped(map) => Some(map),
            Self::Owned(_) => None,
        }
    }

    /// See [`Map::check_unchanged`]; memory does not change.
    ///
    /// # Errors
    /// If the mapped file changed.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match self {
            Self::Mapped(map) => map.check_unchanged(),
            Self::Owned(_) => Ok(()),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn shows_the_bytes_of_the_file() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        assert_eq!(&map[..], b"abc");
        map.check_unchanged().unwrap();
    }

    #[test]
    fn a_folder_an_empty_file_and_no_file_are_errors() {
        let (folder, path) = file(b"");
        assert!(matches!(Map::open(folder.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(Map::open(&path), Err(Error::Empty { .. })));
        assert!(matches!(Map::open(&folder.path().join("no")), Err(Error::Missing { .. })));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn growing_the_file_is_detected() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"d").unwrap();
        let error = map.check_unchanged().unwrap_err().to_string();
        assert!(error.contains("4 bytes long, was 3"), "{error}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn writing_in_place_is_detected() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        let mut other = File::options().write(true).open(&path).unwrap();
        other.write_all(b"x").unwrap();
        // The clock of a file system may be coarser than this test is quick.
        other.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
        assert!(matches!(map.check_unchanged(), Err(Error::Changed { .. })));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn replacing_the_file_by_renaming_leaves_the_map_as_it_was() {
        let (folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"longer than before").unwrap();
        fs::rename(&other, &path).unwrap();
        map.check_unchanged().unwrap();
        assert_eq!(&map[..], b"abc");
    }

    /// Bytes of the map that are in memory, as Linux has it.
    #[cfg(target_os = "linux")]
    fn resident(map: &Map) -> usize {
        let start = format!("{:x}-", map.as_ptr() as usize);
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = lines.into_iter().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_released_is_out_of_memory_and_comes_back() {
        let bytes: Vec<u8> = (0..1 << 20).map(|i| (i >> 7) as u8).collect();
        let (_folder, path) = file(&bytes);
        let map = Map::open(&path).unwrap();
        assert_eq!(map[..], bytes);
        assert_eq!(resident(&map), 1 << 20);
        let part = &map[300_000..600_000];
        map.release(part);
        let left = resident(&map);
        assert!((600_000..1 << 20).contains(&(left + 300_000)) && left > 600_000, "{left}");
        map.release(&map[..]);
        assert_eq!(resident(&map), 0);
        map.on_large_pages(part, true);
        map.will_need(part);
        assert_eq!(*part, bytes[300_000..600_000]);
        assert_eq!(map[..], bytes);
        // Something else, or nothing, harms nobody.
        map.release(&[1, 2, 3]);
        map.will_need(&map[7..7]);
    }

    /// Without the handler of guard.rs this ends the test by a signal.
    #[cfg(target_os = "linux")]
    #[test]
    fn reading_what_was_cut_off_gives_zeros_and_an_error() {
        let (_folder, path) = file(&[7; 20_000]);
        survive_lost_pages();
        let maps: Vec<_> = (0..70).map(|_| Map::open(&path).unwrap()).collect();
        let (map, whole) = (&maps[0], maps[0].to_vec());
        let other = File::options().write(true).open(&path).unwrap();
        let modified = other.metadata().unwrap().modified().unwrap();
        other.set_len(5_000).unwrap();
        // The second page is there to its end, with zeros after the file's.
        assert_eq!(map[..5_000], whole[..5_000]);
        assert!(map[8192..].iter().all(|&byte| byte == 0));
        let error = map.check_unchanged().unwrap_err().to_string();
        assert!(error.contains("5000 bytes long, was 20000"), "{error}");
        // Put back as it was, nothing but the guard knows.
        (&other).write_all(&whole).unwrap();
        other.set_modified(modified).unwrap();
        let error = map.check_unchanged().unwrap_err().to_string();
        assert!(error.contains("could not be read"), "{error}");
        // A map that nobody read from meanwhile is whole, and so is the next in the same place.
        assert!(maps[1][..] == whole && maps[1].check_unchanged().is_ok());
        drop(maps);
        assert!(Map::open(&path).unwrap().check_unchanged().is_ok());
    }
}
