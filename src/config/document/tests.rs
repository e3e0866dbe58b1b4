//! Tests of `config::document`.
