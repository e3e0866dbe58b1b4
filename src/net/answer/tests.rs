//! Answers in one piece and in many, good and nearly good; hyper reads those that pass the same way.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// An answer that was read to its end.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: u16,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// Reads an answer that comes in pieces of this size and behind which the connection is closed; with what is left behind it.
fn whole(answer: &[u8], piece: usize, to_head: bool) -> Result<(Whole, bool, Bytes), AnswerFault> {
    let mut coming = answer.chunks(piece);
    let mut bytes = Bytes::new();
    let mut more = |bytes: &mut Bytes| match coming.next() {
        Some(next) => {
            *bytes = [&bytes[..], next].concat().into();
            true
        }
        None => false,
    };
    let head = loop {
        match read(&bytes, to_head)? {
            Some((head, length)) => {
                bytes = bytes.slice(length..);
                break head;
            }
            None if more(&mut bytes) => {}
            None => return Err(AnswerFault::Early),
        }
    };
    let (mut body, mut trailers, mut decoder) = (Vec::new(), None, head.body);
    loop {
        match decoder.next(&mut bytes)? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break,
            Piece::Wanting if more(&mut bytes) => {}
            Piece::Wanting => decoder.closed()?,
        }
    }
    while more(&mut bytes) {}
    Ok((Whole { status: head.status.as_u16(), fields: head.fields, body, trailers }, head.keeps, bytes))
}

#[track_caller]
fn check(answer: &str, expected: Result<(&str, bool, &str), AnswerFault>) {
    for piece in [1, 2, 3, 7, answer.len()] {
        let read = whole(answer.as_bytes(), piece, false);
        let seen = read.as_ref().map(|(whole, keeps, left)| {
            (std::str::from_utf8(&whole.body).unwrap(), *keeps, std::str::from_utf8(left).unwrap())
        });
        assert_eq!(seen, expected.as_ref().map(|seen| *seen), "{answer:?} in pieces of {piece}");
    }
}

#[test]
fn bodies_end_where_they_say() {
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP", Ok(("abc", true, "HTTP")));
    check("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Ok(("", true, "")));
    check("HTTP/1.1 200 OK\r\n\r\nabc", Ok(("abc", false, "")));
    check("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", Ok(("abc", false, "")));
    check("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\na", Ok(("a", true, "")));
    check("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\na", Ok(("a", false, "")));
    check("HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc", Ok(("", true, "abc")));
    check("HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n", Ok(("", true, "")));
    check("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nabc", Ok(("", false, "abc")));
    check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", Err(AnswerFault::Early));
    check("HTTP/1.1 200 OK\r\ncontent-le", Err(AnswerFault::Early));
}

#[test]
fn an_answer_to_head_has_no_body() {
    let (seen, keeps, left) = whole(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nHTTP", 5, true).unwrap();
    assert_eq!((seen.body, keeps, &left[..]), (Vec::new(), true, &b"HTTP"[..]));
    assert_eq!(seen.fields["content-length"], "3");
}

#[test]
fn chunks_are_taken_apart() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n";
    let good = |body: &str, data, left| check(&format!("{head}{body}"), Ok((data, true, left)));
    good("0\r\n\r\n", "", "");
    good("3\r\nabc\r\n0\r\n\r\nHTTP", "abc", "HTTP");
    good("0003\r\nabc\r\n1 ;x=\"y\"\r\nd\r\n000\r\n\r\n", "abcd", "");
    good("A\r\n0123456789\r\n0;last\r\nx-sum: 1\r\n\r\n", "0123456789", "");
    let bad = |body: &str, fault| check(&format!("{head}{body}"), Err(fault));
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\na",
        " 1\r\na",
        "0x1\r\na",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n",
        "1\ra",
        "1;\n\r\n",
        "1;\u{1}\r\n",
        "1 1\r\na",
        "1 \r\na",
        "1234567812345678\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\na: b\n\nc: d\r\n\r\n",
        "0\r\na b: c\r\n\r\n",
    ] {
        bad(body, AnswerFault::Malformed);
    }
    bad("", AnswerFault::Early);
    bad("1\r\na\r\n", AnswerFault::Early);
    bad("0\r\n", AnswerFault::Early);
    bad(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(5_000)), AnswerFault::Malformed);
    bad(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(101)), AnswerFault::TooLarge);
    bad(&format!("0\r\na: {}\r\n\r\n", "x".repeat(65_536)), AnswerFault::TooLarge);
}

#[test]
fn trailers_are_told() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum:  1 \r\nX-Sum: 2\r\n\r\n";
    let (seen, ..) = whole(answer, 4, false).unwrap();
    let values: Vec<_> = seen.trailers.unwrap().get_all("x-sum").iter().cloned().collect();
    assert_eq!(values, ["1", "2"]);
}

