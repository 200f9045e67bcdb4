//! The built-in data set: the same everywhere, kept once, made again if damaged.

use super::*;
use dataset::glyphs::{SEED, generate};
use dataset::{FeaturesView, LabelsView};
use sha2::{Digest, Sha256};

fn cache(folder: &Folder) -> Search {
    Search { cache_dir: Some(folder.path("cache")), ..Search::default() }
}

#[test]
fn the_bytes_are_those_of_every_other_machine() {
    let (pixels, labels) = generate(SEED, 0..256);
    let mut hash = Sha256::new();
    hash.update(&pixels);
    hash.update(&labels);
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    // A change of the drawing changes this, and must come with a new cache folder's name.
    assert_eq!(hash, "18193f6f97797e0f9fdced6d833843bd902b51ff959c0684e7cdbdab09ce52cd");
}

#[test]
fn a_glyph_depends_on_the_seed_and_its_number_alone() {
    let whole = generate(SEED, 0..100);
    let part = generate(SEED, 40..60);
    assert_eq!(part.0, whole.0[40 * 784..60 * 784]);
    assert_eq!(part.1, whole.1[40..60]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(pool.install(|| generate(SEED, 0..100)), whole);
    assert_ne!(generate(SEED + 1, 0..100).0, whole.0);
}

#[test]
fn they_are_kept_in_the_cache_and_always_called_synthetic() {
    let folder = Folder::empty();
    let set = Dataset::find("glyphs", &cache(&folder)).unwrap();
    assert_eq!((set.title().as_str(), set.synthetic), ("glyphs (synthetic)", true));
    assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
    assert_eq!((set.train.shape(), set.classes.len()), (&[28, 28][..], 10));
    assert!(set.notices.is_empty(), "{:?}", set.notices);
    for count in set.train.label_counts(10) {
        assert!((5_700..6_300).contains(&count), "{count} of one digit");
    }
    assert!(set.verify().iter().all(|array| array.verdict == dataset::Verdict::Published));
    let files = folder.names("cache/glyphs-v1");
    assert_eq!(files.len(), 4, "{files:?}");
    let written = |name: &str| {
        fs::metadata(folder.path("cache/glyphs-v1").join(name)).unwrap().modified().unwrap()
    };
    let before: Vec<_> = files.iter().map(|name| written(name)).collect();
    Dataset::find("glyphs", &cache(&folder)).unwrap();
    assert_eq!(files.iter().map(|name| written(name)).collect::<Vec<_>>(), before);

    // A truncated file in the cache is made again, not complained about.
    let images = folder.path("cache/glyphs-v1/t10k-images-idx3-ubyte");
    let whole = fs::read(&images).unwrap();
    drop(set);
    fs::write(&images, &whole[..1000]).unwrap();
    Dataset::find("glyphs", &cache(&folder)).unwrap();
    assert_eq!(fs::read(&images).unwrap(), whole);
}

#[test]
fn as_many_as_asked_for_are_written_a_few_at_a_time() {
    let folder = Folder::empty();
    let target = folder.path("many");
    dataset::glyphs::write_many(&target, 10_000, 50, 9).unwrap();
    let set = Dataset::open(&target).unwrap();
    let (pixels, labels) = generate(9, 0..10_050);
    let examples = [&set.train, &set.test].map(|part| part.examples());
    let both = examples.map(|examples| match (examples.features(), examples.labels()) {
        (FeaturesView::U8(pixels), LabelsView::U8(labels)) => (pixels, labels),
        _ => panic!("bytes"),
    });
    assert!([both[0].0, both[1].0].concat() == pixels);
    assert_eq!([both[0].1, both[1].1].concat(), labels);
    // A folder with something in it is left alone.
    let error = dataset::glyphs::write_many(&target, 5, 5, 9).unwrap_err();
    assert!(error.to_string().contains("a new or an empty folder"), "{error}");
    assert_eq!(Dataset::open(&target).unwrap().train.len(), 10_000);
    for (train, test) in [(0, 5), (5, 0), (1 << 32, 5)] {
        let error = dataset::glyphs::write_many(&folder.path("no"), train, test, 9).unwrap_err();
        assert!(error.to_string().contains("expected 1 to 4294967295"), "{error}");
    }
}

#[test]
fn without_a_cache_they_are_drawn_into_memory_with_a_notice() {
    let folder = Folder::empty();
    fs::write(folder.path("cache"), b"a file where the cache folder should be").unwrap();
    let set = Dataset::find("glyphs", &cache(&folder)).unwrap();
    assert_eq!((set.train.len(), set.synthetic), (60_000, true));
    assert_eq!(set.notices.len(), 1);
    assert!(set.notices[0].contains("kept in memory"), "{}", set.notices[0]);
}
