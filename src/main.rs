//! The program: everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// glibc's allocator fragments when million-entry snapshots are swapped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::run()
}
