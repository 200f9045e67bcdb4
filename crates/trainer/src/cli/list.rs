//! `trainer data list`: what is known, what is here, where, and how large.

use std::io::Write;

use anyhow::Result;
use dataset::Search;
use trainer::format::bytes;

use super::args::ListArgs;
use super::pipe;

pub fn run(args: ListArgs) -> Result<()> {
    let search = Search::from_env(args.data_dir);
    let listed = dataset::list(&search)?;
    let mut out = pipe::stdout();
    let width = listed.iter().map(|set| set.name.chars().count()).max().unwrap_or(0);
    for set in &listed {
        let place = match &set.found {
            Some(found) => {
                format!("{} ({}, {})", found.path.display(), found.format, bytes(found.bytes))
            }
            None if set.synthetic => "drawn on first use".to_owned(),
            None => format!("not here; `trainer data get {}`", set.name),
        };
        writeln!(out, "{:<width$}  {place}", set.name)?;
        if !set.about.is_empty() {
            writeln!(out, "{:<width$}  {}", "", set.about)?;
        }
    }
    let folders: Vec<_> =
        search.folders().iter().map(|folder| folder.display().to_string()).collect();
    writeln!(out, "\nlooked in {}", folders.join(", "))?;
    Ok(())
}
