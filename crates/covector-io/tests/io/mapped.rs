//! Safetensors files as memory maps: the same arrays, the same refusals, and several files behind an index.

use std::collections::BTreeMap;

use covector_array::{Array, DType, live_bytes};
use covector_io::{load_safetensors, map_safetensors, map_shards, save_safetensors};

use crate::{Folder, message};

fn save(folder: &Folder, name: &str, arrays: &[(&str, Array)]) {
    let arrays: Vec<(String, Array)> = arrays.iter().map(|(name, a)| (name.to_string(), a.clone())).collect();
    save_safetensors(folder.file(name), &arrays, &BTreeMap::from([("from".to_owned(), name.to_owned())])).unwrap();
}

#[test]
fn a_map_gives_what_reading_gives() {
    let folder = Folder::new();
    let dtypes = [DType::Bool, DType::U8, DType::I16, DType::BF16, DType::F16, DType::F32, DType::I64, DType::F64];
    let arrays: Vec<(String, Array)> = dtypes
        .iter()
        .map(|&d| (format!("{d}"), Array::full([2, 3], 1.0, d)))
        .chain([("none".to_owned(), Array::full([0, 5], 0.0, DType::F32))])
        .collect();
    save_safetensors(folder.file("x"), &arrays, &BTreeMap::new()).unwrap();
    let [read, mapped] = [load_safetensors(folder.file("x")), map_safetensors(folder.file("x"))].map(Result::unwrap);
    assert_eq!(read.tensors.len(), arrays.len());
    for (name, array) in &read.tensors {
        let other = &mapped.tensors[name];
        assert_eq!((array.dtype(), array.shape(), array.to_bytes()), (other.dtype(), other.shape(), other.to_bytes()));
    }
}

/// A file whose data do not begin where an f32 may lie.
fn crooked(value: f32) -> Vec<u8> {
    let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let header = format!("{header}{}", " ".repeat((9 - header.len() % 8) % 8));
    assert_eq!(header.len() % 4, 1);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

#[test]
fn a_file_whose_data_are_not_aligned_is_copied() {
    let folder = Folder::new();
    let path = folder.with("x", &crooked(2.5));
    let mapped = map_safetensors(&path).unwrap();
    std::fs::write(&path, crooked(7.0)).unwrap();
    assert_eq!(mapped.tensors["w"].to_f64_vec(), [2.5]);
}

#[test]
fn a_large_file_takes_little_memory_and_survives_its_replacement() {
    let folder = Folder::new();
    save(&folder, "x", &[("w", Array::full([4 << 20], 1.0, DType::F32)), ("v", Array::full([2], 3.0, DType::F32))]);
    let before = live_bytes();
    let mapped = map_safetensors(folder.file("x")).unwrap();
    assert!(live_bytes().wrapping_sub(before) as isize <= 8 << 20, "16 MiB are mapped, not read");
    save(&folder, "x", &[("w", Array::full([1], 9.0, DType::F32))]);
    assert_eq!(mapped.tensors["w"].slice(&[(4 << 20) - 1], &[1], &[1]).to_f64_vec(), [1.0]);
    assert_eq!(map_safetensors(folder.file("x")).unwrap().tensors["w"].to_f64_vec(), [9.0]);
}

#[test]
fn a_map_refuses_what_reading_refuses_in_the_same_words() {
    let folder = Folder::new();
    let with = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data]);
        bytes
    };
    let one = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let files = [
        vec![],
        b"1234567".to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        with("{", 0),
        with(one, 7),
        with(one, 9),
        with(&one.replace("[2]", "[3]"), 8),
        with(&one.replace("[2]", "[4611686018427387904,4]"), 8),
        with(&one.replace("[0,8]", "[8,16]"), 16),
        with(&one.replace("[0,8]", "[0,18446744073709551615]"), 8),
        with(&one.replace("F32", "C64"), 8),
        with(&format!("{},{}", &one[..one.len() - 1], &one[1..]), 8),
    ];
    for bytes in files {
        let path = folder.with("x.safetensors", &bytes);
        let text = message(load_safetensors(&path));
        assert!(text.contains("hint: "), "{text}");
        assert_eq!(message(map_safetensors(&path)), text);
    }
    assert_eq!(message(map_safetensors(folder.file("none"))), message(load_safetensors(folder.file("none"))));
}

/// Two files, `a` in the first, `b` and `c` in the second, and an index of this map.
fn sharded(map: &str) -> Folder {
    let folder = Folder::new();
    let array = |x: f64| Array::full([2], x, DType::F32);
    save(&folder, "one.safetensors", &[("a", array(1.0))]);
    save(&folder, "two.safetensors", &[("b", array(2.0)), ("c", array(3.0))]);
    folder.with("index.json", format!(r#"{{"metadata":{{"total_size":24}},"weight_map":{map}}}"#).as_bytes());
    folder
}

#[test]
fn files_behind_an_index_are_one() {
    let folder = sharded(r#"{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}"#);
    let all = map_shards(folder.file("index.json")).unwrap();
    assert_eq!(all.tensors.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(all.tensors["c"].to_f64_vec(), [3.0, 3.0]);
    assert_eq!(all.metadata["from"], "one.safetensors");
}

#[test]
fn an_index_that_does_not_agree_with_its_files_is_refused_with_all_that_is_wrong() {
    const HINT: &str = "\n  hint: fetch the folder again, all of its files from the same place";
    let refusal = |map: &str| {
        let folder = sharded(map);
        let text = message(map_shards(folder.file("index.json")));
        text.strip_prefix("index.json: not a valid index file: ").unwrap_or(&text).replace(HINT, "")
    };
    for (map, problem) in [
        (
            r#"{"a":"two.safetensors","d":"two.safetensors","b":"two.safetensors"}"#,
            "it does not agree with its files: `c` lies in `two.safetensors`, and the index lacks it; `a` is not in \
             `two.safetensors`; `d` is not in `two.safetensors`",
        ),
        (
            r#"{"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"}"#,
            "it does not agree with its files: `b` lies in `two.safetensors`, not in `one.safetensors`; `b` is not in \
             `one.safetensors`",
        ),
        (
            r#"{"a":"three.safetensors","b":"four.safetensors"}"#,
            "these files are not there: `four.safetensors`, `three.safetensors`",
        ),
        (r#"{"a":"../one.safetensors"}"#, "`../one.safetensors` is no name of a file beside it"),
        (r#"{"a":"/etc/passwd"}"#, "`/etc/passwd` is no name of a file beside it"),
        (r#"{"a":"."}"#, "`.` is no name of a file beside it"),
        (r#"{"a":""}"#, "`` is no name of a file beside it"),
        ("{}", "its `weight_map` is empty"),
        (r#"{"a":"one.safetensors","a":"two.safetensors"}"#, "`a` stands in it twice at line 1 column 88"),
        ("[]", "invalid type: sequence, expected an object from names of arrays to names of files at line 1 column 43"),
        (r#"{"a":1}"#, "invalid type: integer `1`, expected a string at line 1 column 49"),
    ] {
        assert_eq!(refusal(map), problem, "{map}");
    }
    let folder = sharded("{}");
    folder.with("index.json", b"{\"metadata\":{}}");
    assert!(message(map_shards(folder.file("index.json"))).contains("missing field `weight_map`"));
    folder.with("index.json", r#"{"weight_map":{"a":"bad.safetensors"}}"#.as_bytes());
    folder.with("bad.safetensors", b"1234");
    assert!(
        message(map_shards(folder.file("index.json"))).starts_with("bad.safetensors: not a valid safetensors file")
    );
}
