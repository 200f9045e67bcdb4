//! The published files themselves, where they are.

use std::env;
use std::path::{Path, PathBuf};

use dataset::fetch::{self, Check};

use crate::common::skip;

#[test]
fn the_real_files_are_what_the_table_says() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = env::var_os("FLATIRON_DATA").map_or(beside, PathBuf::from);
    for name in ["mnist", "fashion-mnist"] {
        let mut source = fetch::source(name).unwrap();
        // A debug build hashes some megabytes a second.
        source.files.retain(|file| !cfg!(debug_assertions) || file.name.contains("labels"));
        let folder = root.join(name);
        if !folder.is_dir() {
            skip(&format!(
                "the hashes of {name}: not in {}; set FLATIRON_DATA to the folder that {name}/ is in",
                root.display()
            ));
            continue;
        }
        let found = fetch::in_place(&source, &folder, &mut |_| {}).unwrap();
        for (file, found) in source.files.iter().zip(found) {
            let check = found.map(|(_, check)| check);
            assert_eq!(check, Some(Check::Payload), "{name}: {}", file.name);
        }
    }
}
