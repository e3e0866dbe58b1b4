//! Plants each breach that the checker claims to find, and things that only look like one.

use super::checker::{Source, check_sources};

/// Reports of one file with `//!` put before it.
#[track_caller]
fn found(name: &str, code: &str) -> Vec<String> {
    let text = format!("//! A planted file.\n{code}\n");
    check_sources(&[Source::new(name, &text)]).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(name: &str, code: &str, part: &str) {
    let found = found(name, code);
    assert!(found.iter().any(|finding| finding.contains(part)), "{name}: `{code}` gave {found:?}, wanted `{part}`");
}

#[track_caller]
fn accepted(name: &str, code: &str) {
    let found = found(name, code);
    assert!(found.is_empty(), "{name}: `{code}` gave {found:?}");
}

#[test]
fn a_higher_floor_is_found_however_it_is_spelled() {
    let part = "`gate` (floor 3) imports from `proxy` (floor 4)";
    for code in [
        "use crate::proxy::exchange::Exchange;",
        "use crate::{clock::Clock, proxy::exchange};",
        "use crate::proxy::*;",
        "use crate::proxy as p;",
        "use super::super::proxy::exchange;",
        "use super::{super::proxy as p};",
        "fn f() -> crate::proxy::Exchange { loop {} }",
        "fn f(x: Option<Vec<crate::proxy::Exchange>>) {}",
        "fn f() { crate::proxy::run(); }",
        "fn f() { super::super::proxy::run(); }",
        "fn f() { let crate::proxy::X { .. } = y; }",
        "impl crate::proxy::Run for X {}",
        "fn f<T: crate::proxy::Run>() {}",
        "fn f() { assert!(crate::proxy::run()); }",
        "fn f() { vec![(1, [crate::proxy::run()])]; }",
        "fn f() { m! { use crate::{proxy::X}; } }",
        "macro_rules! m { () => { $crate::proxy::run() } }",
        "mod inner { use super::super::super::proxy::X; }",
        "mod inner { mod deeper { fn f() { super::super::super::super::proxy::run() } } }",
        "#[cfg(test)] mod tests { use crate::proxy::X; }",
        "#[derive(crate::proxy::Derive)] struct X;",
    ] {
        refused("src/gate/judge.rs", code, part);
    }
}

#[test]
fn neighbours_and_absences() {
    refused("src/gate/judge.rs", "use crate::directory::X;", "`gate` (floor 3) imports from `directory` (floor 3)");
    refused("src/proxy/exchange.rs", "use crate::directory::X;", "no request ever waits");
    refused("src/proxy/exchange.rs", "use crate::control::X;", "`proxy`");
    refused("src/admin/router.rs", "fn f() { crate::live::load() }", "`admin` imports from `live`");
    accepted("src/access/list.rs", "use crate::clock::Timestamp;");
    refused("src/clock.rs", "use crate::access::id::Id;", "`clock` (floor 0)");
    accepted("src/telemetry/metrics.rs", "use crate::problem::Code;");
}

#[test]
fn floors_below_and_own_rooms_pass() {
    for code in [
        "use crate::access::decision::{authorize, Permit};",
        "use crate::live::published::Reader; use crate::clock::Clock;",
        "use crate::gate::claim::Claim; use super::token::Token; use self::inner::X; mod inner { use super::super::Y; }",
        "pub use self::inner::X; mod inner {}",
        "pub(in crate::gate) fn f() {}",
        "/// See [`crate::proxy::exchange`].\nfn f() { println!(\"crate::proxy::x\"); }",
        "fn f() { http::StatusCode::OK; }",
    ] {
        accepted("src/gate/judge.rs", code);
    }
    accepted("src/lib.rs", "#![forbid(unsafe_code)]\npub mod access;");
    accepted("src/main.rs", "#![forbid(unsafe_code)]\nfn main() { portcullis::cli::run() }");
}

#[test]
fn re_exports_are_no_way_around() {
    refused("src/gate/judge.rs", "pub use crate::live::published::Reader;", "re-exports from `live`");
    refused("src/gate/judge.rs", "pub(crate) use super::super::live::published;", "re-exports from `live`");
    refused("src/proxy/worker.rs", "pub use hyper::body::Incoming;", "re-exports from crate `hyper`");
    refused("src/proxy/worker.rs", "pub extern crate hyper;", "re-exports from crate `hyper`");
    refused("src/lib.rs", "#![forbid(unsafe_code)]\npub mod proxy; pub use proxy::Exchange;", "re-exports nothing");
    refused("src/lib.rs", "#![forbid(unsafe_code)]\npub use crate::proxy::Exchange;", "re-exports nothing");
    refused("src/gate/judge.rs", "use crate as everything;", "imported whole");
    refused("src/gate/judge.rs", "use crate::*;", "imported whole");
    refused("src/gate/judge.rs", "use super::super as everything;", "imported whole");
    refused("src/gate/judge.rs", "extern crate self as other;", "second name");
    refused("src/lib.rs", "#![forbid(unsafe_code)]\nextern crate hyper;", "reaches every module");
}

#[test]
fn crates_stay_home() {
    for (name, code) in [
        ("src/gate/judge.rs", "use hyper::Request;"),
        ("src/gate/judge.rs", "fn f() -> hyper::Request<()> { loop {} }"),
        ("src/gate/judge.rs", "use ::hyper::Request;"),
        ("src/gate/judge.rs", "fn f() { ::hyper::rt::run() }"),
        ("src/gate/judge.rs", "use {hyper as h};"),
        ("src/gate/judge.rs", "extern crate hyper as h;"),
        ("src/gate/judge.rs", "fn f() { assert!(hyper::rt::run()) }"),
        ("src/gate/judge.rs", "fn f() { assert!(::hyper::rt::run()) }"),
        ("src/proxy/worker.rs", "use axum::Router;"),
        ("src/proxy/worker.rs", "use arc_swap::ArcSwap;"),
        ("src/app/probes.rs", "use prometheus::Registry;"),
        ("src/app/probes.rs", "use tokio_rustls::rustls;"),
        ("src/config/raw.rs", "use clap::Parser;"),
        ("src/gate/judge.rs", "use ipnet::IpNet;"),
        ("src/net/fetch.rs", "use anyhow::Result;"),
        ("src/access/list.rs", "use serde::Serialize;"),
        ("src/access/list.rs", "#[derive(serde::Serialize)] struct X;"),
        ("src/access/list.rs", "use tokio::sync::Mutex;"),
        ("src/access/list.rs", "fn f() { tokio::spawn(x); }"),
    ] {
        refused(name, code, "its home is");
    }
    accepted("src/proxy/worker.rs", "use hyper::Request; use hyper_util::rt::TokioIo;");
    accepted("src/live/published.rs", "use arc_swap::ArcSwap;");
    accepted("src/gate/judge.rs", "#[cfg(test)] mod tests { use hyper::Request; }");
    accepted("src/gate/judge.rs", "#[test] fn f() { hyper::rt::run() }");
    refused("src/gate/judge.rs", "#[cfg(not(test))] mod live { use hyper::Request; }", "its home is");
}

#[test]
fn the_domain_is_pure() {
    for code in [
        "use std::fs::File;",
        "use std::{fs, net::IpAddr};",
        "fn f() { std::env::var(\"X\"); }",
        "fn f() { std::time::SystemTime::now(); }",
        "use std::net::TcpStream;",
        "use std::thread;",
    ] {
        refused("src/access/list.rs", code, "`access` is pure");
        accepted("src/app.rs", code);
    }
    accepted("src/access/list.rs", "use std::net::{IpAddr, Ipv6Addr}; use std::sync::Arc;");
    accepted("src/clock.rs", "use std::time::SystemTime;");
}

#[test]
fn the_form_of_files() {
    let check = |name: &str, text: &str| {
        check_sources(&[Source::new(name, text)]).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert!(check("src/access.rs", "pub mod id;").contains("does not open with `//!`"));
    assert!(check("src/access.rs", "// A comment.\n//! Late.").contains("does not open with `//!`"));
    let long = format!("//! Long.\n{}", "//\n".repeat(500));
    assert!(check("src/access.rs", &long).contains("has 501 lines"));
    assert_eq!(check("src/access.rs", long.trim_end().rsplit_once('\n').unwrap().0), "");
    assert!(check("src/lib.rs", "//! Root.").contains("forbid(unsafe_code)"));
    assert!(check("src/lib.rs", "//! Root.\n#![deny(unsafe_code)]").contains("forbid(unsafe_code)"));
    for name in ["utils", "helpers", "common", "manager", "misc", "mod"] {
        assert!(check(&format!("src/gate/{name}.rs"), "//! X.").contains("says nothing"), "{name}");
    }
    assert!(check("src/gate/judge.rs", "//! X.\nmod util {}").contains("says nothing"));
    assert!(check("src/extra.rs", "//! X.").contains("has no floor"));
    assert!(check("src/gate.rs", "//! X.\n#[path = \"../proxy.rs\"] mod p;").contains("hides where"));
    assert!(check("src/gate.rs", "//! X.\ninclude!(\"x.rs\");").contains("hides where"));
    assert!(check("src/gate.rs", "//! X.\nfn (").contains("does not parse"));
}

#[test]
fn a_file_declared_for_tests_is_a_test() {
    let long = format!("//! Tests.\nuse hyper::Request;\n{}", "//\n".repeat(600));
    let declared = |attribute: &str| {
        check_sources(&[
            Source::new("src/gate/judge.rs", &format!("//! X.\n{attribute} mod tests;\n")),
            Source::new("src/gate/judge/tests.rs", &long),
            Source::new("src/gate/judge/tests/wire.rs", "//! X.\nuse hyper::Request;\n"),
        ])
    };
    assert_eq!(declared("#[cfg(test)]"), []);
    assert_eq!(declared("").len(), 3);
}
