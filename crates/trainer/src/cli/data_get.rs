//! `trainer data get`: a known data set from another tool's cache or from the network.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use dataset::fetch::{
    self, Caches, Check, Event, Fetched, Network, Origin, Settings, Source, in_place,
};
use dataset::{Search, lookup};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use trainer::format::bytes;

use super::args::GetArgs;
use super::note;
use super::pipe::{self, Pipe};

pub fn run(args: GetArgs) -> Result<()> {
    // A slip in the last name is said before the first download.
    let sources: Vec<Source> =
        args.names.iter().map(|name| fetch::source(name)).collect::<Result<_, _>>()?;
    for source in &sources {
        get(source, &args, &mut pipe::stdout())?;
    }
    Ok(())
}

fn get(source: &Source, args: &GetArgs, out: &mut impl Write) -> Result<()> {
    if !args.quiet {
        let about = lookup(&source.name).map_or("", |known| known.about);
        writeln!(out, "{}: {about}", source.name)?;
    }
    let root = match here(source, args)? {
        Here::Whole(files) => {
            for file in &files {
                report(out, file, args.quiet)?;
            }
            return Ok(());
        }
        Here::Replace(root) => root,
        Here::Nowhere => destination(args)?,
    };
    let settings = Settings {
        root,
        caches: Caches { torchvision: args.torchvision.clone(), ..Caches::of_this_user() },
        network: (!args.offline).then(Network::default),
    };
    let line = TransferLine::new(!args.quiet);
    let mut written = Ok(());
    let set = fetch::get(source, &settings, &mut |event| {
        line.show(event);
        if let Event::Placed { file } = event {
            let result = line.0.suspend(|| report(out, file, args.quiet));
            written = std::mem::replace(&mut written, Ok(())).and(result);
        }
    });
    line.0.finish_and_clear();
    let set = set?;
    written?;
    if !args.quiet {
        if !source.note.is_empty() {
            note(&source.note);
        }
        writeln!(out, "in {}", set.folder.display())?;
    }
    Ok(())
}

/// Fetches the known data set `name` for a command that needs it, as `trainer data get` would.
/// What is done is told on standard error: standard output is the command's.
pub fn download(name: &str, data_dir: Option<PathBuf>) -> Result<()> {
    let source = fetch::source(name)?;
    let args = GetArgs {
        names: Vec::new(),
        data_dir,
        torchvision: Vec::new(),
        offline: false,
        quiet: false,
    };
    get(&source, &args, &mut Pipe::beside(io::stderr()))
}

/// What is here already.
enum Here {
    /// All files, verified.
    Whole(Vec<Fetched>),
    /// Not all good: what is fetched goes into this folder, where it is found before them.
    Replace(PathBuf),
    Nowhere,
}

/// Looks where every other command would look.
fn here(source: &Source, args: &GetArgs) -> Result<Here> {
    // A folder that does not exist yet is fine as a destination.
    let data_dir = args.data_dir.clone().filter(|folder| folder.is_dir());
    let search = match (&args.data_dir, data_dir) {
        (Some(_), None) => return Ok(Here::Nowhere),
        (Some(_), data_dir) => Search { data_dir, ..Search::default() },
        (None, _) => Search::from_env(None),
    };
    let Some(folder) = search.locate(&source.name)? else { return Ok(Here::Nowhere) };
    let mut damaged = Vec::new();
    let found = in_place(source, &folder, &mut |event| {
        if let Event::Skipped { path, why } = event {
            damaged.push(passed_over(path, why));
        }
    })?;
    let found: Option<Vec<(PathBuf, Check)>> = found.into_iter().collect();
    if let Some(found) = found {
        let file = |(path, check)| Fetched { path, origin: Origin::InPlace, check };
        return Ok(Here::Whole(found.into_iter().map(file).collect()));
    }
    // What comes first in the search is repaired, or it would go on to be what is found.
    let own = folder.file_name().is_some_and(|name| name == source.name.as_str());
    if let Some(root) = folder.parent().filter(|_| own) {
        return Ok(Here::Replace(root.to_owned()));
    }
    // Here they are not repaired: `fetch::get` looks into NAME, and does not see them.
    damaged.iter().for_each(|text| note(text));
    // MNIST/raw and the like come after NAME in the same folder.
    let raw = folder.parent().filter(|_| folder.ends_with("raw") && !damaged.is_empty());
    Ok(raw.and_then(Path::parent).map_or(Here::Nowhere, |root| Here::Replace(root.to_owned())))
}

fn passed_over(path: &Path, why: &str) -> String {
    format!("{}: passed over: it {why}", path.display())
}

fn destination(args: &GetArgs) -> Result<PathBuf> {
    let cache = || Search::from_env(None).cache_dir;
    args.data_dir.clone().or_else(cache).ok_or_else(|| {
        anyhow!("there is no home folder to keep data sets in: name one with --data-dir FOLDER")
    })
}

/// One line for a file that is in place.
fn report(out: &mut impl Write, file: &Fetched, quiet: bool) -> io::Result<()> {
    if quiet {
        return Ok(());
    }
    let size = file.path.metadata().map_or(0, |metadata| metadata.len());
    let origin = match &file.origin {
        Origin::InPlace => format!("was in place: {}", file.path.display()),
        Origin::Beside { path } => format!("restored from {}", path.display()),
        Origin::Cache { tool, path } => format!("copied from {tool}: {}", path.display()),
        Origin::Mirror { url } => format!("from {url}"),
        Origin::Archive { path } => {
            format!("out of {}, which is kept for other sets and may be deleted", path.display())
        }
    };
    let name = file.path.file_name().unwrap_or_default().display();
    writeln!(out, "  {name}: {}, {}, {origin}", bytes(size), file.check)
}

/// The line that shows on a terminal how far a transfer is.
struct TransferLine(ProgressBar);

impl TransferLine {
    fn new(shown: bool) -> Self {
        let target = match shown {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        Self(ProgressBar::with_draw_target(None, target).with_style(style()))
    }

    fn show(&self, event: &Event<'_>) {
        let say = |text: &str| self.0.suspend(|| note(text));
        match event {
            Event::Receiving { name, received, total, .. } => {
                let name = Path::new(name).file_name().unwrap_or_default().display().to_string();
                if self.0.message() != name {
                    self.0.reset();
                    self.0.set_message(name);
                }
                match total {
                    Some(total) => self.0.set_length(*total),
                    None => self.0.unset_length(),
                }
                self.0.set_position(*received);
            }
            Event::Copying { name, .. } => self.0.set_message(name.to_string()),
            Event::Skipped { path, why } => say(&passed_over(path, why)),
            Event::Retry { url, reason, wait } => {
                say(&format!("{url}: {reason}; trying again in {} s", wait.as_secs_f32()));
            }
            Event::MirrorFailed { failure } => say(&format!("{}: {}", failure.url, failure.reason)),
            _ => {}
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:30} {percent:>3}%  {size}  {rate}")
        .expect("the template is well-formed")
        .progress_chars("█▉▊▋▌▍▎▏ ")
        .with_key("size", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = match state.len() {
                Some(total) => write!(out, "{} of {}", bytes(state.pos()), bytes(total)),
                None => out.write_str(&bytes(state.pos())),
            };
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}/s", bytes(state.per_sec() as u64));
        })
}
