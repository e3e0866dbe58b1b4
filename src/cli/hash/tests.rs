//! Tests of `cli::hash`.
