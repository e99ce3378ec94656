//! Digits from 0 to 9, drawn with a shaky pen: images to learn from that need no download.

use std::f32::consts::TAU;

use covector::random::{normal, uniform};
use covector::{DType, Key, Tensor};

use crate::Images;

/// The height and width of a digit.
const SIZE: usize = 28;
/// Random numbers for each digit: its style, how it lies, its pen, then two for each point of its strokes.
const DRAWS: usize = 160;
/// The first of those for points.
const POINTS: usize = 10;

/// `count` grey images of 28 × 28 with the digits 0, 1, … 9, 0, 1, …, each drawn in its own way, as the key says.
///
/// Strokes are bent at their points, stretched, sheared, turned and moved; the pen is thick or thin, the ink dark or pale, the
/// paper not clean. The image `i` is the same however many follow it.
///
/// ```
/// use covector::Key;
/// let digits = covector_data::digits(20, &Key::new(0));
/// assert_eq!(digits.pixels.shape()[..], [20, 1, 28, 28]);
/// assert_eq!(digits.labels.to_vec::<i64>()[8..12], [8, 9, 0, 1]);
/// ```
pub fn digits(count: usize, key: &Key) -> Images {
    let draws = uniform(&key.fold_in(0), [count, DRAWS], -1.0, 1.0, DType::F32).to_vec::<f32>();
    let grain = normal(&key.fold_in(1), [count, SIZE * SIZE], DType::F32).to_vec::<f32>();
    let mut pixels = Vec::with_capacity(count * SIZE * SIZE);
    for (i, (draws, grain)) in draws.chunks_exact(DRAWS).zip(grain.chunks_exact(SIZE * SIZE)).enumerate() {
        draw(i % 10, draws, grain, &mut pixels);
    }
    let labels: Vec<i64> = (0..count).map(|i| (i % 10) as i64).collect();
    let pixels = Tensor::from_slice(&pixels, [count, 1, SIZE, SIZE]);
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let names = (0..count).map(|i| format!("digit {i}")).collect();
    Images { pixels, labels: Tensor::from(labels), classes, names }
}

type Point = [f32; 2];

/// Appends the pixels of one digit.
fn draw(digit: usize, draws: &[f32], grain: &[f32], pixels: &mut Vec<u8>) {
    let [style, turn, shear, wide, tall, right, down, pen, ink, dirt] = draws[..POINTS] else {
        unreachable!("there are ten");
    };
    let (sin, cos) = (turn * 0.26).sin_cos();
    let (wide, tall, shear) = (17.5 + 3.5 * wide, 20.0 + 3.0 * tall, 0.25 * shear);
    let middle = SIZE as f32 / 2.0;
    let place = |[x, y]: Point| {
        let (x, y) = ((x - 0.5) * wide, (y - 0.5) * tall);
        let x = x - shear * y;
        [middle + cos * x - sin * y + 1.8 * right, middle + sin * x + cos * y + 1.8 * down]
    };
    let mut shaky = draws[POINTS..].chunks_exact(2).cycle();
    let mut segments: Vec<[Point; 2]> = Vec::new();
    for stroke in strokes(digit, style) {
        let bent = |p: Point| {
            let shake = shaky.next().expect("a cycle has no end");
            place([p[0] + 0.025 * shake[0], p[1] + 0.025 * shake[1]])
        };
        let points: Vec<Point> = stroke.into_iter().map(bent).collect();
        segments.extend(points.windows(2).map(|pair| [pair[0], pair[1]]));
    }
    let (pen, ink, dirt) = (1.25 + 0.5 * pen, 0.85 + 0.15 * ink, 0.03 + 0.02 * dirt);
    for (i, grain) in grain.iter().enumerate() {
        let at = [(i % SIZE) as f32 + 0.5, (i / SIZE) as f32 + 0.5];
        let near = segments.iter().map(|s| distance(at, *s)).fold(f32::INFINITY, f32::min);
        // An edge is one pixel wide.
        let covered = (pen + 0.5 - near).clamp(0.0, 1.0);
        let value = covered * ink + dirt * grain;
        pixels.push((value.clamp(0.0, 1.0) * 255.0).round() as u8);
    }
}

