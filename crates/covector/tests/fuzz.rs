//! Random programs: planned, fused execution gives the bits of one primitive after the other.
//!
//! `COVECTOR_FUZZ=100000 cargo test --release --test fuzz` runs as many programs.

use covector::{DType, Tensor, compile_owned, eval, try_eval_stepwise};

/// Numerical Recipes' generator: programs are the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A program's tensors, and which of them somebody holds when it is run.
struct Program {
    all: Vec<Tensor>,
    held: Vec<usize>,
    text: Vec<String>,
}

fn leaf(dice: &mut Dice, shape: &[usize], dtype: DType) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|_| dice.roll(2000) as f64 / 500.0 - 2.0).collect();
    Tensor::from_slice(&values, shape.to_vec()).cast(dtype)
}

/// A program of at most `steps` ops from this seed, on leaves of its own or on others that are like them.
fn program(seed: u64, steps: usize, given: Option<&[Tensor]>) -> Program {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x51);
    let dtype = if dice.roll(4) == 0 { DType::F64 } else { DType::F32 };
    let rows = [1, 2, 3, 5, 40][dice.roll(5)];
    // Some rows are whole vectors, or whole blocks of sums: arithmetic on those runs as machine code.
    let row = [1, 2, 3, 16, 65, 300, 1100, 256, 512, 1280][dice.roll(10)];
    let lead = [1, 2, 4][dice.roll(3)];
    let full = [lead, rows, row];
    let shapes: [Vec<usize>; 5] = [full.to_vec(), vec![lead, rows, 1], vec![row], vec![lead, rows], vec![rows, row]];
    let mut p = Program { all: Vec::new(), held: Vec::new(), text: Vec::new() };
    for shape in &shapes {
        let x = leaf(&mut dice, shape, dtype);
        eval([&x]);
        p.text.push(format!("t{} = leaf {}", p.all.len(), x.spec()));
        p.all.push(x);
    }
    // A leaf that lies transposed in memory.
    let turned = leaf(&mut dice, &[lead, row, rows], dtype).permute_dims([0, 2, 1]);
    p.text.push(format!("t{} = transposed leaf", p.all.len()));
    p.all.push(turned);
    if let Some(given) = given {
        p.all = given.to_vec();
    }
    for _ in 0..steps {
        // Recent tensors are likelier: chains grow.
        let recent = p.all.len() - 1 - dice.roll(p.all.len().min(6));
        let i = if dice.roll(3) == 0 { dice.roll(p.all.len()) } else { recent };
        let j = dice.roll(p.all.len());
        let (x, other) = (p.all[i].clone(), p.all[j].clone());
        let axis = x.ndim().saturating_sub(1) as isize;
        let made = match dice.roll(36) {
            0..=2 => x.try_add(&other).map(|y| ("add", y)),
            3..=4 => x.try_multiply(&other).map(|y| ("mul", y)),
            5 => x.try_subtract(&other).map(|y| ("sub", y)),
            6 => Ok(("tanh", x.tanh())),
            7 => Ok(("square", x.square())),
            8 => Ok(("sigmoid", x.sigmoid())),
            9 => x.try_maximum(&other).map(|y| ("maximum", y)),
            10 if x.ndim() > 0 => x.try_sum(covector::keep(axis)).map(|y| ("sum keep", y)),
            11 if x.ndim() > 0 => x.try_max(covector::keep(axis)).map(|y| ("max keep", y)),
            12 if x.ndim() > 1 => x.try_sum(axis).map(|y| ("sum", y)),
            13 if x.ndim() > 2 => x.try_sum(keep_last_two(x.ndim())).map(|y| ("sum of two axes", y)),
            14 => x.try_broadcast_to(full).map(|y| ("broadcast", y)),
            15 if x.ndim() > 1 => {
                let flat = [x.shape()[0], x.size() / x.shape()[0].max(1)];
                x.try_reshape(flat).map(|y| ("reshape", y))
            }
            16 if x.size() == lead * rows => x.try_reshape([lead, rows, 1]).map(|y| ("reshape to a column", y)),
            17 if x.ndim() > 0 => x.try_sum(0).map(|y| ("sum over axis 0", y)),
            18 => Ok(("stop_gradient", x.stop_gradient())),
            19 if x.ndim() > 0 => x.try_softmax(axis).map(|y| ("softmax", y)),
            20 => x.try_sum(..).map(|y| ("sum of all", y)),
            21 if x.ndim() > 2 => x.try_sum([0, 1]).map(|y| ("sum over two leading axes", y)),
            22 if x.ndim() > 2 => x.try_sum([0, 2]).map(|y| ("sum to the channels", y)),
            23 if **x.shape() == [rows] => x.try_reshape([rows, 1]).map(|y| ("reshape of channels", y)),
            24 => {
                let to = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::Bool][dice.roll(6)];
                x.try_cast(to).map(|y| ("cast", y))
            }
            25 => Ok(("negative", x.negative())),
            26 => Ok(("abs", x.abs())),
            27 => Ok(("sqrt", x.sqrt())),
            28 => Ok(("reciprocal", x.reciprocal())),
            29 => x.try_divide(&other).map(|y| ("div", y)),
            30 => Ok(("relu", x.relu())),
            31 => x.try_minimum(&other).map(|y| ("minimum", y)),
            32 => x.try_less(&other).map(|y| ("less", y)),
            33 => x.try_greater_equal(&other).and_then(|c| c.try_where_(&x, &other)).map(|y| ("the larger", y)),
            34 => x.greater(0.25).try_where_(&x, &other).map(|y| ("where above a number", y)),
            35 => x.cast(DType::Bool).try_where_(&other, 0.5).map(|y| ("where not zero", y)),
            _ => continue,
        };
        // What does not fit together is no part of the program.
        let Ok((name, y)) = made else { continue };
        if y.size() > 200_000 {
            continue;
        }
        p.text.push(format!("t{} = {name}(t{i}, t{j}) {}", p.all.len(), y.spec()));
        if dice.roll(5) == 0 {
            p.held.push(p.all.len());
        }
        p.all.push(y);
    }
    p.held.push(p.all.len() - 1);
    p
}

