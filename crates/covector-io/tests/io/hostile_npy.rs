//! Malformed npy files: each is refused, with a message that says what is wrong.

use covector_io::load_npy;

use crate::{Folder, message};

fn file(version: u8, announced: u32, text: &str, data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let width = if version == 1 { 2 } else { 4 };
    bytes.extend(&announced.to_le_bytes()[..width]);
    bytes.extend(text.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

fn of_bytes(bytes: &[u8]) -> String {
    message(load_npy(Folder::new().with("x.npy", bytes)))
}

/// The message for a file with this header and no data.
fn refusal(text: &str) -> String {
    of_bytes(&file(2, text.len() as u32, text, 0))
}

fn damaged(problem: &str) -> String {
    format!(
        "x.npy: not a valid npy file: {problem}\n  hint: the file is damaged or not an npy file; save it again with numpy.save"
    )
}

#[test]
fn files_that_are_no_npy_files() {
    assert_eq!(of_bytes(b""), damaged("it has 0 bytes, too few for a header"));
    assert_eq!(of_bytes(b"\x93NUMPY\x01\0\x10"), damaged("it has 9 bytes, too few for a header"));
    assert_eq!(of_bytes(b"PK\x03\x04 not an array"), damaged("it does not begin with the magic \\x93NUMPY"));
    assert_eq!(
        of_bytes(&file(9, 0, "{}", 0)),
        "x.npy: not a valid npy file: its format version is 9.0, known are 1.0, 2.0 and 3.0\n  hint: save it again with numpy.save"
    );
    assert_eq!(
        of_bytes(&file(2, u32::MAX, "{", 0)),
        damaged("it announces a header of 4294967295 bytes, at most 1 can follow")
    );
    assert_eq!(
        of_bytes(&file(2, 100_000, &" ".repeat(100_000), 0)),
        damaged("it announces a header of 100000 bytes, at most 65536 can follow")
    );
    assert_eq!(of_bytes(b"\x93NUMPY\x02\0\x01\0\0"), damaged("it has 11 bytes, too few for a header"));
}

#[test]
fn headers_that_are_not_valid() {
    for (text, problem) in [
        ("", "its header should have `{` at byte 0, but has nothing"),
        ("[]", "its header should have `{` at byte 0, but has `[`"),
        ("{'descr': '<f4'", "its header should have `,` or `}` at byte 15, but has nothing"),
        ("{'descr", "its header has a string without an end"),
        ("{'descr' '<f4'}", "its header should have `:` at byte 9, but has `\\'`"),
        ("{'descr': 4}", "its header should have a string at byte 10, but has `4`"),
        ("{'fortran_order': 0}", "its header should have `True` or `False` at byte 18, but has `0`"),
        ("{'fortran_order': Truely}", "its header should have `True` or `False` at byte 18, but has `T`"),
        ("{'shape': 3}", "its header should have `(` at byte 10, but has `3`"),
        ("{'shape': (-1,)}", "its header should have a size at byte 11, but has `-`"),
        ("{'shape': (1 2)}", "its header should have `,` or `)` at byte 13, but has `2`"),
        ("{'shape': ((((", "its header should have a size at byte 11, but has `(`"),
        ("{'shape': (99999999999999999999,)}", "its size `99999999999999999999` is no number of elements"),
        ("{'colour': 1}", "its header has an unknown key `colour`"),
        ("{'shape': (), 'shape': ()}", "its header has the key `shape` twice"),
        ("{'descr': '<f4', 'shape': ()}", "its header has no key `fortran_order`"),
        ("{'shape': (), 'fortran_order': True}", "its header has no key `descr`"),
        ("{'descr': '<f4', 'fortran_order': True}", "its header has no key `shape`"),
        ("{} x", "its header should have the end at byte 3, but has `x`"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4), }",
            "its shape [9223372036854775807, 4] has too many elements for any memory",
        ),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }",
            "its shape [4611686018427387904] has too many elements for any memory",
        ),
    ] {
        assert_eq!(refusal(text), damaged(problem), "{text}");
    }
    assert_eq!(refusal(&format!("{{'shape': ({})}}", "1,".repeat(65))), damaged("it has more than 64 axes"));
    assert_eq!(of_bytes(&file(1, 3, "{", 2)), damaged("its header should have a string at byte 1, but has `\\0`"));
    assert_eq!(of_bytes(b"\x93NUMPY\x01\0\x01\0\xff"), damaged("its header is not text"));
    let f12 = "{'descr': '<f12', 'fortran_order': False, 'shape': (), }";
    assert_eq!(
        refusal(f12),
        "x.npy: not a valid npy file: its dtype `<f12` is not one of covector's\n  hint: convert the array to bool, integers, \
         float16, float32 or float64 with .astype first"
    );
}

#[test]
fn data_that_are_missing_or_surplus() {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    assert_eq!(
        of_bytes(&file(1, text.len() as u32, text, 5)),
        "x.npy: not a valid npy file: f32[2] takes 8 bytes, but 5 follow the header\n  hint: the file is cut short; fetch or \
         save it again"
    );
    assert_eq!(
        of_bytes(&file(1, text.len() as u32, text, 9)),
        "x.npy: not a valid npy file: f32[2] takes 8 bytes, but 9 follow the header\n  hint: the file holds more than one \
         array, or is damaged; save each array to a file of its own"
    );
}

#[test]
fn headers_as_python_2_and_other_writers_spell_them() {
    for text in [
        "{'shape': (2L, 3L), 'fortran_order': False, 'descr': '<i2'}",
        "{\"descr\":\"<i2\",\"fortran_order\":False,\"shape\":(2,3,)}\n",
        " { 'descr' : 'i2' , 'fortran_order' : False , 'shape' : ( 2 , 3 ) , } ",
    ] {
        let path = Folder::new();
        let x = load_npy(path.with("x.npy", &file(1, text.len() as u32, text, 12))).expect(text);
        assert_eq!(x.shape()[..], [2, 3]);
    }
}
