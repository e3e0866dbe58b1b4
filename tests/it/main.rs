//! The only integration-test binary: the program from outside, through real sockets and real files.
//!
//! Tests that need a program of somebody else live in modules named `third_party`; `tests/run --quick` leaves them out.

mod access_log;
mod admin;
mod backup;
mod blocked_logs;
mod client_address;
mod command_line;
mod composite_hole;
mod console;
mod credentials;
mod decision;
mod deploy;
mod digest;
mod docs;
mod doctor;
mod errors_page;
mod forwarding;
mod framing;
mod guides;
mod hot_swap;
mod http2;
mod import;
mod layering;
mod life_cycle;
mod limits;
mod moving;
mod networks;
mod oauth;
mod outcomes;
mod programs;
mod readme;
mod receipts;
mod reload;
mod remote;
mod revocation;
mod secrets;
mod served;
mod stage;
mod succession;
mod tls;
mod tokens;
mod upgrades;
mod upstreams;