fn keep_last_two(ndim: usize) -> covector::Axes {
    covector::keep([ndim as isize - 2, ndim as isize - 1])
}

/// How a program is run.
#[derive(Clone, Copy)]
enum Run {
    Stepwise,
    Planned,
    /// Compiled, and the leaves given away.
    Given,
}

/// The bits of what is held after the program ran, others having been dropped before. One NaN is as good as another: compilers
/// swap the operands of a sum, and with them whose sign comes out.
fn results(seed: u64, steps: usize, how: Run) -> Vec<Vec<u64>> {
    let held = |given: Option<&[Tensor]>| {
        let Program { all, held, .. } = program(seed, steps, given);
        held.iter().map(|&i| all[i].clone()).collect::<Vec<Tensor>>()
    };
    let held = match how {
        Run::Stepwise => {
            let held = held(None);
            try_eval_stepwise(&held).expect("programs fit");
            held
        }
        Run::Planned => {
            let held = held(None);
            eval(&held);
            held
        }
        Run::Given => compile_owned(|leaves: &Vec<Tensor>| held(Some(leaves)))(program(seed, 0, None).all),
    };
    let bits = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    held.iter().map(|t| t.value().to_f64_vec().into_iter().map(bits).collect()).collect()
}

fn differ(seed: u64, steps: usize) -> bool {
    let wanted = results(seed, steps, Run::Stepwise);
    [Run::Planned, Run::Given].iter().any(|&how| results(seed, steps, how) != wanted)
}

#[test]
fn random_programs_have_the_bits_of_their_steps_one_by_one() {
    covector_array::kernels::write_code_after(0);
    let count = std::env::var("COVECTOR_FUZZ").ok().and_then(|v| v.parse().ok()).unwrap_or(400);
    for seed in 0..count {
        let steps = 5 + (seed as usize * 7) % 60;
        if differ(seed, steps) {
            // Prefixes of a program are programs: the shortest that differs says most.
            let least = (1..=steps).find(|&n| differ(seed, n)).unwrap_or(steps);
            panic!("seed {seed} differs after:\n{}", program(seed, least, None).text.join("\n"));
        }
    }
}
