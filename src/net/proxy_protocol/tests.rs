//! PROXY headers of both versions, whole, broken and hostile.

use super::*;

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE_V2.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn ipv4() -> Vec<u8> {
    vec![203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80]
}

#[track_caller]
fn accepts(bytes: &[u8], source: Option<&str>) {
    let expected = Header::Complete { source: source.map(|text| text.parse().unwrap()), consumed: bytes.len() };
    assert_eq!(parse(bytes), Ok(expected));
    // Bytes after the header belong to the stream.
    let mut longer = bytes.to_vec();
    longer.extend(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(parse(&longer), Ok(expected));
    // No part of it is enough.
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(Header::Incomplete), "the first {end} bytes");
    }
}

#[track_caller]
fn refuses(bytes: &[u8], fault: HeaderFault) {
    assert_eq!(parse(bytes), Err(fault), "{}", bytes.escape_ascii());
}

#[test]
fn tcp_sources_and_local_pass() {
    accepts(b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n", Some("203.0.113.9:12345"));
    accepts(b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 443\r\n", Some("[2001:db8::9]:12345"));
    accepts(&v2(0x21, 0x11, &ipv4()), Some("203.0.113.9:12345"));
    accepts(&v2(0x20, 0x00, &[]), None);
    accepts(&v2(0x20, 0x11, &ipv4()), None);
    let mut with_tlv = ipv4();
    with_tlv.extend([0x04, 0, 3, 1, 2, 3]);
    accepts(&v2(0x21, 0x11, &with_tlv), Some("203.0.113.9:12345"));
}

#[test]
fn everything_else_is_refused() {
    refuses(b"GET / HTTP/1.1\r\n", HeaderFault::Malformed);
    refuses(b"PROXY UNKNOWN\r\n", HeaderFault::NotTcp);
    refuses(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", HeaderFault::NotTcp);
    refuses(b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4 203.0.113.9 10.0.0.1 +1234 80\r\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4 203.0.113.9 10.0.0.1 01234 80\r\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4 203.0.113.009 10.0.0.1 1234 80\r\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4  203.0.113.9 10.0.0.1 1234 80\r\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4 2001:db8::9 2001:db8::1 1234 80\r\n", HeaderFault::Malformed);
    refuses(b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80 more\r\n", HeaderFault::Malformed);
    refuses(&[b"PROXY TCP6 ".as_slice(), &[b'1'; 120]].concat(), HeaderFault::TooLong);
    refuses(&v2(0x21, 0x00, &[]), HeaderFault::NotTcp);
    refuses(&v2(0x21, 0x12, &ipv4()), HeaderFault::NotTcp);
    refuses(&v2(0x21, 0x31, &[0; 216]), HeaderFault::NotTcp);
    refuses(&v2(0x31, 0x11, &ipv4()), HeaderFault::Malformed);
    refuses(&v2(0x22, 0x11, &ipv4()), HeaderFault::Malformed);
    refuses(&v2(0x21, 0x41, &ipv4()), HeaderFault::Malformed);
    refuses(&v2(0x21, 0x11, &ipv4()[..11]), HeaderFault::Malformed);
    let with = |tlv: &[u8]| v2(0x21, 0x11, &[ipv4(), tlv.to_vec()].concat());
    refuses(&with(&[0x04]), HeaderFault::BadTlv);
    refuses(&with(&[0x04, 0, 9, 1]), HeaderFault::BadTlv);
    refuses(&with(&[0x30, 0, 1, b'a', 0x04, 0]), HeaderFault::BadTlv);
    // What they say is nobody's business here: a namespace that is no UTF-8, an SSL record cut short.
    for says in [&[0x30, 0, 1, 0xcb][..], &[0x20, 0, 1, 1], &[0x03, 0, 0], &[0x04, 0, 0, 0x22, 0, 2, 0xe4, 0xff]] {
        accepts(&with(says), Some("203.0.113.9:12345"));
    }
    refuses(&v2(0x21, 0x11, &[0; 5_000])[..16], HeaderFault::TooLong);
}
