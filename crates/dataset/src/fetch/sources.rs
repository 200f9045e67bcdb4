//! Which data sets can be fetched, from where, and what their files must be.
//!
//! Hosts: those that the frameworks themselves use, in order of how well they have answered for
//! years; never the original host of MNIST, which refuses most requests.
//!
//! Hashes: those of MNIST's and Fashion-MNIST's payloads were taken from the inflated files. For
//! the other sets only hashes of the compressed downloads are published: KMNIST's and EMNIST's in
//! the checksum files of TensorFlow Datasets, QMNIST's in torchvision's prototype data sets.

use super::FetchError;
use crate::catalogue::{FILE_NAMES, suggestion};
use crate::idx::{ElementType, Header};
use crate::{Known, lookup};

/// A data set that can be fetched: four files, and where they are.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name on the command line, and of the folder its files go to.
    pub name: String,
    /// What a user should know of its files, in one sentence; empty for most.
    pub note: String,
    /// Base addresses, each ending in `/`, in the order they are tried.
    pub mirrors: Vec<String>,
    /// The archive that holds the files, for a set that is published in one.
    pub archive: Option<Archive>,
    /// The files of the set.
    pub files: Vec<SourceFile>,
}

/// An archive (ZIP) that holds the files of one or several sets.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Its name at the mirrors.
    pub remote: String,
    /// Where it is kept, relative to the folder of all sets.
    pub local: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The sha256 of the whole archive.
    pub sha256: String,
}

/// One file of a set.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name it gets here: the usual one, as MNIST has it, without `.gz`.
    pub name: String,
    /// Its name at the mirrors, or its path in the archive; compressed by gzip.
    pub remote: String,
    /// The IDX header it has when inflated.
    pub header: Header,
    /// The sha256 of the whole inflated file, in hexadecimal, where it is known.
    pub sha256: Option<String>,
    /// The sha256 of the compressed download, where it is published.
    pub download_sha256: Option<String>,
    /// What of the inflated file is kept.
    pub keep: Keep,
}

/// What of an inflated file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, byte for byte.
    Whole,
    /// The first of several 32-bit columns, as bytes: the class number of QMNIST's extended labels.
    FirstColumn,
}

impl SourceFile {
    /// The header of what is kept.
    pub fn kept_header(&self) -> Header {
        match self.keep {
            Keep::Whole => self.header.clone(),
            Keep::FirstColumn => {
                Header { element: ElementType::U8, dims: self.header.dims[..1].to_vec() }
            }
        }
    }

    /// The sha256 of what is kept, where it is known.
    pub fn kept_sha256(&self) -> Option<&str> {
        self.sha256.as_deref().filter(|_| self.keep == Keep::Whole)
    }
}

/// All data sets that can be fetched.
pub fn sources() -> Vec<Source> {
    let mut all = vec![mnist(), fashion_mnist(), kmnist()];
    all.extend(["balanced", "letters", "digits"].map(emnist));
    all.push(qmnist());
    all
}

/// The data set called `name`, whatever its case, `_` for `-` allowed.
///
/// # Errors
/// [`FetchError::BuiltIn`] for a set that this program draws itself, and
/// [`FetchError::UnknownName`] with the names there are and the nearest one.
pub fn source(name: &str) -> Result<Source, FetchError> {
    let known = lookup(name);
    if let Some(known) = known.filter(|known| known.is_synthetic()) {
        return Err(FetchError::BuiltIn { name: known.name.into() });
    }
    let all = sources();
    let names: Vec<&str> = all.iter().map(|source| source.name.as_str()).collect();
    match all.iter().find(|source| known.is_some_and(|known| known.name == source.name)) {
        Some(found) => Ok(found.clone()),
        None => Err(FetchError::UnknownName {
            name: name.into(),
            nearest: suggestion(name).filter(|near| names.contains(&near.as_str())),
            known: names.join(", "),
        }),
    }
}

fn mnist() -> Source {
    Source {
        mirrors: strings(&[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
        ]),
        ..mnist_like("mnist", [None; 4])
    }
}

fn fashion_mnist() -> Source {
    Source {
        mirrors: strings(&[
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        ]),
        ..mnist_like("fashion-mnist", [None; 4])
    }
}

