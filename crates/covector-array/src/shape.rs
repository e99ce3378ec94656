//! Shapes, strides and broadcasting.

use std::fmt;
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// Steps between neighbours along each axis, in elements; negative for flipped, 0 for broadcast axes.
pub type Strides = SmallVec<[isize; 6]>;

/// The sizes of an array's axes: `[]` is a scalar, `[d]` a vector, `[m, n]` a matrix.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Shape(SmallVec<[usize; 6]>);

impl Shape {
    /// The scalar shape `[]`.
    pub fn scalar() -> Self {
        Shape(SmallVec::new())
    }

    /// The product of the sizes: 1 for a scalar, 0 if an axis is empty.
    ///
    /// Saturates: a shape that overflows is refused by [`Shape::checked_size`] before anything is built on it.
    pub fn size(&self) -> usize {
        if self.contains(&0) { 0 } else { self.iter().fold(1usize, |p, &d| p.saturating_mul(d)) }
    }

    /// The product of the sizes, or `None` if `size * element_bytes` does not fit in isize.
    pub fn checked_size(&self, element_bytes: usize) -> Option<usize> {
        if self.contains(&0) {
            return Some(0);
        }
        let size = self.iter().try_fold(1usize, |p, &d| p.checked_mul(d))?;
        let bytes = size.checked_mul(element_bytes)?;
        isize::try_from(bytes).ok().map(|_| size)
    }

    /// Row-major strides in elements.
    pub fn contiguous_strides(&self) -> Strides {
        let mut strides: Strides = SmallVec::from_elem(0, self.len());
        let mut step = 1isize;
        for (stride, &d) in strides.iter_mut().zip(self.iter()).rev() {
            *stride = step;
            step = step.saturating_mul(d.max(1) as isize);
        }
        strides
    }

    /// NumPy's broadcasting: align at the right; sizes must be equal or one of them 1. `None` if they clash.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let ndim = self.len().max(other.len());
        let from_right = |s: &Shape, i: usize| if i < s.len() { s[s.len() - 1 - i] } else { 1 };
        let mut out: SmallVec<[usize; 6]> = SmallVec::from_elem(1, ndim);
        for i in 0..ndim {
            out[ndim - 1 - i] = match (from_right(self, i), from_right(other, i)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Some(Shape(out))
    }

    /// A new shape without the axes for which `drop` holds.
    pub fn without(&self, drop: impl Fn(usize) -> bool) -> Shape {
        self.iter().enumerate().filter(|(i, _)| !drop(*i)).map(|(_, &d)| d).collect()
    }

    /// A new shape with `size` inserted before `axis`.
    pub fn with_inserted(&self, axis: usize, size: usize) -> Shape {
        let mut s = self.clone();
        s.0.insert(axis, size);
        s
    }

    /// A new shape in which `axis` has `size`.
    pub fn with_axis(&self, axis: usize, size: usize) -> Shape {
        let mut s = self.clone();
        s[axis] = size;
        s
    }

    /// Appends an axis at the end.
    pub fn push(&mut self, size: usize) {
        self.0.push(size);
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Self {
        Shape(iter.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::scalar()
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Shape(SmallVec::from_slice(&[size]))
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&dims))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(dims))
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    fn shape(d: &[usize]) -> Shape {
        Shape::from(d)
    }

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(shape(&[2, 3]).broadcast(&shape(&[3])), Some(shape(&[2, 3])));
        assert_eq!(shape(&[4, 1]).broadcast(&shape(&[1, 5])), Some(shape(&[4, 5])));
        assert_eq!(shape(&[0]).broadcast(&shape(&[1])), Some(shape(&[0])));
        assert_eq!(shape(&[]).broadcast(&shape(&[7])), Some(shape(&[7])));
        assert_eq!(shape(&[2]).broadcast(&shape(&[3])), None);
    }

    #[test]
    fn overflowing_products_are_refused() {
        assert_eq!(shape(&[usize::MAX, 2]).checked_size(1), None);
        assert_eq!(shape(&[1 << 62, 1]).checked_size(4), None);
        assert_eq!(shape(&[usize::MAX, 2, 0]).checked_size(4), Some(0));
    }
}
