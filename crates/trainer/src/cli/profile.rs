//! `--profile`: where the epochs' time went.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use kernels::Isa;
use trainer::{History, Model, Phase};

/// Measured for this long, the peak of one core is known to a few per cent.
const PROBE: Duration = Duration::from_millis(50);

/// Prints a line a phase: time a thread and epoch, its share, and for the products the rate.
pub fn write(out: &mut impl Write, model: &Model, history: &History) -> io::Result<()> {
    let (profile, threads) = (history.profile(), history.threads().max(1.0));
    let epochs = history.epochs.len().max(1) as f64;
    let total: Duration = Phase::ALL.iter().map(|&phase| profile.time(phase)).sum();
    let peak = peak() * threads;
    writeln!(
        out,
        "\n{:<26}{:>12}{:>8}{:>10}{:>9}",
        "phase", "ms an epoch", "share", "GFLOP/s", "of peak"
    )?;
    for phase in Phase::ALL {
        let time = profile.time(phase).as_secs_f64();
        write!(
            out,
            "{:<26}{:>12.1}{:>7.1}%",
            phase.name(),
            1e3 * time / epochs / threads,
            100.0 * time / total.as_secs_f64().max(1e-9)
        )?;
        let flops =
            model.flops_of(phase) * history.epochs.iter().map(|e| e.samples).sum::<usize>() as f64;
        if flops > 0.0 && time > 0.0 {
            let rate = flops / (time / threads);
            write!(out, "{:>10.1}{:>8.0}%", rate / 1e9, 100.0 * rate / peak)?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "\nGFLOP/s count every multiply-add, those with zeros as well, against a peak of {:.0} \
         ({} times one core).\nOf the first layer's, {:.0} % were computed: the others are with \
         zeros.",
        peak / 1e9,
        (10.0 * threads).round() / 10.0,
        100.0 * profile.density()
    )
}

/// Floating-point operations a second of one core, from registers: the best of a few tries.
fn peak() -> f64 {
    let isa = Isa::best();
    let mut best = 0.0f64;
    let start = Instant::now();
    while start.elapsed() < PROBE {
        let try_start = Instant::now();
        let operations = kernels::peak::multiply_adds(isa, 200_000);
        best = best.max(operations / try_start.elapsed().as_secs_f64());
    }
    best
}
