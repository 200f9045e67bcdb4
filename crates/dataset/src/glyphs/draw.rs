//! Drawing one glyph: its skeleton bent, slanted, placed, and inked into 28x28 pixels.
//!
//! Everything here is additions, multiplications, divisions and square roots, which IEEE 754 makes
//! the same on every machine; no function of a mathematics library is called. So the same seed
//! gives the same bytes anywhere.

use super::skeleton::{Stroke, variants};
use super::{PIXELS, SIDE};
use crate::mix;

/// Random numbers for one glyph: the n-th is a hash of (seed, glyph, n).
pub(super) struct Dice {
    key: u64,
    drawn: u64,
}

impl Dice {
    pub(super) fn new(seed: u64, glyph: u64) -> Self {
        Self { key: mix(seed ^ mix(glyph.wrapping_add(0x9e37_79b9_7f4a_7c15))), drawn: 0 }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.key.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// One of `0..n`, each as likely.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Uniform between `low` and `high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        // 24 bits: as many as an f32 holds exactly.
        let unit = (self.next() >> 40) as f32 / (1u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// A hump around 0, within `-reach..reach`: the mean of three uniform draws.
    fn around_zero(&mut self, reach: f32) -> f32 {
        let sum = self.between(-1.0, 1.0) + self.between(-1.0, 1.0) + self.between(-1.0, 1.0);
        sum / 3.0 * reach
    }
}

/// Draws `digit` into `pixels`, [`PIXELS`] zeros.
pub(super) fn glyph(digit: usize, dice: &mut Dice, pixels: &mut [u8]) {
    let forms = variants(digit);
    let skeleton = forms[dice.below(forms.len())];
    let warp = Warp::random(dice);
    let place = Placement::random(dice);
    let radius = dice.between(0.75, 1.55);
    let softness = dice.between(0.9, 1.5);
    let mut ink = [0f32; PIXELS];
    for stroke in skeleton {
        let pressure = radius * dice.between(0.85, 1.15);
        let mut last: Option<(f32, f32)> = None;
        trace(stroke, |point| {
            let point = place.apply(warp.apply(point));
            if let Some(last) = last {
                segment(last, point, pressure, softness, &mut ink);
            }
            last = Some(point);
        });
    }
    let darkness = dice.between(0.85, 1.0);
    for (pixel, ink) in pixels.iter_mut().zip(ink) {
        // The paper is clean; only where there is ink does the pen leave more or less of it.
        if ink > 0.0 {
            let level = ink * darkness - dice.between(0.0, 0.18) * ink;
            *pixel = (level * 255.0 + 0.5) as u8;
        }
    }
    for _ in 0..dice.below(5) {
        let speck = dice.below(PIXELS);
        pixels[speck] = pixels[speck].max(dice.between(20.0, 140.0) as u8);
    }
}

/// Calls `visit` with points along the stroke: its own two, or those of a Catmull-Rom spline.
fn trace(stroke: Stroke, mut visit: impl FnMut((f32, f32))) {
    /// Chords per span; a span is at most 8 pixels long, so a chord at most 2.
    const CHORDS: usize = 4;
    visit(stroke[0]);
    if stroke.len() == 2 {
        // Subdivided as well, so that it bends with the warp.
        let ((x0, y0), (x1, y1)) = (stroke[0], stroke[1]);
        for step in 1..=CHORDS {
            let t = step as f32 / CHORDS as f32;
            visit((x0 + (x1 - x0) * t, y0 + (y1 - y0) * t));
        }
        return;
    }
    for span in 0..stroke.len() - 1 {
        let point = |i: usize| stroke[i.min(stroke.len() - 1)];
        let (before, from) = (stroke[span.saturating_sub(1)], point(span));
        let (to, after) = (point(span + 1), point(span + 2));
        for step in 1..=CHORDS {
            let t = step as f32 / CHORDS as f32;
            let spline = |a, b, c, d| catmull_rom(a, b, c, d, t);
            visit((
                spline(before.0, from.0, to.0, after.0),
                spline(before.1, from.1, to.1, after.1),
            ));
        }
    }
}

/// The cubic from `b` (t = 0) to `c` (t = 1) with slopes (c - a) / 2 and (d - b) / 2.
fn catmull_rom(a: f32, b: f32, c: f32, d: f32, t: f32) -> f32 {
    let linear = c - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cubic = 3.0 * (b - c) + d - a;
    b + 0.5 * t * (linear + t * (square + t * cubic))
}

/// A smooth displacement of the unit box: random at the corners of a 3x3 grid of cells, smooth
/// between them, so that strokes that meet go on meeting.
struct Warp {
    grid: [[(f32, f32); 4]; 4],
}

impl Warp {
    const REACH: f32 = 0.21;

    fn random(dice: &mut Dice) -> Self {
        let mut grid = [[(0.0, 0.0); 4]; 4];
        for corner in grid.as_flattened_mut() {
            *corner = (dice.around_zero(Self::REACH), dice.around_zero(Self::REACH));
        }
        Self { grid }
    }

    fn apply(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let cell = |v: f32| {
            let scaled = v.clamp(0.0, 1.0) * 3.0;
            let corner = (scaled as usize).min(2);
            let t = scaled - corner as f32;
            // Level at the corners, so that lines do not kink where cells meet.
            (corner, t * t * (3.0 - 2.0 * t))
        };
        let ((column, u), (row, v)) = (cell(x), cell(y));
        let mix =
            |a: (f32, f32), b: (f32, f32), t: f32| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
        let [above, below] = [&self.grid[row], &self.grid[row + 1]];
        let top = mix(above[column], above[column + 1], u);
        let bottom = mix(below[column], below[column + 1], u);
        let (dx, dy) = mix(top, bottom, v);
        (x + dx, y + dy)
    }
}

/// The affine map from the unit box to pixels: size, slant, turn and place.
struct Placement {
    matrix: [[f32; 2]; 2],
    center: (f32, f32),
}

impl Placement {
    fn random(dice: &mut Dice) -> Self {
        let (width, height) = (dice.between(13.0, 20.0), dice.between(16.5, 21.0));
        let slant = dice.around_zero(0.65);
        // With t the tangent of half the angle, the turn's cosine and sine are rational in t.
        let t = dice.around_zero(0.28);
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        // Turn x (slant x size): x to the right by `-slant` for each y down.
        let matrix = [
            [cos * width, (-sin - cos * slant) * height],
            [sin * width, (cos - sin * slant) * height],
        ];
        let middle = SIDE as f32 / 2.0;
        let center = (middle + dice.around_zero(3.0), middle + dice.around_zero(3.0));
        Self { matrix, center }
    }

    fn apply(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (x, y) = (x - 0.5, y - 0.5);
        let [[a, b], [c, d]] = self.matrix;
        (self.center.0 + a * x + b * y, self.center.1 + c * x + d * y)
    }
}

/// Inks a straight line of the given radius: full inside, fading over `softness` pixels around it.
fn segment(
    (x0, y0): (f32, f32),
    (x1, y1): (f32, f32),
    radius: f32,
    softness: f32,
    ink: &mut [f32; PIXELS],
) {
    let reach = radius + softness / 2.0;
    let pixel = |v: f32| (v.max(0.0) as usize).min(SIDE);
    let rows = pixel(y0.min(y1) - reach)..pixel(y0.max(y1) + reach + 1.0);
    let columns = pixel(x0.min(x1) - reach)..pixel(x0.max(x1) + reach + 1.0);
    let (dx, dy) = (x1 - x0, y1 - y0);
    let length_squared = (dx * dx + dy * dy).max(1e-12);
    for row in rows {
        let py = row as f32 + 0.5 - y0;
        for column in columns.clone() {
            let px = column as f32 + 0.5 - x0;
            let along = ((px * dx + py * dy) / length_squared).clamp(0.0, 1.0);
            let (ex, ey) = (px - along * dx, py - along * dy);
            let distance = (ex * ex + ey * ey).sqrt();
            let cover = ((reach - distance) / softness).clamp(0.0, 1.0);
            let cell = &mut ink[row * SIDE + column];
            *cell = cell.max(cover);
        }
    }
}
