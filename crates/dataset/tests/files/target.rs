//! Where a data set is written to: new and empty folders, whichever way they are named.

use super::*;
use dataset::formats::{Format, write};

const FORMATS: [Format; 2] = [Format::Idx, Format::Csv];

#[cfg(unix)]
#[test]
fn an_empty_folder_may_be_reached_by_a_link() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    for format in FORMATS {
        let (real, link) = (folder.path(&format!("real {format}")), folder.path("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&set, format, &link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(Dataset::open(&real).unwrap().train.len(), 6);
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(folder.names(""), ["real csv", "real idx", "set"]);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_refused_before_anything_is_written() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    std::os::unix::fs::symlink(folder.path("gone"), folder.path("link")).unwrap();
    let error = write(&set, Format::Idx, &folder.path("link")).unwrap_err();
    let expected =
        "link: target: found a link that leads nowhere, expected a new or an empty folder";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(folder.names(""), ["link", "set"]);
}
