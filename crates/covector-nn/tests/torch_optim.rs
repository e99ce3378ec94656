//! Optimisers over 100 steps, and schedules, against PyTorch's, in f64 (goldens/nn_optim.py).

use std::cell::Cell;

use covector::{DType, Tensor, Tree, compile, try_eval, try_value_and_grad, value_and_grad};
use covector_nn::optim::*;
use covector_nn::schedule::*;
use serde_json::Value;

mod golden;
use golden::{close, numbers, tensor, text};

type Two = (Tensor, Tensor);

fn goldens() -> Value {
    serde_json::from_str(include_str!("../../../goldens/nn_optim.json")).unwrap()
}

fn two(json: &Value) -> Two {
    (tensor(&json[0]), tensor(&json[1]))
}

fn waves(p: &Two, w: &Two) -> Tensor {
    let one = |p: &Tensor, w: &Tensor| ((p * 3.0).sin() + p * p + p * w).sum(..);
    one(&p.0, &w.0) + one(&p.1, &w.1)
}

/// The optimiser of a case, with its options.
fn optimizer(name: &str, options: &Value) -> Optimizer {
    let x = |name: &str, default: f64| options[name].as_f64().unwrap_or(default);
    let on = |name: &str| options[name].as_bool().unwrap_or(false);
    let (beta1, beta2, weight_decay) = (x("beta1", 0.9), |default| x("beta2", default), |d| x("weight_decay", d));
    match name {
        "SGD" => Optimizer::new(SGD {
            momentum: x("momentum", 0.0),
            dampening: x("dampening", 0.0),
            nesterov: on("nesterov"),
            weight_decay: weight_decay(0.0),
        }),
        "Adam" => {
            let (beta2, eps) = (beta2(0.999), x("eps", 1e-8));
            Optimizer::new(Adam { beta1, beta2, eps, weight_decay: weight_decay(0.0), amsgrad: on("amsgrad") })
        }
        "AdamW" => {
            let (beta2, eps) = (beta2(0.999), x("eps", 1e-8));
            Optimizer::new(AdamW { beta1, beta2, eps, weight_decay: weight_decay(0.01) })
        }
        "Adagrad" => Optimizer::new(Adagrad {
            lr_decay: x("lr_decay", 0.0),
            weight_decay: weight_decay(0.0),
            initial_accumulator: x("initial_accumulator_value", 0.0),
            eps: 1e-10,
        }),
        "RMSprop" => Optimizer::new(RMSprop {
            alpha: x("alpha", 0.99),
            eps: x("eps", 1e-8),
            weight_decay: weight_decay(0.0),
            momentum: x("momentum", 0.0),
            centered: on("centered"),
        }),
        "Adadelta" => {
            Optimizer::new(Adadelta { rho: x("rho", 0.9), eps: x("eps", 1e-6), weight_decay: weight_decay(0.0) })
        }
        "Adafactor" => Optimizer::new(Adafactor {
            beta2_decay: x("beta2_decay", -0.8),
            eps1: options["eps1"].as_f64(),
            eps2: x("eps2", 1e-3),
            d: x("d", 1.0),
            weight_decay: weight_decay(0.0),
        }),
        "Lion" => Optimizer::new(Lion { beta1, beta2: beta2(0.99), weight_decay: weight_decay(0.0) }),
        "Lamb" => {
            let (beta2, eps) = (beta2(0.999), x("eps", 1e-6));
            Optimizer::new(Lamb { beta1, beta2, eps, weight_decay: weight_decay(0.01) })
        }
        "Muon" => Optimizer::new(Muon {
            momentum: x("momentum", 0.95),
            nesterov: options["nesterov"].as_bool().unwrap_or(true),
            weight_decay: weight_decay(0.1),
            scale: if options["adjust_lr_fn"].is_null() { MuonScale::Original } else { MuonScale::MatchRmsAdamW },
            dtype: DType::F64,
            ..Muon::default()
        }),
        other => panic!("{other}"),
    }
}

