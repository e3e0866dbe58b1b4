//! Wiring and background jobs: the only room that sees everything.

pub mod key_refresh;
