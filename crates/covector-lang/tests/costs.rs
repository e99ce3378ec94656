//! Formulas against the plans that run.

use std::collections::{BTreeMap, HashSet};

use covector::{Tensor, explain};
use covector_lang::{Model, Numbers, Program, hollow};
use covector_trace::table::{Count, Trace};

/// Numbers from a seed, the same on every machine.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

fn value(count: &Count, sizes: &BTreeMap<&str, u64>) -> u64 {
    let formula = count.symbolic.as_ref().expect("a formula was found");
    let value = formula.value(&|name| sizes.get(name).copied());
    value.unwrap_or_else(|| panic!("{formula} at {sizes:?}")) as u64
}

/// Arithmetic of a run at these sizes.
struct Arithmetic {
    forward: u64,
    /// Of both passes, as it is written down.
    both: u64,
    /// Of the plan for both, where a sum that is written down twice is computed once.
    planned: u64,
}

fn arithmetic(program: &Program, numbers: &Numbers) -> Arithmetic {
    let record = program.run(numbers, &mut |leaf| Ok(hollow(leaf))).unwrap_or_else(|e| panic!("{e}"));
    let forward = explain([&record.output().unwrap()]).flops();
    let both = program.differentiate(&record, &[], &|leaf| Ok(hollow(leaf))).unwrap_or_else(|e| panic!("{e}"));
    let targets: Vec<Tensor> = both.gradients.iter().chain([&both.output]).cloned().collect();
    Arithmetic { forward, both: written(&targets), planned: explain(&targets).flops() }
}

/// The arithmetic of every node that these are made of.
fn written(targets: &[Tensor]) -> u64 {
    let (mut seen, mut next, mut sum) = (HashSet::new(), targets.to_vec(), 0);
    while let Some(node) = next.pop() {
        if !node.is_evaluated() && seen.insert(node.id()) {
            let inputs = node.inputs();
            let specs: Vec<_> = inputs.iter().map(Tensor::spec).collect();
            sum += node.primitive().cost(&specs, node.spec()).flops;
            next.extend(inputs);
        }
    }
    sum
}

/// The one model in which something is written down twice: where branches meet, the biases of both norms have one cotangent.
const TWINS: &str = "resnet18";

/// The arithmetic of both passes in a table is what is written down, and what the plan does.
fn both_hold(program: &Program, table: u64, run: &Arithmetic, says: impl Fn() -> String) {
    assert_eq!(table, run.both, "{} forward and backward at {}", program.name, says());
    if program.name == TWINS {
        let less = table.checked_sub(run.planned);
        let (name, planned) = (&program.name, run.planned);
        assert!(less.is_some_and(|less| less <= table / 1000), "{name}: {table}, the plan {planned} at {}", says());
    } else {
        assert_eq!(table, run.planned, "the plan of {} at {}", program.name, says());
    }
}

/// The numbers in a table are those of the plans at these sizes.
fn numbers_hold(program: &Program, numbers: &Numbers) {
    let trace = program.trace(numbers).unwrap_or_else(|e| panic!("{e}"));
    let run = arithmetic(program, numbers);
    let totals = [&trace.totals.forward, &trace.totals.backward].map(|count| count.number.unwrap());
    assert_eq!(totals[0], run.forward, "{} forward at {numbers:?}", program.name);
    both_hold(program, totals[0] + totals[1], &run, || format!("{numbers:?}"));
}

/// Formulas found once, evaluated at 20 random configurations, against plans made for each of them.
fn formulas_hold(
    program: &Program,
    settings: &Numbers,
    mut draw: impl FnMut(&mut Draw) -> BTreeMap<&'static str, u64>,
) {
    let formulas: Trace = program.trace(settings).unwrap_or_else(|e| panic!("{e}"));
    let mut random = Draw(7);
    for round in 0..20 {
        let sizes = draw(&mut random);
        let mut numbers = settings.clone();
        numbers.extend(sizes.iter().map(|(n, x)| ((*n).to_owned(), *x as f64)));
        let run = arithmetic(program, &numbers);
        let (f, b) = (value(&formulas.totals.forward, &sizes), value(&formulas.totals.backward, &sizes));
        assert_eq!(f, run.forward, "{} forward at {sizes:?}: {}", program.name, formulas.summary_text());
        both_hold(program, f + b, &run, || format!("{sizes:?}: {}", formulas.summary_text()));
        if round == 0 {
            numbers_hold(program, &numbers);
        }
    }
}

fn model(name: &str, settings: &[(&str, f64)]) -> (Program, Numbers) {
    let model = Model::find(name).unwrap();
    let mut numbers = model.numbers();
    numbers.extend(settings.iter().map(|(n, x)| ((*n).to_owned(), *x)));
    (model.program().unwrap(), numbers)
}

#[test]
fn attention() {
    let (program, settings) = model("attention", &[]);
    formulas_hold(&program, &settings, |r| ["B", "T", "d", "d_k", "d_v"].map(|name| (name, r.between(2, 40))).into());
    let (program, settings) = model("attention-heads", &[]);
    formulas_hold(&program, &settings, |r| {
        let h = r.between(2, 8);
        [("B", r.between(2, 9)), ("T", r.between(2, 40)), ("h", h), ("d", h * r.between(2, 20))].into()
    });
}

#[test]
fn sizes_of_one_take_what_their_plans_take() {
    let ones = |name: &str, settings: &[(&str, f64)]| {
        let (program, numbers) = model(name, settings);
        numbers_hold(&program, &numbers);
    };
    ones("attention", &[("B", 1.0), ("T", 1.0), ("d", 1.0), ("d_k", 1.0), ("d_v", 1.0)]);
    ones("llama-2-7b", &[("layers", 2.0), ("d", 64.0), ("hidden", 10.0), ("vocabulary", 50.0), ("B", 1.0), ("T", 5.0)]);
    ones("vit-b16", &[("layers", 2.0), ("d", 24.0), ("B", 1.0)]);
    ones("resnet18", &[("B", 1.0), ("H", 32.0), ("W", 45.0)]);
}

