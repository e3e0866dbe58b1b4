//! The only integration-test binary: the program from outside, through real sockets and real files.

mod layering;
