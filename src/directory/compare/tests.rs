//! Tests of `directory::compare`.
