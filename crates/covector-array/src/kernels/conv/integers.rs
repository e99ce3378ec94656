//! Convolutions of integers, which wrap: the sum as it is written.

use super::{Call, Part, Slide, unravel};
use crate::math::Num;
use crate::{Array, DType, threads};

pub(super) fn run(call: &Call, part: Part, a: &Array, b: &Array) -> Array {
    match a.dtype() {
        DType::U8 => typed::<u8>(call, part, a, b),
        DType::I8 => typed::<i8>(call, part, a, b),
        DType::U16 => typed::<u16>(call, part, a, b),
        DType::I16 => typed::<i16>(call, part, a, b),
        DType::U32 => typed::<u32>(call, part, a, b),
        DType::I32 => typed::<i32>(call, part, a, b),
        DType::U64 => typed::<u64>(call, part, a, b),
        DType::I64 => typed::<i64>(call, part, a, b),
        other => panic!("no convolution of {other}: cast first"),
    }
}

fn typed<T: Num>(call: &Call, part: Part, a: &Array, b: &Array) -> Array {
    let (a, b) = (a.contiguous(), b.contiguous());
    let areas = [a.shape(), b.shape()].map(|shape| shape[2..].iter().product::<usize>());
    let (a, b) = (a.as_slice::<T>().expect("contiguous"), b.as_slice::<T>().expect("contiguous"));
    let shape = call.shape(part);
    let (area, size, second) = (shape[2..].iter().product::<usize>(), shape.size(), shape[1]);
    let Call { groups, inputs, outputs, examples, .. } = *call;
    let mut sums = vec![T::ZERO; size];
    let channels: Vec<std::sync::Mutex<&mut [T]>> = sums.chunks_mut(area.max(1)).map(std::sync::Mutex::new).collect();
    threads::for_each(channels.len(), call.cost(), |i| {
        let mut out = channels[i].lock().expect("nobody panics with it");
        let mut add = |first: usize, second: usize| {
            let a = &a[first * areas[0]..][..areas[0]];
            let b = &b[second * areas[1]..][..areas[1]];
            meetings(call, |x, w, y| {
                let (i, j, to) = match part {
                    Part::Output => (x, w, y),
                    Part::Input => (w, y, x),
                    Part::Weight => (x, y, w),
                };
                out[to] = Num::add(out[to], Num::mul(a[i], b[j]));
            });
        };
        let (i, j) = (i / second, i % second);
        match part {
            Part::Output => {
                let first = (i * groups + j / outputs) * inputs;
                (0..inputs).for_each(|c| add(first + c, j * inputs + c));
            }
            Part::Input => {
                let first = j / inputs * outputs;
                (0..outputs).for_each(|o| add((first + o) * inputs + j % inputs, i * groups * outputs + first + o));
            }
            Part::Weight => {
                let x = |n: usize| (n * groups + i / outputs) * inputs + j;
                (0..examples).for_each(|n| add(x(n), n * groups * outputs + i));
            }
        }
    });
    drop(channels);
    Array::from_slice(&sums, shape)
}

/// Calls `body` with the places of elements of `x`, the kernel and `y` that meet, for one channel of each.
fn meetings(call: &Call, mut body: impl FnMut(usize, usize, usize)) {
    let last = call.len.len() - 1;
    let (rows, row) = (&call.out[..last], call.out[last]);
    // Where on axis `a` of `x` position `p` meets kernel element `k`.
    let at = |a: usize, p: usize, k: usize| {
        let Slide { step, padding, dilation } = call.slides[a];
        (p * step + k * dilation).checked_sub(padding).filter(|&i| i < call.len[a])
    };
    for (w, tap) in call.taps().enumerate() {
        for i in 0..rows.iter().product() {
            let p = unravel(i, rows);
            let outer = (0..last).try_fold(0, |sum, a| Some(sum * call.len[a] + at(a, p[a], tap[a])?));
            let Some(outer) = outer else { continue };
            for p in 0..row {
                if let Some(x) = at(last, p, tap[last]) {
                    body(outer * call.len[last] + x, w, i * row + p);
                }
            }
        }
    }
}
