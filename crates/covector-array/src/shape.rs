//! Shapes, strides and broadcasting.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// Steps between neighbours along each axis, in elements; negative for flipped, 0 for broadcast axes.
pub type Strides = Dims<isize>;

/// Axes whose numbers are held in place; more go to the heap.
const IN_PLACE: usize = 4;

/// One number per axis: a short list that is copied as often as arrays and nodes are made.
#[derive(Clone)]
pub struct Dims<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    /// What lies beyond the length is 0, so that lists are compared as a whole.
    Here(Len, [T; IN_PLACE]),
    /// More than fit in place.
    Heap(Vec<T>),
}

/// How many numbers are held in place. As wide as they are: copies are then made of whole words, and what was just written is
/// read as it was written; and the compiler keeps the mark of a list on the heap in it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Len {
    Zero,
    One,
    Two,
    Three,
    Four,
}

impl Len {
    #[inline]
    fn new(len: usize) -> Option<Len> {
        [Len::Zero, Len::One, Len::Two, Len::Three, Len::Four].get(len).copied()
    }
}

impl<T: Copy + Default> Dims<T> {
    /// No axes.
    #[inline]
    pub fn new() -> Self {
        Dims(Held::Here(Len::Zero, [T::default(); IN_PLACE]))
    }

    /// The same number for each of `len` axes.
    #[inline]
    pub fn from_elem(x: T, len: usize) -> Self {
        let Some(here) = Len::new(len) else { return Dims(Held::Heap(vec![x; len])) };
        let at = |i: usize| if i < len { x } else { T::default() };
        Dims(Held::Here(here, [at(0), at(1), at(2), at(3)]))
    }

    /// These numbers.
    #[inline]
    pub fn from_slice(numbers: &[T]) -> Self {
        let Some(here) = Len::new(numbers.len()) else { return Dims(Held::Heap(numbers.to_vec())) };
        let at = |i: usize| numbers.get(i).copied().unwrap_or_default();
        Dims(Held::Here(here, [at(0), at(1), at(2), at(3)]))
    }

    /// Appends a number.
    #[inline]
    pub fn push(&mut self, x: T) {
        match &mut self.0 {
            Held::Here(len, numbers) => match Len::new(*len as usize + 1) {
                Some(longer) => {
                    numbers[*len as usize] = x;
                    *len = longer;
                }
                None => {
                    let mut all = Vec::with_capacity(2 * IN_PLACE);
                    all.extend_from_slice(numbers);
                    all.push(x);
                    self.0 = Held::Heap(all);
                }
            },
            Held::Heap(all) => all.push(x),
        }
    }

    /// Inserts a number before `axis`.
    pub fn insert(&mut self, axis: usize, x: T) {
        self.push(x);
        self[axis..].rotate_right(1);
    }
}

impl<T> Deref for Dims<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::Here(len, numbers) => &numbers[..*len as usize],
            Held::Heap(all) => all,
        }
    }
}

impl<T> DerefMut for Dims<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Held::Here(len, numbers) => &mut numbers[..*len as usize],
            Held::Heap(all) => all,
        }
    }
}

impl<T: PartialEq> PartialEq for Dims<T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Held::Here(m, a), Held::Here(n, b)) => m == n && a == b,
            _ => self[..] == other[..],
        }
    }
}

impl<T: Eq> Eq for Dims<T> {}

impl<T: Hash> Hash for Dims<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self[..].hash(state);
    }
}

impl<T: Copy + Default> Default for Dims<T> {
    fn default() -> Self {
        Dims::new()
    }
}

impl<T: Copy + Default> FromIterator<T> for Dims<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut all = Dims::new();
        iter.into_iter().for_each(|x| all.push(x));
        all
    }
}

impl<'a, T> IntoIterator for &'a Dims<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The sizes of an array's axes: `[]` is a scalar, `[d]` a vector, `[m, n]` a matrix.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Dims<usize>);

impl Shape {
    /// The scalar shape `[]`.
    pub fn scalar() -> Self {
        Shape(Dims::new())
    }

    /// The product of the sizes: 1 for a scalar, 0 if an axis is empty.
    ///
    /// Saturates: a shape that overflows is refused by [`Shape::checked_size`] before anything is built on it.
    #[inline]
    pub fn size(&self) -> usize {
        self.iter().fold(1usize, |p, &d| p.saturating_mul(d))
    }

    /// The product of the sizes, or `None` if `size * element_bytes` does not fit in isize.
    pub fn checked_size(&self, element_bytes: usize) -> Option<usize> {
        let size = self.iter().try_fold(1usize, |p, &d| p.checked_mul(d));
        let fits = |size: &usize| size.checked_mul(element_bytes).is_some_and(|bytes| isize::try_from(bytes).is_ok());
        // An empty axis makes the size 0 whatever the others multiply to.
        size.filter(fits).or_else(|| self.contains(&0).then_some(0))
    }

    /// Row-major strides in elements.
    #[inline]
    pub fn contiguous_strides(&self) -> Strides {
        if self.len() <= 1 {
            return Strides::from_elem(1, self.len());
        }
        let mut strides = Strides::from_elem(0, self.len());
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
        let mut out = Dims::from_elem(1, ndim);
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
    #[inline]
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
        Shape(Dims::from_slice(&[size]))
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(Dims::from_slice(&dims))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Shape(Dims::from_slice(dims))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(Dims::from_slice(dims))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(Dims::from_slice(&dims))
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Self {
        Shape(Dims::from_slice(dims))
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
    fn lists_are_five_words() {
        assert_eq!((size_of::<Shape>(), size_of::<super::Strides>()), (40, 40));
    }

    #[test]
    fn shapes_of_any_length_are_equal_if_their_sizes_are() {
        for n in 0..8 {
            let sizes: Vec<usize> = (1..=n).collect();
            let mut grown = Shape::scalar();
            sizes.iter().for_each(|&d| grown.push(d));
            let collected: Shape = sizes.iter().copied().collect();
            assert!(grown == shape(&sizes) && collected == grown && grown[..] == sizes[..], "{n}");
            let mut longer = sizes.clone();
            longer.insert(n / 2, 0);
            assert_eq!(grown.with_inserted(n / 2, 0), shape(&longer));
            assert_ne!(grown, shape(&longer));
        }
    }

    #[test]
    fn overflowing_products_are_refused() {
        assert_eq!(shape(&[usize::MAX, 2]).checked_size(1), None);
        assert_eq!(shape(&[1 << 62, 1]).checked_size(4), None);
        assert_eq!(shape(&[usize::MAX, 2, 0]).checked_size(4), Some(0));
    }
}
