//! Writing files so that a failure half-way leaves what was there before.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::Error;

/// Writes `path` by way of a temporary file in the same folder: written, synced to disk, then
/// renamed, so that `path` holds either what it held before or all of the new content.
///
/// A pipe or a device is written to directly; there is nothing of it to keep.
///
/// # Errors
/// [`Error::Write`] (folder missing or read-only, disk full, or what `write` returned). The
/// temporary file is gone then, and an existing file at `path` is untouched.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        if let Some(special) = open_special(path)? {
            return buffered(&special, write);
        }
        // A link stays a link: what it points at is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let temporary = temporary_beside(&target)?;
        buffered(temporary.as_file(), write)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&target)?;
        Ok(())
    };
    attempt().map_err(|e| Error::write(path, e))
}

/// Sees to it that [`write_atomically`] could write `path` as things are: a long run asks before it
/// starts. Nothing is left behind.
///
/// # Errors
/// As [`write_atomically`].
pub fn check_destination(path: &Path) -> Result<(), Error> {
    // A pipe is left alone: opening it waits for its reader, and closing it again is the end of what
    // that reads.
    let attempt = || match is_pipe(path) || open_special(path)?.is_some() {
        true => Ok(()),
        false => {
            temporary_beside(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())).map(drop)
        }
    };
    attempt().map_err(|e| Error::write(path, e))
}

/// A temporary file in the folder of `path`, with the permissions of an ordinary new file.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    refuse_read_only(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Less the umask, as for any file; the default of a temporary file is owner only.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// The folder that `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// An error if `folder` is not there or is marked read-only. The superuser could write into it all
/// the same; the mark is honoured.
pub(crate) fn refuse_read_only(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(e.kind(), format!("there is no folder {}", folder.display()))
        }
        _ => e,
    })?;
    if !found.is_dir() {
        let problem = format!("{} is not a folder", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, problem));
    }
    if found.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is read-only"));
    }
    Ok(())
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn open_special(path: &Path) -> io::Result<Option<File>> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "found a folder of that name, expected a file",
        )),
        Ok(found) if !found.is_file() => File::options().write(true).open(path).map(Some),
        _ => Ok(None),
    }
}

fn buffered(
    file: &File,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    write(&mut writer)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_a_new_file_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |w| w.write_all(b"one")).unwrap();
        write_atomically(&path, |w| w.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failing_writer_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"old").unwrap();
        let error = write_atomically(&path, |w| {
            w.write_all(&vec![7; 1 << 20])?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("cannot be written: no space left"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_read_only_folder_is_refused_even_to_the_superuser() {
        let folder = tempfile::tempdir().unwrap();
        let mut permissions = fs::metadata(folder.path()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(folder.path(), permissions.clone()).unwrap();
        let result = write_atomically(&folder.path().join("file"), |w| w.write_all(b"x"));
        assert!(names(folder.path()).is_empty());
        #[allow(
            clippy::permissions_set_readonly_false,
            reason = "a temporary folder, removed now"
        )]
        permissions.set_readonly(false);
        fs::set_permissions(folder.path(), permissions).unwrap();
        assert!(matches!(result, Err(Error::Write { .. })));
    }

    #[test]
    fn a_destination_is_checked_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        check_destination(&path).unwrap();
        assert!(names(folder.path()).is_empty());
        fs::write(&path, b"old").unwrap();
        check_destination(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
        assert!(check_destination(folder.path()).is_err());
        assert!(check_destination(&folder.path().join("none").join("file")).is_err());
    }

    #[test]
    fn a_folder_of_that_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(folder.path(), |w| w.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("found a folder"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        let full = Path::new("/dev/full");
        let is_device = || fs::metadata(full).is_ok_and(|full| full.file_type().is_char_device());
        if !is_device() {
            // The test runner swallows what eprintln! prints.
            writeln!(io::stderr(), "skipped: a full device: /dev/full is not one here").unwrap();
            return;
        }
        // Through a link in a folder of this test: a writer that renames replaces the link, and not
        // the device, whoever runs this.
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("full");
        std::os::unix::fs::symlink(full, &link).unwrap();
        let error = write_atomically(&link, |w| w.write_all(b"x")).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("{}: cannot be written", link.display())), "{error}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && is_device());
    }

    /// Both would wait for ever if the check had opened the pipe: the check for a reader, which is not
    /// there yet, and the writer for one that has seen the end.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_opened_before_it_is_written() {
        use std::process::{Command, Stdio};
        use std::sync::mpsc;
        use std::time::Duration;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (sender, done) = mpsc::channel();
        let path = pipe.clone();
        std::thread::spawn(move || {
            sender.send(check_destination(&path)).unwrap();
            sender.send(write_atomically(&path, |out| out.write_all(b"through"))).unwrap();
        });
        let limit = Duration::from_secs(20);
        done.recv_timeout(limit).expect("the check waits").unwrap();
        let reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
        done.recv_timeout(limit).expect("the writer waits").unwrap();
        assert_eq!(reader.wait_with_output().unwrap().stdout, b"through");
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }
}
