//! Writing a whole folder so that it appears complete or not at all.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::catalogue::FILE_NAMES;
use crate::write::{folder_of, refuse_read_only};
use crate::{Error, FeaturesView, LabelsView, Part, idx, write_atomically};

/// Makes the folder `target` by way of a temporary one beside it, which `fill` fills.
///
/// An empty folder that is there already is replaced by it in one step. One that has to stay, see
/// [`must_stay`], gets the temporary one inside, and then what is in that, one after the other.
///
/// # Errors
/// If `target` is there and not an empty folder, or writing fails; then nothing is left.
pub(crate) fn new_folder(
    target: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let (real, stays) = match empty_folder(target)? {
        // A folder cannot be renamed to a link, nor to `.`.
        Some(folder) => {
            let stays = must_stay(&folder);
            (folder, stays)
        }
        None => (target.to_owned(), false),
    };
    let parent = if stays { &real } else { folder_of(&real) };
    let temporary = refuse_read_only(parent)
        .and_then(|()| tempfile::Builder::new().prefix(".part-").tempdir_in(parent))
        .map_err(|e| Error::write(target, e))?;
    // A folder inside the temporary one has the permissions of any new folder.
    let inner = temporary.path().join("folder");
    let made = fs::create_dir(&inner).map_err(|e| Error::write(target, e));
    let filled = made.and_then(|()| fill(&inner));
    // Messages name the place that was asked for, not the temporary one.
    filled.map_err(|error| match error {
        Error::Write { path, source } => {
            let path = path.strip_prefix(&inner).map(|rest| target.join(rest)).unwrap_or(path);
            Error::Write { path, source }
        }
        other => other,
    })?;
    let moved = if stays { move_into(&inner, &real) } else { fs::rename(&inner, &real) };
    moved.map_err(|e| Error::write(target, e))
}

/// Where the folder `target` really is, if it is there, and an error if it cannot be made or is not
/// empty.
fn empty_folder(target: &Path) -> Result<Option<PathBuf>, Error> {
    let refused = |found| Err(Error::invalid(target, "target", found, "a new or an empty folder"));
    match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fs::canonicalize(target).map(Some).map_err(|e| Error::read(target, e)),
        Ok(false) => refused("a folder with something in it"),
        Err(e) => match (e.kind(), fs::symlink_metadata(target)) {
            (io::ErrorKind::NotFound, Ok(_)) => refused("a link that leads nowhere"),
            (io::ErrorKind::NotFound, Err(_)) => Ok(None),
            (io::ErrorKind::NotADirectory, _) => refused("a file"),
            _ => Err(Error::read(target, e)),
        },
    }
}

/// Whether an empty folder is one that no other can take the place of: the folder this runs in (its
/// shell would be left in one that is deleted) or the root of a file system.
fn must_stay(folder: &Path) -> bool {
    let is_current = env::current_dir().and_then(fs::canonicalize).is_ok_and(|at| at == folder);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |path| fs::metadata(path).map(|found| found.dev()).ok();
        is_current || device(folder) != device(folder_of(folder))
    }
    #[cfg(not(unix))]
    is_current
}

/// Moves everything from one folder to another of the same file system, or nothing.
fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    let mut moved = Vec::new();
    let mut attempt = || {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            fs::rename(entry.path(), &target)?;
            moved.push((entry.path(), target));
        }
        Ok(())
    };
    let result = attempt();
    if result.is_err() {
        moved.iter().for_each(|(from, to)| drop(fs::rename(to, from)));
    }
    result
}

/// Writes a file in a folder that is temporary itself.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), Error> {
    let attempt = || {
        let mut out = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    attempt().map_err(|e| Error::write(path, e))
}

/// Writes the names of classes, a line each, unless they are just their numbers (and no other names
/// are there from before).
pub(super) fn write_classes(path: &Path, classes: &[String]) -> Result<(), Error> {
    if !path.exists() && classes.iter().enumerate().all(|(i, class)| *class == i.to_string()) {
        return Ok(());
    }
    write_atomically(path, |out| classes.iter().try_for_each(|class| writeln!(out, "{class}")))
}

/// Writes a part as two IDX files, gzipped or not.
pub(super) fn write_idx(
    folder: &Path,
    part: &Part,
    test: bool,
    compressed: bool,
) -> Result<(), Error> {
    let examples = part.examples();
    let mut dims = vec![examples.len()];
    dims.extend_from_slice(examples.shape());
    let names = &FILE_NAMES[if test { 2 } else { 0 }..][..2];
    let element = |name: &str, code: &str| {
        let name = name.replace("idx3-ubyte", &format!("idx{}-{code}", dims.len()));
        name.replace("idx1-ubyte", &format!("idx1-{code}"))
    };
    let file = |name: String, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        if compressed {
            write_file(&folder.join(format!("{name}.gz")), |out| {
                let mut encoder = GzEncoder::new(out, Compression::default());
                write(&mut encoder)?;
                encoder.finish().map(drop)
            })
        } else {
            write_file(&folder.join(name), |out| write(out))
        }
    };
    match examples.features() {
        FeaturesView::U8(pixels) => {
            file(element(names[0], "ubyte"), &|mut out| idx::write_to(&mut out, &dims, pixels))?;
        }
        FeaturesView::F32(numbers) => {
            file(element(names[0], "float"), &|mut out| idx::write_to(&mut out, &dims, numbers))?;
        }
    }
    match examples.labels() {
        LabelsView::U8(labels) => {
            file(names[1].into(), &|mut out| idx::write_to(&mut out, &[labels.len()], labels))
        }
        LabelsView::U16(labels) => file(element(names[1], "int"), &|mut out| {
            // IDX has no unsigned 16-bit integers.
            let labels: Vec<i32> = labels.iter().map(|&label| label.into()).collect();
            idx::write_to(&mut out, &[labels.len()], &labels)
        }),
    }
}
