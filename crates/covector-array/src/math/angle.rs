//! Trigonometric functions of f64 and their inverses, branch-free and without calls, so that loops vectorise.

use super::Real;
use super::exponential::hold;
use super::poly::poly;
use super::wide::{FRAC_PI_2_LO, MAGIC};

/// π/2 and π/4: their nearest numbers, and what they are more than these.
const HALF_PI: (f64, f64) = (std::f64::consts::FRAC_PI_2, FRAC_PI_2_LO);
const QUARTER_PI: (f64, f64) = (std::f64::consts::FRAC_PI_4, 3.061616997868383e-17);
/// What π/2 is more than the sum of both.
const HALF_PI_REST: f64 = -1.4973849048591698e-33;

/// Functions without a branch as long as the magnitude is not large: turns are taken off large numbers in another way.
pub(crate) trait Near: Real {
    /// The largest magnitude these functions are good for.
    const NEAR: Self;
    fn sin_near(self) -> Self;
    fn cos_near(self) -> Self;
    fn tan_near(self) -> Self;
}

/// `x = n π/2 + r + lost` for 0 <= x <= 2^30: (n in the low bits, r, lost).
#[inline(always)]
fn quarter_turns(x: f64) -> (u64, f64, f64) {
    let t = x.mul_add(std::f64::consts::FRAC_2_PI, MAGIC);
    let n = t - MAGIC;
    // The first difference is exact: it has the last place of x or of π/2, and is less than 1.
    let high = n.mul_add(-HALF_PI.0, x);
    let next = n * HALF_PI.1;
    let r = high - next;
    let lost = high - r - next - n.mul_add(HALF_PI.1, -next);
    (t.to_bits(), r, n.mul_add(-HALF_PI_REST, lost))
}

/// `sin(r + lost) = r + rest` for |r| <= π/4: the rest.
#[inline(always)]
fn sin_rest(r: f64, lost: f64) -> f64 {
    let z = r * r;
    let p = poly!(z;
        -0.16666666666666632, 0.00833333333332237, -0.0001984126982977119, 2.755731367867308e-06,
        -2.5050755962473312e-08, 1.5896666564303866e-10);
    (r * z).mul_add(p, lost.mul_add(-0.5 * z, lost))
}

/// `cos(r + lost)` for |r| <= π/4, as a sum.
#[inline(always)]
fn cos_parts(r: f64, lost: f64) -> (f64, f64) {
    let z = r * r;
    let p = poly!(z;
        0.0416666666666666, -0.0013888888888874064, 2.4801587289443458e-05, -2.755731434065381e-07,
        2.0875721623054737e-09, -1.1359559299828586e-11);
    let high = z.mul_add(-0.5, 1.0);
    (high, (z * z).mul_add(p, r.mul_add(-lost, z.mul_add(-0.5, 1.0 - high))))
}

/// The sine (`shift` 0) or cosine (1) of `x >= 0`.
#[inline(always)]
fn wave(x: f64, shift: u64) -> f64 {
    let (turns, r, lost) = quarter_turns(x);
    let turns = turns.wrapping_add(shift);
    let sin = (r, sin_rest(r, lost));
    let cos = cos_parts(r, lost);
    let even = turns & 1 == 0;
    let value = if even { sin.0 } else { cos.0 } + if even { sin.1 } else { cos.1 };
    f64::from_bits(value.to_bits() ^ ((turns & 2) << 62))
}

/// The sign bit of `x` flips that of `value`.
#[inline(always)]
fn flip(value: f64, x: f64) -> f64 {
    f64::from_bits(value.to_bits() ^ (x.to_bits() & (1 << 63)))
}

impl Near for f64 {
    const NEAR: f64 = 1073741824.0; // 2^30

    #[inline(always)]
    fn sin_near(self) -> f64 {
        flip(wave(self.abs(), 0), self)
    }
    #[inline(always)]
    fn cos_near(self) -> f64 {
        wave(self.abs(), 1)
    }
    #[inline(always)]
    fn tan_near(self) -> f64 {
        let (turns, r, lost) = quarter_turns(self.abs());
        let sum = |(high, low): (f64, f64)| (high + low, (high - (high + low)) + low);
        let (sin, cos) = (sum((r, sin_rest(r, lost))), sum(cos_parts(r, lost)));
        let even = turns & 1 == 0;
        let (up, down) = if even { (sin, cos) } else { ((-cos.0, -cos.1), sin) };
        let inverse = 1.0 / down.0;
        let q = up.0 * inverse;
        // What is missing from q times the divisor, with the low parts of both.
        let missing = q.mul_add(-down.0, up.0) + q.mul_add(-down.1, up.1);
        flip(missing.mul_add(inverse, q), self)
    }
}

/// `base + t + rest`, where `base` is 0 or larger than `t`.
#[inline(always)]
fn from(base: (f64, f64), t: f64, rest: f64) -> f64 {
    let sum = base.0 + t;
    sum + ((base.0 - sum) + t + (rest + base.1))
}

