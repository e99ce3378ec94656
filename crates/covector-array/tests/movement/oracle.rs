//! Arrays in many layouts, and index arithmetic as a person would write it.

use covector_array::{Array, DType, Shape, with_dtype};

/// Every index of a shape in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &d in shape {
        all = all.into_iter().flat_map(|i| (0..d).map(move |k| [&i[..], &[k]].concat())).collect();
    }
    all
}

/// Row-major position of an index.
pub fn position(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |p, (&d, &i)| p * d + i)
}

/// Plain values with a shape: what the oracles compute on.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Plain {
    pub fn new(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Plain {
        Plain { shape: shape.to_vec(), values: indices(shape).iter().map(|i| f(i)).collect() }
    }

    /// Distinct small values, exact in every dtype but bool.
    pub fn counting(shape: &[usize]) -> Plain {
        let mut n = 0.0;
        Plain {
            shape: shape.to_vec(),
            values: indices(shape)
                .iter()
                .map(|_| {
                    n += 1.0;
                    n % 127.0
                })
                .collect(),
        }
    }

    pub fn of(x: &Array) -> Plain {
        Plain { shape: x.shape().to_vec(), values: x.to_f64_vec() }
    }

    pub fn at(&self, index: &[usize]) -> f64 {
        self.values[position(&self.shape, index)]
    }

    /// The values as the dtype holds them (bool: 0 or 1).
    pub fn rounded(&self, dtype: DType) -> Plain {
        Plain { shape: self.shape.clone(), values: self.array(dtype).to_f64_vec() }
    }

    pub fn array(&self, dtype: DType) -> Array {
        with_dtype!(dtype, T => {
            let values: Vec<T> = self.values.iter().map(|&v| <T as covector_array::Element>::from_f64(v)).collect();
            Array::from_slice(&values, self.shape.clone())
        })
    }

    /// The same values contiguous, in reversed memory order, flipped with gaps, and inside a larger buffer.
    pub fn layouts(&self, dtype: DType) -> Vec<(&'static str, Array)> {
        let ndim = self.shape.len();
        let reversed: Vec<usize> = self.shape.iter().rev().copied().collect();
        let transposed = Plain::new(&reversed, |i| self.at(&i.iter().rev().copied().collect::<Vec<_>>()));
        let back: Vec<usize> = (0..ndim).rev().collect();
        let wide: Vec<usize> = self.shape.iter().map(|&d| 2 * d + 1).collect();
        let flipped = Plain::new(&wide, |i| {
            let inside = i.iter().zip(&self.shape).all(|(&i, &d)| i % 2 == 1 && i / 2 < d);
            let source: Vec<usize> =
                i.iter().zip(&self.shape).map(|(&i, &d)| d.saturating_sub(1).saturating_sub(i / 2)).collect();
            if inside { self.at(&source) } else { 1.0 }
        });
        let last: Vec<usize> = self.shape.iter().map(|&d| (2 * d).saturating_sub(1)).collect();
        let lead: Vec<usize> = std::iter::once(3).chain(self.shape.iter().copied()).collect();
        let inside = Plain::new(&lead, |i| if i[0] == 1 { self.at(&i[1..]) } else { 1.0 });
        let mut starts = vec![0; ndim + 1];
        starts[0] = 1;
        let mut sizes = lead.clone();
        sizes[0] = 1;
        vec![
            ("contiguous", self.array(dtype)),
            ("transposed", transposed.array(dtype).permute(&back)),
            ("flipped", flipped.array(dtype).slice(&last, &self.shape, &vec![-2; ndim])),
            ("inside", {
                let part = inside.array(dtype).slice(&starts, &sizes, &vec![1; ndim + 1]);
                part.reshape(&Shape::from(&self.shape))
            }),
        ]
    }
}

/// An array whose elements along `axis` are one and the same in memory.
pub fn constant_along(shape: &[usize], axis: usize, dtype: DType) -> Array {
    let mut small = shape.to_vec();
    small[axis] = 1;
    Plain::counting(&small).array(dtype).broadcast_to(&Shape::from(shape))
}

/// Shapes with an axis at each place of interest: plain, single, empty, large enough for several chunks.
pub const SHAPES: [&[usize]; 9] =
    [&[7], &[3, 5], &[2, 3, 4], &[4, 1, 3], &[1], &[0], &[3, 0, 2], &[2, 70, 300], &[70000]];
