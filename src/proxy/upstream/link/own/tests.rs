//! Connections that break at the wrong moment.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::*;

/// A connection and the upstream's end of it.
fn connected() -> (Own, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (Own::new(Stream::Plain(tokio::net::TcpStream::from_std(ours).unwrap())), theirs)
}

/// What comes of a request that is sent on it.
async fn asked(own: &mut Own) -> Result<Head, SendFault> {
    own.write.extend_from_slice(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    own.sending = Sending::Plain;
    poll_fn(|cx| own.poll_answer(cx, false)).await
}

/// Ends the upstream's side with something unread, which resets the connection.
async fn reset(own: &Own, theirs: TcpStream) {
    let Stream::Plain(stream) = &own.stream else { unreachable!() };
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(b"x").unwrap(), 1);
    assert_eq!(theirs.peek(&mut [0]).unwrap(), 1);
    drop(theirs);
}

#[tokio::test]
async fn an_upstream_that_takes_no_more_is_heard_out() {
    let (mut own, mut theirs) = connected();
    theirs.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 4\r\n\r\nfull").unwrap();
    reset(&own, theirs).await;
    own.begun = true;
    let head = asked(&mut own).await.unwrap();
    assert_eq!((head.status.as_u16(), own.keeps, &own.read[..]), (413, false, &b"full"[..]));
    assert!(matches!(own.sending, Sending::Broken), "{:?}", own.sending);
}

#[tokio::test]
async fn nothing_has_left_on_a_connection_that_was_reset_before() {
    let (mut own, theirs) = connected();
    reset(&own, theirs).await;
    let fault = asked(&mut own).await.unwrap_err();
    assert!(matches!(fault, SendFault::Failed(_)), "{fault:?}");
    assert!(!own.begun && matches!(own.sending, Sending::Plain), "the request can be taken back");
}

#[tokio::test]
async fn interim_answers_are_counted_however_they_come() {
    for (count, is_heard) in [(MAX_INTERIM, true), (MAX_INTERIM + 1, false)] {
        let (mut own, mut theirs) = connected();
        let upstream = std::thread::spawn(move || {
            for _ in 0..count {
                // Each in a packet of its own.
                theirs.set_nodelay(true).unwrap();
                theirs.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").unwrap();
            }
            let _ = theirs.write_all(b"HTTP/1.1 204 x\r\n\r\n");
            theirs
        });
        let answered = asked(&mut own).await;
        assert_eq!(answered.is_ok(), is_heard, "{count}: {answered:?}");
        drop(upstream.join().unwrap());
    }
}
