//! What is sealed comes back, and nothing else does.

use std::net::IpAddr;

use syn::visit::{self, Visit};

use super::reasons::REASONS;
use super::record::mark;
use super::*;
use crate::access::client_address::ClientAddress;
use crate::access::decision::AddressFault;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::config::settings::ReceiptKeyFile;
use crate::gate::judge::tests::gateway;
use crate::problem::Code;
use crate::telemetry::access_log::ClientSource;

fn key(byte: u8) -> ReceiptKey {
    ReceiptKey::of(&[byte; 32]).unwrap()
}

fn by_files(bytes: &[u8]) -> Gateway {
    let file = |byte: &u8| ReceiptKeyFile { file: "r.key".into(), key: key(*byte), sha256: [*byte; 32] };
    Gateway { receipt_keys: bytes.iter().map(file).collect(), ..gateway() }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn record() -> Record {
    Record {
        at: 1_795_943_626_123,
        revision: 41,
        code: Code::IpAddressNotOnAccessList,
        reason: None,
        client: Some(ClientAddress::new(address("203.0.113.7"))),
        source: ClientSource::Header,
        peer: address("10.0.0.1"),
        owner: Some((CredentialName::api_key(Id::from_bytes([0x5f; 12])), Id::from_bytes([0x6a; 12]))),
        route: RouteSeen::Matched(7),
    }
}

#[test]
fn what_is_sealed_is_opened() {
    let (settings, own) = (gateway(), key(1));
    let account = CredentialName::service_account(crate::access::client_id::ClientId(Id::from_bytes([9; 12])));
    let others = [
        Record { client: None, owner: None, source: ClientSource::Peer, ..record() },
        Record { client: Some(ClientAddress::new(address("2001:db8::1"))), peer: address("::1"), ..record() },
        Record { owner: Some((account, Id::from_bytes([0; 12]))), source: ClientSource::ProxyProtocol, ..record() },
        Record { route: RouteSeen::NotFound, code: Code::RouteNotFound, ..record() },
        Record { route: RouteSeen::Ambiguous, code: Code::AmbiguousPath, revision: (1 << 48) - 1, ..record() },
        Record { code: Code::InvalidCredentials, reason: Some("the credential is disabled"), ..record() },
    ];
    for record in others.into_iter().chain([record()]) {
        let receipt = seal(&settings, Some(&own), &record).unwrap();
        assert_eq!(open(&settings, Some(&own), &receipt), Ok(record));
        assert_eq!(receipt.len(), LENGTH, "it tells nothing by its length");
        assert!(receipt.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{receipt}");
    }
    let unheard_of = Record { reason: Some("a reason that is to be invented"), ..record() };
    let receipt = seal(&settings, Some(&own), &unheard_of).unwrap();
    let opened = open(&settings, Some(&own), &receipt).unwrap();
    assert!(opened.reason.unwrap().contains("does not know"), "{opened:?}");
}

#[test]
fn h13_a_receipt_tells_its_bearer_nothing() {
    let (settings, own) = (gateway(), key(1));
    let [one, other] = [(); 2].map(|()| seal(&settings, Some(&own), &record()).unwrap());
    let alike = one.bytes().zip(other.bytes()).filter(|(one, other)| one == other).count();
    assert!(alike < LENGTH / 8, "the same facts, sealed twice, have {alike} characters in common");
    let bytes = URL_SAFE_NO_PAD.decode(&one).unwrap();
    for fact in [&[0x5f; 12][..], &[0x6a; 12], &[203, 0, 113, 7], &[10, 0, 0, 1]] {
        assert!(!bytes.windows(fact.len()).any(|window| window == fact));
    }
}

#[test]
fn h13_whatever_was_changed_is_refused_without_saying_why() {
    let (settings, own) = (gateway(), key(1));
    let receipt = seal(&settings, Some(&own), &record()).unwrap();
    for at in 0..LENGTH {
        let mut changed = receipt.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(open(&settings, Some(&own), &changed), Err(ReceiptFault::Unopened), "character {at}");
    }
    assert_eq!(open(&settings, Some(&key(2)), &receipt), Err(ReceiptFault::Unopened));
    assert_eq!(open(&settings, None, &receipt), Err(ReceiptFault::Unopened));
    assert_eq!(seal(&settings, None, &record()), None);
    let plain = "0123456789abcdef0123456789abcdef";
    let spoilt = [&receipt[1..], "/"].concat();
    for text in ["", plain, &receipt[1..], &format!("{receipt}A"), &format!("{receipt}="), &spoilt] {
        assert_eq!(open(&settings, Some(&own), text), Err(ReceiptFault::NotOne), "{text}");
    }
}

#[test]
fn the_first_key_seals_and_all_open() {
    let (before, own) = (by_files(&[1]), key(9));
    let old = seal(&before, Some(&own), &record()).unwrap();
    assert_eq!(open(&gateway(), Some(&own), &old), Err(ReceiptFault::Unopened), "the file's key sealed it");
    let between = by_files(&[2, 1]);
    let new = seal(&between, Some(&own), &record()).unwrap();
    for receipt in [&old, &new] {
        assert!(open(&between, Some(&own), receipt).is_ok());
    }
    let after = by_files(&[2]);
    assert_eq!(open(&after, None, &old), Err(ReceiptFault::Unopened));
    assert!(open(&after, None, &new).is_ok());
    // What the store's key sealed before there were files is opened still.
    let first = seal(&gateway(), Some(&own), &record()).unwrap();
    assert!(open(&between, Some(&own), &first).is_ok());
}

#[test]
fn h6_no_key_is_shown() {
    let shown = format!("{:?} {:?}", by_files(&[0x41]), key(0x41));
    assert!(!shown.contains("AAAA") && !shown.contains("65, 65") && shown.contains("ReceiptKey(…)"), "{shown}");
}

/// Literals with a blank in them, outside of attributes and macros.
struct Texts(Vec<String>);

impl Visit<'_> for Texts {
    fn visit_attribute(&mut self, _: &syn::Attribute) {}

    fn visit_lit_str(&mut self, literal: &syn::LitStr) {
        self.0.extend(Some(literal.value()).filter(|text| text.contains(' ')));
    }
}

#[test]
fn every_reason_is_known_and_no_two_have_one_mark() {
    let sources = [
        include_str!("../certificate.rs"),
        include_str!("../claim.rs"),
        include_str!("../digest.rs"),
        include_str!("../digest/header.rs"),
        include_str!("../token.rs"),
        include_str!("../../access/decision.rs"),
    ];
    let mut texts = Texts(Vec::new());
    for source in sources {
        visit::visit_file(&mut texts, &syn::parse_file(source).unwrap());
    }
    // Not reasons: words for a claim, and parts of headers.
    texts.0.retain(|text| text.split_whitespace().count() > 1 && text != "header key" && !text.starts_with(','));
    for text in &texts.0 {
        assert!(REASONS.contains(&text.as_str()), "`{text}` is missing in `receipt::reasons`");
    }
    for fault in AddressFault::ALL {
        assert!(REASONS.contains(&fault.as_str()), "{fault:?}");
    }
    let codes = Code::ALL.iter().map(|code| code.as_str());
    for mut marks in [REASONS.iter().map(|text| mark(text)).collect::<Vec<_>>(), codes.map(mark).collect()] {
        let count = marks.len();
        marks.sort_unstable();
        marks.dedup();
        assert!(marks.len() == count && marks[0] != 0);
    }
}
