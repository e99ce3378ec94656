//! Standardisation: features of mean 0 and standard deviation 1.

use covector::{DType, Tensor, Tree};

/// The mean and the standard deviation of each column, stored with the model that learned from them.
///
/// ```
/// use covector::Tensor;
/// use covector_data::Standardize;
/// let x = Tensor::from([[1.0f64, 5.0], [3.0, 5.0]]);
/// let scale = Standardize::of(&x, |_| true);
/// assert_eq!(scale.apply(&x).to_vec::<f32>(), [-1.0, 0.0, 1.0, 0.0]);
/// assert_eq!(scale.undo(&scale.apply(&x)).to_vec::<f64>(), [1.0, 5.0, 3.0, 5.0]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct Standardize {
    /// `f64[width]`.
    pub mean: Tensor,
    /// `f64[width]`, over all rows (`correction = 0`); 1 for a column that is the same in all rows.
    pub std: Tensor,
}

impl Standardize {
    /// The scale of `x [rows, width]`, in which NaN does not count; columns that `which` refuses are left as they are.
    ///
    /// Source: scikit-learn's `StandardScaler`.
    ///
    /// # Panics
    /// If `x` has not two axes.
    #[track_caller]
    pub fn of(x: &Tensor, which: impl Fn(usize) -> bool) -> Standardize {
        let [rows, width] = x.shape()[..] else { panic!("a table has rows and columns, not {}", x.spec()) };
        let x = x.cast(DType::F64).to_vec::<f64>();
        let column = |i: usize| (0..rows).map(move |row| row * width + i).map(|at| x[at]).filter(|x| !x.is_nan());
        let (mut mean, mut std) = (vec![0.0; width], vec![1.0; width]);
        for i in (0..width).filter(|&i| which(i)) {
            let count = column(i).count().max(1) as f64;
            mean[i] = column(i).sum::<f64>() / count;
            let square = column(i).map(|x| (x - mean[i]).powi(2)).sum::<f64>() / count;
            // Less than rounding makes of equal numbers is nothing.
            std[i] = if square.sqrt() <= 1e-12 * mean[i].abs() { 1.0 } else { square.sqrt() };
        }
        Standardize { mean: Tensor::from(mean), std: Tensor::from(std) }
    }

    /// A scale that changes nothing.
    pub fn none(width: usize) -> Standardize {
        Standardize { mean: Tensor::from(vec![0.0f64; width]), std: Tensor::from(vec![1.0f64; width]) }
    }

    /// `x [rows, width]` standardised, in f32; computed in f64. NaN, which is a missing number, becomes 0: the mean.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let scaled = (x.cast(DType::F64) - &self.mean) / &self.std;
        scaled.isnan().where_(0.0, &scaled).cast(DType::F32)
    }

    /// `x [n, channels, height, width]` standardised by channel, in f32.
    #[track_caller]
    pub fn channels(&self, x: &Tensor) -> Tensor {
        let [mean, std] = [&self.mean, &self.std].map(|t| t.cast(DType::F32).reshape([-1, 1, 1]));
        (x.cast(DType::F32) - mean) / std
    }

    /// What [`apply`](Self::apply) made of it, in f64.
    #[track_caller]
    pub fn undo(&self, x: &Tensor) -> Tensor {
        x.cast(DType::F64) * &self.std + &self.mean
    }
}
