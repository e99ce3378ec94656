//! Images changed at random in ways that do not change what they show.

use covector::random::{normal, uniform};
use covector::{DType, Key, Tensor, s};

/// How images are changed: each by its own draws, all from one key.
///
/// Pixels between pixels are bilinear; beyond the border stands what is at the border. The same key gives the same bits.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_data::Augment;
/// let x = Tensor::from([[[[1.0f32, 2.0, 3.0]]]]);
/// let mirror = Augment { flip: 1.0, ..Augment::default() };
/// assert_eq!(mirror.apply(&x, &Key::new(0)).to_vec::<f32>(), [3.0, 2.0, 1.0]);
/// assert_eq!(Augment::default().apply(&x, &Key::new(0)).to_vec::<f32>(), [1.0, 2.0, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// How likely an image is mirrored, left to right.
    pub flip: f64,
    /// How far it is moved at most, along each axis, in pixels.
    pub shift: f64,
    /// How far it is turned at most, in degrees.
    pub rotate: f64,
    /// By what part it grows or shrinks at most.
    pub zoom: f64,
    /// The standard deviation of what is added to each pixel.
    pub noise: f64,
    /// The height and width of the window that is kept: somewhere in training, the middle [else](Self::still).
    pub crop: Option<[usize; 2]>,
}

impl Augment {
    /// `f32[n, channels, height, width]` changed as the key says; only a window of it if there is a crop.
    ///
    /// # Panics
    /// If `x` has not four axes, or is smaller than the window.
    #[track_caller]
    pub fn apply(&self, x: &Tensor, key: &Key) -> Tensor {
        let (Some([n, c, h, w]), x) = (sizes(x), x.cast(DType::F32)) else { refuse(x) };
        let [high, wide] = self.window(h, w);
        let moves = self.flip > 0.0 || self.shift > 0.0 || self.rotate > 0.0 || self.zoom > 0.0 || self.crop.is_some();
        let mut result = x.clone();
        if moves {
            let draws = uniform(&key.fold_in(0), [n, 8], -1.0, 1.0, DType::F64).to_vec::<f64>();
            let (pixels, mut out) = (x.to_vec::<f32>(), Vec::with_capacity(n * c * high * wide));
            for (image, draws) in pixels.chunks_exact((c * h * w).max(1)).zip(draws.chunks_exact(8)) {
                let from = self.origins(draws, [h, w], [high, wide]);
                for plane in image.chunks_exact(h * w) {
                    out.extend(from.iter().map(|&at| sampled(plane, [h, w], at)));
                }
            }
            result = Tensor::from_slice(&out, [n, c, high, wide]);
        }
        if self.noise > 0.0 {
            result = result + normal(&key.fold_in(1), [n, c, high, wide], DType::F32) * self.noise;
        }
        result
    }

    /// `x` as it is evaluated: unchanged, or the window in its middle.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    #[track_caller]
    pub fn still(&self, x: &Tensor) -> Tensor {
        let Some([_, _, h, w]) = sizes(x) else { refuse(x) };
        let [high, wide] = self.window(h, w);
        let (top, left) = ((h - high) / 2, (w - wide) / 2);
        x.cast(DType::F32).i(s![.., .., top..top + high, left..left + wide])
    }

    #[track_caller]
    fn window(&self, h: usize, w: usize) -> [usize; 2] {
        let [high, wide] = self.crop.unwrap_or([h, w]);
        assert!(high <= h && wide <= w, "a window of {high} × {wide} is larger than the images, {h} × {w}");
        [high, wide]
    }

    /// For each pixel of the window, from where in the image it comes, as row and column.
    fn origins(&self, draws: &[f64], [h, w]: [usize; 2], [high, wide]: [usize; 2]) -> Vec<[f64; 2]> {
        let (sin, cos) = (self.rotate * draws[0]).to_radians().sin_cos();
        let size = 1.0 / (1.0 + self.zoom * draws[1]).max(0.1);
        let flipped = (draws[4] + 1.0) / 2.0 < self.flip;
        // Windows begin at whole pixels.
        let start = |draw: f64, room: usize| ((draw + 1.0) / 2.0 * (room + 1) as f64).floor().min(room as f64);
        let (top, left) = (start(draws[5], h - high), start(draws[6], w - wide));
        let (middle_y, middle_x) = ((h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0);
        let origin = |i: usize| {
            let (y, x) = (top + (i / wide) as f64 - middle_y, left + (i % wide) as f64 - middle_x);
            let x = if flipped { -x } else { x };
            let (y, x) = (size * (cos * y - sin * x), size * (sin * y + cos * x));
            [y + middle_y + self.shift * draws[2], x + middle_x + self.shift * draws[3]]
        };
        (0..high * wide).map(origin).collect()
    }
}

fn sizes(x: &Tensor) -> Option<[usize; 4]> {
    x.shape()[..].try_into().ok()
}

#[track_caller]
fn refuse(x: &Tensor) -> ! {
    panic!("images are [n, channels, height, width], not {}", x.spec())
}

/// The value between the four pixels around a place.
fn sampled(plane: &[f32], [h, w]: [usize; 2], [y, x]: [f64; 2]) -> f32 {
    let (y, x) = (y.clamp(0.0, (h - 1) as f64), x.clamp(0.0, (w - 1) as f64));
    let (top, left) = (y as usize, x as usize);
    let (bottom, right) = ((top + 1).min(h - 1), (left + 1).min(w - 1));
    let (dy, dx) = ((y - top as f64) as f32, (x - left as f64) as f32);
    let row = |row: usize| plane[row * w + left] * (1.0 - dx) + plane[row * w + right] * dx;
    row(top) * (1.0 - dy) + row(bottom) * dy
}