/// `asin(s) / s - 1` for |s| <= 1/2, where z = s².
#[inline(always)]
fn asin_series(z: f64) -> f64 {
    z * poly!(z;
        0.16666666666666763, 0.07499999999970093, 0.04464285717529038, 0.03038194267509898, 0.022372215910390222,
        0.017351595428817708, 0.013981019292671273, 0.011397287543176371, 0.010789348707192808,
        0.0036720915943839316, 0.021790852617794454, -0.02111698327024645, 0.03270231250956476)
}

/// `|x| = s` up to 1/2, and beyond `asin |x| = π/2 - 2 asin s`: (beyond, s, asin s - s).
#[inline(always)]
fn asin_parts(x: f64) -> (bool, f64, f64) {
    let a = x.abs();
    let far = a > 0.5;
    let z = if far { a.mul_add(-0.5, 0.5) } else { a * a };
    let root = z.sqrt();
    let s = if far { root } else { a };
    // What rounding took from the root; its inverse is good enough by way of the bits.
    let inverse = f64::from_bits(0x7fde_0000_0000_0000u64.wrapping_sub(root.to_bits()));
    let lost = if far { 0.5 * root.mul_add(-root, z) * inverse } else { 0.0 };
    (far, s, s.mul_add(asin_series(z), lost))
}

/// The inverse of sin.
#[inline(always)]
pub(super) fn asin(x: f64) -> f64 {
    let (far, s, rest) = asin_parts(x);
    let (base, factor) = if far { (HALF_PI, -2.0) } else { ((0.0, 0.0), 1.0) };
    from(base, factor * s, factor * rest).copysign(x)
}

/// The inverse of cos.
#[inline(always)]
pub(super) fn acos(x: f64) -> f64 {
    let (far, s, rest) = asin_parts(x);
    let (negative, whole) = (x < 0.0, (2.0 * HALF_PI.0, 2.0 * HALF_PI.1));
    let far_base = if negative { whole } else { (0.0, 0.0) };
    let base = if far { far_base } else { HALF_PI };
    let factor = if far { 2.0 } else { -1.0 };
    let factor = if negative { -factor } else { factor };
    from(base, factor * s, factor * rest)
}

/// The angle of the point `(x, y)` for `x, y >= 0`, taken from π where `beyond`; neither is close to where numbers end.
#[inline(always)]
fn angle(y: f64, x: f64, beyond: bool) -> f64 {
    // The angle is a multiple of π/4, less or more the angle whose tangent is t = up / down, up to 1/2.
    let steep = y > x;
    let (low, high) = if steep { (x, y) } else { (y, x) };
    let middle = low > 0.5 * high;
    let up = if middle { low - high } else { low };
    let down = if middle { low + high } else { high };
    let down_lost = if middle { low - (down - high) } else { 0.0 };
    let inverse = 1.0 / down;
    let t = up * inverse;
    let lost = (t.mul_add(-down, up) - t * down_lost) * inverse;
    let z = t * t;
    let p = poly!(z;
        -0.33333333333333315, 0.19999999999993417, -0.14285714284974915, 0.11111111069219415, -0.09090907687797321,
        0.07692277396227612, -0.0666622269958885, 0.05877800828699493, -0.05229980747534682, 0.04589340382401268,
        -0.03711645368291338, 0.023652248578072108, -0.008364223144675838);
    let rest = (t * z).mul_add(p, lost);
    let eighths = if middle { 1.0 } else { 0.0 };
    let eighths = if steep { 2.0 - eighths } else { eighths };
    let eighths = if beyond { 4.0 - eighths } else { eighths };
    let sign = if steep == beyond { 1.0 } else { -1.0 };
    let base = eighths * QUARTER_PI.0;
    let base_lost = eighths.mul_add(QUARTER_PI.1, eighths.mul_add(QUARTER_PI.0, -base));
    from((base, base_lost), sign * t, sign * rest)
}

/// The inverse of tan.
#[inline(always)]
pub(super) fn atan(x: f64) -> f64 {
    angle(hold(x.abs(), 0.0, 1e300), 1.0, false).copysign(x)
}

/// Where sums and inverses of coordinates are no longer safe, and a power of two that takes them away from there.
const LARGE: f64 = f64::from_bits((1023 + 900) << 52);
const SCALE: f64 = f64::from_bits((1023 + 200) << 52);

/// The angle of the point `(x, y)`.
#[inline(always)]
pub(super) fn atan2(y: f64, x: f64) -> f64 {
    let (ay, ax) = (y.abs(), x.abs());
    let most = if ay > ax { ay } else { ax };
    let scale = if most > LARGE { 1.0 / SCALE } else { 1.0 };
    let scale = if most < 1.0 / LARGE { SCALE } else { scale };
    let (ay, ax) = (ay * scale, ax * scale);
    // The same direction, where the quotient would be 0/0 or have an infinity.
    let infinite = most == f64::INFINITY;
    let (near_y, near_x) = if ay > ax { (1.0, 0.0 * ax) } else { (0.0 * ay, 1.0) };
    let (ay, ax) = if infinite { (near_y, near_x) } else { (ay, ax) };
    let (ay, ax) = if y.abs() == x.abs() { (if most == 0.0 { 0.0 } else { 1.0 }, 1.0) } else { (ay, ax) };
    angle(ay, ax, x.is_sign_negative()).copysign(y)
}
