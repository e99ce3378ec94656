//! A folder in which the command is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for a test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let own = format!("covector-{}-{}-{name}", env!("CARGO_CRATE_NAME"), std::process::id());
        let path = std::env::temp_dir().join(own);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// With `text.txt`, a short text to learn.
    pub fn with_text(name: &str) -> Folder {
        let folder = Folder::new(name);
        folder.write("text.txt", "Twinkle, twinkle, little star,\nHow I wonder what you are!\n".repeat(40));
        folder
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The command with these arguments, in the folder.
    pub fn command(&self, args: &(impl Args + ?Sized)) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covector"));
        command.args(args.list()).current_dir(&self.0);
        command
    }

    pub fn run(&self, args: &(impl Args + ?Sized)) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command prints that succeeds.
    #[track_caller]
    pub fn says(&self, args: &(impl Args + ?Sized)) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{:?}: {}", args.list(), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("whole characters are printed")
    }

    /// The complaint of a command that fails, before it prints or leaves anything.
    #[track_caller]
    pub fn refused(&self, args: &(impl Args + ?Sized), code: i32) -> String {
        let before = self.names();
        let output = self.run(args);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{:?}: {complaint}", args.list());
        assert!(output.stdout.is_empty(), "{:?} prints before it fails", args.list());
        assert_eq!(self.names(), before, "nothing is left behind");
        complaint
    }
}

/// Arguments, one by one or in a line with spaces between them.
pub trait Args {
    fn list(&self) -> Vec<&str>;
}

impl Args for str {
    fn list(&self) -> Vec<&str> {
        self.split_whitespace().collect()
    }
}

impl Args for String {
    fn list(&self) -> Vec<&str> {
        self.as_str().list()
    }
}

impl Args for [&str] {
    fn list(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl<const N: usize> Args for [&str; N] {
    fn list(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl Args for Vec<&str> {
    fn list(&self) -> Vec<&str> {
        self.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
