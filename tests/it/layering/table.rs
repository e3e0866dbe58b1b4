//! Floors, absences and homes, as data. `ARCHITECTURE.md` gives the reasons.

/// Top-level module → floor. A module imports from itself and from floors strictly below its own.
pub const FLOORS: &[(&str, u8)] = &[
    ("access", 0),
    ("clock", 0),
    ("config", 1),
    ("problem", 1),
    ("telemetry", 1),
    ("live", 2),
    ("net", 2),
    ("directory", 3),
    ("gate", 3),
    ("control", 4),
    ("proxy", 4),
    ("admin", 5),
    ("authz", 5),
    ("console", 5),
    ("app", 6),
    ("cli", 7),
    ("main", 7),
];

/// Imports within one floor that are meant, each for its reason.
pub const NEIGHBOURS: &[(&str, &str)] = &[
    // An instant is a domain value: an entry expires at a `Timestamp`.
    ("access", "clock"),
    // The refusal codes are the labels of metrics and log lines.
    ("telemetry", "problem"),
    // The access log is opened by its settings.
    ("telemetry", "config"),
    // `main` is nothing but the call of the command line.
    ("main", "cli"),
];

/// Imports that the floors would allow and the design forbids.
pub const ABSENCES: &[(&str, &str, &str)] = &[
    ("proxy", "directory", "no request ever waits for a disk or a database"),
    ("proxy", "control", "the data plane changes nothing"),
    ("admin", "directory", "every change goes through control"),
    ("admin", "live", "a caller is judged by the judge that app hands over"),
    ("console", "directory", "every change goes through control"),
    ("console", "live", "a caller is judged by the judge that app hands over"),
];

/// Where a crate may be named.
#[derive(Debug, Clone, Copy)]
pub enum Home {
    /// In every module.
    Anywhere,
    /// In every module of this floor and above.
    FromFloor(u8),
    /// In these top-level modules alone.
    Only(&'static [&'static str]),
}

use Home::{Anywhere, FromFloor, Only};

/// Crate (as it is spelled in a path) → home. A crate of `Cargo.toml` that is missing here fails a test.
pub const HOMES: &[(&str, Home)] = &[
    ("annotate_snippets", Only(&["cli", "config"])),
    ("anyhow", Only(&["app", "cli", "main"])),
    ("argon2", Only(&["control"])),
    ("askama", Only(&["console"])),
    ("arc_swap", Only(&["live"])),
    ("aws_lc_rs", Anywhere),
    ("axum", Only(&["admin", "app", "authz", "console"])),
    ("base64", FromFloor(1)),
    ("bytes", FromFloor(1)),
    ("clap", Only(&["cli"])),
    ("clap_complete", Only(&["cli"])),
    ("clap_mangen", Only(&["cli"])),
    ("command_fds", Only(&["app"])),
    ("comfy_table", Only(&["cli"])),
    ("csv", Only(&["directory"])),
    ("dashmap", Only(&["gate", "live"])),
    ("flate2", Only(&["cli", "directory"])),
    ("form_urlencoded", Only(&["admin", "console", "control"])),
    ("hashbrown", Anywhere),
    ("http", FromFloor(1)),
    ("http_body", FromFloor(1)),
    ("http_body_util", FromFloor(1)),
    ("httparse", Only(&["net"])),
    ("httpdate", FromFloor(1)),
    ("h2", Only(&["proxy"])),
    ("hyper", Only(&["net", "proxy"])),
    ("hyper_util", Only(&["net", "proxy"])),
    ("indicatif", Only(&["cli"])),
    ("ipnet", Only(&["access"])),
    ("itoa", Anywhere),
    ("jiff", Anywhere),
    ("jsonwebtoken", Only(&["gate", "live"])),
    ("libc", Only(&["net"])),
    ("listenfd", Only(&["app", "net"])),
    ("md_5", Only(&["gate"])),
    ("memchr", Anywhere),
    ("mimalloc", Only(&["main"])),
    ("notify", Only(&["app"])),
    ("pin_project_lite", Anywhere),
    ("prometheus", Only(&["telemetry"])),
    ("proxy_header", Only(&["net"])),
    ("quick_cache", Only(&["gate", "live"])),
    ("rpassword", Only(&["cli"])),
    ("rusqlite", Only(&["directory"])),
    ("rustix", Only(&["app"])),
    ("rustls", Only(&["net"])),
    ("rustls_native_certs", Only(&["net"])),
    // `config` judges names by the parser that `net` verifies them with.
    ("rustls_pki_types", Only(&["config", "net"])),
    ("saphyr_parser", Only(&["config", "directory"])),
    ("schemars", FromFloor(1)),
    ("sd_notify", Only(&["app"])),
    ("serde", FromFloor(1)),
    ("serde_json", FromFloor(1)),
    ("serde_path_to_error", Only(&["admin"])),
    ("serde_yaml", Only(&["cli", "config", "directory"])),
    ("slab", FromFloor(1)),
    ("smallvec", Anywhere),
    ("socket2", Only(&["net"])),
    ("strsim", Only(&["config", "directory"])),
    ("subtle", Anywhere),
    ("thiserror", Anywhere),
    ("tokio", FromFloor(1)),
    ("tokio_rustls", Only(&["net"])),
    ("tokio_util", FromFloor(1)),
    ("tracing", FromFloor(1)),
    ("tracing_subscriber", Only(&["telemetry"])),
    ("webpki", Only(&["net"])),
    ("webpki_roots", Only(&["net"])),
    ("zeroize", FromFloor(1)),
];

/// Parts of `std` that the domain must not touch: it is pure, synchronous and does no I/O.
/// `clock` may read the system's time, which is its whole purpose.
pub const IMPURE: &[(&str, &[&str])] = &[
    ("std::env", &[]),
    ("std::fs", &[]),
    ("std::io", &[]),
    ("std::net::TcpListener", &[]),
    ("std::net::TcpStream", &[]),
    ("std::net::ToSocketAddrs", &[]),
    ("std::net::UdpSocket", &[]),
    ("std::os", &[]),
    ("std::process", &[]),
    ("std::thread", &[]),
    ("std::time::Instant", &["clock"]),
    ("std::time::SystemTime", &["clock"]),
    ("std::time::UNIX_EPOCH", &["clock"]),
];

/// Names that say nothing about what is inside.
pub const EMPTY_NAMES: &[&str] =
    &["common", "helper", "helpers", "manager", "managers", "misc", "mod", "util", "utils"];

/// Longest file, in lines, its `tests.rs` not counted.
pub const LONGEST_FILE: usize = 500;
