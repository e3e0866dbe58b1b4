//! A client of HTTP/2 that a test holds by each of its streams.

use std::future::Future;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::response::Parts;
use http::{HeaderMap, Request, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::stage::{DEADLINE, Stage};

/// Runs a test's client to its end, within the deadline.
pub fn play<T>(scene: impl Future<Output = T>) -> T {
    // On a thread of its own, so that the connection goes on while the scene waits for something else.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, scene).await.expect("the scene ends in time") })
}

/// A request to `api.example.com` with these lines.
pub fn request(method: &str, path: &str, lines: &[(&str, &str)]) -> Request<()> {
    let uri = format!("http://api.example.com{path}");
    let mut request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).expect("the test's request is one")
}

/// One connection.
pub struct Http2 {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// To the gateway, with windows of usual size.
    pub async fn connect(stage: &Stage) -> Self {
        Self::with(stage, |builder| builder).await
    }

    /// To the gateway, built like this.
    pub async fn with(stage: &Stage, build: impl FnOnce(&mut Builder) -> &mut Builder) -> Self {
        let stream = TcpStream::connect(stage.gateway()).await.expect("the gateway listens");
        Self::over(stream, build).await
    }

    /// On a connection that is there, built like this.
    pub async fn over<S>(stream: S, build: impl FnOnce(&mut Builder) -> &mut Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        build(builder.initial_window_size(65_535));
        let (sender, connection) = builder.handshake(stream).await.expect("nothing has come yet");
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// Opens a stream; `whole` where there is no body.
    pub async fn try_begin(
        &mut self,
        request: Request<()>,
        whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut ready = self.sender.clone().ready().await?;
        ready.send_request(request, whole)
    }

    /// The same on a connection that is well.
    pub async fn begin(&mut self, request: Request<()>, whole: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_begin(request, whole).await.expect("the connection is well")
    }

    /// One request without a body, and its answer.
    pub async fn ask(&mut self, request: Request<()>) -> Result<(Parts, Vec<u8>, HeaderMap), h2::Error> {
        let (response, _) = self.try_begin(request, true).await?;
        answer(response).await
    }

    /// How many streams the gateway allows.
    pub fn max_streams(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// How the connection ends.
    pub async fn ended(self) -> Result<(), h2::Error> {
        let Self { sender, connection } = self;
        let ended = connection.await.expect("the connection does not panic");
        drop(sender);
        ended
    }
}

/// An answer to its end.
pub async fn answer(response: ResponseFuture) -> Result<(Parts, Vec<u8>, HeaderMap), h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = match data {
            // The answer is whole; only what was left of the question is not wanted.
            Err(fault) if fault.reason() == Some(Reason::NO_ERROR) => break,
            data => data?,
        };
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.ok().flatten().unwrap_or_default();
    Ok((head, body, trailers))
}
