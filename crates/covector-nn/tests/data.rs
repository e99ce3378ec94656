//! Examples in batches: each once in an epoch, in an order that the key and the step alone decide.

use covector::ops::random::normal;
use covector::{DType, Key, Tensor};
use covector_nn::data::{Batches, buckets, padded, split};
use covector_nn::{Attending, MultiheadAttention};

fn sorted(mut all: Vec<i64>) -> Vec<i64> {
    all.sort();
    all
}

#[test]
fn every_example_comes_once_in_an_epoch_and_epochs_differ() {
    let batches = Batches::new(23, 5, Key::new(1));
    assert_eq!(batches.per_epoch(), 5);
    let epoch = |e: usize| (0..5).flat_map(|i| batches.at(5 * e + i).to_vec::<i64>()).collect::<Vec<_>>();
    for e in 0..3 {
        assert_eq!(sorted(epoch(e)), (0..23).collect::<Vec<_>>());
        assert_eq!(epoch(e), batches.epoch(e).flat_map(|b| b.to_vec::<i64>()).collect::<Vec<_>>());
    }
    assert_ne!(epoch(0), epoch(1));
    assert_ne!(epoch(0), Batches::new(23, 5, Key::new(2)).epoch(0).flat_map(|b| b.to_vec::<i64>()).collect::<Vec<_>>());
}

#[test]
fn batches_may_be_full_or_in_order() {
    let full = Batches { full: true, ..Batches::new(23, 5, Key::new(1)) };
    assert_eq!((full.per_epoch(), full.at(7).size()), (4, 5));
    let plain = Batches { key: None, ..Batches::new(7, 3, Key::new(1)) };
    assert_eq!(plain.at(2).to_vec::<i64>(), [6]);
    assert_eq!(plain.at(3).to_vec::<i64>(), [0, 1, 2]);
}

#[test]
fn splits_share_nothing() {
    let (train, held_out) = split(50, 0.2, &Key::new(3));
    assert_eq!(held_out.size(), 10);
    assert_eq!(sorted([train.to_vec::<i64>(), held_out.to_vec()].concat()), (0..50).collect::<Vec<_>>());
}

#[test]
fn buckets_hold_everything_once_and_save_filling() {
    let lengths: Vec<usize> = (0..1000).map(|i| 1 + (i * 7919) % 97).collect();
    let dealt = buckets(&lengths, 8, &Key::new(4));
    assert_eq!(sorted(dealt.concat().iter().map(|&i| i as i64).collect()), (0..1000).collect::<Vec<_>>());
    let filled = |batches: &[Vec<usize>]| -> usize {
        batches.iter().map(|b| b.len() * b.iter().map(|&i| lengths[i]).max().unwrap()).sum()
    };
    let plain: Vec<Vec<usize>> = (0..125).map(|i| (8 * i..8 * i + 8).collect()).collect();
    let least: usize = lengths.iter().sum();
    assert!(filled(&dealt) * 100 < least * 105 && filled(&plain) * 100 > least * 130);
    assert_ne!(dealt, buckets(&lengths, 8, &Key::new(5)));
}

#[test]
fn filled_up_tokens_change_no_result() {
    let layer = MultiheadAttention::new(&Key::new(0), 4, 2, true);
    let table = normal(&Key::new(1), [9, 4], DType::F32);
    let run = |sequences: &[Vec<i64>]| {
        let (tokens, mask) = padded(sequences, 0);
        let x = table.take(&tokens, 0);
        let mask = mask.reshape([sequences.len(), 1, 1, tokens.shape()[1]]);
        layer.attend(&x, &x, &x, &Attending { mask: Some(mask), ..Attending::default() })
    };
    let alone = run(&[vec![8, 3]]);
    let beside = run(&[vec![8, 3], vec![1, 2, 3, 4, 5]]).take(&Tensor::from(0), 0).split([2, 3], 0)[0].clone();
    assert!((alone.squeeze(0) - beside).abs().max(..).item::<f32>() < 1e-6);
}
