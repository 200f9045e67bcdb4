//! What the terminal can show.

use std::env;

/// Whether to use colours on a stream that is (or is not) a terminal: not where the user has set
/// `NO_COLOR` (https://no-color.org), nor on a terminal that has none.
pub fn colour(is_terminal: bool) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_terminal && !set("NO_COLOR") && !dumb
}
