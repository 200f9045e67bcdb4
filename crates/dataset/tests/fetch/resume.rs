//! Downloads that are cut off go on from where they were, if it is still the same file.

use std::fs;
use std::io::Write;
use std::path::Path;

use dataset::fetch::{FetchError, Reason};
use tempfile::TempDir;

use crate::server::{Server, head, reply, serve, serve_cut};
use crate::setup::{NAME, gzip, images, network, run, run_with, source};

/// Leaves a part as an earlier run would have.
fn leave_part(url: &str, etag: &str, total: Option<usize>, bytes: &[u8]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(format!("{NAME}.gz.part")), bytes).unwrap();
    let total = total.map(|total| total.to_string()).unwrap_or_default();
    let from = format!("{url}{NAME}.gz\n{etag}\n{total}\n");
    fs::write(folder.join(format!("{NAME}.gz.part.from")), from).unwrap();
    root
}

#[test]
fn a_cut_off_download_goes_on_by_range() {
    let body = gzip(&images());
    let total = body.len();
    let server = Server::start(move |request, stream| {
        let cut = if request.number < 2 { 50_000 } else { usize::MAX };
        serve_cut(stream, request, &body, "\"v1\"", cut);
    });
    run(&[server.base()]).assert_placed_despite(&format!("CutOff(50000, {total})"));
    let requests = server.requests();
    let offsets: Vec<usize> = requests.iter().map(|request| request.offset()).collect();
    assert_eq!(offsets, [0, 50_000, 100_000]);
    assert_eq!(requests[0].header("if-range"), None);
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
}

#[test]
fn a_date_serves_where_there_is_no_strong_etag() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| {
        let start = request.offset();
        let date = "Last-Modified: Tue, 01 Oct 2019 00:00:00 GMT";
        let length = format!("Content-Length: {}", body.len() - start);
        let range = format!("Content-Range: bytes {start}-{}/{}", body.len() - 1, body.len());
        let headers = [date, "ETag: W/\"weak\"", &length, &range];
        head(stream, if start == 0 { 200 } else { 206 }, &headers);
        let end = if start == 0 { 70_000 } else { body.len() };
        let _ = stream.write_all(&body[start..end]);
    });
    run(&[server.base()]).assert_placed();
    let expected = "Tue, 01 Oct 2019 00:00:00 GMT";
    assert_eq!(server.requests()[1].header("if-range"), Some(expected));
}

#[test]
fn a_server_that_knows_no_ranges_starts_over() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", body.len())]);
        let end = if request.number == 0 { 60_000 } else { body.len() };
        let _ = stream.write_all(&body[..end]);
    });
    run(&[server.base()]).assert_placed();
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.requests()[1].offset(), 60_000);
}

#[test]
fn a_file_that_changed_meanwhile_starts_over() {
    let old = gzip(b"an older version, much shorter, but long enough to be cut off");
    let new = gzip(&images());
    // One server honours If-Range, the other does not and says so by another ETag or length.
    for honours in [true, false] {
        let (old, new) = (old.clone(), new.clone());
        let server = Server::start(move |request, stream| {
            if request.number == 0 {
                return serve_cut(stream, request, &old, "\"old\"", 20);
            }
            if honours || request.offset() == 0 {
                return serve(stream, request, &new, "\"new\"");
            }
            let start = request.offset();
            let length = format!("Content-Length: {}", new.len() - start);
            let range = format!("Content-Range: bytes {start}-{}/{}", new.len() - 1, new.len());
            head(stream, 206, &["ETag: \"new\"", &length, &range]);
            let _ = stream.write_all(&new[start..]);
        });
        let run = run(&[server.base()]);
        match honours {
            true => run.assert_placed(),
            false => run.assert_placed_despite("a range of another file"),
        }
        assert_eq!(server.requests().len(), if honours { 2 } else { 3 });
    }
}

