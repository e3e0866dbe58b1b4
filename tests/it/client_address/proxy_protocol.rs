//! threats.md C10 and C11: PROXY protocol headers, byte by byte.

use std::net::IpAddr;

use crate::stage::{Client, KEY_OPEN, Setting, Stage};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn stage(client_address: &str) -> Stage {
    Setting::new()
        .listen("{ address: \"127.0.0.1:0\", proxy_protocol: { trusted: [127.0.0.1] } }")
        .gateway("timeouts: { header: 700ms }")
        .gateway(&format!("client_address: {client_address}"))
        .set()
}

fn request(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-API-Key: {KEY_OPEN}\r\n{lines}\r\n")
}

/// Version 2: version and command, family and protocol, and everything after the length.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// Source 203.0.113.9:4711, destination 127.0.0.1:80, and TLVs.
fn v4(tlvs: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&[203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 80], tlvs].concat())
}

fn v6(source: &str) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    v2(0x21, 0x21, &[&octets(source)[..], &octets("::1"), &[0x12, 0x67, 0, 80]].concat())
}

/// Sends the header and a request behind it, whole and then byte by byte.
#[track_caller]
fn passes(stage: &Stage, row: &str, header: &[u8], lines: &str, client: &str, chain: &str) {
    for in_pieces in [false, true] {
        let before = (stage.upstream.seen().len(), stage.log().len());
        let mut connection = stage.connect();
        let bytes = [header, request(lines).as_bytes()].concat();
        match in_pieces {
            true => bytes.chunks(1).for_each(|byte| connection.write(byte)),
            false => connection.write(&bytes),
        }
        let answer = connection.read(false);
        assert_eq!(answer.status, 200, "{row}: {}", answer.text());
        let seen = stage.upstream.nth(before.0 + 1);
        assert_eq!(seen.all("x-portcullis-client-address"), [client], "{row}");
        assert_eq!(seen.all("x-forwarded-for"), [chain], "{row}");
        let logged = stage.log_of(before.1 + 1).pop().unwrap();
        assert_eq!(logged["client.address"], client, "{row}");
        // The address holds for the whole connection.
        assert_eq!(connection.send(request(lines)).status, 200, "{row}");
        assert_eq!(stage.upstream.nth(before.0 + 2).all("x-portcullis-client-address"), [client], "{row}");
        stage.log_of(before.1 + 2);
    }
}

#[track_caller]
fn closed(stage: &Stage, row: &str, from: &str, bytes: &[u8]) {
    let before = (stage.upstream.seen().len(), stage.metric("portcullis_connections_refused_total"));
    let from: IpAddr = from.parse().unwrap();
    let mut connection = Client::connect_from(from, stage.gateway());
    connection.write(bytes);
    assert!(connection.is_closed(), "{row}: it was answered");
    assert_eq!(stage.upstream.seen().len(), before.0, "{row}");
    crate::stage::wait_for("the count", || stage.metric("portcullis_connections_refused_total") > before.1);
    assert!(stage.log().is_empty() || before.0 > 0, "{row}: it became a request");
}

