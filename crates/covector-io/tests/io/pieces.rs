//! npy files that are read a piece at a time.

use covector_array::Array;
use covector_io::{NpyPieces, load_npy, save_npy};

#[test]
fn pieces_are_those_of_the_whole() {
    let path = std::env::temp_dir().join(format!("covector-io-pieces-test-{}.npy", std::process::id()));
    let values: Vec<i32> = (0..1000).map(|i| i * i - 7).collect();
    save_npy(&path, &Array::from_slice(&values, [10, 100])).unwrap();
    let (pieces, whole) = (NpyPieces::open(&path).unwrap(), load_npy(&path).unwrap().to_f64_vec());
    for range in [0..0, 0..1, 17..333, 999..1000, 0..1000] {
        assert_eq!(pieces.read(range.clone()).unwrap().to_f64_vec(), whole[range]);
    }
    let said = pieces.read(990..1001).unwrap_err().to_string();
    assert!(said.contains("there are 1000 elements, not 990..1001"), "{said}");
    // In the other byte order, the numbers are the same when their bytes are.
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|w| w == b"<i4").unwrap();
    let mut swapped = bytes.clone();
    swapped[at] = b'>';
    let data = swapped.len() - 4000;
    swapped[data..].chunks_exact_mut(4).for_each(<[u8]>::reverse);
    std::fs::write(&path, &swapped).unwrap();
    assert_eq!(NpyPieces::open(&path).unwrap().read(5..9).unwrap().to_f64_vec(), whole[5..9]);
    // What cannot be read in pieces, or is cut short, is refused when it is opened.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("'fortran_order': False"));
    let mut fortran = bytes.clone();
    let at = bytes.windows(5).position(|w| w == b"False").unwrap();
    fortran[at..at + 5].copy_from_slice(b"True ");
    std::fs::write(&path, &fortran).unwrap();
    let said = NpyPieces::open(&path).unwrap_err().to_string();
    assert!(said.contains("column-major order, which cannot be read in pieces"), "{said}");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let said = NpyPieces::open(&path).unwrap_err().to_string();
    assert!(said.contains("the file is cut short"), "{said}");
    std::fs::remove_file(&path).unwrap();
}
