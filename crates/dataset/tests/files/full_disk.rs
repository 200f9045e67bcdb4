//! A full disk: an error or another way, the old file as it was, nothing left behind.
//!
//! On a file system of 256 KiB, mounted for the purpose: Linux, as the superuser.
#![cfg(target_os = "linux")]

use super::*;
use dataset::formats::{Format, write};
use std::process::Command;

struct SmallDisk(Folder);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = Folder::empty();
        fs::create_dir(folder.path("disk")).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(folder.path("disk"));
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        skip("a full disk: a small file system can be mounted by the superuser only");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path("disk").join(name)
    }

    fn names(&self) -> Vec<String> {
        self.0.names("disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path("disk")).status();
    }
}

/// Half a mebibyte of noise, which no format makes smaller than the disk.
fn large() -> Dataset {
    let part = |count: usize| {
        let noise = |i: usize| dataset::mix(i as u64) as u8;
        let labels = (0..count).map(|i| (i % 2) as u16).collect();
        let pixels = (0..count * 1024).map(noise).collect();
        dataset::Part::from_pixels(Path::new("noise"), &[32, 32], pixels, labels)
    };
    Dataset::new("noise", Path::new("noise"), None, part(448), part(64)).unwrap()
}

#[test]
fn a_conversion_that_does_not_fit_leaves_the_disk_as_it_was() {
    let Some(disk) = SmallDisk::mount() else { return };
    fs::write(disk.path("old.npz"), b"old").unwrap();
    for format in Format::ALL {
        let target = disk.path(if format == Format::Npz { "old.npz" } else { "new" });
        let error = write(&large(), format, &target).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{format}: {error}");
        let message = error.to_string();
        assert!(message.contains("No space left"), "{format}: {message}");
        assert!(message.contains(&target.display().to_string()), "{format}: {message}");
        assert_eq!(disk.names(), ["old.npz"], "{format}");
    }
    assert_eq!(fs::read(disk.path("old.npz")).unwrap(), b"old");
    let target = disk.path("drawn");
    let error = dataset::glyphs::write_many(&target, 500, 1, 1).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(error.starts_with(&target.display().to_string()), "{error}");
    assert_eq!(disk.names(), ["old.npz"]);
}

#[test]
fn gzip_that_cannot_be_kept_inflated_is_inflated_in_memory() {
    let Some(disk) = SmallDisk::mount() else { return };
    // Zeros: small when compressed, too large for the disk when not.
    fs::create_dir(disk.path("set")).unwrap();
    for (part, count) in [("train", 1024usize), ("t10k", 2)] {
        let file = |what: &str| disk.path(&format!("set/{part}-{what}.gz"));
        let mut images = Vec::new();
        dataset::idx::write_to(&mut images, &[count, 32, 32], &vec![0u8; count * 1024]).unwrap();
        fs::write(file("images-idx3-ubyte"), gzip(&images)).unwrap();
        let mut labels = Vec::new();
        dataset::idx::write_to(&mut labels, &[count], &vec![0u8; count]).unwrap();
        fs::write(file("labels-idx1-ubyte"), gzip(&labels)).unwrap();
    }
    let set = Dataset::open(&disk.path("set")).unwrap();
    assert_eq!((set.train.len(), set.notices.len()), (1024, 1));
    assert!(set.notices[0].contains("No space left"), "{:?}", set.notices);
    let left: Vec<_> = fs::read_dir(disk.path("set"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.') || name == "train-images-idx3-ubyte")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn glyphs_that_do_not_fit_in_the_cache_are_kept_in_memory() {
    let Some(disk) = SmallDisk::mount() else { return };
    let search = Search { cache_dir: Some(disk.path("cache")), ..Search::default() };
    let set = Dataset::find("glyphs", &search).unwrap();
    assert_eq!(set.train.len(), 60_000);
    assert!(set.notices[0].contains("No space left"), "{:?}", set.notices);
    assert!(fs::read_dir(disk.path("cache/glyphs-v1")).unwrap().next().is_none());
}

/// No folder can be renamed to it.
#[test]
fn an_empty_disk_is_an_empty_folder() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = Folder::with("set");
    write(&folder.find("set").unwrap(), Format::Idx, &disk.path("")).unwrap();
    assert_eq!(disk.names(), folder.names("set"));
    let error = write(&large(), Format::Idx, &disk.path("")).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

#[test]
fn a_disk_that_is_too_small_stays_empty() {
    let Some(disk) = SmallDisk::mount() else { return };
    let error = write(&large(), Format::Images, &disk.path("")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(disk.names().is_empty(), "{:?}", disk.names());
}
