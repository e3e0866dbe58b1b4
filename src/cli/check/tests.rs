//! Tests of `cli::check`.
