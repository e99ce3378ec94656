//! What a tensor's numbers look like, in a few words.

use covector::draw::{numbers, short};
use covector::{DType, Tensor};

/// Tensors of more elements are not read.
const MOST: usize = 1 << 22;

/// The numbers if they are few and known, else how they are distributed.
pub(super) fn of(tensor: &Tensor) -> Option<String> {
    if let Some(few) = numbers(tensor) {
        return Some(few);
    }
    if !tensor.is_evaluated() || tensor.size() > MOST || tensor.size() == 0 {
        return None;
    }
    let all = sizes(tensor);
    if tensor.dtype() == DType::Bool {
        return Some(format!("{} of {} true", all.iter().filter(|&&x| x != 0.0).count(), all.len()));
    }
    let finite: Vec<f64> = all.iter().copied().filter(|x| x.is_finite()).collect();
    let nan = all.iter().filter(|x| x.is_nan()).count();
    let infinite = all.len() - finite.len() - nan;
    let mut said = Vec::new();
    if nan > 0 {
        said.push(format!("{nan} NaN"));
    }
    if infinite > 0 {
        said.push(format!("{infinite} infinite"));
    }
    if !finite.is_empty() {
        let n = finite.len() as f64;
        let mean = finite.iter().sum::<f64>() / n;
        let deviation = (finite.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        let (least, most) = finite.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
        let end = |x: f64| if tensor.dtype().is_float() { brief(x) } else { short(x) };
        match least == most {
            true => said.push(format!("all {}", end(mean))),
            false => said.push(format!("{} ± {}, {} to {}", brief(mean), brief(deviation), end(least), end(most))),
        }
    }
    Some(said.join(", "))
}

/// Three significant digits.
fn brief(x: f64) -> String {
    short(format!("{x:.2e}").parse().unwrap_or(x))
}

/// The numbers of a tensor; of complex ones the absolute values.
fn sizes(tensor: &Tensor) -> Vec<f64> {
    let value = tensor.value();
    match tensor.dtype().is_complex() {
        true => value.to_c128_vec().into_iter().map(|z| z.norm()).collect(),
        false => value.to_f64_vec(),
    }
}
