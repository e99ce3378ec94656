//! Images in other sizes, without losing thin lines.

use super::Picture;

/// The picture in another size: each new pixel is a mean of all the old ones it covers, weighted by a triangle.
///
/// ```
/// use covector_data::images::{Picture, resized};
/// let line = Picture { height: 1, width: 4, channels: 1, bytes: vec![0, 0, 100, 100] };
/// assert_eq!(resized(&line, [1, 2]).bytes, [14, 86]);
/// ```
/// Source: Pillow's `resize` with `BILINEAR`, whose results differ by at most 1.
///
/// # Panics
/// If a size is 0.
#[track_caller]
pub fn resized(picture: &Picture, [height, width]: [usize; 2]) -> Picture {
    assert!(height > 0 && width > 0 && !picture.bytes.is_empty(), "an image has pixels");
    let Picture { height: h, width: w, channels: c, .. } = *picture;
    if [height, width] == [h, w] {
        return picture.clone();
    }
    let pixels: Vec<f32> = picture.bytes.iter().map(|&b| f32::from(b)).collect();
    let along_rows = weights(w, width);
    let mut narrow = Vec::with_capacity(h * width * c);
    for row in pixels.chunks_exact(w * c) {
        for (start, weights) in &along_rows {
            for channel in 0..c {
                narrow.push(weights.iter().enumerate().map(|(i, t)| t * row[(start + i) * c + channel]).sum::<f32>());
            }
        }
    }
    let mut bytes = Vec::with_capacity(height * width * c);
    for (start, weights) in &weights(h, height) {
        for at in 0..width * c {
            let sum: f32 = weights.iter().enumerate().map(|(i, t)| t * narrow[(start + i) * width * c + at]).sum();
            bytes.push(sum.round().clamp(0.0, 255.0) as u8);
        }
    }
    Picture { height, width, channels: c, bytes }
}

/// For each of `new` pixels the first of `old` that it is made of, and the weights of that and those after it.
fn weights(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = old as f64 / new as f64;
    let reach = scale.max(1.0);
    let of = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let start = ((centre - reach + 0.5).max(0.0) as usize).min(old - 1);
        let end = ((centre + reach + 0.5) as usize).clamp(start + 1, old);
        let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f64 = (start..end).map(weight).sum();
        (start, (start..end).map(|j| (weight(j) / sum) as f32).collect())
    };
    (0..new).map(of).collect()
}
