//! Portcullis: a reverse-proxy gateway that proves who calls, derives from where, and checks that address against the
//! credential's own access list before it forwards anything.
//!
//! `ARCHITECTURE.md` shows the floors and rooms; a module imports only from floors below its own.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod access;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod control;
pub mod directory;
pub mod gate;
pub mod live;
pub mod net;
pub mod problem;
pub mod proxy;
pub mod telemetry;
