//! The built-in upstream: answers with the request as an upstream would have seen it, so that the gateway can be tried
//! without anything behind it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;

use crate::proxy::body::{CutOff, RequestBody};

/// Reads the whole request and describes it.
pub(in crate::proxy) async fn echo(request: Request<RequestBody>) -> Result<Response<Bytes>, CutOff> {
    let (head, mut body) = request.into_parts();
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        body_bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(&str, String)> = head.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    let described = serde_json::json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "version": format!("{:?}", head.version),
        "host": head.headers.get(HOST).map(text),
        "headers": headers,
        "body_bytes": body_bytes,
    });
    let mut answer = Response::new(Bytes::from(format!("{described:#}\n")));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
