//! The command line: reads arguments, calls the library, turns outcomes into exit codes.

pub mod check;
pub mod compare;
pub mod hash;
pub mod schema;

/// A faulty configuration (sysexits.h, `EX_CONFIG`).
pub const EX_CONFIG: u8 = 78;
