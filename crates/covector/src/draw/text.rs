//! Numbers and names as they stand in drawings.

use std::fmt::Write;

use crate::{Array, DType, Shape, Tensor};

/// Tensors of more elements are drawn without their numbers.
pub(super) const MOST: usize = 6;

/// The numbers of a small tensor, nested as its axes are, if they are known.
pub fn numbers(tensor: &Tensor) -> Option<String> {
    let value = tensor.cached().filter(|a| a.size() <= MOST)?;
    Some(written(value))
}

/// The numbers of an array, nested as its axes are; complex ones as sums `1+2j`.
fn written(value: &Array) -> String {
    match value.dtype() {
        DType::Bool => nested(&value.to_f64_vec(), value.shape(), &|x| (*x != 0.0).to_string()),
        DType::C64 | DType::C128 => nested(&value.to_c128_vec(), value.shape(), &|z| {
            let im = short(z.im);
            format!("{}{}{im}j", short(z.re), if im.starts_with('-') { "" } else { "+" })
        }),
        _ => nested(&value.to_f64_vec(), value.shape(), &|x| short(*x)),
    }
}

/// The first number of a tensor, if it is known.
pub(super) fn first_number(tensor: &Tensor) -> Option<String> {
    let value = tensor.cached().filter(|a| a.size() > 0)?;
    let axes = value.ndim();
    let first = value.slice(&vec![0; axes], &vec![1; axes], &vec![1; axes]);
    Some(written(&first.reshape(&Shape::scalar())))
}

fn nested<T>(flat: &[T], shape: &[usize], write: &dyn Fn(&T) -> String) -> String {
    let Some((&first, rest)) = shape.split_first() else { return write(&flat[0]) };
    let inner: usize = rest.iter().product();
    let items: Vec<String> = (0..first).map(|i| nested(&flat[i * inner..(i + 1) * inner], rest, write)).collect();
    format!("[{}]", items.join(", "))
}

/// A number with at most six significant digits.
pub fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    // Rounding may carry into the next decade, so the exponent is read off the rounded number.
    let scientific = format!("{x:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match exponent {
        -4..6 => trimmed(&format!("{x:.*}", (5 - exponent) as usize)),
        _ => format!("{}e{exponent}", trimmed(digits)),
    }
}

/// A name as text inside a Mermaid label.
pub(crate) fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let written = [0.0, -3.0, 0.1 + 0.2, 999_999.6, 1e-5, -0.000133609143285085, f64::INFINITY].map(short);
        assert_eq!(written, ["0", "-3", "0.3", "1e6", "1e-5", "-0.000133609", "inf"]);
    }

    #[test]
    fn names_cannot_break_out_of_a_label() {
        assert_eq!(escaped("a\"]<b>"), "a#34;]#60;b#62;");
    }
}
