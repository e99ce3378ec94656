//! Round trips, files that NumPy wrote, hostile files, and what failure leaves behind.

mod atomic;
mod fuzz;
mod hostile_npy;
mod hostile_npz;
mod hostile_safetensors;
mod mapped;
mod numpy;
mod pieces;
mod roundtrip;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of its own for one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    /// An empty folder under the system's temporary one.
    pub fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("covector-io-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        Folder(path)
    }

    /// A path in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with this content.
    fn with(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).expect("a temporary file can be written");
        path
    }

    /// The names of everything in the folder.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the folder exists");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("readable").file_name().into_string().expect("a plain name")).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The message of an error, with the folder's path left out.
fn message<T>(result: covector_io::Result<T>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => {
            let folder = error.path().parent().map(Path::to_path_buf).unwrap_or_default();
            error.to_string().replace(&format!("{}/", folder.display()), "")
        }
    }
}

/// A file made by `tests/data/make.py`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
