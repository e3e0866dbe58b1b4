//! `portcullis demo`: the gateway on free ports in the foreground, with requests to copy and what each will show.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use crate::app::{self, Origin};
use crate::directory::DEMONSTRATION_KEYS;
use crate::telemetry::logging;

/// Loopback is trusted as a proxy, so that a request can say where it comes from.
const CONFIGURATION: &str = "gateway:
  listen: [{ address: \"127.0.0.1:0\" }]
  workers: 1
  drain_timeout: 1s
  client_address: { trusted_proxies: [127.0.0.1] }
directory: { demonstration: true }
telemetry: { listen: \"127.0.0.1:0\" }
";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {}

/// Runs the demo until it is interrupted.
///
/// # Errors
/// A listener or thread that could not be had.
pub fn run(_: DemoArgs) -> anyhow::Result<ExitCode> {
    let _logging =
        logging::start(logging::Format::detected(), tracing::Level::WARN).context("the log can't be started")?;
    let prepared = app::prepare(Origin::Text(CONFIGURATION))
        .map_err(|problems| anyhow::anyhow!("the demo's own configuration is refused\n{}", problems.render(false)))?;
    let running = app::start(prepared).context("the demo can't start")?;
    let gateway = running.gateway_addresses().first().copied().context("the demo listens nowhere")?;
    let telemetry = running.telemetry_address();
    let [(listed, _), (elsewhere, _), (open, _), (bare, _)] = DEMONSTRATION_KEYS;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Portcullis stands in front of an API that answers with the request as it saw it.
Copy a line into another terminal. Each request also leaves a line of the access log here.

# allowed: the key's access list has 127.0.0.0/8
curl -sS -i -H 'X-API-Key: {listed}' http://{gateway}/hello

# refused, 403 IP_ADDRESS_NOT_ON_ACCESS_LIST: this key's list has only 203.0.113.0/24
curl -sS -i -H 'X-API-Key: {elsewhere}' http://{gateway}/hello

# allowed: the same key, as a trusted proxy would pass on a request from 203.0.113.7
curl -sS -i -H 'X-API-Key: {elsewhere}' -H 'X-Forwarded-For: 203.0.113.7' http://{gateway}/hello

# refused, 401 CREDENTIALS_REQUIRED: no key
curl -sS -i http://{gateway}/hello

# refused, 403 ORG_REQUIRES_ACCESS_LIST: the organization requires lists and this key has none
curl -sS -i -H 'X-API-Key: {bare}' http://{gateway}/hello

# allowed: an organization that does not require lists, and a key without one (by HTTP Basic)
curl -sS -i -u '{}' http://{gateway}/hello

# what Prometheus sees
curl -sS http://{telemetry}/metrics

Ctrl-C ends it.
",
        open.replacen('.', ":", 1)
    )?;
    out.flush()?;
    drop(out);
    running.until_told_to_stop().context("the demo can't be stopped in order")?;
    Ok(ExitCode::SUCCESS)
}
