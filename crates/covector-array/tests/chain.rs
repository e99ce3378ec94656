//! Chains on every instruction set and number of threads: code that is written for rows gives the bits of links one by one, which
//! is how processors without vector instructions of three operands run.

mod common;

use common::same_everywhere;
use covector_array::kernels::{
    Arithmetic, Chain, Kernel, Link, LinkOp, Reduction, Source, run_chain, write_code_after,
};
use covector_array::math::Num;
use covector_array::{Array, DType, Shape};

macro_rules! kernel {
    ($t:ty, $op:expr) => {{
        use Arithmetic::*;
        let kernel = match $op {
            Add => Kernel::binary(|x: $t, y: $t| x + y),
            Subtract => Kernel::binary(|x: $t, y: $t| x - y),
            Multiply => Kernel::binary(|x: $t, y: $t| x * y),
            Divide => Kernel::binary(|x: $t, y: $t| x / y),
            Maximum => Kernel::binary(|x: $t, y: $t| Num::max(x, y)),
            Minimum => Kernel::binary(|x: $t, y: $t| Num::min(x, y)),
            Rectify => Kernel::unary(|x: $t| Num::max(x, 0.0)),
            Negative => Kernel::unary(|x: $t| -x),
            Absolute => Kernel::unary(|x: $t| x.abs()),
            Square => Kernel::unary(|x: $t| x * x),
            SquareRoot => Kernel::unary(|x: $t| x.sqrt()),
            Reciprocal => Kernel::unary(|x: $t| 1.0 / x),
            ReciprocalSquareRoot => Kernel::unary(|x: $t| 1.0 / x.sqrt()),
            _ => unreachable!("none of this norm"),
        };
        kernel.known_as($op)
    }};
}

/// A norm of rows with its weight (a row for all) and a factor for each row, three sums at once, and a value for each row.
fn norm(dtype: DType, row: usize) -> Chain {
    use Arithmetic::*;
    use Source::{Input, Link as From};
    let mut links: Vec<Link> = Vec::new();
    let mut push = |op: LinkOp, sources: &[Source], narrow: bool| {
        links.push(Link { op, sources: sources.iter().copied().collect(), dtype, narrow });
        From(links.len() - 1)
    };
    let map = |op| LinkOp::Map(if dtype == DType::F64 { kernel!(f64, op) } else { kernel!(f32, op) });
    let sum = LinkOp::Fold(Reduction::Sum);
    let (x, weight, factor) = (Input(0), Input(1), Input(2));
    let total = push(sum, &[x], true);
    let mean = push(map(Divide), &[total, factor], true);
    let means = push(LinkOp::Repeat, &[mean], false);
    let centred = push(map(Subtract), &[x, means], false);
    let square = push(map(Square), &[centred], false);
    let squares = push(sum, &[square], true);
    let size = push(map(Absolute), &[centred], false);
    let sizes = push(sum, &[size], true);
    let weighted = push(map(Multiply), &[centred, weight], false);
    let products = push(sum, &[weighted], true);
    let both = push(map(Add), &[squares, sizes], true);
    let scale = push(map(ReciprocalSquareRoot), &[both], true);
    let root = push(map(SquareRoot), &[both], true);
    let opposite = push(map(Negative), &[products], true);
    let inverse = push(map(Reciprocal), &[root], true);
    let each = push(map(Multiply), &[opposite, inverse], true);
    let scales = push(LinkOp::Repeat, &[scale], false);
    let scaled = push(map(Multiply), &[centred, scales], false);
    let result = push(map(Multiply), &[scaled, weight], false);
    let index = |source: Source| match source {
        From(i) => i,
        Input(_) => unreachable!("a link"),
    };
    Chain::new(links, [each, result, products].map(index).to_vec(), row, vec![false, false, true])
}

fn filled(dtype: DType, shape: &Shape, shift: f64) -> Array {
    let number = |i: usize| (i as f64 * 0.37 + shift).sin() * 2.0;
    match dtype {
        DType::F64 => {
            Array::build::<f64>(shape.clone(), |o| o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i)))
        }
        _ => Array::build::<f32>(shape.clone(), |o| o.iter_mut().enumerate().for_each(|(i, v)| *v = number(i) as f32)),
    }
}

#[test]
fn rows_in_code_have_the_bits_of_links_one_by_one() {
    write_code_after(0);
    // Blocks of one size: one that is smaller, one to five, seven, thirteen, sixty-four, and more than one chunk; odd rows.
    for row in
        [128, 144, 240, 256, 512, 768, 1024, 1280, 1792, 3328, 16384, 16640, 1000, 33, 3, 8, 17, 1001, 4097, 33_001]
    {
        for rows in [1, 2, 5, if row > 2000 { 9 } else { 150 }] {
            for dtype in [DType::F32, DType::F64] {
                let (wide, narrow) = (Shape::from([rows, row]), Shape::from([rows]));
                let (x, factor) = (filled(dtype, &wide, 0.0), filled(dtype, &narrow, 1.0));
                let weight = filled(dtype, &[1, row].into(), 2.0).broadcast_to(&wide);
                let results = |chain: &Chain| {
                    let inputs = [x.clone(), weight.clone(), factor.clone()].into_iter().collect();
                    run_chain(chain, inputs, rows, &[&narrow, &wide, &narrow])
                };
                let name = format!("{rows} x {row} of {dtype}");
                let bytes = same_everywhere(|| {
                    // Code is for the instruction set of its first run.
                    let chain = norm(dtype, row);
                    let first: Vec<u8> = results(&chain).iter().flat_map(Array::to_bytes).collect();
                    let again: Vec<u8> = results(&chain).iter().flat_map(Array::to_bytes).collect();
                    assert!(first == again, "{name}, run again");
                    Array::from_slice(&first, [first.len()])
                });
                // And they are numbers: 0 · NaN would hide everything.
                let width = dtype.size();
                let bytes = bytes.to_bytes();
                let first = match dtype {
                    DType::F64 => f64::from_le_bytes(bytes[..width].try_into().unwrap()),
                    _ => f64::from(f32::from_le_bytes(bytes[..width].try_into().unwrap())),
                };
                assert!(first.is_finite(), "{name}: {first}");
            }
        }
    }
}