#[test]
fn optimisers_walk_where_pytorchs_walk_for_100_steps() {
    let goldens = goldens();
    let cases = goldens["optimizers"].as_array().unwrap();
    assert_eq!(cases.len(), 25);
    for case in cases {
        let (name, rate) = (text(&case["optimizer"]), case["rate"].as_f64().unwrap());
        let optimizer = optimizer(name, &case["options"]);
        let (mut p, w) = (two(&case["start"]), two(&case["weights"]));
        let mut state = optimizer.start(&p);
        // The same as one plan, which is given the number of the step and the rate as tensors.
        let recorded = Cell::new(0);
        let compiled = compile(|(p, state, rate): &(Two, State, Tensor)| {
            recorded.set(recorded.get() + 1);
            optimizer.step(p, &value_and_grad(|p: &Two| waves(p, &w))(p).1, state, rate)
        });
        let mut planned = (p.clone(), optimizer.start(&p));
        for step in 1..=100 {
            let (_, gradients) = value_and_grad(|p: &Two| waves(p, &w))(&p);
            (p, state) = optimizer.step(&p, &gradients, &state, rate);
            try_eval(&[p.leaves(), state.leaves()].concat()).unwrap();
            planned = compiled(&(planned.0, planned.1, Tensor::from(rate)));
            let what = format!("{name} {} compiled, after {step}", case["options"]);
            close(&planned.0.0, &p.0, 1e-13, &what);
            close(&planned.0.1, &p.1, 1e-13, &what);
            if let Some(wanted) = case["values"].get(step.to_string()) {
                let what = format!("{name} {} after {step}", case["options"]);
                close(&p.0, &tensor(&wanted[0]), 1e-12, &what);
                close(&p.1, &tensor(&wanted[1]), 1e-12, &what);
            }
        }
        assert_eq!((state.steps.item::<i64>(), planned.1.steps.item::<i64>(), recorded.get()), (100, 100, 1));
    }
}

#[test]
fn rates_of_a_compiled_step_change_without_a_new_plan() {
    let optimizer = Optimizer::new(AdamW::default()).group(
        |path, _| path == "1",
        SGD { momentum: 0.9, dampening: 0.5, ..SGD::default() },
        0.1,
    );
    let start = (Tensor::from([[1.0f32, -2.0]]), Tensor::from([0.5f32]));
    let w = (Tensor::from([[0.3f32, 0.1]]), Tensor::from([0.2f32]));
    let gradient = |p: &Two| value_and_grad(|p: &Two| waves(p, &w))(p).1;
    let recorded = Cell::new(0);
    let compiled = compile(|(p, state, rate): &(Two, State, Tensor)| {
        recorded.set(recorded.get() + 1);
        optimizer.step(p, &gradient(p), state, rate)
    });
    let (mut a, mut b) = ((start.clone(), optimizer.start(&start)), (start.clone(), optimizer.start(&start)));
    for step in 0..20 {
        let rate = 0.1 / f64::from(step + 1);
        a = optimizer.step(&a.0, &gradient(&a.0), &a.1, rate);
        b = compiled(&(b.0, b.1, Tensor::from(rate)));
    }
    let [a, b] = [a, b].map(|x| x.0);
    close(&b.0.cast(DType::F64), &a.0.cast(DType::F64), 1e-6, "AdamW");
    close(&b.1.cast(DType::F64), &a.1.cast(DType::F64), 1e-6, "SGD");
    assert_eq!(recorded.get(), 1);
}

#[test]
fn groups_clipped_by_value_and_averaged_walk_where_pytorchs_walk() {
    let goldens = goldens();
    let case = &goldens["groups"];
    let optimizer = Optimizer::new(RMSprop::default()).group(
        |path, _| path == "1",
        RMSprop { alpha: 0.9, weight_decay: 0.1, ..RMSprop::default() },
        2.0,
    );
    let (mut p, w) = (two(&case["start"]), two(&case["weights"]));
    let (mut state, mut average) = (optimizer.start(&p), p.clone());
    for _ in 0..100 {
        let (_, gradients) = value_and_grad(|p: &Two| waves(p, &w))(&p);
        (p, state) = optimizer.step(&p, &clip_grad_value(&gradients, 1.5), &state, 0.01);
        average = Ema { decay: 0.9 }.update(&average, &p);
        try_eval(&[p.leaves(), state.leaves(), average.leaves()].concat()).unwrap();
    }
    for (got, wanted) in [(&p, "values"), (&average, "average")] {
        close(&got.0, &tensor(&case[wanted][0]), 1e-12, wanted);
        close(&got.1, &tensor(&case[wanted][1]), 1e-12, wanted);
    }
}

#[test]
fn lbfgs_walks_where_pytorchs_walks() {
    let goldens = goldens();
    let cases = goldens["lbfgs"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let options = &case["options"];
        let lbfgs = LBFGS {
            rate: options["rate"].as_f64().unwrap_or(1.0),
            max_iter: options["max_iter"].as_u64().unwrap() as usize,
            history: options["history"].as_u64().unwrap_or(100) as usize,
            strong_wolfe: options["strong_wolfe"].as_bool().unwrap_or(false),
            ..LBFGS::default()
        };
        let (mut p, w) = (two(&case["start"]), two(&case["weights"]));
        let loss = |p: &Two| match text(&case["loss"]) {
            "valley" => {
                let x = covector::ops::concat::concat(&[p.0.reshape([4]), p.1.clone()], 0);
                let (next, here) = (x.split([1, 7], 0)[1].clone(), x.split([7, 1], 0)[0].clone());
                ((next - &here * &here).square() * 10.0 + (1.0 - here).square()).sum(..)
            }
            _ => waves(p, &w),
        };
        let mut state = lbfgs.start(&p);
        for (call, wanted) in numbers(&case["losses"]).into_iter().enumerate() {
            let before;
            (p, state, before) = lbfgs.step(&p, state, |p| try_value_and_grad(loss, p)).unwrap();
            let what = format!("{} {options}, call {}", text(&case["loss"]), call + 1);
            assert!((before - wanted).abs() <= 1e-12 * (1.0 + wanted.abs()), "{what}: {before} against {wanted}");
            if let Some(wanted) = case["values"].get((call + 1).to_string()) {
                close(&p.0, &tensor(&wanted[0]), 1e-12, &what);
                close(&p.1, &tensor(&wanted[1]), 1e-12, &what);
            }
        }
    }
}