#[test]
fn two_halves_of_two_versions_are_noticed_and_fetched_anew() {
    // No ETag, no length to tell them apart: only the verification can.
    let body = gzip(&images());
    let mut other = body.clone();
    other[10_000] ^= 1;
    let server = Server::start(move |request, stream| {
        let start = request.offset();
        match request.number {
            0 => {
                head(stream, 200, &[&format!("Content-Length: {}", other.len())]);
                let _ = stream.write_all(&other[..60_000]);
            }
            _ if start > 0 => {
                let range = format!("Content-Range: bytes {start}-{}/*", body.len() - 1);
                reply(stream, 206, &[&range], &body[start..]);
            }
            _ => reply(stream, 200, &[], &body),
        }
    });
    run(&[server.base()]).assert_placed();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_range_that_ends_early_is_not_the_end() {
    let body = gzip(&images());
    let total = body.len();
    let server = Server::start(move |request, stream| match request.number {
        0 => serve_cut(stream, request, &body, "\"v1\"", 60_000),
        1 => {
            // A server may send less than was asked for (RFC 9110, section 15.3.7).
            let range = format!("Content-Range: bytes 60000-99999/{}", body.len());
            reply(stream, 206, &["ETag: \"v1\"", &range], &body[60_000..100_000]);
        }
        _ => serve(stream, request, &body, "\"v1\""),
    });
    run(&[server.base()]).assert_placed_despite(&format!("CutOff(100000, {total})"));
    assert_eq!(server.requests()[2].offset(), 100_000);
}

#[test]
fn a_range_of_another_place_is_not_appended() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| match request.number {
        0 => serve_cut(stream, request, &body, "\"v1\"", 60_000),
        1 => {
            let range = format!("Content-Range: bytes 100-{}/{}", body.len() - 1, body.len());
            reply(stream, 206, &["ETag: \"v1\"", &range], &body[100..]);
        }
        _ => serve(stream, request, &body, "\"v1\""),
    });
    run(&[server.base()]).assert_placed_despite("a range of another");
}

#[test]
fn a_length_that_is_too_large_is_settled_by_the_server_itself() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| match request.offset() {
        0 => {
            head(stream, 200, &[&format!("Content-Length: {}", body.len() + 1000)]);
            let _ = stream.write_all(&body);
        }
        // Nothing is left to send: what has arrived is all there is.
        _ => serve(stream, request, &body, "\"v1\""),
    });
    run(&[server.base()]).assert_placed_despite("CutOff(");
}

#[test]
fn a_length_that_is_too_large_without_ranges_is_given_up() {
    let body = gzip(&images());
    let lying = body.clone();
    let bad = Server::start(move |_, stream| {
        head(stream, 200, &[&format!("Content-Length: {}", lying.len() + 1000)]);
        let _ = stream.write_all(&lying);
    });
    let good = Server::good(&body);
    run(&[bad.base(), good.base()]).assert_placed_despite("MirrorFailed");
    assert_eq!(bad.requests().len(), 3);
}

