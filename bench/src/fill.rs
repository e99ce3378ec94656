//! Numbers that every driver makes alike: an integer hash of the position and a seed.
#![allow(dead_code, reason = "every driver includes this file and uses its part")]

/// 32 well-mixed bits.
pub fn hash(i: usize, seed: u32) -> u32 {
    let mut h = (i as u32).wrapping_add(1).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(0x9E37_79B9));
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// The number in [-1, 1) at a position; exact in f32.
pub fn unit(i: usize, seed: u32) -> f64 {
    f64::from(hash(i, seed) >> 8) / 8_388_608.0 - 1.0
}

/// `n` numbers in [-scale, scale).
pub fn fill32(n: usize, seed: u32, scale: f32) -> Vec<f32> {
    (0..n).map(|i| unit(i, seed) as f32 * scale).collect()
}

/// `n` numbers in [-1, 1).
pub fn fill64(n: usize, seed: u32) -> Vec<f64> {
    (0..n).map(|i| unit(i, seed)).collect()
}

/// `n` integers from 0 to below `classes`.
pub fn labels(n: usize, seed: u32, classes: i64) -> Vec<i64> {
    (0..n).map(|i| i64::from(hash(i, seed) >> 8) % classes).collect()
}

/// What is decoded: this token, after so many whose keys and values are cached.
pub const TOKEN: i64 = 17;
/// The number of cached tokens.
pub const CACHED: usize = 128;

/// The seed of a parameter: FNV-1a of its name.
pub fn seed(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// How a parameter is filled: its scale, or ones for the scale of a norm.
pub fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let n = shape.iter().product();
    if name.contains("ln_") {
        return vec![1.0; n];
    }
    let inputs: usize = shape[1..].iter().product();
    let transformer = name.starts_with("h.") || name.starts_with('w');
    let scale = match (shape.len(), transformer) {
        (1, _) => 0.1,
        (_, true) => 0.04,
        _ => 1.0 / (inputs as f64).sqrt(),
    };
    fill32(n, seed(name), scale as f32)
}

/// What is compared of an array: the first and the last number and the mean of all magnitudes.
pub fn check(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let numbers: Vec<f64> = numbers.into_iter().collect();
    let mean = numbers.iter().map(|x| x.abs()).sum::<f64>() / numbers.len() as f64;
    vec![numbers[0], numbers[numbers.len() - 1], mean]
}
