//! Settings: from the file as it is written to the frozen form that the program runs by.

pub mod diagnostic;
pub mod document;
pub mod settings;
