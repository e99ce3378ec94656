//! Pooling: the largest element or the mean of every window.

use covector_array::{Array, DType};
use covector_derive::{op, op_list};
use smallvec::SmallVec;

use super::reduce::{Extreme, sum_axes};
use super::view::reshaped;
use super::window::{Sizes, Slide, joined, padded, volume, windows, with_examples, without_examples};
use crate::{Error, Ints, Result, Tensor};

/// What stands where there is no element, so that it is never the largest.
fn lowest(dtype: DType) -> Tensor {
    let value = if dtype.is_float() { f64::NEG_INFINITY } else { i64::MIN as f64 };
    Tensor::scalar(if dtype.is_unsigned() || dtype == DType::Bool { 0.0 } else { value }, dtype)
}

/// The largest element over some axes; they may not be empty.
fn largest(x: &Tensor, axes: impl IntoIterator<Item = usize>) -> Result<Tensor> {
    Tensor::apply(Extreme { axes: axes.into_iter().collect(), largest: true }, [x.clone()])
}

/// Windows with `padding` that is smaller than any element.
fn max_pool(
    spatial: usize,
    x: &Tensor,
    kernel: &Ints,
    stride: &Ints,
    padding: &Ints,
    dilation: &Ints,
) -> Result<Tensor> {
    let (x, single) = with_examples(x, spatial)?;
    let slides = pool_slides(spatial, &x, kernel, stride, padding, dilation)?;
    let mut filled = padded(&x, &slides)?;
    if filled.shape() != x.shape() {
        let everywhere = Tensor::from_array(Array::full(&x.shape()[2..], 1.0, DType::Bool));
        filled = padded(&everywhere, &slides)?.where_(filled, lowest(x.dtype()));
    }
    let y = largest(&windows(&filled, &slides), 2 + spatial..2 + 2 * spatial)?;
    Ok(without_examples(&y, single))
}

/// The mean over windows, axis by axis, zeros of the padding included.
fn avg_pool(spatial: usize, x: &Tensor, kernel: &Ints, stride: &Ints, padding: &Ints) -> Result<Tensor> {
    let (x, single) = with_examples(&x.cast(x.dtype().to_float()), spatial)?;
    let slides = pool_slides(spatial, &x, kernel, stride, padding, &Ints::default())?;
    let mut y = padded(&x, &slides)?;
    for axis in 0..spatial {
        let still = Slide { size: 1, step: 1, padding: 0, dilation: 1 };
        let alone: Vec<Slide> = (0..spatial).map(|i| if i == axis { slides[i] } else { still }).collect();
        y = sum_axes(&windows(&y, &alone), &(2 + spatial..2 + 2 * spatial).collect::<Sizes>());
    }
    let elements: f64 = slides.iter().map(|s| s.size as f64).product();
    Ok(without_examples(&(y / elements), single))
}

/// The slides of a pool, by default side by side.
fn pool_slides(
    spatial: usize,
    x: &Tensor,
    kernel: &Ints,
    stride: &Ints,
    padding: &Ints,
    dilation: &Ints,
) -> Result<Vec<Slide>> {
    let kernel = kernel.sizes(spatial, 1, "kernel")?;
    let slides = Slide::along(&kernel, stride, padding, dilation, true)?;
    for (slide, &len) in slides.iter().zip(&x.shape()[2..]) {
        if slide.padding > slide.span() / 2 {
            return Err(Error::new(format!("padding {} is more than half a kernel of {}", slide.padding, slide.span()))
                .hint("a window may not lie in the padding alone"));
        }
        slide.count(len)?;
    }
    Ok(slides)
}
