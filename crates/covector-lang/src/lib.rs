//! A small tensor language, close to NumPy's notation, for files and the command line.
#![forbid(unsafe_code)]
