//! What is saved is what is loaded, for any dtype, shape and layout.

use std::collections::BTreeMap;

use covector_array::{Array, DType, Shape};
use covector_io::{load_npy, load_npz, load_safetensors, save_npy, save_npz, save_npz_compressed, save_safetensors};
use proptest::prelude::*;

use crate::Folder;

/// Bytes that are valid in any dtype, in a given layout.
fn array(dtype: DType, shape: &[usize], seed: u8, layout: u8) -> Array {
    let size: usize = shape.iter().product::<usize>() * dtype.size();
    let bytes: Vec<u8> = (0..size).map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed)).collect();
    let x = Array::from_bytes(&bytes, shape, dtype);
    let back: Vec<usize> = (0..shape.len()).rev().collect();
    match layout {
        0 => x,
        1 => x.permute(&back),
        2 => {
            let starts: Vec<usize> = shape.iter().map(|d| d.saturating_sub(1)).collect();
            x.slice(&starts, shape, &vec![-1; shape.len()])
        }
        _ => Array::full(shape, f64::from(seed % 2), dtype),
    }
}

fn same(a: &Array, b: &Array) -> bool {
    a.dtype() == b.dtype() && a.shape() == b.shape() && a.to_bytes() == b.to_bytes()
}

fn any_array() -> impl Strategy<Value = Array> {
    (0..DType::ALL.len(), prop::collection::vec(0..4usize, 0..5), any::<u8>(), 0..4u8)
        .prop_map(|(dtype, shape, seed, layout)| array(DType::ALL[dtype], &shape, seed, layout))
}

fn named(arrays: Vec<Array>) -> Vec<(String, Array)> {
    arrays.into_iter().enumerate().map(|(i, x)| (format!("layer.{i}/λ"), x)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn safetensors(arrays in prop::collection::vec(any_array().prop_filter("the format has no c128", |x| x.dtype() != DType::C128), 0..6), text in ".*") {
        let (folder, arrays) = (Folder::new(), named(arrays));
        let path = folder.file("x.safetensors");
        let metadata = BTreeMap::from([("note".to_owned(), text), (String::new(), "empty key".to_owned())]);
        save_safetensors(&path, &arrays, &metadata).unwrap();
        let file = load_safetensors(&path).unwrap();
        prop_assert_eq!(file.metadata, metadata);
        prop_assert_eq!(file.tensors.len(), arrays.len());
        for (name, x) in &arrays {
            prop_assert!(same(x, &file.tensors[name]));
        }
    }

    #[test]
    fn npy(x in any_array()) {
        prop_assume!(x.dtype() != DType::BF16);
        let folder = Folder::new();
        save_npy(folder.file("x.npy"), &x).unwrap();
        prop_assert!(same(&x, &load_npy(folder.file("x.npy")).unwrap()));
    }

    #[test]
    fn npz(arrays in prop::collection::vec(any_array(), 0..6), compressed in any::<bool>()) {
        let folder = Folder::new();
        let arrays = named(arrays.into_iter().filter(|x| x.dtype() != DType::BF16).collect());
        let path = folder.file("x.npz");
        if compressed { save_npz_compressed(&path, &arrays) } else { save_npz(&path, &arrays) }.unwrap();
        let loaded = load_npz(&path).unwrap();
        prop_assert_eq!(loaded.len(), arrays.len());
        for (name, x) in &arrays {
            prop_assert!(same(x, &loaded[name]));
        }
    }
}

#[test]
fn every_dtype_of_every_shape_in_every_format() {
    let folder = Folder::new();
    for dtype in DType::ALL {
        for shape in [&[][..], &[0], &[1], &[7], &[2, 3], &[3, 0, 2], &[2, 1, 3, 2]] {
            let x = array(dtype, shape, 11, 1);
            let arrays = [("x".to_owned(), x.clone())];
            let saved = save_safetensors(folder.file("s"), &arrays, &BTreeMap::new());
            if dtype == DType::C128 {
                let refused = "the format has no dtype for array `x`, which is c128";
                assert!(saved.unwrap_err().to_string().contains(refused));
            } else {
                saved.unwrap();
                let file = load_safetensors(folder.file("s")).unwrap();
                assert!(same(&file.tensors["x"], &x) && file.metadata.is_empty(), "{dtype}{shape:?}");
            }
            if dtype == DType::BF16 {
                continue;
            }
            save_npy(folder.file("n"), &x).unwrap();
            assert!(same(&load_npy(folder.file("n")).unwrap(), &x), "{dtype}{shape:?}");
            save_npz(folder.file("z"), &arrays).unwrap();
            assert!(same(&load_npz(folder.file("z")).unwrap()["x"], &x), "{dtype}{shape:?}");
        }
    }
}

#[test]
fn the_same_arrays_give_the_same_bytes_in_any_order() {
    let folder = Folder::new();
    let (a, b) = (("a".to_owned(), array(DType::F32, &[3], 1, 0)), ("b".to_owned(), array(DType::I64, &[2], 2, 0)));
    let metadata = (0..20).map(|i| (format!("key {i}"), "value".to_owned())).collect();
    save_safetensors(folder.file("1"), &[a.clone(), b.clone()], &metadata).unwrap();
    save_safetensors(folder.file("2"), &[b.clone(), a.clone()], &metadata).unwrap();
    assert_eq!(std::fs::read(folder.file("1")).unwrap(), std::fs::read(folder.file("2")).unwrap());
    save_npz_compressed(folder.file("3"), &[a.clone(), b.clone()]).unwrap();
    save_npz_compressed(folder.file("4"), &[a, b]).unwrap();
    assert_eq!(std::fs::read(folder.file("3")).unwrap(), std::fs::read(folder.file("4")).unwrap());
}

#[test]
fn the_safetensors_layout_is_that_of_the_formats_own_crate() {
    let folder = Folder::new();
    let arrays = [("a".to_owned(), Array::from_slice(&[1u8], 1)), ("w".to_owned(), Array::from_slice(&[2.0f32], 1))];
    save_safetensors(folder.file("x"), &arrays, &BTreeMap::from([("k".to_owned(), "v".to_owned())])).unwrap();
    let bytes = std::fs::read(folder.file("x")).unwrap();
    let header = r#"{"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#;
    let padded = header.len().next_multiple_of(8);
    assert_eq!(bytes[..8], (padded as u64).to_le_bytes());
    assert_eq!(std::str::from_utf8(&bytes[8..8 + padded]).unwrap().trim_end(), header);
    assert_eq!(bytes[8 + padded..], [0, 0, 0, 64, 1]);
}

#[test]
fn large_arrays_that_compress_well_load_within_the_default_limit() {
    let folder = Folder::new();
    let zeros = Array::full([1 << 22], 0.0, DType::F32);
    save_npz_compressed(folder.file("z"), &[("zeros".to_owned(), zeros.clone())]).unwrap();
    assert!(std::fs::metadata(folder.file("z")).unwrap().len() < 100_000);
    let loaded = load_npz(folder.file("z")).unwrap();
    assert_eq!(loaded["zeros"].shape(), &Shape::from(1 << 22));
}
