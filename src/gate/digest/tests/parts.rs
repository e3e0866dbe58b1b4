//! The parser, the nonces and the windows by themselves, each against a naive second one.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::header::{LONGEST, parse};
use super::super::nonce::{self, Nonce};
use super::super::window::{Window, Windows};
use super::*;

const GOOD: &str = "username=\"mcpvrzod\", realm=\"P\", nonce=\"n\", uri=\"/\", qop=auth, nc=00000001, cnonce=\"c\", \
                    response=\"00112233445566778899aabbccddeeff\"";

fn bytes(text: &Text<'_>) -> Vec<u8> {
    text.bytes().collect()
}

#[track_caller]
fn malformed(line: &str, word: &str) {
    match parse(line.as_bytes()) {
        Err(why) => assert!(why.contains(word), "{line}: {why}"),
        Ok(_) => panic!("{line}"),
    }
}

#[test]
fn lines_that_parse() {
    for line in [
        GOOD.to_owned(),
        GOOD.replace(", ", ","),
        GOOD.replace(", ", " \t , "),
        GOOD.replace('=', " = "),
        format!(",, {GOOD} ,,"),
        GOOD.replace("nc=00000001", "nc=\"00000001\""),
        GOOD.replace("qop=auth", "qop=\"auth\""),
        GOOD.replace("username", "UserName"),
        GOOD.replace("mcpvrzod", "mc\\pvrzod"),
        GOOD.to_ascii_uppercase().replace("AUTH", "auth").replace("MCPVRZOD", "mcpvrzod"),
        format!("{GOOD}, opaque=\"\", opaque=\"x\", whatever=1, userhash=false"),
        GOOD.replace("/\"", "/\\\"\""),
        format!("algorithm=MD5, {GOOD}"),
    ] {
        let Ok(presented) = parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!((bytes(&presented.username), presented.count), (b"mcpvrzod".to_vec(), 1), "{line}");
        assert_eq!(presented.response.as_slice(), (0..16).map(|digit| digit * 0x11).collect::<Vec<u8>>());
    }
}

#[test]
fn lines_that_do_not() {
    for name in ["username", "realm", "nonce", "uri", "qop", "nc", "cnonce", "response"] {
        malformed(&GOOD.replace(&format!("{name}="), "other="), "needs");
        malformed(&format!("{GOOD}, {name}=\"x\""), "twice");
        malformed(&format!("{}=\"x\", {GOOD}", name.to_ascii_uppercase()), "twice");
    }
    for line in ["", " ", ",", "x", "=", "=x", "username", "username=", "a=b c=d", "a=\"b\"c", "a=b=c", "a==b", "a b=c"]
    {
        assert!(parse(line.as_bytes()).is_err(), "{line}");
    }
    malformed(&GOOD.replace("realm=\"P\"", "realm="), "not a list");
    malformed(&GOOD.replace(", ", "; "), "not a list");
    malformed(&GOOD.replace(", ", " "), "not a list");
    malformed(&format!("{GOOD}, x=\"never closed"), "no end");
    malformed(&format!("{GOOD}, x=\"never closed\\\""), "no end");
    malformed(&GOOD.replace("mcpvrzod", "mcpvrz\u{e9}d"), "visible ASCII");
    malformed(&GOOD.replace("mcpvrzod", "mc\0d"), "visible ASCII");
    malformed(&GOOD.replace("mcpvrzod", &"u".repeat(LONGEST + 1)), "1 to 512");
    malformed(&GOOD.replace("cnonce=\"c\"", &format!("cnonce=\"{}\"", "c".repeat(LONGEST + 1))), "1 to 512");
    malformed(&GOOD.replace("cnonce=\"c\"", "cnonce=\"\""), "1 to 512");
    for nc in ["1", "000000001", "0000000g", "00000000", "", "+0000001", "0x000001"] {
        malformed(&GOOD.replace("nc=00000001", &format!("nc=\"{nc}\"")), "nc of Digest");
    }
    for response in ["", "00", &"0".repeat(31), &"0".repeat(33), &"0".repeat(65), &"g".repeat(32), &"0".repeat(40)] {
        malformed(&GOOD.replace("00112233445566778899aabbccddeeff", response), "response of Digest");
    }
    malformed(&GOOD.replace("username=", "username*="), "username*");
    malformed(&format!("{GOOD}, username*=UTF-8''mcpvrzod"), "username*");
    malformed(&format!("{GOOD}, userhash=true"), "userhash");
    malformed(&format!("{GOOD}, algorithm=MD5, algorithm=MD5"), "twice");
}

