//! Opening the data set that the command line names.

use std::path::Path;

use anyhow::{Result, bail};
use dataset::{Dataset, ReadOptions, Search};
use trainer::Model;
use trainer::format::tuple;

use super::args::DataArgs;
use super::failure::UsageError;
use super::{data_get, note};

/// What is trained on where nothing is named and this one is found.
const FIRST_CHOICE: &str = "mnist";

/// Opens the data set that is named; where none is, MNIST if it is here, else the built-in one.
pub fn open(args: &DataArgs) -> Result<Dataset> {
    let set = open_silently(args)?;
    for notice in &set.notices {
        note(notice);
    }
    Ok(set)
}

/// As [`open`], for a command that does not care how the data are divided.
pub fn open_silently(args: &DataArgs) -> Result<Dataset> {
    let search = Search::from_env(args.data_dir.clone());
    let options = ReadOptions {
        label_column: args.label_column.clone(),
        test: args.test_data.clone(),
        holdout: args.holdout,
        class_names: args.class_names.clone(),
        grey: args.grey,
        resize: args.resize,
        ..ReadOptions::default()
    };
    let find = |name: &str| -> Result<Dataset> {
        match dataset::lookup(name) {
            Some(known) if args.download && !known.is_synthetic() => {
                // The folder to look in is the folder to fetch into, and may be new.
                let is_new = args.data_dir.as_ref().is_some_and(|folder| !folder.exists());
                if is_new || search.locate(known.name)?.is_none() {
                    data_get::download(known.name, args.data_dir.clone())?;
                }
            }
            _ => {}
        }
        Ok(Dataset::find_with(name, &search, &options)?)
    };
    let set = match args.data.as_ref().or(args.data_flag.as_ref()) {
        Some(name) => find(name)?,
        None if args.download || search.locate(FIRST_CHOICE)?.is_some() => find(FIRST_CHOICE)?,
        None => {
            note(
                "MNIST is not here, so this runs on glyphs, a built-in synthetic data set of \
                 drawn digits; `trainer data get mnist` (or --download) fetches MNIST",
            );
            find(dataset::GLYPHS)?
        }
    };
    Ok(set)
}

/// Sees to it that `model`, read from `path`, takes the examples of `set`, which was named on the
/// command line or not.
pub fn check_fit(model: &Model, path: &Path, set: &Dataset, named: bool) -> Result<()> {
    let (takes, has) = (model.input_shape(), set.test.shape());
    if takes != has {
        bail!(
            "{}: the model takes examples shaped {}, and those of {} are {}; name the data set it \
             was trained on",
            path.display(),
            tuple(takes),
            set.title(),
            tuple(has)
        );
    }
    let names = model.class_names();
    if !names.is_empty() && *names != set.classes {
        let list = |names: &[String]| {
            let more = if names.len() > 3 { ", ..." } else { "" };
            names[..names.len().min(3)].join(", ") + more
        };
        let fault = format!(
            "{}: the model tells {} apart, and the classes of {} are {}",
            path.display(),
            list(names),
            set.title(),
            list(&set.classes)
        );
        if !named {
            return Err(UsageError(format!("{fault}; name the data set after the model")).into());
        }
        note(&fault);
    }
    Ok(())
}

impl DataArgs {
    /// Whether a data set was named.
    pub fn is_named(&self) -> bool {
        self.data.is_some() || self.data_flag.is_some()
    }
}
