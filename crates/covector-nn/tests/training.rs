//! Training as a whole: the same bits for any number of threads, memory that stays flat, losses that fall.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use covector::ops::random::randint;
use covector::{DType, Key, Tensor, Tree, live_bytes, live_nodes, threads};
use covector_nn::data::random_batch;
use covector_nn::parts::Part;
use covector_nn::train::{Training, held_out_loss};
use covector_nn::{AdamW, Dropout, Gpt, GptConfig, Vocabulary, WarmupCosine, file};

/// The tests of this file count nodes and set threads, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

const CONFIG: GptConfig = GptConfig { vocabulary: 29, block: 16, layers: 2, heads: 2, width: 32, bias: false };

fn started(seed: u64) -> Training<Gpt> {
    let adam = AdamW { beta2: 0.99, weight_decay: 0.1, ..AdamW::default() };
    Training::new(Gpt::new(&Key::new(seed), &CONFIG), adam, Some(1.0))
}

fn steps(training: &mut Training<Gpt>, tokens: &Tensor, range: std::ops::Range<i64>, rate: f64) -> f64 {
    let mut last = f64::NAN;
    for step in range {
        let key = Key::new(1).fold_in(step);
        let (x, y) = random_batch(tokens, 8, CONFIG.block, &key.fold_in(0));
        let noise = Dropout::new(0.1, key.fold_in(1));
        last = training.step(rate, |model: &Gpt| model.loss(&x, &y, &noise)).unwrap().to_f64();
    }
    last
}

/// A hash of every bit of every weight.
fn fingerprint(model: &impl Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, t) in model.named() {
        path.hash(&mut hasher);
        t.value().to_bytes().hash(&mut hasher);
    }
    hasher.finish()
}

#[test]
fn two_hundred_steps_give_the_same_bits_for_1_2_and_7_threads() {
    let _turn = TURN.lock().unwrap();
    let tokens = randint(&Key::new(0), [5000], 0, CONFIG.vocabulary as i64);
    let before = threads::threads();
    let hashes = [1, 2, 7].map(|n| {
        threads::set_threads(n);
        let mut training = started(7);
        steps(&mut training, &tokens, 0..200, 1e-3);
        fingerprint(&training.model)
    });
    threads::set_threads(before);
    assert_eq!(hashes, [hashes[0]; 3]);
}

#[test]
fn live_nodes_and_bytes_stay_flat() {
    let _turn = TURN.lock().unwrap();
    let tokens = randint(&Key::new(0), [1000], 0, CONFIG.vocabulary as i64);
    let mut training = started(1);
    steps(&mut training, &tokens, 0..5, 1e-3);
    let (nodes, bytes) = (live_nodes(), live_bytes());
    steps(&mut training, &tokens, 5..60, 1e-3);
    assert_eq!((live_nodes(), live_bytes()), (nodes, bytes));
}

#[test]
fn a_text_with_a_pattern_is_learned_and_the_held_out_loss_says_so() {
    let _turn = TURN.lock().unwrap();
    let text = "to be or not to be, that is the question; ".repeat(60);
    let vocabulary = Vocabulary::of(&text);
    let tokens = Tensor::from(vocabulary.encode(&text).unwrap());
    let mut training = started(2);
    let before = held_out_loss(&training.model, &tokens, 7, None).unwrap();
    assert!((before - (CONFIG.vocabulary as f64).ln()).abs() < 0.1, "untrained, all tokens are alike: {before}");
    steps(&mut training, &tokens, 0..150, 3e-3);
    let after = held_out_loss(&training.model, &tokens, 7, None).unwrap();
    assert!(after < 0.5, "{after}");
    // The mean does not depend on how the pieces are dealt to batches.
    let other = held_out_loss(&training.model, &tokens, 50, None).unwrap();
    assert!((other - after).abs() < 1e-5);
}

#[test]
fn a_saved_model_loads_as_it_was() {
    let _turn = TURN.lock().unwrap();
    let folder = std::env::temp_dir().join(format!("covector-nn-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.safetensors");
    let vocabulary = Vocabulary::of("abcdefghijklmnopqrstuvwxyz ȳ\"");
    let model = Gpt::new(&Key::new(3), &CONFIG);
    model.save(&path, &vocabulary).unwrap();
    let (loaded, config, characters) = Gpt::load(&path).unwrap();
    assert_eq!((config, characters), (CONFIG, vocabulary.clone()));
    assert_eq!(fingerprint(&loaded), fingerprint(&model));

    let refused = |model: &dyn Fn() -> covector::Result<()>| {
        model().and_then(|()| Gpt::load(&path).map(|_| ())).unwrap_err().to_string()
    };
    let text = refused(&|| file::save(&path, &model, &Default::default()));
    assert!(text.contains("this is no model saved by covector"), "{text}");
    let text = refused(&|| model.save(&path, &Vocabulary::of("abc")));
    assert!(text.contains("3 characters for 29 embeddings"), "{text}");
    let mut short = model.clone();
    short.h[1].mlp.c_fc.weight = short.h[0].mlp.c_proj.weight.clone();
    let text = refused(&|| short.save(&path, &vocabulary));
    assert!(text.contains("`h.1.mlp.c_fc.weight` is f32[32, 128], not f32[128, 32]"), "{text}");
    // A file of halves is the model as near as halves are; what is missing and too much is said at once.
    model.save(&path, &vocabulary).unwrap();
    let mut contents = file::load(&path).unwrap();
    let halves = contents.tensors.iter().map(|(name, t)| (name.clone(), t.cast(DType::BF16))).collect();
    file::save::<Part>(&path, &halves, &contents.metadata).unwrap();
    let (half, ..) = Gpt::load(&path).unwrap();
    let pairs = half.leaves().into_iter().zip(model.leaves());
    assert!(pairs.into_iter().all(|(a, b)| a.dtype() == DType::F32 && (a - b).abs().max(..).item::<f32>() < 1e-2));
    for path in ["h.0.mlp.c_fc.weight", "ln_f.weight"] {
        let moved = contents.tensors.remove(path).unwrap();
        contents.tensors.insert(format!("{path}s"), moved);
    }
    let text = refused(&|| file::save(&path, &contents.tensors, &contents.metadata));
    let missing =
        "it lacks `h.0.mlp.c_fc.weight`, `ln_f.weight`; it has besides `h.0.mlp.c_fc.weights`, `ln_f.weights`";
    assert!(text.contains(missing), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_refused_step_leaves_the_model_as_it_was() {
    let _turn = TURN.lock().unwrap();
    let mut training = started(4);
    let before = fingerprint(&training.model);
    let (x, y) = (Tensor::from([[0, 1, 99]]), Tensor::from([[1, 2, 3]]));
    let error = training.step(1e-3, |m: &Gpt| m.loss(&x, &y, &Dropout::off())).unwrap_err().to_string();
    assert!(error.contains("index 99 is out of range for axis 0 of size 29"), "{error}");
    assert_eq!(fingerprint(&training.model), before);
    assert_eq!(training.state.steps, 0);
}

#[test]
fn warm_up_rises_and_cosine_falls() {
    let schedule = WarmupCosine { peak: 1e-3, floor: 1e-4, warmup: 100, steps: 2000 };
    let rates: Vec<f64> = (0..=2000).map(|step| schedule.at(step)).collect();
    assert!(rates[..=100].windows(2).all(|w| w[0] < w[1]) && rates[100..].windows(2).all(|w| w[0] > w[1]));
    assert_eq!((rates[100], rates[2000]), (1e-3, 1e-4));
}
