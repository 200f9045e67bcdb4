//! The line that shows on a terminal how far the training is.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use trainer::Progress;
use trainer::format::grouped;

/// How often the line is brought up to date: often enough to look alive, seldom enough to cost the
/// training nothing.
const PERIOD: Duration = Duration::from_millis(100);

/// What a training run amounts to.
#[derive(Clone, Copy)]
pub struct Extent {
    pub epochs: usize,
    /// Training examples an epoch.
    pub examples: usize,
    pub batch_size: usize,
}

impl Extent {
    /// Examples done after `step` steps of `epoch` (from 1).
    fn done(self, epoch: usize, step: usize) -> u64 {
        let before = epoch.saturating_sub(1).saturating_mul(self.examples);
        before.saturating_add(step.saturating_mul(self.batch_size).min(self.examples)) as u64
    }
}

/// The progress line; other output goes through [`beside`](Self::beside).
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Runs `print` with the line out of the way.
    pub fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

/// Runs `train` while a second thread draws `progress` on standard error; with `shown` false, or
/// where that is not a terminal, nothing is drawn.
pub fn watch<T>(
    shown: bool,
    extent: Extent,
    progress: &Progress,
    train: impl FnOnce(&ProgressLine) -> T,
) -> T {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    if !shown || target.is_hidden() {
        return train(&ProgressLine(ProgressBar::hidden()));
    }
    let length = extent.done(extent.epochs, usize::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style());
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        let drawer = scope.spawn(|| {
            while !finished.load(Ordering::Acquire) {
                let (epoch, step) = progress.get();
                bar.set_message(format!("epoch {}/{}", epoch.max(1), extent.epochs));
                bar.set_position(extent.done(epoch, step));
                thread::park_timeout(PERIOD);
            }
        });
        // Dropped on panic as well: the scope waits for the drawer, which must not wait for it.
        let _stop = Stop { finished: &finished, drawer: drawer.thread(), bar: &bar };
        train(&ProgressLine(bar.clone()))
    })
}

struct Stop<'a> {
    finished: &'a AtomicBool,
    drawer: &'a Thread,
    bar: &'a ProgressBar,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.finished.store(true, Ordering::Release);
        self.drawer.unpark();
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:30} {percent:>3}%  {rate}  {left} left")
        .expect("the template is well-formed")
        .progress_chars("█▉▊▋▌▍▎▏ ")
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{} samples/s", grouped(state.per_sec() as u64));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&duration(state.eta()));
        })
}

/// `8 s`, `2:05 min`, `1:02:03 h`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes}:{rest:02} min"),
        _ => format!("{hours}:{minutes:02}:{rest:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [(0.2, "1 s"), (59.0, "59 s"), (125.0, "2:05 min"), (3723.0, "1:02:03 h")];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn a_last_partial_batch_does_not_overshoot() {
        let extent = Extent { epochs: 2, examples: 100, batch_size: 32 };
        assert_eq!(extent.done(0, 0), 0);
        assert_eq!(extent.done(1, 1), 32);
        assert_eq!(extent.done(1, 4), 100);
        assert_eq!(extent.done(2, 4), 200);
    }
}
