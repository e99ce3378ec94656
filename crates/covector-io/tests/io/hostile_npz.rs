//! Malformed npz files: each is refused, with a message that says what is wrong.

use std::io::Write;
use std::path::Path;

use covector_array::{Array, DType};
use covector_io::{NpzLimit, load_npz, load_npz_within, save_npz, save_npz_compressed};

use crate::{Folder, message};

const DAMAGED: &str = "hint: the file is damaged or not an npz file; fetch it again or save it again with numpy.savez";

fn refusal(bytes: &[u8]) -> String {
    message(load_npz(Folder::new().with("x.npz", bytes)))
}

fn saved(compressed: bool) -> Vec<u8> {
    let folder = Folder::new();
    let arrays = ["a", "b"].map(|name| (name.to_owned(), Array::full([100], 1.0, DType::F32)));
    let path = folder.file("x.npz");
    if compressed { save_npz_compressed(&path, &arrays) } else { save_npz(&path, &arrays) }.unwrap();
    std::fs::read(path).unwrap()
}

/// Replaces every occurrence.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let places: Vec<usize> = out.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(i, _)| i).collect();
    places.into_iter().for_each(|i| out[i..i + to.len()].copy_from_slice(to));
    out
}

/// The first place of a pattern.
fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|w| w == pattern).expect("it is there")
}

#[test]
fn files_that_are_no_archives() {
    let not = |problem| format!("x.npz: not a valid npz file: {problem}\n  {DAMAGED}");
    let missing = not("invalid Zip archive: Could not find EOCD");
    assert_eq!(refusal(b""), missing);
    assert_eq!(refusal(b"not an archive"), missing);
    assert_eq!(refusal(b"\x93NUMPY\x01\0"), missing);
    let whole = saved(false);
    assert_eq!(refusal(&whole[..whole.len() - 30]), missing);
}

#[test]
fn members_of_one_name() {
    let same = replaced(&saved(false), b"b.npy", b"a.npy");
    assert_eq!(refusal(&same), format!("x.npz: not a valid npz file: two of its members have one name\n  {DAMAGED}"));
}

#[test]
fn members_that_share_bytes() {
    // The second member's directory entry points at the first member.
    let mut bytes = saved(true);
    let directory = find(&bytes, b"PK\x01\x02");
    let second = directory + 4 + find(&bytes[directory + 4..], b"PK\x01\x02");
    bytes[second + 42..second + 46].fill(0);
    let bytes = replaced(&bytes, b"b.npy", b"a.npx");
    assert_eq!(
        refusal(&bytes),
        "x.npz: not a valid npz file: its members overlap, as in a zip bomb\n  hint: do not trust this file; fetch it again"
    );
}

#[test]
fn archives_that_decompress_to_more_than_the_limit() {
    let folder = Folder::new();
    let path = folder.file("x.npz");
    save_npz_compressed(&path, &[("zeros".to_owned(), Array::full([1 << 20], 0.0, DType::F32))]).unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    assert_eq!(
        message(load_npz_within(&path, NpzLimit::Bytes(1 << 20))),
        format!(
            "x.npz: not a valid npz file: its {len} bytes decompress to 4194432, more than the 1048576 allowed\n  hint: if you \
             trust the file, call load_npz_within with a higher limit"
        )
    );
    assert!(load_npz_within(&path, NpzLimit::Bytes(4_194_432)).is_ok());
    assert!(load_npz_within(&path, NpzLimit::Trusted).is_ok());
}

/// Sets the uncompressed size that the directory and the local header of the first member announce.
fn announce(bytes: &mut [u8], size: u32) {
    let directory = find(bytes, b"PK\x01\x02");
    bytes[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
    bytes[22..26].copy_from_slice(&size.to_le_bytes());
}

#[test]
fn sizes_that_lie() {
    let mut bytes = saved(true);
    announce(&mut bytes, 200_000_000);
    let text = refusal(&bytes);
    assert!(
        text.starts_with("x.npz: array `a`: its ") && text.contains("bytes cannot decompress to 200000000"),
        "{text}"
    );
    let mut bytes = saved(true);
    announce(&mut bytes, 129 + 400);
    let text = refusal(&bytes);
    assert!(text.starts_with("x.npz: array `a`: f32[100] takes 400 bytes, but 401 follow the header"), "{text}");
}

#[test]
fn data_that_fail_their_checksum_or_do_not_decompress() {
    let mut bytes = saved(false);
    let data = find(&bytes, &1f32.to_le_bytes());
    bytes[data] ^= 1;
    let text = refusal(&bytes);
    assert!(text.starts_with("x.npz: array `a`: its data are damaged: ") && text.contains("hecksum"), "{text}");
    let mut bytes = saved(true);
    let second = 4 + find(&bytes[4..], b"PK\x03\x04");
    bytes[second - 4..second].fill(0xff);
    let text = refusal(&bytes);
    assert!(text.starts_with("x.npz: array `a`: its data are damaged: "), "{text}");
}

#[test]
fn a_member_that_is_a_damaged_npy_file_is_named() {
    let bytes = replaced(&saved(false), b"\x93NUMPY", b"\x93NUMPX");
    assert_eq!(
        refusal(&bytes),
        "x.npz: array `a`: it does not begin with the magic \\x93NUMPY\n  hint: the file is damaged or not an npy file; save it \
         again with numpy.save"
    );
}

#[test]
fn an_encrypted_member_is_named() {
    let mut bytes = saved(false);
    let directory = find(&bytes, b"PK\x01\x02");
    bytes[directory + 8] |= 1;
    bytes[6] |= 1;
    assert_eq!(refusal(&bytes), "x.npz: array `a`: it is encrypted\n  hint: decrypt the archive with a zip tool first");
}

#[test]
fn a_zip64_directory_that_announces_too_many_members_is_refused_before_room_is_made() {
    // A directory record of 56 bytes, its locator, and the archive's end, behind a megabyte of nothing.
    let count = 1u64 << 19;
    let mut bytes = vec![0u8; 1 << 20];
    let start = bytes.len() as u64;
    let mut put = |part: &[u8]| bytes.write_all(part).unwrap();
    put(b"PK\x06\x06");
    put(&44u64.to_le_bytes());
    put(&[0; 12]);
    put(&count.to_le_bytes());
    put(&count.to_le_bytes());
    put(&(count * 46).to_le_bytes());
    put(&(start - 46).to_le_bytes());
    put(b"PK\x06\x07\0\0\0\0");
    put(&start.to_le_bytes());
    put(&1u32.to_le_bytes());
    put(b"PK\x05\x06\0\0\0\0");
    put(&[0xff; 12]);
    put(&[0; 2]);
    assert_eq!(
        refusal(&bytes),
        format!(
            "x.npz: not a valid npz file: its zip64 directory is misplaced or announces more members than it can hold\n  {DAMAGED}"
        )
    );
}

#[test]
fn an_empty_archive_holds_no_arrays() {
    let folder = Folder::new();
    save_npz(folder.file("x.npz"), &[]).unwrap();
    assert!(load_npz(folder.file("x.npz")).unwrap().is_empty());
    assert!(Path::new(&folder.file("x.npz")).exists());
}
