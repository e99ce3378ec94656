//! Tensors from numbers and nested literals, and numbers from tensors.

use std::panic::Location;

use covector_array::{Array, DType, Element, Shape};

use crate::{Error, Result, Spec, Tensor, site};

/// Numbers and nested arrays of numbers: what a tensor can be made of.
///
/// Integers of Rust's default type i32 become i64, as in NumPy; floats keep their type.
pub trait Nested {
    /// The type of the elements.
    type Item: Element;
    /// The sizes of the axes.
    fn shape(&self) -> Vec<usize>;
    /// Appends the elements in row-major order.
    fn extend(&self, out: &mut Vec<Self::Item>);
}

macro_rules! nested_numbers {
    ($($t:ty => $item:ty),*) => {$(
        impl Nested for $t {
            type Item = $item;
            fn shape(&self) -> Vec<usize> { Vec::new() }
            fn extend(&self, out: &mut Vec<$item>) { out.push(<$item>::from(*self)); }
        }
        impl From<$t> for Tensor {
            #[track_caller]
            fn from(x: $t) -> Tensor { Tensor::new(&x) }
        }
    )*};
}
nested_numbers!(bool => bool, u8 => u8, u16 => u16, u32 => u32, u64 => u64, i8 => i8, i16 => i16, i32 => i64, i64 => i64,
    f32 => f32, f64 => f64, covector_array::f16 => covector_array::f16, covector_array::bf16 => covector_array::bf16, covector_array::c64 => covector_array::c64,
    covector_array::c128 => covector_array::c128);

impl<T: Nested, const N: usize> Nested for [T; N] {
    type Item = T::Item;
    fn shape(&self) -> Vec<usize> {
        let inner = self.first().map(T::shape).unwrap_or_default();
        std::iter::once(N).chain(inner).collect()
    }
    fn extend(&self, out: &mut Vec<T::Item>) {
        self.iter().for_each(|x| x.extend(out));
    }
}

impl<T: Nested, const N: usize> From<[T; N]> for Tensor {
    #[track_caller]
    fn from(x: [T; N]) -> Tensor {
        Tensor::new(&x)
    }
}

impl<T: Element> From<Vec<T>> for Tensor {
    #[track_caller]
    fn from(x: Vec<T>) -> Tensor {
        Tensor::from_array(Array::from_slice(&x, x.len()))
    }
}

impl Tensor {
    /// A constant from a number or nested arrays of numbers.
    ///
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::new(&[[1.0f32, 2.0], [3.0, 4.0]]).shape()[..], [2, 2]);
    /// ```
    #[track_caller]
    pub fn new(x: &impl Nested) -> Tensor {
        let mut values = Vec::new();
        x.extend(&mut values);
        Tensor::from_array(Array::from_slice(&values, x.shape()))
    }

    /// A constant of `shape` from its elements in row-major order.
    ///
    /// # Errors
    /// If their number is not the size of the shape.
    #[track_caller]
    pub fn try_from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        if shape.checked_size(T::DTYPE.size()) != Some(values.len()) {
            let size = shape.checked_size(1).map_or("more than memory can address".to_owned(), |n| n.to_string());
            let text = format!("the shape {shape} takes {size}, the number of values is {}", values.len());
            let error = Error::new(text);
            return Err(error.located("from_slice", Location::caller(), |_| ()));
        }
        Ok(Tensor::from_array(Array::from_slice(values, shape)))
    }

    /// A constant of `shape` from its elements in row-major order; panics if their number is wrong.
    ///
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [2, 2]).shape()[..], [2, 2]);
    /// ```
    #[track_caller]
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Tensor {
        match Tensor::try_from_slice(values, shape) {
            Ok(t) => t,
            Err(e) => e.raise(),
        }
    }

    /// The single element.
    ///
    /// # Errors
    /// If there is not exactly one, if `T` is another type than the dtype's, or as for evaluation.
    #[track_caller]
    pub fn try_item<T: Element>(&self) -> Result<T> {
        site::call(
            "item",
            Location::caller(),
            |_| (),
            || {
                self.require_one()?;
                Ok(self.try_to_vec::<T>()?[0])
            },
        )
    }

    fn require_one(&self) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        Err(Error::new(format!("{} has {} elements, not one", self.spec(), self.size()))
            .hint("read all with `to_vec`, or reduce first, for example with `.sum(..)`"))
    }

    /// The single element; panics at the caller's line if there is not exactly one of type `T`.
    ///
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from(2.5f32).item::<f32>(), 2.5);
    /// ```
    #[track_caller]
    pub fn item<T: Element>(&self) -> T {
        match self.try_item() {
            Ok(x) => x,
            Err(e) => e.raise(),
        }
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// If `T` is another type than the dtype's, or as for evaluation.
    #[track_caller]
    pub fn try_to_vec<T: Element>(&self) -> Result<Vec<T>> {
        site::call(
            "to_vec",
            Location::caller(),
            |_| (),
            || {
                if T::DTYPE != self.dtype() {
                    let d = T::DTYPE;
                    return Err(Error::new(format!("{} cannot be read as {d}", self.spec()))
                        .hint(format!("read it as {}, or cast first: `.cast(DType::{d:?})`", self.dtype())));
                }
                Ok(self.try_value()?.to_vec::<T>())
            },
        )
    }

    /// The elements in row-major order; panics at the caller's line if `T` is not the dtype's type.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        match self.try_to_vec() {
            Ok(x) => x,
            Err(e) => e.raise(),
        }
    }

    /// A scalar of this dtype.
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType) -> Tensor {
        Tensor::from_array(Array::full((), value, dtype))
    }

    /// The single element as f64, whatever the dtype (of a complex number the real part); panics at the caller's line if there is not exactly one.
    #[track_caller]
    pub fn to_f64(&self) -> f64 {
        let read = || {
            self.require_one()?;
            Ok(self.try_value()?.to_f64_vec()[0])
        };
        match site::call("to_f64", Location::caller(), |_| (), read) {
            Ok(x) => x,
            Err(e) => e.raise(),
        }
    }
}

impl From<Array> for Tensor {
    #[track_caller]
    fn from(array: Array) -> Tensor {
        Tensor::from_array(array)
    }
}

impl Spec {
    /// The bytes the elements take.
    pub fn bytes(&self) -> usize {
        self.shape.size() * self.dtype.size()
    }
}
