//! One question to one address: is it well?
//!
//! On a connection of its own, as a request would make it; the head of the answer is all that is read.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::config::settings::{Endpoint, HealthCheck, UpstreamTls};
use crate::net::tls;
use crate::proxy::upstream::{ClientTls, Stream, Target, open};

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
    let Endpoint::Net { https, http2, host, authority, .. } = endpoint else { return Ok(200) };
    let told = |fault: &dyn std::error::Error| fault.to_string();
    let tls = match https {
        true => {
            let name = tls::server_name(settings, host).map_err(|fault| told(&fault))?;
            Some((client_tls.config(settings).map_err(|fault| told(&fault))?, name))
        }
        false => None,
    };
    let stream = open(Target::Address(at), tls, *http2).await.map_err(|fault| told(&fault))?;
    let host = check.host.as_ref().unwrap_or(authority);
    match http2 {
        true => over_http2(stream, *https, host, check).await,
        false => over_http1(stream, host, check).await,
    }
}

fn question(check: &HealthCheck) -> http::request::Builder {
    let agent = concat!("portcullis/", env!("CARGO_PKG_VERSION"), " (health check)");
    Request::get(check.path.as_str()).header(USER_AGENT, agent)
}

async fn over_http1(stream: Stream, host: &HeaderValue, check: &HealthCheck) -> Result<u16, String> {
    let shaken = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|fault| fault.to_string())?;
    let closing = HeaderValue::from_static("close");
    let request = question(check).header(HOST, host).header(CONNECTION, closing).body(Empty::new());
    answered(sender.send_request(request.map_err(|fault| fault.to_string())?), connection).await
}

async fn over_http2(stream: Stream, https: bool, host: &HeaderValue, check: &HealthCheck) -> Result<u16, String> {
    let shaken = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|fault| fault.to_string())?;
    let target = Uri::builder()
        .scheme(if https { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(host.as_bytes())
        .path_and_query(check.path.clone())
        .build();
    let request = question(check).uri(target.map_err(|fault| fault.to_string())?).body(Empty::new());
    answered(sender.send_request(request.map_err(|fault| fault.to_string())?), connection).await
}

async fn answered(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> Result<u16, String> {
    let told = |fault: hyper::Error| fault.to_string();
    tokio::pin!(connection, answer);
    let answered = tokio::select! {
        answered = &mut answer => answered,
        ended = &mut connection => {
            ended.map_err(told)?;
            answer.await
        }
    };
    answered.map(|answer| answer.status().as_u16()).map_err(told)
}
