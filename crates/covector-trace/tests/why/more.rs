//! Cases written after the rules, to see what they miss.

use covector::ops::einsum::einsum;
use covector::{DType, Tensor, keep};

use crate::{blamed, t};

macro_rules! cases {
    ($($name:ident: $op:literal $id:literal; $args:expr; $f:expr;)*) => {$(
        #[test]
        fn $name() {
            blamed($f, &$args, $op, $id);
        }
    )*};
}

type Two = (Tensor, Tensor);

cases! {
    a_length_by_powers: "pow" "infinite-slope"; t([0.0, 0.0]); |x: &Tensor| {
        x.pow(2.0).sum(..).pow(0.5) // here
    };
    a_divergence_with_an_impossible_model: "divide" "division-by-zero"; (t([0.5, 0.5]), t([1.0, 0.0])); |(p, q): &Two| {
        let ratio = p / q; // here
        (p * ratio.log()).sum(..)
    };
    a_divergence_with_an_impossible_event: "log" "log-of-zero"; (t([1.0, 0.0]), t([0.5, 0.5])); |(p, q): &Two| {
        let logs = (p / q).log(); // here
        (p * logs).sum(..)
    };
    a_geometric_mean_with_a_zero: "log" "infinite-slope"; t([2.0, 0.0]); |x: &Tensor| {
        let logs = x.log(); // here
        logs.mean(..).exp()
    };
    a_layer_norm_by_hand: "divide" "zero-over-zero"; Tensor::from([[1.0f32, 2.0], [3.0, 3.0]]); |x: &Tensor| {
        let z = (x - x.mean(keep(-1))) / x.std(keep(-1), 0.0); // here
        z.square().sum(..)
    };
    a_logit_of_certainty: "divide" "division-by-zero"; t([0.5, 1.0]); |p: &Tensor| {
        let odds = p / (1.0 - p); // here
        odds.log().sum(..)
    };
    an_inverse_softplus_of_zero: "log" "log-of-zero"; t([1.0, 0.0]); |x: &Tensor| {
        (x.exp() - 1.0).log().sum(..) // here
    };
    a_normal_number_from_a_zero: "log" "log-of-zero"; (t([0.5, 0.0]), t([0.1, 0.2])); |(u, v): &Two| {
        let logs = u.log(); // here
        ((logs * -2.0).sqrt() * (v * std::f64::consts::TAU).cos()).sum(..)
    };
    a_batch_norm_with_a_bad_running_variance: "batch_norm" "root-of-negative"; (Tensor::from([[1.0f32, 2.0]]), t([1.0, -0.5])); |(x, var): &Two| {
        x.batch_norm(&t([0.0, 0.0]), var, None, None, 1e-5).sum(..) // here
    };
    a_rate_that_a_relu_made_zero: "log" "log-of-zero"; (t([0.5, -1.0]), t([1.0, 2.0])); |(x, y): &Two| {
        let rate = x.relu();
        (&rate - y * rate.log()).sum(..) // here
    };
    an_overlap_of_two_empty_masks: "divide" "zero-over-zero"; (t([0.0, 0.0]), t([0.0, 0.0])); |(a, b): &Two| {
        let both = (a * b).sum(..);
        1.0 - &both / (a.sum(..) + b.sum(..) - &both) // here
    };
    a_temperature_of_zero: "divide" "division-by-zero"; (t([1.0, 2.0]), Tensor::from(0.0f32)); |(x, temperature): &Two| {
        let scores = x / temperature; // here
        scores.softmax(-1).i(0)
    };
    a_product_of_probabilities: "log" "log-of-zero"; t([0.5, 0.0, 0.5]); |p: &Tensor| {
        p.cumprod(0).log().sum(..) // here
    };
    a_mask_by_logarithm: "softmax" "masked-row"; (t([1.0, 2.0]), t([0.0, 0.0])); |(x, mask): &Two| {
        let scores = x + mask.log();
        scores.softmax(-1).square().sum(..) // here
    };
    a_hyperbolic_overflow: "cosh" "overflow"; t([1.0, 100.0]); |x: &Tensor| {
        x.cosh().log().sum(..) // here
    };
    a_pole_of_the_gamma_function: "lgamma" "out-of-domain"; t([1.5, 0.0]); |x: &Tensor| {
        x.lgamma().sum(..) // here
    };
    a_quantile_at_its_end: "erfinv" "out-of-domain"; t([0.5, 1.0]); |p: &Tensor| {
        (p * 2.0 - 1.0).erfinv().sum(..) // here
    };
    a_difference_that_is_zero: "divide" "division-by-zero"; (t([1.0, 2.0]), t([3.0, 2.0])); |(a, b): &Two| {
        (1.0 / (a - b)).sum(..) // here
    };
    a_root_of_a_size: "sqrt" "infinite-slope"; t([4.0, 0.0]); |x: &Tensor| {
        x.abs().sqrt().sum(..) // here
    };
    a_length_by_einsum: "sqrt" "infinite-slope"; t([0.0, 0.0]); |x: &Tensor| {
        let squares = einsum("i,i->", &[x.clone(), x.clone()]);
        squares.sqrt() // here
    };
    a_radius_by_hand: "sqrt" "infinite-slope"; (t([0.0, 3.0]), t([0.0, 4.0])); |(x, y): &Two| {
        let r = (x.square() + y.square()).sqrt(); // here
        r.sum(..)
    };
    a_complement_behind_a_where: "log" "masked-branch"; t([1.0, 0.0]); |x: &Tensor| {
        let logs = (1.0 - (-x).exp()).log(); // here
        x.greater(0.0).where_(logs, -100.0).sum(..)
    };
    a_gate_by_argmax: "argmax" "no-derivative"; t([1.0, 2.0]); |x: &Tensor| {
        let gate = x.argmax(-1); // here
        let gate = gate.one_hot(2).cast(DType::F32);
        (gate * t([3.0, 4.0])).sum(..)
    };
    a_hinge_that_is_satisfied: "relu" "dead-unit"; t([3.0, -4.0]); |x: &Tensor| {
        let margin = 1.0 - x * t([1.0, -1.0]);
        margin.relu().mean(..) // here
    };
    a_hard_sigmoid_beyond_its_ramp: "clip" "clipped"; t([30.0, -40.0]); |x: &Tensor| {
        (x / 6.0 + 0.5).clip(Some(0.0), Some(1.0)).sum(..) // here
    };
    dropout_of_everything: "dropout" "not-chosen"; t([1.0, 2.0]); |x: &Tensor| {
        x.dropout(&covector::Key::new(0), 1.0).sum(..) // here
    };
    a_softmax_of_one: "softmax" "saturated"; Tensor::from([[0.3f32], [0.2]]); |x: &Tensor| {
        x.softmax(-1).square().sum(..) // here
    };
    a_layer_norm_of_one: "layer_norm" "cancelled"; Tensor::from([[0.3f32], [0.2]]); |x: &Tensor| {
        x.layer_norm(1, None, None, 1e-5).sum(..) // here
    };
    a_whole_quotient: "floor_divide" "no-derivative"; t([7.0, 8.0]); |x: &Tensor| {
        x.floor_divide(2.0).square().sum(..) // here
    };
    a_rate_of_zero: "multiply" "zero-factor"; (t([1.0, 2.0]), t([3.0, 4.0])); |(x, y): &Two| {
        let extra = x * 0.0; // here
        (extra + y).square().sum(..)
    };
    a_comparison_times_a_number: "greater" "no-derivative"; t([1.0, -2.0]); |x: &Tensor| {
        let on = x.greater(0.0); // here
        (on.cast(DType::F32) * t([1.0, 2.0])).sum(..)
    };
    an_index_from_a_sort: "argsort" "no-derivative"; t([1.0, -2.0]); |x: &Tensor| {
        let order = x.argsort(0, false); // here
        t([5.0, 6.0]).take(&order, 0).i(0)
    };
    a_variance_over_an_empty_batch: "var" "empty"; Tensor::from_slice::<f32>(&[], [0, 2]); |x: &Tensor| {
        x.var(0, 0.0).sum(..) // here
    };
    a_fourth_power_in_half_precision: "square" "overflow"; t([1.0, 20.0]); |x: &Tensor| {
        let half = x.cast(DType::F16).square();
        half.square().cast(DType::F32).sum(..) // here
    };
    an_attention_of_a_query_that_overflows: "multiply" "overflow"; t([1.0, 1e30]); |x: &Tensor| {
        let q = (x * 1e20).reshape([1, 2]); // here
        q.scaled_dot_product_attention(&q, &q, None, false).sum(..)
    };
    a_scatter_of_a_bad_number: "reciprocal" "division-by-zero"; t([2.0, 0.0]); |x: &Tensor| {
        let inverse = x.reciprocal(); // here
        t([1.0, 1.0, 1.0]).scatter_add(&Tensor::from([0, 2]), &inverse, 0).sum(..)
    };
    a_pad_and_a_roll: "log" "log-of-negative"; t([2.0, -1.0]); |x: &Tensor| {
        let logs = x.log(); // here
        logs.roll(1, 0).tile(2).repeat(2, 0).i(..3).sum(..)
    };
}