#[test]
fn c10_the_source_is_the_peer() {
    let stage = stage("{ trusted_proxies: [10.0.0.0/8, 127.0.0.1] }");
    for (row, header, lines, client, chain) in [
        ("v1", &b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n"[..], "", "203.0.113.9", "203.0.113.9"),
        ("v1", b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n", "", "2001:db8::9", "2001:db8::9"),
        ("v1 I1", b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 80\r\n", "", "203.0.113.9", "203.0.113.9"),
        ("v2", &v4(b""), "", "203.0.113.9", "203.0.113.9"),
        ("v2 TLV", &v4(b"\x02\0\x03abc\x04\0\0"), "", "203.0.113.9", "203.0.113.9"),
        ("v2", &v6("2001:db8::9"), "", "2001:db8::9", "2001:db8::9"),
        ("v2 I1", &v6("::ffff:203.0.113.9"), "", "203.0.113.9", "203.0.113.9"),
        ("v2 I2", &v6("::cb00:7109"), "", "::cb00:7109", "::cb00:7109"),
        // The source is asked whether it is trusted, not the load balancer that told it.
        (
            "v1 C1",
            b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n",
            "X-Forwarded-For: 192.0.2.9\r\n",
            "203.0.113.9",
            "203.0.113.9",
        ),
        (
            "v1 C2",
            b"PROXY TCP4 10.0.0.7 127.0.0.1 4711 80\r\n",
            "X-Forwarded-For: 192.0.2.9\r\n",
            "192.0.2.9",
            "192.0.2.9, 10.0.0.7",
        ),
        // C11: LOCAL speaks for the peer itself, whatever addresses it carries.
        ("C11 LOCAL", &v2(0x20, 0x00, b""), "", "127.0.0.1", "127.0.0.1"),
        ("C11 LOCAL", &v2(0x20, 0x11, &[203, 0, 113, 9, 127, 0, 0, 1, 0, 1, 0, 80]), "", "127.0.0.1", "127.0.0.1"),
    ] {
        passes(&stage, &format!("C10 {row}"), header, lines, client, chain);
    }
}

#[test]
fn c10_c11_everything_else_is_closed_and_never_read_as_http() {
    let stage = stage("{ trusted_proxies: [127.0.0.1] }");
    let http = request("");
    let line = |text: &str| [text.as_bytes(), http.as_bytes()].concat();
    let with = |header: Vec<u8>| [&header[..], http.as_bytes()].concat();
    let mut long = v4(&[0x04, 0x20, 0x00]);
    long.extend(vec![b'x'; 0x2000]);
    let wrong_signature = [b"\r\n\r\n\0\r\nQUIT\r".to_vec(), v4(b"")[12..].to_vec()].concat();
    let rows: Vec<(&str, &str, Vec<u8>)> = vec![
        ("C10 none", "127.0.0.1", http.clone().into()),
        ("C10 untrusted", "127.0.0.2", line("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 untrusted v2", "127.0.0.2", with(v4(b""))),
        ("C10 untrusted, none", "127.0.0.2", http.clone().into()),
        ("C10 UNKNOWN", "127.0.0.1", line("PROXY UNKNOWN\r\n")),
        ("C10 UNKNOWN with addresses", "127.0.0.1", line("PROXY UNKNOWN 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 only LF", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\n")),
        ("C10 lower case", "127.0.0.1", line("proxy TCP4 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 two blanks", "127.0.0.1", line("PROXY TCP4  203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 no ports", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1\r\n")),
        ("C10 six fields", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80 1\r\n")),
        ("C10 port +80", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1 +4711 80\r\n")),
        ("C10 port 080", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1 4711 080\r\n")),
        ("C10 port 65536", "127.0.0.1", line("PROXY TCP4 203.0.113.9 127.0.0.1 65536 80\r\n")),
        ("C10 I3", "127.0.0.1", line("PROXY TCP4 010.0.0.1 127.0.0.1 4711 80\r\n")),
        ("C10 I3", "127.0.0.1", line("PROXY TCP4 167772161 127.0.0.1 4711 80\r\n")),
        ("C10 I5", "127.0.0.1", line("PROXY TCP6 fe80::1%eth0 ::1 4711 80\r\n")),
        ("C10 family", "127.0.0.1", line("PROXY TCP4 2001:db8::9 ::1 4711 80\r\n")),
        ("C10 family", "127.0.0.1", line("PROXY TCP6 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 UDP4", "127.0.0.1", line("PROXY UDP4 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C10 no end", "127.0.0.1", [b"PROXY TCP4 ".to_vec(), vec![b'1'; 300]].concat()),
        ("C10 blank line first", "127.0.0.1", line("\r\nPROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n")),
        ("C11 signature", "127.0.0.1", with(wrong_signature)),
        ("C11 UNSPEC", "127.0.0.1", with(v2(0x21, 0x00, b""))),
        ("C11 UNSPEC with bytes", "127.0.0.1", with(v2(0x21, 0x00, &[0; 12]))),
        ("C11 UNIX", "127.0.0.1", with(v2(0x21, 0x31, &[b'/'; 216]))),
        ("C11 UNIX datagram", "127.0.0.1", with(v2(0x21, 0x32, &[b'/'; 216]))),
        ("C11 UDP4", "127.0.0.1", with(v2(0x21, 0x12, &[203, 0, 113, 9, 127, 0, 0, 1, 0, 1, 0, 80]))),
        ("C11 version 1", "127.0.0.1", with(v2(0x11, 0x11, &[1; 12]))),
        ("C11 version 3", "127.0.0.1", with(v2(0x31, 0x11, &[1; 12]))),
        ("C11 command 2", "127.0.0.1", with(v2(0x22, 0x11, &[1; 12]))),
        ("C11 family 4", "127.0.0.1", with(v2(0x21, 0x41, &[1; 12]))),
        ("C11 short addresses", "127.0.0.1", with(v2(0x21, 0x11, &[1; 11]))),
        ("C11 v6 with v4's length", "127.0.0.1", with(v2(0x21, 0x21, &[1; 12]))),
        ("C11 TLV beyond the end", "127.0.0.1", with(v4(b"\x04\0\x09abc"))),
        ("C11 half a TLV", "127.0.0.1", with(v4(b"\x04\0"))),
        ("C11 one byte of a TLV", "127.0.0.1", with(v4(b"\x04"))),
        ("C11 second TLV broken", "127.0.0.1", with(v4(b"\x04\0\x01a\x04\xff\xff"))),
        (
            "C11 LOCAL with a broken TLV",
            "127.0.0.1",
            with(v2(0x20, 0x11, b"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x04\0\x09")),
        ),
        ("C11 64 KiB announced", "127.0.0.1", with(v2(0x21, 0x11, &[1; 0xffff]))),
        ("C11 8 KiB of TLV", "127.0.0.1", with(v4(&long[28..]))),
    ];
    for (row, from, bytes) in rows {
        closed(&stage, row, from, &bytes);
    }
}

#[test]
fn c10_half_a_header_is_closed_at_the_deadline() {
    let stage = stage("{ trusted_proxies: [127.0.0.1] }");
    let whole = v4(b"");
    for half in [
        &b""[..],
        b"P",
        b"PROXY TCP4 203.0.113.9 127.0.0.1",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r",
        &whole[..11],
        &whole[..13],
        &whole[..27],
    ] {
        closed(&stage, "C10 half of one, then silence", "127.0.0.1", half);
    }
}

#[test]
fn c10_a_second_header_is_no_http() {
    let stage = stage("{ trusted_proxies: [127.0.0.1] }");
    for second in [&b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 80\r\n"[..], &v4(b"")] {
        let mut connection = stage.connect();
        connection.write(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n");
        connection.write(second);
        connection.write(request(""));
        assert_eq!(connection.read(false).status, 400, "C10");
    }
    assert!(stage.upstream.seen().is_empty(), "C10");
}
