//! Trainings as an API: one program, so that it is linked once.

mod common;
mod doctor;
mod kinds;
mod learning;
mod text;
mod trainer;