fn kmnist() -> Source {
    Source {
        mirrors: strings(&["https://codh.rois.ac.jp/kmnist/dataset/kmnist/"]),
        ..mnist_like(
            "kmnist",
            [
                Some("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
                Some("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
                Some("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
                Some("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
            ],
        )
    }
}

/// All of EMNIST comes in one archive of 536 MiB; each of its parts here is four files of it.
fn emnist(part: &str) -> Source {
    let mut source = mnist_like(&format!("emnist-{part}"), [None; 4]);
    let remote = ["train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1"];
    for (file, remote) in source.files.iter_mut().zip(remote) {
        file.remote = format!("gzip/emnist-{part}-{remote}-ubyte.gz");
    }
    source.note = "EMNIST's images are stored column by column, as published: seen row by row, \
                   each is mirrored along its diagonal"
        .into();
    source.mirrors = strings(&[
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    ]);
    source.archive = Some(Archive {
        remote: "gzip.zip".into(),
        local: "emnist/gzip.zip".into(),
        bytes: 561_753_746,
        sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e".into(),
    });
    source
}

fn qmnist() -> Source {
    let mut source = mnist_like(
        "qmnist",
        [
            Some("9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d"),
            Some("2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f"),
            Some("43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375"),
            Some("9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06"),
        ],
    );
    let remote = [
        "train-images-idx3-ubyte",
        "train-labels-idx2-int",
        "test-images-idx3-ubyte",
        "test-labels-idx2-int",
    ];
    for (file, remote) in source.files.iter_mut().zip(remote) {
        file.remote = format!("qmnist-{remote}.gz");
        if let [count] = file.header.dims[..] {
            file.header = Header { element: ElementType::I32, dims: vec![count, 8] };
            file.keep = Keep::FirstColumn;
        }
    }
    source.note = "of the eight columns of QMNIST's labels the first, the class, is kept".into();
    source.mirrors =
        strings(&["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"]);
    source
}

/// A set of the catalogue with the four files of MNIST, of 28x28 images, and no mirror yet.
fn mnist_like(name: &str, download_sha256: [Option<&str>; 4]) -> Source {
    let known: &Known = lookup(name).expect("every source is in the catalogue");
    let (train, test) = known.examples;
    let dims = [vec![train, 28, 28], vec![train], vec![test, 28, 28], vec![test]];
    let files = dims.into_iter().enumerate().map(|(i, dims)| SourceFile {
        name: FILE_NAMES[i].into(),
        remote: format!("{}.gz", FILE_NAMES[i]),
        header: Header { element: ElementType::U8, dims },
        sha256: known.sha256.map(|all| all[i].into()),
        download_sha256: download_sha256[i].map(Into::into),
        keep: Keep::Whole,
    });
    Source {
        name: name.into(),
        note: String::new(),
        mirrors: Vec::new(),
        archive: None,
        files: files.collect(),
    }
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_published_payloads() {
        let lengths: Vec<usize> = mnist().files.iter().map(|f| f.header.file_size()).collect();
        assert_eq!(lengths, [47_040_016, 60_008, 7_840_016, 10_008]);
        // QMNIST's labels: 12 bytes of header, 60,000 rows of eight 32-bit numbers.
        let labels = &qmnist().files[1];
        assert_eq!(labels.header.file_size(), 12 + 60_000 * 32);
        assert_eq!(labels.kept_header().file_size(), 60_008);
    }

    #[test]
    fn everything_in_the_catalogue_but_the_built_in_set_has_a_source() {
        for known in crate::known() {
            assert_eq!(source(known.name).is_ok(), !known.is_synthetic(), "{}", known.name);
        }
    }

    #[test]
    fn every_mirror_is_https_and_none_is_the_dead_host() {
        for source in sources() {
            for mirror in &source.mirrors {
                assert!(mirror.starts_with("https://") && mirror.ends_with('/'), "{mirror}");
                assert!(!mirror.contains("lecun"), "{mirror}");
            }
        }
    }

    #[test]
    fn every_hash_is_64_hexadecimal_digits() {
        let is_sha256 = |hash: &String| {
            hash.len() == 64
                && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        };
        for source in sources() {
            assert!(source.archive.iter().all(|archive| is_sha256(&archive.sha256)));
            for file in &source.files {
                assert!(file.sha256.iter().all(is_sha256), "{}", file.name);
                assert!(file.download_sha256.iter().all(is_sha256), "{}", file.name);
                let known = source.archive.is_some()
                    || file.sha256.is_some()
                    || file.download_sha256.is_some();
                assert!(known, "{} of {} has no hash at all", file.name, source.name);
            }
        }
    }

    #[test]
    fn names_are_found_as_people_write_them_and_slips_get_the_nearest_one() {
        assert_eq!(source("Fashion_MNIST").unwrap().name, "fashion-mnist");
        let error = source("fasion-mnist").unwrap_err().to_string();
        assert!(error.contains("(did you mean fashion-mnist?)"), "{error}");
        let error = source("imagenet-22k-full").unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
        assert!(error.contains("kmnist, emnist-balanced"), "{error}");
        let error = source("glyphs").unwrap_err().to_string();
        assert!(error.contains("needs no download"), "{error}");
    }
}
