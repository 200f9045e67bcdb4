//! The names of classes: a text file of them, and what a name may be.

use std::fs;
use std::path::Path;

use crate::Error;

/// What [`is_fit`] asks for, for messages.
pub(crate) const FIT: &str = "a name without control characters, such as tabs and line ends";

/// Whether a class can have this name. A model keeps the names and prints them on terminals, where
/// control characters are commands: a model file that has some is refused.
pub(crate) fn is_fit(name: &str) -> bool {
    !name.contains(char::is_control)
}

/// The lines of a file of class names; `None` if there is no such file.
///
/// # Errors
/// If a line is empty, is not fit, or repeats another: two classes of one name cannot be told apart in
/// what is printed, and would share a folder when they are written as images.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<String>>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::read(path, e)),
    };
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let wrong = |line: usize, found: String, expected: &str| {
        Err(Error::invalid(path, format!("line {}", line + 1), found, expected))
    };
    if names.is_empty() {
        return Err(Error::Empty { path: path.to_owned(), expected: "a class name on each line" });
    }
    if let Some(line) = names.iter().position(String::is_empty) {
        return wrong(line, "an empty line".into(), "the name of a class");
    }
    if let Some(line) = names.iter().position(|name| !is_fit(name)) {
        return wrong(line, format!("{:?}", names[line]), FIT);
    }
    if let Some((first, again)) = repeated(&names) {
        let found = format!("{:?} again, as in line {}", names[again], first + 1);
        return wrong(again, found, "another name for each class");
    }
    Ok(Some(names))
}

/// Where the first name is that repeats another one, and where that other is: (other, first).
pub(crate) fn repeated(names: &[String]) -> Option<(usize, usize)> {
    let order = sorted(names);
    let pairs = order.windows(2).filter(|pair| names[pair[0]] == names[pair[1]]);
    pairs.map(|pair| (pair[0], pair[1])).min_by_key(|&(_, again)| again)
}

/// The numbers of the names in the order of the names, and of their numbers where they are the same.
pub(crate) fn sorted(names: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&i| &names[i]);
    order
}
