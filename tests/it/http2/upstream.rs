//! An upstream that speaks HTTP/2 alone, and writes down what reaches it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::request::Parts;
use http::{HeaderMap, Response};
use tokio::net::TcpListener;

use crate::stage::wait_for;

/// One stream as the upstream sees it.
pub struct Exchange {
    pub head: Parts,
    pub body: h2::RecvStream,
    pub answer: SendResponse<Bytes>,
}

impl Exchange {
    /// All of the request's body, and its trailers.
    pub async fn read(&mut self) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
        let mut body = Vec::new();
        while let Some(data) = self.body.data().await {
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        Ok((body, self.body.trailers().await?.unwrap_or_default()))
    }

    /// A whole answer.
    pub fn say(&mut self, status: u16, body: &'static str) {
        let head = Response::builder().status(status).header("x-upstream", "h2").body(()).unwrap();
        let mut stream = self.answer.send_response(head, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
        }
    }
}

/// Counts what was seen; its tasks end with the test's process.
#[derive(Clone)]
pub struct H2Upstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<Parts>>>,
}

impl H2Upstream {
    /// Gives each stream to the script, on a task of its own.
    pub fn scripted<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Exchange) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::built(h2::server::Builder::new(), script)
    }

    /// The same, built like this.
    pub fn built<F: Future<Output = ()> + Send + 'static>(
        builder: h2::server::Builder,
        script: impl Fn(Exchange) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            ended: Arc::default(),
            heads: Arc::default(),
        };
        let (record, script) = (upstream.clone(), Arc::new(script));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    record.connections.fetch_add(1, Ordering::SeqCst);
                    let (record, script, builder) = (record.clone(), Arc::clone(&script), builder.clone());
                    tokio::spawn(async move {
                        let Ok(mut connection) = builder.handshake(stream).await else { return };
                        while let Some(Ok((request, answer))) = connection.accept().await {
                            let (head, body) = request.into_parts();
                            record.heads.lock().unwrap().push(head.clone());
                            tokio::spawn(script(Exchange { head, body, answer }));
                        }
                        record.ended.fetch_add(1, Ordering::SeqCst);
                    });
                }
            });
        });
        upstream
    }

    /// Answers everything with `200` and the body `hello`.
    pub fn start() -> Self {
        Self::scripted(|mut exchange| async move {
            let _ = exchange.read().await;
            exchange.say(200, "hello");
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that have come and gone.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub fn seen(&self) -> Vec<Parts> {
        self.heads.lock().unwrap().clone()
    }

    /// The head of a request, as soon as there are this many.
    pub fn nth(&self, count: usize) -> Parts {
        wait_for("a request at the upstream", || self.heads.lock().unwrap().len() >= count);
        self.heads.lock().unwrap()[count - 1].clone()
    }
}
