//! A whole transformer block under the transformations: central differences, both modes, higher orders, batching.

use covector::ops::random::normal;
use covector::{DType, Key, Tensor, Tree, checkpoint, grad, hvp, jvp, vjp, vmap, vmap_with};
use covector_nn::{Block, Dropout, Gpt, GptConfig};

const CONFIG: GptConfig = GptConfig { vocabulary: 5, block: 3, layers: 1, heads: 2, width: 4, bias: true };

/// Values in f64, each leaf drawn anew so that no norm or bias is a constant.
fn scattered<T: Tree>(tree: &T, key: &Key) -> T {
    let mut i = 0;
    tree.map_leaves(|t| {
        i += 1;
        normal(&key.fold_in(i), t.shape().clone(), DType::F64) * 0.5 + if t.ndim() == 1 { 1.0 } else { 0.0 }
    })
}

fn block() -> (Block, Tensor) {
    let key = Key::new(3);
    (scattered(&Block::new(&key, &CONFIG, 0.02), &key), normal(&key.fold_in(-1), [2, 3, 4], DType::F64))
}

fn output(block: &Block, x: &Tensor) -> Tensor {
    block.forward(x, &Dropout::off()).sin().sum(..)
}

fn dot<T: Tree>(a: &T, b: &T) -> f64 {
    let products = a.leaves().into_iter().zip(b.leaves()).map(|(a, b)| (a * b).sum(..));
    products.reduce(|a, b| a + b).unwrap().to_f64()
}

fn moved<T: Tree>(x: &T, by: f64, along: &T) -> T {
    x.with_leaves(x.leaves().into_iter().zip(along.leaves()).map(|(x, t)| x + t * by))
}

#[track_caller]
fn close(a: f64, b: f64, bound: f64) {
    assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{a} against {b}");
}

#[test]
fn the_gradient_of_a_block_agrees_with_central_differences() {
    let (block, x) = block();
    let f = |(block, x): &(Block, Tensor)| output(block, x);
    let at = (block, x);
    let along = scattered(&at, &Key::new(9));
    let g = grad(f)(&at);
    let h = 1e-5;
    let slope = (f(&moved(&at, h, &along)) - f(&moved(&at, -h, &along))).to_f64() / (2.0 * h);
    close(dot(&g, &along), slope, 1e-8);
    let (_, tangent) = jvp(f, &at, &along);
    close(tangent.to_f64(), dot(&g, &along), 1e-12);
}

#[test]
fn every_parameter_of_a_block_has_its_derivative() {
    let (block, x) = block();
    let g = grad(|b: &Block| output(b, &x))(&block);
    let h = 1e-5;
    for (i, (path, leaf)) in block.named().into_iter().enumerate() {
        let shifted = |by: f64| {
            let mut leaves = block.leaves();
            let first = Tensor::from(
                [(0..leaf.size()).map(|k| if k == 0 { by } else { 0.0 }).collect::<Vec<f64>>()][0].clone(),
            );
            leaves[i] = &leaf + first.reshape(leaf.shape());
            output(&block.with_leaves(leaves), &x).to_f64()
        };
        let slope = (shifted(h) - shifted(-h)) / (2.0 * h);
        close(g.leaves()[i].to_vec::<f64>()[0], slope, 1e-7);
        assert_eq!(g.named()[i].0, path, "a gradient has the structure of its parameters");
    }
}

#[test]
fn second_derivatives_agree_in_every_nesting() {
    let (block, x) = block();
    let f = |x: &Tensor| output(&block, x);
    let t = normal(&Key::new(4), [2, 3, 4], DType::F64);
    let over = hvp(f, &x, &t);
    let h = 1e-5;
    let differences = (grad(f)(&(&x + &t * h)) - grad(f)(&(&x - &t * h))) / (2.0 * h);
    let again = grad(|x: &Tensor| (grad(f)(x) * &t).sum(..))(&x);
    let (_, forward) = jvp(|x: &Tensor| vjp(f, x).1.call(&Tensor::from(1.0f64)), &x, &t);
    for (((a, b), c), d) in over
        .to_vec::<f64>()
        .iter()
        .zip(differences.to_vec::<f64>())
        .zip(again.to_vec::<f64>())
        .zip(forward.to_vec::<f64>())
    {
        close(*a, b, 1e-7);
        close(*a, c, 1e-11);
        close(*a, d, 1e-11);
    }
}

#[test]
fn per_example_gradients_are_those_of_a_loop() {
    let key = Key::new(5);
    let model = scattered(&Gpt::new(&key, &CONFIG), &key);
    let tokens = Tensor::from([[0, 1, 2], [4, 3, 2], [2, 2, 0]]);
    let targets = Tensor::from([[1, 2, 3], [3, 2, 1], [2, 0, 4]]);
    let one = |model: &Gpt, x: &Tensor, y: &Tensor| {
        let row = |t: &Tensor| t.reshape([1, 3]);
        grad(|m: &Gpt| m.loss(&row(x), &row(y), &Dropout::off()))(model)
    };
    let together = vmap(|(x, y): &(Tensor, Tensor)| one(&model, x, y))(&(tokens.clone(), targets.clone()));
    for i in 0..3 {
        let at = Tensor::from(i);
        let looped = one(&model, &tokens.take(&at, 0), &targets.take(&at, 0));
        for (a, (path, b)) in together.leaves().iter().zip(looped.named()) {
            for (a, b) in a.take(&at, 0).to_vec::<f64>().iter().zip(b.to_vec::<f64>()) {
                assert!((a - b).abs() <= 1e-13 * (1.0 + b.abs()), "{path}: {a} against {b}");
            }
        }
    }
}

#[test]
fn many_models_train_at_once_under_vmap() {
    let models: Vec<Gpt> = (0..2).map(|i| scattered(&Gpt::new(&Key::new(i), &CONFIG), &Key::new(i))).collect();
    let stacked = models[0].with_leaves(
        models[0]
            .leaves()
            .iter()
            .zip(models[1].leaves())
            .map(|(a, b)| covector::ops::concat::stack(&[a.clone(), b], 0)),
    );
    let (x, y) = (Tensor::from([[0, 1, 2]]), Tensor::from([[1, 2, 3]]));
    let loss = |m: &Gpt| m.loss(&x, &y, &Dropout::off());
    let gradients = vmap_with(grad(loss), 0, 0)(&stacked);
    for (i, model) in models.iter().enumerate() {
        let one = grad(loss)(model);
        for (a, b) in gradients.leaves().iter().zip(one.leaves()) {
            let a = a.take(&Tensor::from(i as i64), 0).to_vec::<f64>();
            a.iter().zip(b.to_vec::<f64>()).for_each(|(a, b)| close(*a, b, 1e-12));
        }
    }
}

#[test]
fn recomputing_a_block_changes_no_gradient() {
    let (block, x) = block();
    let plain = grad(|b: &Block| output(b, &x))(&block);
    let saved = grad(|b: &Block| checkpoint(|(b, x): &(Block, Tensor)| output(b, x))(&(b.clone(), x.clone())))(&block);
    for (a, b) in plain.leaves().iter().zip(saved.leaves()) {
        assert_eq!(a.to_vec::<f64>(), b.to_vec::<f64>());
    }
}
