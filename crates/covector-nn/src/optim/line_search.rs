//! How far to go along a direction: to a point that satisfies the strong Wolfe conditions.

use covector::{Result, Tensor};

/// A place on the way.
#[derive(Clone)]
pub(super) struct Place {
    /// How far from the start, in units of the direction.
    pub t: f64,
    /// The loss there.
    pub loss: f64,
    /// The gradient there, as one vector.
    pub gradient: Tensor,
    /// Its product with the direction.
    pub slope: f64,
}

/// The loss must fall by this part of what the slope at the start promises ..
const FALL: f64 = 1e-4;
/// .. and the slope to this part of itself.
const FLATTER: f64 = 0.9;

/// A place whose loss fell and whose slope got flatter, or the best of `most` tries; and the number of tries.
///
/// Source: Nocedal and Wright, "Numerical optimization", 3.5, with the safeguards of PyTorch's `strong_wolfe`.
pub(super) fn strong_wolfe(
    mut at: impl FnMut(f64) -> Result<Place>,
    start: &Place,
    first: f64,
    longest: f64,
    tolerance: f64,
    most: usize,
) -> Result<(Place, usize)> {
    let too_high = |p: &Place| p.loss > start.loss + FALL * p.t * start.slope;
    let flat = |p: &Place| p.slope.abs() <= -FLATTER * start.slope;
    let (mut before, mut here, mut tries) = (start.clone(), at(first)?, 0);
    // Further and further, until a minimum must lie between two places.
    while tries < most {
        if too_high(&here) || (tries > 1 && here.loss >= before.loss) {
            break;
        }
        if flat(&here) {
            return Ok((here, tries + 1));
        }
        if here.slope >= 0.0 {
            break;
        }
        let t = cubic(&before, &here, here.t + 0.01 * (here.t - before.t), here.t * 10.0);
        before = std::mem::replace(&mut here, at(t)?);
        tries += 1;
    }
    if tries == most {
        before = start.clone();
    }
    let (mut low, mut high) = if before.loss <= here.loss { (before, here) } else { (here, before) };
    let mut stuck = false;
    // Closer and closer: `low` is the best so far, and a minimum lies between it and `high`.
    while tries < most && (high.t - low.t).abs() * longest >= tolerance {
        let (left, right) = (low.t.min(high.t), low.t.max(high.t));
        let mut t = cubic(&low, &high, left, right);
        let margin = 0.1 * (right - left);
        let at_the_edge = (right - t).min(t - left) < margin;
        // Twice near an end, or upon it: further in.
        let move_in = at_the_edge && (stuck || t >= right || t <= left);
        if move_in {
            t = if (t - right).abs() < (t - left).abs() { right - margin } else { left + margin };
        }
        stuck = at_the_edge && !move_in;
        let new = at(t)?;
        tries += 1;
        if too_high(&new) || new.loss >= low.loss {
            high = new;
            if high.loss < low.loss {
                std::mem::swap(&mut low, &mut high);
            }
            continue;
        }
        let done = flat(&new);
        if !done && new.slope * (high.t - low.t) >= 0.0 {
            high = low;
        }
        low = new;
        if done {
            break;
        }
    }
    Ok((low, tries + 1))
}

/// The minimum, between two bounds, of the cubic with the losses and slopes of two places; the middle if it has none.
fn cubic(a: &Place, b: &Place, least: f64, most: f64) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let bend = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t);
    let square = bend * bend - a.slope * b.slope;
    if square.is_nan() || square < 0.0 {
        return (least + most) / 2.0;
    }
    let root = square.sqrt();
    let t = b.t - (b.t - a.t) * ((b.slope + root - bend) / (b.slope - a.slope + 2.0 * root));
    t.max(least).min(most)
}
