//! Malformed safetensors files: each is refused, with a message that says what is wrong.

use covector_io::load_safetensors;

use crate::{Folder, message};

/// The message for a file of this header and this much data.
fn refusal(header: &str, data: usize) -> String {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    of_bytes(&bytes)
}

fn of_bytes(bytes: &[u8]) -> String {
    message(load_safetensors(Folder::new().with("x.safetensors", bytes)))
}

const DAMAGED: &str = "hint: the file is damaged or was made by a faulty writer; fetch or save it again";
const WRONG: &str = "hint: check that this is a safetensors file, and that it was fetched completely";

#[test]
fn files_that_are_no_safetensors_files() {
    let wrong = |problem| format!("x.safetensors: not a valid safetensors file: {problem}\n  {WRONG}");
    assert_eq!(of_bytes(b""), wrong("it has 0 bytes, the length of a header alone takes 8"));
    assert_eq!(of_bytes(b"1234567"), wrong("it has 7 bytes, the length of a header alone takes 8"));
    assert_eq!(
        of_bytes(b"\xff\xff\xff\xff\xff\xff\xff\xff{}"),
        wrong("it announces a header of 18446744073709551615 bytes, but 2 follow")
    );
    assert_eq!(
        of_bytes(b"PK\x03\x04 a zip archive"),
        wrong("it announces a header of 8800140462016121680 bytes, but 10 follow")
    );
    assert_eq!(
        message(load_safetensors(Folder::new().file("x.safetensors"))),
        "x.safetensors: cannot open: No such file or directory (os error 2)\n  hint: check the path; folders are not created"
    );
    assert_eq!(
        message(load_safetensors(env!("CARGO_MANIFEST_DIR"))),
        "covector-io: cannot open: is a directory\n  hint: name a file, not a folder"
    );
}

#[test]
fn headers_that_are_not_valid() {
    let invalid = |problem| {
        format!("x.safetensors: not a valid safetensors file: its header is not valid: {problem}\n  {DAMAGED}")
    };
    let tensor = r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    for (header, problem) in [
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        ("[]".into(), "invalid type: sequence, expected a JSON object of tensors at line 1 column 0"),
        ("{".into(), "EOF while parsing an object at line 1 column 1"),
        ("{} x".into(), "trailing characters at line 1 column 4"),
        (r#"{"w":3}"#.into(), "`w`: invalid type: integer `3`, expected struct TensorInfo at line 1 column 6"),
        (r#"{"w":{"dtype":"U8","shape":[1]}}"#.into(), "`w`: missing field `data_offsets` at line 1 column 31"),
        (
            r#"{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#.into(),
            "`w`: invalid value: integer `-1`, expected usize at line 1 column 30",
        ),
        (format!(r#"{{"w":{tensor},"w":{tensor}}}"#), "`w` stands in it twice at line 1 column 105"),
        (
            r#"{"__metadata__":{"n":1}}"#.into(),
            "`__metadata__`: invalid type: integer `1`, expected a string at line 1 column 22",
        ),
    ] {
        assert_eq!(refusal(&header, 1), invalid(problem));
    }
    assert!(
        refusal(r#"{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,1]}}"#, 1).contains("`w`: unknown variant `F99`")
    );
    assert!(refusal(&format!(r#"{{"w":{}"#, "[".repeat(100_000)), 1).contains("its header is not valid"));
    assert!(of_bytes(b"\x04\0\0\0\0\0\0\0{\"\xff\"").contains("its header is not valid"));
}

#[test]
fn tensors_whose_parts_do_not_fit_together() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let of = |name: &str, problem: &str| format!("x.safetensors: array `{name}`: {problem}\n  {DAMAGED}");
    let first = tensor("F32", "[2]", "[0,8]");
    let two = |second: &str| refusal(&format!(r#"{{"a":{first},"b":{second}}}"#), 16);
    let single = |t: &str| refusal(&format!(r#"{{"a":{t}}}"#), 8);
    assert_eq!(two(&tensor("F32", "[2]", "[4,12]")), of("b", "its offsets 4..12 overlap: `a` ends at 8"));
    assert_eq!(two(&tensor("F32", "[2]", "[0,8]")), of("b", "its offsets 0..8 overlap: `a` ends at 8"));
    assert_eq!(two(&tensor("F32", "[1]", "[12,16]")), of("b", "its offsets 12..16 leave a gap: `a` ends at 8"));
    assert_eq!(single(&tensor("F32", "[1]", "[4,8]")), of("a", "its offsets 4..8 leave a gap: the data begin at 0"));
    assert_eq!(single(&tensor("F32", "[1]", "[4,0]")), of("a", "its offsets 4..0 run backwards: the data begin at 0"));
    assert_eq!(single(&tensor("F32", "[3]", "[0,8]")), of("a", "f32[3] takes 12 bytes, its offsets give 8"));
    assert_eq!(
        single(&tensor("F32", "[4611686018427387904,4]", "[0,8]")),
        of("a", "its shape [4611686018427387904, 4] has too many elements for any memory")
    );
    assert_eq!(
        single(&tensor("F8_E5M2", "[8]", "[0,8]")),
        "x.safetensors: array `a`: its dtype F8_E5M2 is not one of covector's\n  hint: cast it to a supported dtype (such as \
         BF16 or F32) and save it again"
    );
    let many = format!("[{}]", vec!["2"; 1000].join(","));
    assert_eq!(
        single(&tensor("F32", &many, "[0,8]")),
        of("a", "its shape of 1000 axes has too many elements for any memory")
    );
}

#[test]
fn data_that_are_missing_or_surplus() {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let file = "x.safetensors: not a valid safetensors file:";
    assert_eq!(
        refusal(header, 5),
        format!(
            "{file} its arrays take 8 bytes, but 5 follow the header\n  hint: the file is cut short; fetch or save it again"
        )
    );
    assert_eq!(refusal(header, 9), format!("{file} its arrays take 8 bytes, but 9 follow the header\n  {DAMAGED}"));
    // Offsets whose sum wraps around must not reach any arithmetic that overflows.
    let huge = u64::MAX / 8;
    let tensors: Vec<String> = (0..8)
        .map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[{huge}],"data_offsets":[{},{}]}}"#, i * huge, (i + 1) * huge))
        .collect();
    assert_eq!(
        refusal(&format!("{{{}}}", tensors.join(",")), 0),
        format!(
            "{file} its arrays take {} bytes, but 0 follow the header\n  hint: the file is cut short; fetch or save it again",
            8 * huge
        )
    );
}

#[test]
fn names_are_escaped_and_cut_in_messages() {
    let name = format!("\\u001b[31m{}", "x".repeat(200));
    let text = refusal(&format!(r#"{{"{name}":{{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}}}"#), 8);
    assert!(
        text.starts_with(&format!("x.safetensors: array `\\u{{1b}}[31m{}…`: f32[3] takes", "x".repeat(75))),
        "{text}"
    );
}
