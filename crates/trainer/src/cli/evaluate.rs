//! `trainer evaluate`: a saved model on a test set.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use trainer::Model;
use trainer::format::grouped;

use super::args::EvaluateArgs;
use super::{data, note_debug_build, pipe};

#[derive(Serialize)]
struct Line {
    test_loss: f64,
    test_accuracy: f64,
    examples: usize,
    seconds: f64,
}

pub fn run(args: EvaluateArgs) -> Result<()> {
    let model = Model::load(&args.model)?;
    let set = data::open(&args.data)?;
    data::check_fit(&model, &args.model, &set, args.data.is_named())?;
    note_debug_build();
    let started = Instant::now();
    let test = model.evaluate(set.test.examples())?;
    let seconds = started.elapsed().as_secs_f64();
    set.check_unchanged()?;
    let examples = set.test.len();
    let mut out = pipe::stdout();
    if args.json {
        let line = Line { test_loss: test.loss, test_accuracy: test.accuracy, examples, seconds };
        pipe::json_line(&mut out, &line)?;
    } else {
        writeln!(
            out,
            "{}: test loss {:.4}, accuracy {:.4} ({} examples in {seconds:.3} s, {} a second)",
            set.title(),
            test.loss,
            test.accuracy,
            grouped(examples as u64),
            grouped((examples as f64 / seconds) as u64)
        )?;
    }
    Ok(())
}
