//! Whatever is done to the bytes of a file, reading it returns: no panic, no abort.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use covector_array::{Array, DType};
use covector_io::{
    load_npy, load_npz, load_safetensors, map_safetensors, save_npy, save_npz, save_npz_compressed, save_safetensors,
};
use proptest::prelude::*;

use crate::Folder;

static ORIGINALS: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let folder = Folder::new();
    let arrays: Vec<(String, Array)> = [DType::F32, DType::I64, DType::Bool]
        .iter()
        .map(|&d| (d.name().to_owned(), Array::full([3, 2], 1.0, d)))
        .collect();
    save_safetensors(folder.file("0"), &arrays, &BTreeMap::from([("k".to_owned(), "v".to_owned())])).unwrap();
    save_npy(folder.file("1"), &arrays[0].1).unwrap();
    save_npz(folder.file("2"), &arrays).unwrap();
    save_npz_compressed(folder.file("3"), &arrays).unwrap();
    ["0", "1", "2", "3"].map(|name| std::fs::read(folder.file(name)).unwrap())
});

#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Byte(prop::sample::Index, u8),
    Word(prop::sample::Index, u64),
    Double(prop::sample::Index, prop::sample::Index),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    let words =
        prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX / 8), Just(1 << 32), Just(1 << 40), any::<u64>()];
    prop_oneof![
        1 => any::<Index>().prop_map(Damage::Cut),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(i, b)| Damage::Byte(i, b)),
        2 => (any::<Index>(), words).prop_map(|(i, w)| Damage::Word(i, w)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(i, j)| Damage::Double(i, j)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Byte(at, value) => {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        Damage::Word(at, value) => {
            let at = at.index(bytes.len());
            let end = (at + 8).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        Damage::Double(from, to) => {
            let (a, b) = (from.index(bytes.len()), to.index(bytes.len()));
            let part = bytes[a.min(b)..a.max(b)].to_vec();
            bytes.extend(part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn damaged_files_are_read_or_refused(which in 0..4usize, damages in prop::collection::vec(any_damage(), 1..5)) {
        let mut bytes = ORIGINALS[which].clone();
        damages.iter().for_each(|d| apply(&mut bytes, d));
        let folder = Folder::new();
        let path = folder.with("x", &bytes);
        let message = match which {
            0 => {
                let [read, mapped] = [load_safetensors(&path), map_safetensors(&path)];
                if let (Ok(read), Ok(mapped)) = (&read, &mapped) {
                    let same = |(name, a): (&String, &Array)| a.to_bytes() == mapped.tensors[name].to_bytes();
                    prop_assert!(read.tensors.iter().all(same), "a map gives what reading gives");
                }
                let [read, mapped] = [read, mapped].map(|r| r.err().map(|e| e.to_string()));
                prop_assert_eq!(&read, &mapped);
                read
            }
            1 => load_npy(&path).err().map(|e| e.to_string()),
            _ => load_npz(&path).err().map(|e| e.to_string()),
        };
        if let Some(message) = message {
            prop_assert!(message.contains("hint: ") && message.len() < 2000, "{}", message);
        }
    }
}