/// How far a point is from a segment.
fn distance([x, y]: Point, [[ax, ay], [bx, by]]: [Point; 2]) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-12);
    let t = along.clamp(0.0, 1.0);
    (x - ax - t * dx).hypot(y - ay - t * dy)
}

/// A part of an ellipse, in twelfths of a turn from the right over the bottom.
fn arc(middle: Point, radii: Point, from: f32, to: f32) -> Vec<Point> {
    let steps = ((to - from).abs() * 1.5).ceil().max(1.0);
    let at = |i: usize| {
        let (sin, cos) = ((from + (to - from) * i as f32 / steps) / 12.0 * TAU).sin_cos();
        [middle[0] + radii[0] * cos, middle[1] + radii[1] * sin]
    };
    (0..=steps as usize).map(at).collect()
}

fn line(points: &[Point]) -> Vec<Point> {
    points.to_vec()
}

fn joined(parts: impl IntoIterator<Item = Vec<Point>>) -> Vec<Point> {
    parts.into_iter().flatten().collect()
}

/// The strokes of a digit within the unit square, y down; `style` from -1 to 1 picks one of the ways to write it.
fn strokes(digit: usize, style: f32) -> Vec<Vec<Point>> {
    let second = style > 0.0;
    match digit {
        0 => vec![arc([0.5, 0.5], [0.32, 0.46], -3.0, 9.0)],
        1 if style < -0.3 => vec![line(&[[0.5, 0.05], [0.5, 0.95]])],
        1 if style < 0.5 => vec![line(&[[0.3, 0.27], [0.53, 0.05], [0.53, 0.95]])],
        1 => vec![line(&[[0.3, 0.25], [0.52, 0.05], [0.52, 0.95]]), line(&[[0.28, 0.95], [0.76, 0.95]])],
        2 => vec![joined([arc([0.5, 0.29], [0.3, 0.24], 6.0, 13.2), line(&[[0.2, 0.95], [0.84, 0.95]])])],
        3 => vec![joined([arc([0.46, 0.27], [0.29, 0.22], 6.6, 14.5), arc([0.45, 0.71], [0.34, 0.24], 9.5, 17.4)])],
        4 if second => vec![line(&[[0.28, 0.05], [0.2, 0.58], [0.84, 0.58]]), line(&[[0.67, 0.1], [0.64, 0.95]])],
        4 => vec![line(&[[0.64, 0.95], [0.64, 0.05], [0.15, 0.66], [0.86, 0.66]])],
        5 => {
            vec![joined([line(&[[0.8, 0.06], [0.29, 0.06], [0.24, 0.47]]), arc([0.47, 0.67], [0.33, 0.28], 8.2, 17.2)])]
        }
        6 => vec![joined([line(&[[0.7, 0.05], [0.42, 0.22], [0.25, 0.46]]), arc([0.5, 0.7], [0.3, 0.25], 6.0, 18.0)])],
        7 if second => vec![line(&[[0.16, 0.06], [0.84, 0.06], [0.4, 0.95]]), line(&[[0.34, 0.5], [0.76, 0.5]])],
        7 => vec![line(&[[0.16, 0.06], [0.84, 0.06], [0.4, 0.95]])],
        8 => vec![arc([0.5, 0.27], [0.24, 0.22], -3.0, 9.0), arc([0.5, 0.72], [0.31, 0.23], -3.0, 9.0)],
        _ if second => vec![joined([arc([0.48, 0.3], [0.29, 0.25], 0.0, 12.0), line(&[[0.75, 0.95]])])],
        _ => {
            vec![joined([arc([0.48, 0.3], [0.29, 0.25], 0.0, 12.0), line(&[[0.74, 0.6], [0.62, 0.85], [0.34, 0.95]])])]
        }
    }
}
