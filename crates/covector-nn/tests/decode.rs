//! Decoding with a cache gives what the whole sequence gives.

use covector::ops::random::randint;
use covector::{Key, Tensor};
use covector_nn::sample::{Flow, Sampling, continued};
use covector_nn::{Cache, Dropout, Gpt, GptConfig};

const CONFIG: GptConfig = GptConfig { vocabulary: 31, block: 40, layers: 3, heads: 3, width: 48, bias: true };

fn model() -> Gpt {
    Gpt::new(&Key::new(3), &CONFIG)
}

/// The logits of the last token of each sequence.
fn last(model: &Gpt, tokens: &Tensor) -> Vec<f32> {
    let logits = model.forward(tokens, &Dropout::off());
    logits.take(&Tensor::from(-1), 1).to_vec::<f32>()
}

fn first(tokens: &Tensor, from: usize, to: usize) -> Tensor {
    tokens.take(&Tensor::from((from as i64..to as i64).collect::<Vec<_>>()), 1)
}

#[test]
fn tokens_one_by_one_and_in_pieces_give_the_bits_of_the_whole_sequence() {
    let model = model();
    let tokens = randint(&Key::new(1), [2, CONFIG.block], 0, CONFIG.vocabulary as i64);
    for pieces in [vec![1; 40], vec![7, 1, 1, 20, 3, 1, 7], vec![40]] {
        let mut cache = model.cache(2, CONFIG.block);
        for piece in pieces {
            let from = cache.len();
            let logits = model.decode(&first(&tokens, from, from + piece), &mut cache).unwrap();
            assert_eq!(cache.len(), from + piece);
            assert_eq!(logits.to_vec::<f32>(), last(&model, &first(&tokens, 0, from + piece)), "{from} + {piece}");
        }
    }
}

#[test]
fn what_is_forgotten_may_be_replaced() {
    let model = model();
    let mut cache = model.cache(1, 10);
    model.decode(&Tensor::from([[1, 2, 3, 4]]), &mut cache).unwrap();
    cache.truncate(2);
    let logits = model.decode(&Tensor::from([[9]]), &mut cache).unwrap();
    assert_eq!(logits.to_vec::<f32>(), last(&model, &Tensor::from([[1, 2, 9]])));
}

#[test]
fn what_does_not_fit_is_refused_and_a_failure_empties_the_cache() {
    let model = model();
    let mut cache = model.cache(1, 3);
    let mut refused = |tokens: Tensor| model.decode(&tokens, &mut cache).unwrap_err().to_string();
    assert!(refused(Tensor::from([[1, 2, 3, 4]])).contains("4 tokens, and the cache has room for 3 of 3"));
    assert!(refused(Tensor::from([[1], [2]])).contains("2 sequences, and a cache for 1"));
    assert!(refused(Tensor::from([1, 2])).contains("tokens must be [batch, time], not [2]"));
    assert!(refused(Tensor::from([[1, 77]])).contains("index 77 is out of range"));
    assert!(cache.is_empty() && cache.capacity() == 3);
    let logits = model.decode(&Tensor::from([[5, 6]]), &mut cache).unwrap();
    assert_eq!(logits.to_vec::<f32>(), last(&model, &Tensor::from([[5, 6]])));
    assert_eq!(model.cache(1, 1000).capacity(), CONFIG.block);
}

#[test]
fn a_continuation_beyond_the_block_sees_the_last_tokens() {
    let model = model();
    let greedy = Sampling::greedy();
    let (start, mut drawn) = ([3i64, 1, 4], Vec::new());
    let each = |token| {
        drawn.push(token);
        Ok(Flow::On)
    };
    continued(&model, &start, 60, greedy, &Key::new(0), each).unwrap();
    let mut all = start.to_vec();
    for token in drawn {
        let recent = &all[all.len().saturating_sub(CONFIG.block)..];
        let logits = last(&model, &Tensor::from_slice(recent, [1, recent.len()]));
        let best = (0..logits.len()).max_by(|&i, &j| logits[i].total_cmp(&logits[j]).then(j.cmp(&i))).unwrap();
        assert_eq!(token, best as i64, "after {} tokens", all.len());
        all.push(token);
    }
}

#[test]
fn a_cache_taken_apart_goes_on_where_it_was() {
    let model = model();
    let mut cache = model.cache(1, 8);
    model.decode(&Tensor::from([[5, 6, 7]]), &mut cache).unwrap();
    let mut again = Cache::from_layers(cache.layers().to_vec(), cache.len()).unwrap();
    let next = Tensor::from([[2]]);
    let [a, b] = [&mut cache, &mut again].map(|cache| model.decode(&next, cache).unwrap().to_vec::<f32>());
    assert_eq!(a, b);
    assert!(Cache::from_layers(cache.layers().to_vec(), 9).unwrap_err().to_string().contains("room for 8"));
    let odd = vec![cache.layers()[0].clone(), Tensor::from([1.0f32])];
    assert!(Cache::from_layers(odd, 1).unwrap_err().to_string().contains("not f32[1]"));
}

#[test]
fn a_model_laid_out_for_decoding_gives_the_same_bits() {
    let (model, tokens) = (model(), Tensor::from([[1, 5, 9], [7, 7, 0]]));
    let laid_out = model.clone().for_decoding();
    let bits = |model: &Gpt| {
        let mut cache = model.cache(2, 6);
        let first = model.decode(&tokens, &mut cache).unwrap();
        [first, model.decode(&Tensor::from([[2], [30]]), &mut cache).unwrap()].map(|x| x.to_vec::<f32>())
    };
    assert_eq!(bits(&laid_out), bits(&model));
    let strides = laid_out.wte.weight.value().strides().to_vec();
    assert_eq!(strides, [1, CONFIG.vocabulary as isize], "one output after the other");
}
