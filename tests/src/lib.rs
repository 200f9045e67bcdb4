//! What the end-to-end tests share: the real data sets, where they are.

use std::io::{self, Write};
use std::path::Path;

use dataset::{Dataset, Search};

/// Says that a test does nothing; past the capture of the output of tests that pass.
pub fn skip(why: &str) {
    #[expect(clippy::explicit_write, reason = "the test runner swallows what eprintln! prints")]
    writeln!(io::stderr(), "skipped: {why}").unwrap();
}

/// A known data set, from where the program looks, or from `../shared/data` beside the checkout; where
/// it is not, says that `what` is not tested.
pub fn real(name: &str, what: &str) -> Option<Dataset> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let usual = Search { local_dir: Some(root.join("data")), ..Search::from_env(None) };
    let beside = Search { local_dir: Some(root.join("../shared/data")), ..Search::default() };
    let here = |search: &&Search| search.locate(name).unwrap().is_some();
    let Some(search) = [&usual, &beside].into_iter().find(here) else {
        skip(&format!(
            "{what}: {name} is not here; get it with `cargo run --release -p trainer -- data get \
             {name}`, or set FLATIRON_DATA to a folder that has it"
        ));
        return None;
    };
    Some(Dataset::find(name, search).unwrap())
}