#[test]
fn schedules_give_pytorchs_rates() {
    let goldens = goldens();
    let rate = 0.3;
    let one_cycle = OneCycle::new(0.5, 101);
    let schedules: Vec<(&str, Box<dyn Schedule>)> = vec![
        ("step", Box::new(Step { rate, every: 7, gamma: 0.7 })),
        ("multi_step", Box::new(MultiStep { rate, milestones: vec![10, 30, 31], gamma: 0.3 })),
        ("exponential", Box::new(Exponential { rate, gamma: 0.97 })),
        ("cosine", Box::new(Cosine { rate, floor: 0.01, steps: 40 })),
        ("restarts", Box::new(CosineRestarts { rate, floor: 0.02, first: 9, factor: 2 })),
        ("restarts_even", Box::new(CosineRestarts { rate, floor: 0.0, first: 15, factor: 1 })),
        ("linear", Box::new(Linear { rate, start: 0.2, end: 0.9, steps: 33 })),
        ("polynomial", Box::new(Polynomial { rate, steps: 60, power: 2.5 })),
        ("one_cycle", Box::new(one_cycle)),
        ("one_cycle_linear", Box::new(OneCycle { rise: 0.4, linear: true, div: 10.0, final_div: 100.0, ..one_cycle })),
        ("one_cycle_three", Box::new(OneCycle { three_phase: true, ..one_cycle })),
        ("warmup", Box::new(Warmup { steps: 12, start: 0.1, then: Cosine { rate, floor: 0.0, steps: 80 } })),
    ];
    for (name, schedule) in schedules {
        for (step, wanted) in numbers(&goldens["schedules"][name]).into_iter().enumerate() {
            let got = schedule.at(step);
            assert!((got - wanted).abs() <= 1e-12, "{name} at {step}: {got} against {wanted}");
        }
    }
}

#[test]
fn plateaus_are_found_where_pytorch_finds_them() {
    let goldens = &goldens()["schedules"];
    let rising = Plateau {
        rising: true,
        patience: 5,
        threshold: 0.01,
        relative: false,
        cooldown: 4,
        floor: 0.02,
        ..Plateau::default()
    };
    for (name, plateau) in
        [("plateau", Plateau { patience: 3, factor: 0.5, ..Plateau::default() }), ("plateau_rising", rising)]
    {
        let mut state = plateau.start(0.3);
        for (measure, wanted) in numbers(&goldens["measures"]).into_iter().zip(numbers(&goldens[name])) {
            state = plateau.seen(&state, measure);
            assert!((state.rate() - wanted).abs() <= 1e-12, "{name}: {} against {wanted}", state.rate());
        }
        assert!(state.rate() < 0.1, "{name} did something");
    }
}

#[test]
fn adamw_by_groups_has_the_bits_of_adamw_alone() {
    let start = [Tensor::from([[1.0f32, -2.0], [0.5, 3.0]]), Tensor::from([0.25f32, -1.0])];
    let alone = AdamW { weight_decay: 0.1, ..AdamW::default() };
    let groups = Optimizer::new(alone).group(|_, p| p.ndim() < 2, AdamW { weight_decay: 0.0, ..alone }, 1.0);
    let (mut a, mut b) = (start.clone(), start);
    let (mut moments, mut state) = (alone.start(&a), groups.start(&b));
    let f = |p: &[Tensor; 2]| (&p[0] * 3.0).sin().sum(..) + p[1].square().sum(..);
    for _ in 0..20 {
        let gradients = [&a, &b].map(|p| value_and_grad(f)(p).1);
        (a, moments) = alone.step(&a, &gradients[0], moments, 0.01, |_, p| p.ndim() >= 2);
        (b, state) = groups.step(&b, &gradients[1], &state, 0.01);
    }
    assert_eq!(a.map(|t| t.to_vec::<f32>()), b.map(|t| t.to_vec::<f32>()));
}
