//! Answers that come whole but are not the file: refused, whatever they look like.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dataset::fetch::{Check, Keep, Source};
use dataset::idx::{ElementType, Header};

use crate::server::{Server, head};
use crate::setup::{NAME, gzip, header, images, network, run, run_with, sha256, source};

/// Gets the file from a mirror that sends `body`, then from one that is good.
#[track_caller]
fn refused(body: &[u8], because: &str) {
    let bad = Server::always(200, &[], body);
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite(because);
    assert_eq!(bad.requests().len(), 1, "a damaged file is the same the next time");
}

#[test]
fn garbage() {
    refused(b"0123456789abcdef0123456789abcdef", "is neither gzip nor IDX");
    refused(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff], "corrupt gzip");
    refused(&vec![0; 5000], "is neither gzip nor IDX");
    refused(b"", "is empty");
}

#[test]
fn gzip_with_a_flipped_bit() {
    let mut body = gzip(&images());
    let middle = body.len() / 2;
    body[middle] ^= 4;
    // Incompressible data lie in stored blocks: nothing but checksum and hash can tell.
    refused(&body, "Damaged");
}

#[test]
fn gzip_cut_short_and_gzip_with_more_after_it() {
    let body = gzip(&images());
    refused(&body[..body.len() - 1], "ends within its gzip data");
    refused(&body[..body.len() / 2], "ends within its gzip data");
    refused(&[&body[..], b"tail"].concat(), "ends within its gzip data");
    refused(&[&body[..], b"a longer tail"].concat(), "corrupt gzip");
}

#[test]
fn another_idx_file() {
    let other = Header { element: ElementType::U8, dims: vec![100, 32, 32] };
    refused(&gzip(&other.to_bytes()), "is uint8 [100, 32, 32], not uint8 [200, 32, 32]");
    let mut wrong = images();
    wrong[5000] ^= 1;
    refused(&gzip(&wrong), "is published");
    wrong.truncate(10_000);
    refused(&gzip(&wrong), "inflates to 10000 of its 204816 bytes");
}

#[test]
fn more_than_the_header_says_however_much() {
    refused(&gzip(&[&images()[..], &[0]].concat()), "inflates to more than its 204816 bytes");
    // 16 MiB of zeros after a good header, in a few KiB.
    let mut bomb = header().to_bytes();
    bomb.resize(16 << 20, 0);
    refused(&gzip(&bomb), "inflates to more than its 204816 bytes");
}

