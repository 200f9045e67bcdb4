//! Sets that come in an archive with others, as EMNIST's do.

use std::fs;
use std::io::Write;

use dataset::fetch::{Archive, Check, Origin, Source};
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::server::{Server, serve_cut};
use crate::setup::{NAME, Run, gzip, images, names, network, run_with, sha256, source};

fn zip(member: &str, method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [("gzip/other.gz", b"other".to_vec()), (member, gzip(&images()))] {
        writer.start_file(name, options).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn set(mirrors: &[&Server], archive: &[u8]) -> Source {
    let mirrors: Vec<String> = mirrors.iter().map(|server| server.base()).collect();
    let mut source = source(&mirrors);
    source.archive = Some(Archive {
        remote: "gzip.zip".into(),
        local: "shared/gzip.zip".into(),
        bytes: archive.len() as u64,
        sha256: sha256(archive),
    });
    source.files[0].remote = "gzip/tiny-train.gz".into();
    source.files[0].sha256 = None;
    source
}

fn get(set: &Source, root: TempDir) -> Run {
    run_with(set, root, network())
}

#[test]
fn the_file_is_extracted_and_the_archive_kept_for_the_other_sets() {
    for method in [CompressionMethod::Deflated, CompressionMethod::Stored] {
        let archive = zip("gzip/tiny-train.gz", method);
        let server = Server::good(&archive);
        let run = get(&set(&[&server], &archive), tempfile::tempdir().unwrap());
        run.assert_placed();
        let kept = run.root.path().join("shared/gzip.zip");
        let file = &run.result.as_ref().unwrap().files[0];
        assert_eq!(file.check, Check::Download);
        assert_eq!(file.origin, Origin::Archive { path: kept.clone() });
        assert_eq!(names(kept.parent().unwrap()), ["gzip.zip"]);

        // Another set of the same archive: no request.
        let other = Source { name: "other".into(), ..set(&[&server], &archive) };
        let run = get(&other, run.root);
        run.result.unwrap();
        assert_eq!(names(&run.root.path().join("other")), [NAME]);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_cut_off_archive_goes_on_and_a_wrong_one_is_refused() {
    let archive = zip("gzip/tiny-train.gz", CompressionMethod::Stored);
    let mut wrong = archive.clone();
    wrong[100] ^= 1;
    let bad = Server::good(&wrong);
    let good = Server::start({
        let archive = archive.clone();
        move |request, stream| {
            let cut = if request.number == 0 { 80_000 } else { usize::MAX };
            serve_cut(stream, request, &archive, "\"v1\"", cut);
        }
    });
    let run = get(&set(&[&bad, &good], &archive), tempfile::tempdir().unwrap());
    run.assert_placed_despite("is published");
    assert_eq!(good.requests()[1].offset(), 80_000);

    let run = get(&set(&[&bad], &archive), tempfile::tempdir().unwrap());
    run.failures();
    assert_eq!(names(run.root.path()), [""; 0]);
    let message = run.result.unwrap_err().to_string();
    assert!(message.contains("put gzip.zip into") && message.contains("shared"), "{message}");
}

#[test]
fn a_damaged_archive_in_place_is_fetched_anew() {
    let archive = zip("gzip/tiny-train.gz", CompressionMethod::Stored);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("shared")).unwrap();
    fs::write(root.path().join("shared/gzip.zip"), &archive[..1000]).unwrap();
    let server = Server::good(&archive);
    get(&set(&[&server], &archive), root).assert_placed_despite("has 1000 bytes where");
}

#[test]
fn an_archive_without_the_file_says_so() {
    let archive = zip("gzip/renamed.gz", CompressionMethod::Stored);
    let server = Server::good(&archive);
    let run = get(&set(&[&server], &archive), tempfile::tempdir().unwrap());
    let message = run.result.as_ref().unwrap_err().to_string();
    assert!(message.contains("is no archive with the file in it"), "{message}");
    assert_eq!(run.names(), [""; 0]);
}
