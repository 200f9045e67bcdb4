//! What lies in a set's folder already: the file that everybody reads is the one that counts.

use std::fs;
use std::path::{Path, PathBuf};

use dataset::fetch::{self, Check, Event, FetchError, Keep, Origin};
use dataset::idx::{ElementType, Header};
use tempfile::TempDir;

use crate::server::Server;
use crate::setup::{NAME, gzip, images, names, network, run_with, source};

const DOTTED: &str = "train-images.idx3-ubyte";

/// A root with these files in `tiny/`.
fn root(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("tiny")).unwrap();
    for (name, bytes) in files {
        fs::write(root.path().join("tiny").join(name), bytes).unwrap();
    }
    root
}

/// What `in_place` says of `tiny/`, and which files it passed over.
fn in_place(root: &Path) -> (Result<Option<PathBuf>, FetchError>, Vec<PathBuf>) {
    let mut skipped = Vec::new();
    let found = fetch::in_place(&source(&[]), &root.join("tiny"), &mut |event| match event {
        Event::Skipped { path, .. } => skipped.push(path.to_path_buf()),
        other => panic!("{other:?}"),
    });
    (found.map(|mut found| found.remove(0).map(|(path, _)| path)), skipped)
}

#[test]
fn a_damaged_file_that_is_read_first_is_restored_from_a_good_one_beside_it() {
    let (whole, compressed) = (images(), gzip(&images()));
    let short = &whole[..1000];
    let beside = format!("{NAME}.gz");
    for (bad, good, bytes) in [
        (NAME, beside.as_str(), &compressed[..]),
        (NAME, DOTTED, &whole),
        // This one precedes the usual name, so a file of that would not be read.
        ("tiny-train-images-idx3-ubyte", NAME, &whole),
    ] {
        let root = root(&[(bad, short), (good, bytes)]);
        let path = root.path().join("tiny").join(bad);
        let (found, skipped) = in_place(root.path());
        assert_eq!((found.unwrap(), skipped), (None, vec![path.clone()]), "{bad}");
        let run = run_with(&source(&[]), root, network());
        let file = &run.result.as_ref().unwrap().files[0];
        let origin = Origin::Beside { path: path.with_file_name(good) };
        assert_eq!((&file.path, &file.origin, file.check), (&path, &origin, Check::Payload));
        assert_eq!(fs::read(&path).unwrap(), whole, "{bad}");
        assert_eq!(in_place(run.root.path()).0.unwrap(), Some(path), "{bad}");
    }
}

#[test]
fn a_damaged_file_under_another_name_is_replaced_where_it_lies() {
    let server = Server::good(&gzip(&images()));
    let name = "tiny-train-images-idx3-ubyte";
    let root = root(&[(name, b"<!DOCTYPE html>"), (&format!("{name}.gz"), b"no more")]);
    let run = run_with(&source(&[server.base()]), root, network());
    let path = run.root.path().join("tiny").join(name);
    assert_eq!(run.result.unwrap().files[0].path, path);
    assert_eq!(fs::read(&path).unwrap(), images());
    assert_eq!(run.said.iter().filter(|said| said.contains("Skipped")).count(), 2);
}

#[test]
fn a_damaged_gzip_file_gives_way_to_an_inflated_one() {
    let server = Server::good(&gzip(&images()));
    let name = format!("{DOTTED}.gz");
    let root = root(&[(&name, &gzip(&images())[..500])]);
    let run = run_with(&source(&[server.base()]), root, network());
    assert_eq!(run.names(), [NAME, &name]);
    let path = run.result.unwrap().files.remove(0).path;
    assert_eq!(in_place(run.root.path()).0.unwrap(), Some(path));
}

#[test]
fn a_whole_file_that_is_not_the_published_one_is_somebodys_own_and_stays() {
    let server = Server::good(&gzip(&images()));
    let mut altered = images();
    altered[5000] ^= 1;
    let fewer = Header { element: ElementType::U8, dims: vec![3] }.to_bytes();
    let fewer = [&fewer[..], &[1, 2, 3]].concat();
    let beside = format!("{NAME}.gz");
    for (name, bytes, why) in [
        (NAME, altered.clone(), "it has sha256 "),
        (NAME, fewer, "it is uint8 [3], not uint8 [200, 32, 32]"),
        (&beside, gzip(&altered), "it has sha256 "),
    ] {
        // Even with the published one beside it, which is not what would be read.
        let root = root(&[(name, &bytes), (&format!("{DOTTED}.gz"), &gzip(&images()))]);
        let path = root.path().join("tiny").join(name);
        assert!(matches!(in_place(root.path()), (Err(FetchError::Foreign { .. }), _)));
        let run = run_with(&source(&[server.base()]), root, network());
        let message = run.result.unwrap_err().to_string();
        let start = format!("{} is a whole IDX file, but not that of tiny: ", path.display());
        assert!(message.starts_with(&(start + why)), "{message}");
        assert!(message.contains("(--data-dir), or move this file away"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(names(path.parent().unwrap()).len(), 2);
    }
    assert!(server.requests().is_empty());
}

/// As torchvision keeps QMNIST's labels: no reason to stop, and none to overwrite them.
#[test]
fn a_published_file_of_which_a_part_is_kept_is_passed_over_and_stays() {
    let header = Header { element: ElementType::I32, dims: vec![3, 8] };
    let extended = [header.to_bytes(), vec![0; 96]].concat();
    let mut set = source(&[]);
    set.files[0].name = "train-labels-idx1-ubyte".into();
    (set.files[0].header, set.files[0].sha256) = (header, None);
    set.files[0].keep = Keep::FirstColumn;
    let root = root(&[("tiny-train-labels-idx2-int", &extended)]);
    let folder = root.path().join("tiny");
    let mut said = Vec::new();
    let found = fetch::in_place(&set, &folder, &mut |event| said.push(format!("{event:?}")));
    assert_eq!(found.unwrap(), [None]);
    assert!(said.len() == 1 && said[0].contains("is int32 [3, 8], not uint8 [3]"), "{said:?}");
    let run = run_with(&set, root, network());
    assert!(matches!(run.result, Err(FetchError::Foreign { .. })), "{:?}", run.result);
    assert_eq!(fs::read(folder.join("tiny-train-labels-idx2-int")).unwrap(), extended);
}