#[test]
fn what_two_programs_could_read_otherwise_is_refused() {
    let refused = |lines: &str, fault: AnswerFault| {
        check(&format!("HTTP/1.1 200 OK\r\n{lines}\r\nabc"), Err(fault));
    };
    let ambiguous = AnswerFault::Ambiguous;
    refused("content-length: 3\r\ncontent-length: 3\r\n", ambiguous("it has more than one Content-Length"));
    for length in ["+3", "3, 3", "0x3", "3 3", "-0", "", "18446744073709551616"] {
        refused(&format!("content-length: {length}\r\n"), ambiguous("Content-Length is not one number"));
    }
    let both = ambiguous("it has both Content-Length and Transfer-Encoding");
    refused("content-length: 3\r\ntransfer-encoding: chunked\r\n", both);
    let coding = ambiguous("it has a transfer coding other than chunked");
    for lines in ["gzip", "gzip, chunked", "chunked, chunked", "chunked\r\ntransfer-encoding: chunked", "", "identity"]
    {
        refused(&format!("transfer-encoding: {lines}\r\n"), coding);
    }
    for lines in ["a b: c\r\n", ": c\r\n", "a : b\r\n", "a: b\r\n c\r\n", "a: b\u{0}\r\n", "a\r\n"] {
        refused(lines, AnswerFault::Malformed);
    }
    check(
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        Err(ambiguous("it has a transfer coding in HTTP/1.0")),
    );
    for line in
        ["HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 099 OK", "ICY 200 OK", "GET / HTTP/1.1"]
    {
        check(&format!("{line}\r\n\r\n"), Err(AnswerFault::Malformed));
    }
}

#[test]
fn what_connection_says_besides_is_told() {
    for (line, told) in [("close", None), ("Keep-Alive, close", None), ("close, x", Some("close, x")), ("", Some(""))] {
        let answer = format!("HTTP/1.1 204 x\r\nconnection: {line}\r\n\r\n");
        let (seen, ..) = whole(answer.as_bytes(), 7, false).unwrap();
        assert_eq!(seen.fields.get("connection").map(|line| line.to_str().unwrap()), told);
    }
}

#[test]
fn heads_have_limits() {
    let fields = |count| format!("HTTP/1.1 204 x\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(whole(fields(MAX_FIELDS).as_bytes(), 1_000, false).is_ok());
    assert_eq!(whole(fields(MAX_FIELDS + 1).as_bytes(), 1_000, false).unwrap_err(), AnswerFault::TooLarge);
    let long = |length| format!("HTTP/1.1 204 x\r\na: {}\r\n\r\n", "b".repeat(length));
    let around = long(0).len();
    assert!(whole(long(MAX_HEAD - around).as_bytes(), 10_000, false).is_ok());
    assert_eq!(whole(long(MAX_HEAD - around + 1).as_bytes(), 10_000, false).unwrap_err(), AnswerFault::TooLarge);
    assert_eq!(whole(long(1 << 20).as_bytes(), 10_000, false).unwrap_err(), AnswerFault::TooLarge);
}

/// The same bytes as hyper's client reads them.
async fn as_hyper_reads(answer: Vec<u8>) -> Option<Whole> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(ours)).await.ok()?;
    let driven = tokio::spawn(connection);
    let answered = tokio::spawn(async move {
        let request = http::Request::new(http_body_util::Empty::<Bytes>::new());
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        let trailers = body.trailers().cloned();
        let body = body.to_bytes().to_vec();
        let mut fields = head.headers;
        if fields.get_all("connection").iter().all(|line| line == "close") {
            fields.remove("connection");
        }
        Some(Whole { status: head.status.as_u16(), fields, body, trailers })
    });
    let mut request = [0; 64];
    let _ = theirs.read(&mut request).await.ok()?;
    theirs.write_all(&answer).await.ok()?;
    drop(theirs);
    let seen = answered.await.ok()?;
    driven.abort();
    seen
}

/// Answers and what is nearly one.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(content-length|Content-Length): ?[0-9]{1,2}",
        Just("transfer-encoding: chunked".to_owned()),
        Just("connection: close".to_owned()),
        "[a-zA-Z-]{1,8}:[ -~]{0,10}",
        "[ -~]{0,12}",
    ];
    let body = prop_oneof!["[a-z]{0,20}", "([0-3]\r\n[a-z]{0,3}\r\n){0,3}0\r\n(x: y\r\n)?\r\n", "[0-9a-f;\r\n ]{0,30}"];
    let status = prop_oneof![Just(200_u16), Just(204), Just(304), 200..600_u16];
    let version = prop_oneof![9 => Just("1.1"), 1 => Just("1.0")];
    let end = prop_oneof![20 => Just("\r\n"), 1 => Just("\n")];
    (version, status, proptest::collection::vec(line, 0..4), end, body).prop_map(
        |(version, status, lines, end, body)| {
            let lines: String = lines.iter().map(|line| format!("{line}{end}")).collect();
            format!("HTTP/{version} {status} x{end}{lines}{end}{body}").into_bytes()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// What is let through is what hyper reads too; refusing more than hyper is our right.
    #[test]
    fn nothing_is_read_otherwise_than_hyper_reads_it(answer in answers(), piece in 1_usize..40) {
        if let Ok((seen, ..)) = whole(&answer, piece, false) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let theirs = runtime.block_on(as_hyper_reads(answer));
            prop_assert_eq!(Some(seen), theirs);
        }
    }

    #[test]
    fn how_it_is_cut_up_makes_no_difference(answer in answers(), piece in 1_usize..40) {
        let (cut, uncut) = (whole(&answer, piece, false), whole(&answer, answer.len(), false));
        prop_assert_eq!(format!("{cut:?}"), format!("{uncut:?}"));
    }
}