#[test]
fn a_chunked_answer_that_breaks_off_is_not_the_end() {
    let body = gzip(&images());
    let server = Server::start(move |request, stream| {
        head(stream, 200, &["Transfer-Encoding: chunked"]);
        let end = if request.number == 0 { 40_000 } else { body.len() };
        let _ = write!(stream, "{end:x}\r\n");
        let _ = stream.write_all(&body[..end]);
        if request.number > 0 {
            let _ = stream.write_all(b"\r\n0\r\n\r\n");
        }
    });
    run(&[server.base()]).assert_placed_despite("Retry");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_line_that_breaks_often_gets_there_as_long_as_it_gets_further() {
    // Five MiB in pieces of one and a bit: more breaks than attempts.
    let mut payload =
        dataset::idx::Header { element: dataset::idx::ElementType::U8, dims: vec![5 << 20] }
            .to_bytes();
    payload.extend((0..5u64 << 20).map(|i| dataset::mix(i) as u8));
    let body = gzip(&payload);
    let server = Server::start(move |request, stream| {
        serve_cut(stream, request, &body, "\"v1\"", (1 << 20) + 70_000);
    });
    let mut set = source(&[server.base()]);
    set.files[0].header.dims = vec![5 << 20];
    set.files[0].sha256 = None;
    let run = run_with(&set, tempfile::tempdir().unwrap(), network());
    run.result.as_ref().unwrap();
    assert_eq!(fs::read(run.root.path().join("tiny").join(NAME)).unwrap(), payload);
    assert!(server.requests().len() > 4, "{}", server.requests().len());
}

#[test]
fn what_has_arrived_is_kept_for_the_next_run() {
    let body = gzip(&images());
    let total = body.len();
    let broken = Server::start({
        let body = body.clone();
        move |request, stream| match request.number {
            0 => serve_cut(stream, request, &body, "\"v1\"", 50_000),
            _ => reply(stream, 503, &[], b""),
        }
    });
    let run = run(&[broken.base()]);
    assert!(matches!(run.failures()[0].reason, Reason::Status(503)));
    // Under names that nothing takes for the file.
    assert_eq!(run.names(), [format!("{NAME}.gz.part"), format!("{NAME}.gz.part.from")]);

    let url = broken.base();
    let folder = run.root.path().join("tiny");
    let from = fs::read_to_string(folder.join(format!("{NAME}.gz.part.from"))).unwrap();
    assert_eq!(from, format!("{url}{NAME}.gz\n\"v1\"\n{total}\n"));
}

#[test]
fn the_next_run_goes_on_from_there_at_the_same_mirror() {
    let body = gzip(&images());
    let (first, second) = (Server::good(&body), Server::good(&body));
    let root = leave_part(&second.base(), "\"v1\"", Some(body.len()), &body[..90_000]);
    let run = run_with(&source(&[first.base(), second.base()]), root, network());
    run.assert_placed();
    // The bytes came from the second mirror, so that one is asked for the rest.
    assert!(first.requests().is_empty());
    assert_eq!(second.requests()[0].offset(), 90_000);
}

#[test]
fn another_mirror_s_failure_does_not_cost_what_has_arrived() {
    let body = gzip(&images());
    let gone = Server::always(404, &[], b"");
    let away = Server::always(503, &[], b"");
    let root = leave_part(&away.base(), "\"v1\"", Some(body.len()), &body[..90_000]);
    let run = run_with(&source(&[gone.base(), away.base()]), root, network());
    run.failures();
    let part = run.root.path().join("tiny").join(format!("{NAME}.gz.part"));
    assert_eq!(fs::read(part).unwrap(), body[..90_000]);
}

#[test]
fn a_part_that_is_whole_needs_no_request() {
    let body = gzip(&images());
    let server = Server::good(&body);
    let root = leave_part(&server.base(), "\"v1\"", Some(body.len()), &body);
    run_with(&source(&[server.base()]), root, network()).assert_placed();
    assert!(server.requests().is_empty());
}

#[test]
fn a_part_that_is_damaged_is_fetched_anew() {
    let body = gzip(&images());
    let mut wrong = body[..90_000].to_vec();
    wrong[4000] ^= 1;
    let server = Server::good(&body);
    let root = leave_part(&server.base(), "\"v1\"", Some(body.len()), &wrong);
    run_with(&source(&[server.base()]), root, network()).assert_placed();
    let offsets: Vec<usize> = server.requests().iter().map(|r| r.offset()).collect();
    assert_eq!(offsets, [90_000, 0]);
}

#[test]
fn a_part_of_nobody_knows_what_is_fetched_anew() {
    let body = gzip(&images());
    let server = Server::good(&body);
    let part_from = |root: &Path| root.join("tiny").join(format!("{NAME}.gz.part.from"));
    for from in [None, Some("nonsense"), Some("http://elsewhere.invalid/x\n\n\n")] {
        let root = leave_part(&server.base(), "\"v1\"", Some(body.len()), &body[..90_000]);
        match from {
            None => fs::remove_file(part_from(root.path())).unwrap(),
            Some(text) => fs::write(part_from(root.path()), text).unwrap(),
        }
        run_with(&source(&[server.base()]), root, network()).assert_placed();
    }
    assert!(server.requests().iter().all(|request| request.offset() == 0));

    let gone = Server::always(404, &[], b"");
    let root = leave_part(&gone.base(), "", None, &body[..90_000]);
    fs::remove_file(part_from(root.path())).unwrap();
    run_with(&source(&[gone.base()]), root, network()).assert_nothing_left();
}

#[test]
fn two_runs_at_once_do_not_write_to_the_same_part() {
    let body = gzip(&images());
    let server = Server::good(&body);
    let root = leave_part(&server.base(), "\"v1\"", Some(body.len()), &body[..90_000]);
    let part = root.path().join("tiny").join(format!("{NAME}.gz.part"));
    let other = fs::File::open(&part).unwrap();
    other.lock().unwrap();
    let run = run_with(&source(&[server.base()]), root, network());
    assert!(matches!(run.result, Err(FetchError::Busy { .. })), "{:?}", run.result);
    assert_eq!(fs::read(&part).unwrap(), body[..90_000]);
    assert!(server.requests().is_empty());
    drop(other);
    run_with(&source(&[server.base()]), run.root, network()).assert_placed();
}