#[test]
fn more_bytes_than_the_file_can_have() {
    let announced = Server::start(|_, stream| head(stream, 200, &["Content-Length: 99999999999"]));
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let endless = Server::start(move |_, stream| {
        head(stream, 200, &[]);
        let piece = [0x1f; 1 << 16];
        while stream.write_all(&piece).is_ok() {
            counted.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    for bad in [announced, endless] {
        let good = Server::good(&gzip(&images()));
        run(&[bad.base(), good.base()]).assert_placed_despite("TooLong");
        assert_eq!(bad.requests().len(), 1);
    }
    // The file has 200 kB; buffers between here and there take the rest.
    assert!(sent.load(Ordering::SeqCst) < 20 << 20);
}

#[test]
fn a_length_that_is_too_small() {
    let body = gzip(&images());
    let bad = Server::start(move |_, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", body.len() - 500)]);
        let _ = stream.write_all(&body);
    });
    let good = Server::good(&gzip(&images()));
    run(&[bad.base(), good.base()]).assert_placed_despite("ends within its gzip data");
}

#[test]
fn nothing_is_left_when_no_mirror_has_a_good_file() {
    let bad = Server::always(200, &[], &gzip(b"not it"));
    let run = run(&[bad.base()]);
    let failures = run.assert_nothing_left();
    assert_eq!(
        failures[0].reason.to_string(),
        "sent a file that is neither gzip nor IDX of uint8 [200, 32, 32]"
    );
}

#[test]
fn a_damaged_file_in_place_stays_until_a_good_one_has_come() {
    let damaged = &images()[..1000];
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("tiny").join(NAME);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, damaged).unwrap();

    let bad = Server::always(404, &[], b"");
    let run = run_with(&source(&[bad.base()]), root, network());
    run.failures();
    assert!(run.said[0].contains("inflates to 1000 of its 204816 bytes"), "{:?}", run.said);
    assert_eq!(std::fs::read(&path).unwrap(), damaged);

    let good = Server::good(&gzip(&images()));
    run_with(&source(&[good.base()]), run.root, network()).assert_placed();
}

/// A source whose payload hash is not known.
fn with_download_hash(mirror: &Server, hash: Option<String>) -> Source {
    let mut source = source(&[mirror.base()]);
    source.files[0].sha256 = None;
    source.files[0].download_sha256 = hash;
    source
}

#[test]
fn the_hash_of_the_download_serves_where_it_is_the_only_one() {
    let body = gzip(&images());
    let server = Server::good(&body);
    let root = || tempfile::tempdir().unwrap();

    let run = run_with(&with_download_hash(&server, Some(sha256(&body))), root(), network());
    run.assert_placed();
    assert_eq!(run.result.unwrap().files[0].check, Check::Download);

    let wrong = with_download_hash(&server, Some(sha256(b"another file")));
    let run = run_with(&wrong, root(), network());
    assert!(run.assert_nothing_left()[0].reason.to_string().contains("is published"));

    let run = run_with(&with_download_hash(&server, None), root(), network());
    run.assert_placed();
    let check = run.result.unwrap().files[0].check;
    assert_eq!(check, Check::NoHashKnown);
    assert!(check.to_string().starts_with("no sha256 is known"));
}

#[test]
fn a_file_that_was_inflated_on_the_way_is_taken_if_its_own_hash_is_known() {
    let server = Server::good(&images());
    run(&[server.base()]).assert_placed();
    let only_download = with_download_hash(&server, Some(sha256(&gzip(&images()))));
    let run = run_with(&only_download, tempfile::tempdir().unwrap(), network());
    assert!(run.assert_nothing_left()[0].reason.to_string().contains("is not gzip"));
}

#[test]
fn of_extended_labels_the_class_is_kept() {
    let extended = |classes: &[i32]| {
        let dims = vec![classes.len(), 8];
        let mut file = Header { element: ElementType::I32, dims: dims.clone() }.to_bytes();
        for &class in classes {
            for column in [class, 4, 1234, 5, 6, 7, 0, 1] {
                file.extend(i32::to_be_bytes(column));
            }
        }
        file
    };
    let set = |server: &Server| {
        let mut set = source(&[server.base()]);
        set.files[0].name = "train-labels-idx1-ubyte".into();
        set.files[0].header = Header { element: ElementType::I32, dims: vec![4, 8] };
        set.files[0].sha256 = None;
        set.files[0].keep = Keep::FirstColumn;
        set
    };
    let good = Server::good(&gzip(&extended(&[5, 0, 4, 255])));
    let run = run_with(&set(&good), tempfile::tempdir().unwrap(), network());
    let path = &run.result.as_ref().unwrap().files[0].path;
    assert_eq!(std::fs::read(path).unwrap(), [0, 0, 8, 1, 0, 0, 0, 4, 5, 0, 4, 255]);
    assert_eq!(run.names(), ["train-labels-idx1-ubyte"]);
    // The second time it is recognized as what was kept, not as what was downloaded.
    run_with(&set(&good), run.root, network()).result.unwrap();
    assert_eq!(good.requests().len(), 1);

    let bad = Server::good(&gzip(&extended(&[5, 0, -1, 9])));
    let run = run_with(&set(&bad), tempfile::tempdir().unwrap(), network());
    let reason = run.assert_nothing_left()[0].reason.to_string();
    assert_eq!(reason, "sent a file that has the class number -1");
}
