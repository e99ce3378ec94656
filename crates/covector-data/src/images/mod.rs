//! Images: from folders with one sub-folder per class, and from arrays in npz files.

mod arrays;
mod decode;
mod folder;
mod shrink;

use covector::{DType, Tensor};

use crate::{Result, Standardize};

pub use decode::{Picture, save_png};
pub use folder::files;
pub use shrink::resized;

/// Labelled images of one size.
#[derive(Clone, Debug)]
pub struct Images {
    /// `u8[n, channels, height, width]`, or `f32` from 0 to 1.
    pub pixels: Tensor,
    /// The class of each, `i64[n]`.
    pub labels: Tensor,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// What each is called: its file.
    pub names: Vec<String>,
}

/// How images are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizing {
    /// The height and width to which images are resized; without it they must be of one size.
    pub size: Option<[usize; 2]>,
    /// 1 for grey, 3 for colours; without it, grey if all images are.
    pub channels: Option<usize>,
}

impl Images {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.size()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width.
    pub fn sizes(&self) -> [usize; 3] {
        self.pixels.shape()[1..].try_into().expect("images have four axes")
    }

    /// The images of these numbers, `f32[batch, channels, height, width]` from 0 to 1, and their labels `i64[batch]`.
    ///
    /// # Errors
    /// If there is no image of a number.
    pub fn batch(&self, which: &Tensor) -> covector::Result<(Tensor, Tensor)> {
        let pixels = unit(&self.pixels.try_take(which, 0)?);
        let labels = self.labels.try_take(which, 0)?;
        covector::try_eval([&pixels, &labels])?;
        Ok((pixels, labels))
    }

    /// The mean and standard deviation of each channel over the images of these numbers.
    ///
    /// # Errors
    /// If there is no image of a number.
    pub fn scale(&self, which: &Tensor) -> covector::Result<Standardize> {
        let (mut sums, mut squares, mut count) = (0.0 * channel_zeros(self), 0.0 * channel_zeros(self), 0);
        for some in which.to_vec::<i64>().chunks(256) {
            let (x, _) = self.batch(&Tensor::from(some.to_vec()))?;
            let x = x.cast(DType::F64);
            (sums, squares) = (sums + x.sum([0, 2, 3]), squares + x.square().sum([0, 2, 3]));
            covector::try_eval([&sums, &squares])?;
            count += x.size() / self.sizes()[0];
        }
        let mean = &sums / count.max(1) as f64;
        let std = (&squares / count.max(1) as f64 - mean.square()).maximum(0.0).sqrt();
        let std = std.less(1e-6).where_(1.0, &std);
        covector::try_eval([&mean, &std])?;
        Ok(Standardize { mean, std })
    }
}

fn channel_zeros(images: &Images) -> Tensor {
    Tensor::from(vec![0.0f64; images.sizes()[0]])
}

/// Pixels from 0 to 1, in f32.
pub fn unit(pixels: &Tensor) -> Tensor {
    match pixels.dtype() {
        DType::U8 => pixels.cast(DType::F32) / 255.0,
        _ => pixels.cast(DType::F32),
    }
}

/// The images of a folder with one sub-folder per class, or of an npz file.
///
/// # Errors
/// As [`Images::folder`] and [`Images::npz`].
pub fn read(path: impl AsRef<std::path::Path>, sizing: Sizing) -> Result<Images> {
    let path = path.as_ref();
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
        true => Ok(Images::npz(path)?.sized(sizing)),
        false => Images::folder(path, sizing),
    }
}
