//! Small data sets, quick limits, and what a folder holds.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dataset::fetch::{
    self, Caches, Event, FetchError, FetchedSet, Keep, MirrorFailure, Network, Proxy, Settings,
    Source, SourceFile,
};
use dataset::idx::{ElementType, Header};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub const NAME: &str = "train-images-idx3-ubyte";

/// An IDX file of 200 images of 32x32 that no compressor makes smaller.
pub fn images() -> Vec<u8> {
    let mut file = header().to_bytes();
    file.extend((0..204_800u64).map(|i| dataset::mix(i) as u8));
    file
}

pub fn header() -> Header {
    Header { element: ElementType::U8, dims: vec![200, 32, 32] }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A set of one file, [`images`], at these mirrors.
pub fn source(mirrors: &[String]) -> Source {
    Source {
        name: "tiny".into(),
        note: String::new(),
        mirrors: mirrors.to_vec(),
        archive: None,
        files: vec![SourceFile {
            name: NAME.into(),
            remote: format!("{NAME}.gz"),
            header: header(),
            sha256: Some(sha256(&images())),
            download_sha256: None,
            keep: Keep::Whole,
        }],
    }
}

/// Limits in fractions of a second.
pub fn network() -> Network {
    Network {
        connect_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_millis(200),
        slow_time: Duration::from_secs(60),
        slow_bytes: 1,
        attempts: 3,
        backoff: Duration::from_millis(1),
        longest_wait: Duration::from_millis(10),
        redirects: 5,
        proxy: Proxy::None,
    }
}

pub fn settings(root: &Path) -> Settings {
    Settings { root: root.into(), caches: Caches::default(), network: Some(network()) }
}

/// What a run came to: its result, what was said on the way, and the folder it left.
pub struct Run {
    pub result: Result<FetchedSet, FetchError>,
    pub said: Vec<String>,
    pub root: TempDir,
}

/// Gets [`source`] from these mirrors into a new folder.
pub fn run(mirrors: &[String]) -> Run {
    run_with(&source(mirrors), tempfile::tempdir().unwrap(), network())
}

pub fn run_with(source: &Source, root: TempDir, network: Network) -> Run {
    let settings = Settings { network: Some(network), ..settings(root.path()) };
    let mut said = Vec::new();
    let result = fetch::get(source, &settings, &mut |event| match event {
        Event::Receiving { .. } => {}
        other => said.push(format!("{other:?}")),
    });
    Run { result, said, root }
}

impl Run {
    /// The names in the set's folder.
    pub fn names(&self) -> Vec<String> {
        names(&self.root.path().join("tiny"))
    }

    /// Asserts that the file is in place, is right, and that nothing else is left.
    #[track_caller]
    pub fn assert_placed(&self) {
        let set = self.result.as_ref().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(self.names(), [NAME]);
        assert_eq!(set.files.len(), 1);
        assert_eq!(fs::read(&set.files[0].path).unwrap(), images());
    }

    /// Asserts that every mirror failed and that nothing at all is left; returns the failures.
    #[track_caller]
    pub fn assert_nothing_left(&self) -> &[MirrorFailure] {
        assert_eq!(names(self.root.path()), [""; 0], "not even an empty folder");
        self.failures()
    }

    #[track_caller]
    pub fn failures(&self) -> &[MirrorFailure] {
        match &self.result {
            Err(FetchError::Unavailable { failures, .. }) => failures,
            other => panic!("expected every mirror to fail, got {other:?}"),
        }
    }

    /// Asserts that the file was placed although this was said of the first mirror.
    #[track_caller]
    pub fn assert_placed_despite(&self, what: &str) {
        self.assert_placed();
        assert!(self.said.iter().any(|said| said.contains(what)), "{:?}", self.said);
    }
}

/// The names in a folder, sorted; none if it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