#[test]
fn transformers() {
    for bias in [0.0, 1.0] {
        let (program, settings) = model("gpt2", &[("layers", 2.0), ("bias", bias)]);
        formulas_hold(&program, &settings, |r| {
            let (heads, context) = (r.between(2, 6), r.between(20, 50));
            let d = heads * r.between(2, 16);
            [
                ("B", r.between(2, 5)),
                ("T", r.between(2, context)),
                ("heads", heads),
                ("d", d),
                ("context", context),
                ("vocabulary", r.between(2, 300)),
            ]
            .into()
        });
    }
    let (program, settings) = model("llama-2-7b", &[("layers", 2.0)]);
    formulas_hold(&program, &settings, |r| {
        let kv_heads = r.between(2, 4);
        let heads = kv_heads * r.between(2, 4);
        [
            ("B", r.between(2, 5)),
            ("T", r.between(2, 30)),
            ("kv_heads", kv_heads),
            ("heads", heads),
            ("d", heads * 2 * r.between(2, 8)),
            ("hidden", r.between(2, 100)),
            ("vocabulary", r.between(2, 300)),
        ]
        .into()
    });
    let (program, settings) = model("bert-base", &[("layers", 2.0)]);
    formulas_hold(&program, &settings, |r| {
        let heads = r.between(2, 6);
        [
            ("B", r.between(2, 5)),
            ("T", r.between(2, 30)),
            ("heads", heads),
            ("d", heads * r.between(2, 16)),
            ("vocabulary", r.between(2, 300)),
            ("context", r.between(30, 60)),
            ("segments", 2),
        ]
        .into()
    });
    let (program, settings) = model("vit-b16", &[("layers", 2.0)]);
    formulas_hold(&program, &settings, |r| {
        let (heads, patch) = (r.between(2, 6), r.between(2, 9));
        [
            ("B", r.between(2, 5)),
            ("heads", heads),
            ("d", heads * r.between(2, 16)),
            ("patch", patch),
            ("side", patch * r.between(2, 6)),
            ("classes", r.between(2, 50)),
        ]
        .into()
    });
}

#[test]
fn convolutional_nets() {
    for name in ["mnist", "lenet"] {
        let (program, settings) = model(name, &[]);
        formulas_hold(&program, &settings, |r| [("B", r.between(2, 60))].into());
    }
    let (program, settings) = model("alexnet", &[]);
    formulas_hold(&program, &settings, |r| [("B", r.between(2, 9)), ("classes", r.between(2, 1000))].into());
    let (program, settings) = model("resnet18", &[]);
    formulas_hold(&program, &settings, |r| {
        let side = |r: &mut Draw| 32 * r.between(2, 5);
        [("B", r.between(2, 9)), ("H", side(r)), ("W", side(r)), ("classes", r.between(2, 1000))].into()
    });
}

#[test]
fn fused_attention_strides_and_slices() {
    let program = |text: &str| Program::parse("test", text).unwrap();
    let attention = "q: f32[B, h, T, k]\nv: f32[B, h, T, e]\nmask: bool[T, T]\n\
        a = scaled_dot_product_attention(q, q, v, causal=True)\n\
        b = scaled_dot_product_attention(q, q + 1, v, mask)\n\
        loss = sum(a * b)";
    formulas_hold(&program(attention), &Numbers::new(), |r| {
        ["B", "h", "T", "k", "e"].map(|n| (n, r.between(2, 20))).into()
    });
    let heads = "h = 2\nx: f32[B, T, 3 * h * k]\nloss = sum(self_attention(x, h, causal=True))";
    formulas_hold(&program(heads), &Numbers::new(), |r| ["B", "h", "T", "k"].map(|n| (n, r.between(2, 20))).into());
    let strides = "x: f32[B, 6, H, W]\nparam w: f32[o * 2, 3, 3, 3]\nparam b: f32[2 * o]\n\
        y = conv2d(x, w, b, stride=3, padding=1, groups=2)\nz = max_pool2d(y, 3, stride=2)\nloss = sum(z) + mean(x[:, :, ::4])";
    formulas_hold(&program(strides), &Numbers::new(), |r| {
        [("B", r.between(2, 9)), ("o", r.between(2, 9)), ("H", 12 * r.between(2, 9)), ("W", 6 * r.between(3, 9))].into()
    });
    let sorting = "x: f32[B, T]\nloss = sum(sort(x)) + sum(x * argsort(x, axis=0)) + mean(topk(x, 2)[0])";
    formulas_hold(&program(sorting), &Numbers::new(), |r| ["B", "T"].map(|n| (n, r.between(2, 300))).into());
    let others = "x: f32[B, T, d]\nparam w: f32[3, d, 5]\nindex: i64[n]\n\
        y = cumsum(x, axis=1) + log_softmax(x) + concat([x[:, 1:], x[:, :1]], axis=1)\n\
        z = conv1d(y.transpose(1, 2), w.transpose(0, 1)[:, :1].broadcast_to((d, 2, 5))[:, :1], padding=2, groups=d)\n\
        loss = sum(take(z, index, axis=0)) + sum(einsum('btd,bsd->ts', y, x)) + std(x) + max(y) + logsumexp(x, axis=-1).sum()";
    formulas_hold(&program(others), &Numbers::new(), |r| ["B", "T", "d", "n"].map(|n| (n, r.between(3, 20))).into());
}
