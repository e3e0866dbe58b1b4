//! The client against scripted servers on loopback.

use std::net::SocketAddr;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Answers one connection with these bytes and gives back what was asked.
async fn answering(bytes: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, &bytes).await
    });
    (address, task)
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(asked.clone()).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    asked.extend(body);
    // The client may have seen enough before all is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    String::from_utf8(asked).unwrap()
}

async fn get(bytes: impl Into<Vec<u8>>) -> Result<Bytes, FetchFault> {
    let (address, _) = answering(bytes.into()).await;
    Fetcher::new(None).unwrap().get(&format!("http://{address}/keys?x=1").parse().unwrap(), None).await
}

#[tokio::test]
async fn a_document_is_fetched() {
    let (address, asked) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()).await;
    let uri = format!("http://{address}/keys?x=1").parse().unwrap();
    assert_eq!(Fetcher::new(None).unwrap().get(&uri, Some("secret")).await.unwrap(), "{}");
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /keys?x=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {address}\r\n")) && asked.contains("authorization: bearer secret\r\n"));
    assert_eq!(get("HTTP/1.1 200 OK\r\n\r\nuntil close").await.unwrap(), "until close");
}

#[tokio::test]
async fn a_call_is_proven_and_its_refusal_is_read() {
    let refusal = b"HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
    let (address, asked) = answering(refusal).await;
    let call = Call {
        if_match: None,
        method: Method::PATCH,
        uri: format!("http://{address}/orgs").parse().unwrap(),
        proof: Some(Proof::Basic("user:password")),
        content: Some(("application/json", Bytes::from_static(b"{\"a\":1}"))),
    };
    let answered = Fetcher::new(None).unwrap().call(call).await.unwrap();
    assert_eq!(answered, Answered { status: 409, body: Bytes::from_static(b"busy"), version: None });
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("PATCH /orgs HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"a\":1}"), "{asked}");
    let asked = asked.to_lowercase();
    for line in ["authorization: basic dxnlcjpwyxnzd29yza==\r\n", "content-type: application/json\r\n"] {
        assert!(asked.contains(line), "{asked}");
    }
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    let redirect = get("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(redirect, Err(FetchFault::Status { status: 302, .. })), "{redirect:?}");
    let declared =
        get(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", MOST_BYTES + 1, "x".repeat(MOST_BYTES + 1)))
            .await;
    assert!(matches!(declared, Err(FetchFault::TooLarge { .. })), "{declared:?}");
    let endless = get(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 * MOST_BYTES))).await;
    assert!(matches!(endless, Err(FetchFault::TooLarge { .. })), "{endless:?}");
    let short = get("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").await;
    assert!(matches!(short, Err(FetchFault::Exchange { .. })), "{short:?}");
    let nonsense = get("nonsense\r\n\r\n").await;
    assert!(matches!(nonsense, Err(FetchFault::Exchange { .. })), "{nonsense:?}");
}

#[tokio::test]
async fn nothing_is_sent_in_clear_to_others() {
    let fetcher = Fetcher::new(None).unwrap();
    let refused = async |uri: &'static str| fetcher.get(&Uri::from_static(uri), Some("secret")).await.unwrap_err();
    assert!(matches!(refused("http://192.0.2.1/keys").await, FetchFault::InClear(_)));
    assert!(matches!(refused("http://localhost.example/keys").await, FetchFault::InClear(_)));
    assert!(matches!(refused("ftp://127.0.0.1/keys").await, FetchFault::Address(_)));
    assert!(matches!(refused("/keys").await, FetchFault::Address(_)));
}

#[tokio::test]
async fn s1_a_name_of_this_machine_is_not_of_the_internet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetcher = Fetcher::new(None).unwrap().of_the_internet();
    for uri in
        ["http://localhost", "https://localhost", "https://127.0.0.1", "https://0x7f.1", "https://[::ffff:127.0.0.1]"]
    {
        let refused = fetcher.get(&format!("{uri}:{port}/").parse().unwrap(), None).await;
        assert!(matches!(refused, Err(FetchFault::Internal(_))), "{uri}: {refused:?}");
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "nobody has connected");
}

#[tokio::test]
async fn the_certificate_has_to_be_trusted() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    });
    let uri = format!("https://localhost:{port}/keys").parse().unwrap();
    assert_eq!(Fetcher::new(Some(&ca)).unwrap().get(&uri, None).await.unwrap(), "{}");
    let stranger = Fetcher::new(None).unwrap().get(&uri, None).await;
    assert!(matches!(stranger, Err(FetchFault::Handshake { .. })), "{stranger:?}");
    let address = format!("https://127.0.0.1:{port}/keys").parse().unwrap();
    let renamed = Fetcher::new(Some(&ca)).unwrap().get(&address, None).await;
    assert!(matches!(renamed, Err(FetchFault::Handshake { .. })), "{renamed:?}");
    assert!(matches!(Fetcher::new(Some(&folder.path().join("none.pem"))), Err(FetchFault::Tls(_))));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let silent = Fetcher::new(None).unwrap().within(Duration::from_millis(50)).get(&uri, None).await;
    assert!(matches!(silent, Err(FetchFault::Deadline { .. })), "{silent:?}");
}

/// Whoever refuses early need not read to the end: the answer counts, and not that writing on failed.
#[tokio::test]
async fn an_early_answer_to_an_upload_is_read() {
    let upload = async |answer: &'static [u8]| {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let refusing = async move {
            let mut some = vec![0; 1 << 16];
            server.read_exact(&mut some).await.unwrap();
            server.write_all(answer).await.unwrap();
            // Closed with this: whatever is written from now on breaks.
        };
        let uri = Uri::from_static("http://127.0.0.1:8081/import");
        let call = Call { method: Method::POST, uri: uri.clone(), proof: None, content: None, if_match: None };
        let pieces = Pieces(std::iter::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 1 << 16]))));
        let sent = send(client, request(&call, Some("text/plain"), pieces).unwrap(), (&uri, MOST_BYTES));
        tokio::join!(refusing, sent).1
    };
    for _ in 0..20 {
        let answered = upload(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnobo").await.unwrap();
        assert_eq!((answered.status, &*answered.body), (401, &b"nobo"[..]));
    }
    let broken = upload(b"").await;
    assert!(matches!(broken, Err(FetchFault::Exchange { .. })), "{broken:?}");
}
