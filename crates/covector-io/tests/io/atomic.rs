//! A file is written whole or not at all.

use std::collections::BTreeMap;

use covector_array::{Array, DType};
use covector_io::{load_npy, save_npy, save_npz, save_safetensors};

use crate::{Folder, message};

fn one(dtype: DType) -> Array {
    Array::full([2], 1.0, dtype)
}

#[test]
fn a_finished_file_leaves_no_temporary_one() {
    let folder = Folder::new();
    save_npy(folder.file("x.npy"), &one(DType::F32)).unwrap();
    save_npy(folder.file("x.npy"), &one(DType::I64)).unwrap();
    assert_eq!(folder.names(), ["x.npy"]);
    assert_eq!(load_npy(folder.file("x.npy")).unwrap().dtype(), DType::I64);
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let folder = Folder::new();
    assert_eq!(
        message(save_npy(folder.file("missing/x.npy"), &one(DType::F32))),
        "x.npy: cannot create a file in its folder: No such file or directory (os error 2)\n  hint: check the path; \
         folders are not created"
    );
    assert!(folder.names().is_empty());
}

#[test]
fn a_target_that_is_a_folder_is_refused_and_nothing_is_left() {
    let folder = Folder::new();
    std::fs::create_dir(folder.file("x.npz")).unwrap();
    assert_eq!(
        message(save_npz(folder.file("x.npz"), &[("a".to_owned(), one(DType::F32))])),
        "x.npz: cannot write: is a directory\n  hint: name a file, not a folder"
    );
    assert_eq!(folder.names(), ["x.npz"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_not_replaced_by_a_file() {
    assert_eq!(
        message(save_safetensors("/dev/null", &[], &BTreeMap::new())),
        "null: cannot write: the target is a device or pipe, not a regular file\n  hint: the file was left as it was"
    );
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(message(load_npy("/dev/null")).contains("not a regular file"));
}

#[test]
fn arrays_the_format_has_no_place_for_leave_the_old_file_as_it_was() {
    let folder = Folder::new();
    let path = folder.with("x", b"precious");
    let (a, half) = (("a".to_owned(), one(DType::F32)), ("h".to_owned(), one(DType::BF16)));
    let none = BTreeMap::new();
    for (problem, expected) in [
        (
            message(save_npy(&path, &half.1)),
            "x: cannot be written as npy: the npy format has no dtype for bf16\n  hint: cast to f32 (no value changes) or \
             save a safetensors file",
        ),
        (
            message(save_npy(&path, &Array::full([1; 65], 0.0, DType::F32))),
            "x: cannot be written as npy: the array has 65 axes, NumPy reads at most 64\n  hint: reshape it to fewer axes",
        ),
        (
            message(save_npz(&path, &[a.clone(), half])),
            "x: array `h`: the npy format has no dtype for bf16\n  hint: cast to f32 (no value changes) or save a \
             safetensors file",
        ),
        (
            message(save_npz(&path, &[a.clone(), a.clone()])),
            "x: array `a`: two arrays have this name\n  hint: give every array its own name",
        ),
        (
            message(save_npz(&path, &[("n".repeat(60_001), one(DType::F32))])),
            &format!("x: array `{}…`: its name is too long for a zip archive\n  hint: shorten it", "n".repeat(80)),
        ),
        (
            message(save_safetensors(&path, &[a.clone(), a.clone()], &none)),
            "x: array `a`: two arrays have this name\n  hint: give every array its own name",
        ),
        (
            message(save_safetensors(&path, &[("__metadata__".to_owned(), a.1)], &none)),
            "x: array `__metadata__`: the format keeps this name for metadata\n  hint: call the array something else",
        ),
    ] {
        assert_eq!(problem, expected);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(folder.names(), ["x"]);
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let target = folder.with("target.npy", b"old");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&target, folder.file("link.npy")).unwrap();
    save_npy(folder.file("link.npy"), &one(DType::F64)).unwrap();
    assert!(std::fs::symlink_metadata(folder.file("link.npy")).unwrap().is_symlink());
    assert_eq!(load_npy(&target).unwrap().dtype(), DType::F64);
    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_bare_file_name_is_written_in_the_working_folder() {
    let name = format!("covector-io-bare-{}.npy", std::process::id());
    save_npy(&name, &one(DType::F32)).unwrap();
    assert!(load_npy(&name).is_ok());
    std::fs::remove_file(name).unwrap();
}
