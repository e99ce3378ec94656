//! Files that NumPy wrote.

use covector_array::{Array, DType};
use covector_io::{NpyPieces, load_npy, load_npz, save_npy};

use crate::{Folder, data, message};

fn check(x: &Array, dtype: DType, shape: &[usize]) {
    assert_eq!((x.dtype(), &x.shape()[..]), (dtype, shape));
    assert!(x.is_contiguous());
    let counting = |i: usize| if dtype == DType::Bool { (i % 2) as f64 } else { i as f64 };
    assert_eq!(x.to_f64_vec(), (0..x.size()).map(counting).collect::<Vec<_>>());
}

#[test]
fn either_order_of_axes_and_of_bytes_gives_the_same_array() {
    for (name, dtype, shape) in [
        ("c_order", DType::F32, &[2, 3][..]),
        ("fortran", DType::F64, &[2, 3, 4]),
        ("vector", DType::U64, &[5]),
        ("empty", DType::F32, &[3, 0, 2]),
        ("big_endian_f2", DType::F16, &[2, 3]),
        ("big_endian_f4", DType::F32, &[2, 3]),
        ("big_endian_f8", DType::F64, &[2, 3]),
        ("big_endian_i4", DType::I32, &[2, 3]),
        ("big_endian_u2", DType::U16, &[2, 3]),
        ("big_endian_i8", DType::I64, &[2, 3]),
        ("big_endian_fortran", DType::I32, &[3, 2]),
        ("version_2", DType::I32, &[2, 3]),
        ("version_3", DType::I32, &[2, 3]),
    ] {
        check(&load_npy(data(&format!("{name}.npy"))).expect(name), dtype, shape);
    }
    let scalar = load_npy(data("scalar.npy")).expect("valid");
    assert_eq!((scalar.ndim(), scalar.to_i64_vec()), (0, vec![-7]));
}

#[test]
fn what_save_npy_writes_is_what_numpy_writes() {
    let folder = Folder::new();
    for name in ["c_order.npy", "vector.npy", "empty.npy", "scalar.npy"] {
        save_npy(folder.file(name), &load_npy(data(name)).expect("valid")).expect("writable");
        assert_eq!(std::fs::read(folder.file(name)).unwrap(), std::fs::read(data(name)).unwrap(), "{name}");
    }
}

#[test]
fn archives_stored_and_compressed() {
    let all = load_npz(data("stored.npz")).expect("valid");
    let names =
        ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32"];
    for (name, dtype) in names.iter().chain(&["float64"]).zip(DType::ALL.into_iter().filter(|&d| d != DType::BF16)) {
        check(&all[*name], dtype, &[2, 3]);
    }
    assert_eq!(all.len(), 12);
    let two = load_npz(data("deflated.npz")).expect("valid");
    check(&two["x"], DType::F32, &[4, 5]);
    check(&two["fortran"], DType::I64, &[4, 5]);
}

#[test]
fn complex_numbers_are_read_and_written_as_numpy_does() {
    let wanted = [1.0, 2.0, 0.0, -0.5, 3.0, 0.0, f64::NAN, f64::INFINITY, -4.0, -5.0, 0.25, 0.0];
    let dir = Folder::new();
    for (name, dtype) in [
        ("complex64", DType::C64),
        ("complex128", DType::C128),
        ("big_endian_c8", DType::C64),
        ("fortran_c16", DType::C128),
    ] {
        let x = load_npy(data(&format!("{name}.npy"))).expect("valid");
        assert_eq!((x.dtype(), &x.shape()[..]), (dtype, &[2, 3][..]), "{name}");
        let parts = x.parts().to_f64_vec();
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        assert!(parts.iter().zip(&wanted).all(same), "{name}: {parts:?}");
        if !name.starts_with("fortran") {
            let pieces = NpyPieces::open(data(&format!("{name}.npy"))).expect("valid");
            let parts = pieces.read(1..3).expect("there are six").parts().to_f64_vec();
            assert_eq!(parts, wanted[2..6], "{name}");
        }
        if matches!(name, "complex64" | "complex128") {
            let path = dir.file(name);
            save_npy(&path, &x).expect("written");
            assert_eq!(std::fs::read(path).unwrap(), std::fs::read(data(&format!("{name}.npy"))).unwrap(), "{name}");
        }
    }
}

#[test]
fn other_kinds_of_data_are_refused_by_name() {
    let expected = [
        ("long_complex", "`<c32`", "convert the array to complex64 or complex128 with .astype first"),
        ("dates", "`<M8[s]`", "convert dates to int64 with .astype first"),
        ("text", "`<U2`", "text has no place in an array of numbers: encode it as integers first"),
        ("void", "`|V2`", "if these are bfloat16, save them as float32 or as a safetensors file"),
        ("objects", "`|O`", "Python objects are pickled, and pickles run code: convert the array with .astype first"),
    ];
    for (name, dtype, hint) in expected {
        assert_eq!(
            message(load_npy(data(&format!("{name}.npy")))),
            format!("{name}.npy: not a valid npy file: its dtype {dtype} is not one of covector's\n  hint: {hint}")
        );
    }
    assert_eq!(
        message(load_npy(data("records.npy"))),
        "records.npy: not a valid npy file: its elements are records\n  hint: save each field as an array of its own: \
         numpy.savez(path, **{n: x[n] for n in x.dtype.names})"
    );
    assert_eq!(
        message(load_npz(data("bzip2.npz"))),
        "bzip2.npz: array `x`: it is compressed in another way than deflate\n  hint: save it again with numpy.savez or \
         numpy.savez_compressed"
    );
    assert_eq!(
        message(load_npz(data("foreign.npz"))),
        "foreign.npz: array `readme.txt`: it is not an npy file (.npy)\n  hint: remove it from the archive, or load the \
         others with a zip tool"
    );
}
