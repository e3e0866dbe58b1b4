//! One question to one address: is it well?
//!
//! On a connection of its own, as a request would make it; the head of the answer is all that is read.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::config::settings::{Endpoint, HealthCheck, UpstreamTls};
use crate::net::tls;
use crate::proxy::upstream::{ClientTls, Target, open};

/// Asks; what was wrong with the answer, where it was none or a bad one.
pub(super) async fn ask(
    at: SocketAddr,
    endpoint: &Endpoint,
    check: &HealthCheck,
    client_tls: &ClientTls,
    settings: &UpstreamTls,
) -> Result<(), String> {
    let answer = tokio::time::timeout(check.timeout, exchange(at, endpoint, check, client_tls, settings));
    match answer.await {
        Ok(Ok(status)) if status < 400 => Ok(()),
        Ok(Ok(status)) => Err(format!("it answers {status}")),
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

async fn exchange(
    at: SocketAddr,
    endpoint: &Endpoint,
    check: &HealthCheck,
    client_tls: &ClientTls,
    settings: &UpstreamTls,
) -> Result<u16, String> {
    let Endpoint::Net { https, host, authority, .. } = endpoint else { return Ok(200) };
    let told = |fault: &dyn std::error::Error| fault.to_string();
    let tls = match https {
        true => {
            let name = tls::server_name(settings, host).map_err(|fault| told(&fault))?;
            Some((client_tls.config(settings).map_err(|fault| told(&fault))?, name))
        }
        false => None,
    };
    let stream = open(Target::Address(at), tls).await.map_err(|fault| told(&fault))?;
    let shaken = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|fault| told(&fault))?;
    let request = Request::get(check.path.as_str())
        .header(HOST, check.host.as_ref().unwrap_or(authority))
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION"), " (health check)"))
        .header(CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::new())
        .map_err(|fault| told(&fault))?;
    let answer = sender.send_request(request);
    tokio::pin!(connection, answer);
    let answered = tokio::select! {
        answered = &mut answer => answered,
        ended = &mut connection => {
            ended.map_err(|fault| told(&fault))?;
            answer.await
        }
    };
    answered.map(|answer| answer.status().as_u16()).map_err(|fault| told(&fault))
}
