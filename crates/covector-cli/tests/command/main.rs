//! The command from outside.

mod config;
mod folder;
mod learn;
mod pretrained;
mod resume;
#[cfg(unix)]
mod trouble;
mod usage;