/// How somebody may write a parameter.
fn written(name: &str, value: &str, choices: u8) -> String {
    let name = if choices & 1 == 0 { name.to_owned() } else { name.to_ascii_uppercase() };
    let blank = if choices & 2 == 0 { "" } else { " \t" };
    let escape = |one: char| match one == '"' || one == '\\' || choices & 4 != 0 {
        true => format!("\\{one}"),
        false => one.to_string(),
    };
    format!("{name}{blank}={blank}\"{}\"", value.chars().map(escape).collect::<String>())
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        texts in prop::array::uniform4("[ -~]{1,40}"),
        count in 1..=u32::MAX,
        response in prop_oneof![prop::collection::vec(any::<u8>(), 16), prop::collection::vec(any::<u8>(), 32)],
        choices in any::<u8>(),
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let [user, realm, uri, cnonce] = &texts;
        let (nc, hexadecimal) = (format!("{count:08x}"), hex(&response));
        let all = [
            ("username", &**user), ("realm", realm), ("uri", uri), ("cnonce", cnonce),
            ("nonce", "n+/="), ("nc", &nc), ("response", &hexadecimal), ("qop", "auth"),
        ];
        let line: Vec<String> =
            order.iter().map(|at| written(all[*at].0, all[*at].1, choices.rotate_left(*at as u32))).collect();
        let line = line.join(if choices & 8 == 0 { "," } else { " ,\t, " });
        let Ok(presented) = parse(line.as_bytes()) else { panic!("{line}") };
        prop_assert_eq!(bytes(&presented.username), user.as_bytes());
        prop_assert_eq!(bytes(&presented.realm), realm.as_bytes());
        prop_assert_eq!(bytes(&presented.cnonce), cnonce.as_bytes());
        prop_assert!(presented.uri.is(&[&uri.as_bytes()[..1], &uri.as_bytes()[1..]]));
        prop_assert!(!presented.uri.is(&[uri.as_bytes(), b"x"]));
        prop_assert_eq!(presented.count, count);
        prop_assert_eq!(presented.response.as_slice(), &response[..]);
    }

    #[test]
    fn a_window_is_a_set_of_the_last_64(counts in prop::collection::vec(1..200_u32, 0..200)) {
        let (mut window, mut used) = (Window::default(), BTreeSet::new());
        for count in counts {
            let highest = used.last().copied().unwrap_or(0);
            let expected = count + 64 > highest && used.insert(count);
            prop_assert_eq!(window.take(count), expected, "{}", count);
        }
    }

    #[test]
    fn nothing_is_taken_twice_however_small_the_table(
        uses in prop::collection::vec((0..20_i64, 0..40_u128, 1..4_u32, 0..70_i64), 0..300),
    ) {
        let windows = Windows::with_most(-1, 2 * 64);
        let mut taken = BTreeSet::new();
        for (issued, id, count, now) in uses {
            let fresh = windows.take(Nonce { issued, id }, count, Timestamp::from_unix_seconds(now));
            prop_assert!(!fresh || taken.insert((issued, id, count)), "{} {} {}", issued, id, count);
            prop_assert!(windows.nonces() <= 2 * 64);
        }
    }
}

#[test]
fn a_flood_makes_nonces_stale_and_no_room() {
    let windows = Windows::with_most(-1, 10 * 64);
    let now = Timestamp::from_unix_seconds(100);
    let first = Nonce { issued: 50, id: 1 };
    assert!(windows.take(first, 1, now) && windows.take(first, 2, now));
    // Somebody with a key fetches a nonce for each of many requests.
    for id in 0..10_000 {
        windows.take(Nonce { issued: 51 + (id as i64 / 200), id: id + 10 }, 1, now);
    }
    assert!(windows.nonces() <= 10 * 64);
    // Forgotten is stale, never fresh.
    assert!(!windows.take(first, 1, now) && !windows.take(first, 3, now));
    // The next second goes on as ever.
    let later = Timestamp::from_unix_seconds(101);
    let next = Nonce { issued: 101, id: 7 };
    assert!(windows.take(next, 1, later) && !windows.take(next, 1, later));
}

#[test]
fn what_has_expired_makes_room() {
    let windows = Windows::new(-1);
    for id in 0..1_000 {
        assert!(windows.take(Nonce { issued: 10, id }, 1, Timestamp::from_unix_seconds(10)));
    }
    assert_eq!(windows.nonces(), 1_000);
    for id in 0..10_000 {
        windows.take(Nonce { issued: 70, id }, 1, Timestamp::from_unix_seconds(70));
    }
    // Every stripe was met, and has let go of the first thousand.
    assert_eq!(windows.nonces(), 10_000);
    // Not even a clock that goes back brings them to life.
    assert!(!windows.take(Nonce { issued: 10, id: 1 }, 2, Timestamp::from_unix_seconds(11)));
}

#[test]
fn workers_share_a_window() {
    let windows = Windows::new(-1);
    let now = Timestamp::from_unix_seconds(0);
    let taken: usize = std::thread::scope(|scope| {
        let take = || (1..=1_000).filter(|count| windows.take(Nonce { issued: 0, id: 3 }, *count, now)).count();
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!((1..=1_000).contains(&taken), "{taken}");
}

#[test]
fn nonces_are_read_as_they_were_made() {
    let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
    let made = nonce::issue(&key(1), Algorithm::Sha256, "P", NOW).unwrap();
    let line = GOOD.replace("nonce=\"n\"", &format!("nonce=\"{made}\""));
    let Ok(presented) = parse(line.as_bytes()) else { panic!("{line}") };
    let opened = |key: &hmac::Key, algorithm, realm| nonce::open(key, algorithm, realm, &presented.nonce);
    assert_eq!(opened(&key(1), Algorithm::Sha256, "P").unwrap().issued, NOW.unix_seconds());
    assert_eq!(opened(&key(2), Algorithm::Sha256, "P"), None);
    assert_eq!(opened(&key(1), Algorithm::Md5, "P"), None);
    assert_eq!(opened(&key(1), Algorithm::Sha256, "Q"), None);
    assert_eq!(opened(&key(1), Algorithm::Sha256, ""), None);
    assert_ne!(nonce::issue(&key(1), Algorithm::Sha256, "P", NOW), Some(made), "no two are alike");
}
