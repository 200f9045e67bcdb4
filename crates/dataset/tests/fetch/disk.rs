//! Disks that are full and folders that cannot be written to.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dataset::fetch::{FetchError, Settings, get};

use crate::common::skip;
use crate::server::Server;
use crate::setup::{NAME, gzip, images, names, settings, source};

#[test]
fn a_read_only_folder_is_refused_before_anything_is_asked_for() {
    let server = Server::good(&gzip(&images()));
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    let mut permissions = fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&folder, permissions).unwrap();
    let error = get(&source(&[server.base()]), &settings(root.path()), &mut |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write {}: the folder is read-only", folder.display())
    );
    assert!(server.requests().is_empty());
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_file_where_the_folder_should_be_is_refused() {
    let server = Server::good(&gzip(&images()));
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("tiny"), b"a file").unwrap();
    let error = get(&source(&[server.base()]), &settings(root.path()), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Write { .. }), "{error}");
    assert!(server.requests().is_empty());
    assert_eq!(fs::read(root.path().join("tiny")).unwrap(), b"a file");
}

/// `/dev/full` takes the place of the part: every write to it fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_while_receiving_ends_the_run_and_not_the_mirror() {
    use std::os::unix::fs::FileTypeExt;
    if !fs::metadata("/dev/full").is_ok_and(|full| full.file_type().is_char_device()) {
        skip("a disk that fills up: /dev/full is not the device here");
        return;
    }
    let (server, spare) = (Server::good(&gzip(&images())), Server::good(&gzip(&images())));
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join(format!("{NAME}.gz.part"))).unwrap();
    let set = source(&[server.base(), spare.base()]);
    let error = get(&set, &settings(root.path()), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(server.requests().len() + spare.requests().len(), 1, "no mirror can help");
    assert!(!folder.join(NAME).exists());
}

#[test]
fn a_small_disk_keeps_what_has_arrived_and_goes_on_when_there_is_space() {
    let mount = tempfile::tempdir().unwrap();
    // 205 kB come in, 205 kB are inflated: the first size is too small for the download, the
    // second for what is inflated, the third is enough.
    let Some(_unmounted) = Tmpfs::mount(mount.path(), "100k") else {
        skip("a small disk: it can be mounted by the superuser only");
        return;
    };
    let body = gzip(&images());
    let server = Server::good(&body);
    let set = source(&[server.base()]);
    let settings: Settings = settings(mount.path());
    let folder = mount.path().join("tiny");
    let parts = [format!("{NAME}.gz.part"), format!("{NAME}.gz.part.from")];

    for size in ["100k", "300k"] {
        Tmpfs::resize(mount.path(), size);
        let error = get(&set, &settings, &mut |_| {}).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("No space left on device"), "{message}");
        assert!(message.ends_with("the next try goes on from there"), "{message}");
        assert_eq!(names(&folder), parts, "at {size}");
    }
    assert_eq!(fs::read(folder.join(&parts[0])).unwrap(), body);

    Tmpfs::resize(mount.path(), "1m");
    get(&set, &settings, &mut |_| {}).unwrap();
    assert_eq!(names(&folder), [NAME]);
    assert_eq!(fs::read(folder.join(NAME)).unwrap(), images());
    // Once for the beginning, once for the rest; the third run had it all.
    assert_eq!(server.requests().len(), 2);
}

/// A mounted tmpfs, unmounted at the end.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    /// `None` where it is not permitted.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], at).then_some(Self(at))
    }

    fn resize(at: &Path, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], at));
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let mut command = Command::new("mount");
    let command = command.args(arguments).arg(at).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
