//! Tests of `directory::foreign::reasoning`.

use proptest::prelude::*;

use super::*;

fn of(texts: &[&str]) -> Addresses {
    Addresses::of(texts.iter().map(|text| text.parse().unwrap()))
}

#[test]
fn spellings_that_begin_alike() {
    let cases: [(&str, Option<&[&str]>); 12] = [
        ("", Some(&["0.0.0.0/0", "::/0"])),
        ("198.51.100.", Some(&["198.51.100.0/24"])),
        ("198.51.100.7", Some(&["198.51.100.7", "198.51.100.70/31", "198.51.100.72/29"])),
        ("198.51.", Some(&["198.51.0.0/16"])),
        ("198.51.100.7.", Some(&[])),
        ("198.051.", Some(&[])),
        ("198.300.", Some(&[])),
        ("10", None),
        ("2001:db8:", Some(&["2001:db8::/32"])),
        ("2001:db8:0:", None),
        ("2001:db", None),
        ("::1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(beginning(text), expected.map(of), "{text}");
    }
}

#[test]
fn a_text_with_an_address_compares_for_some_addresses() {
    let text = Text::known("k@").then(&Text::of(Part::Address));
    assert_eq!(text.compares(How::Whole, "k@10.0.0.1"), Truth::of(of(&["10.0.0.1"])));
    assert_eq!(text.compares(How::Whole, "k@010.0.0.1"), Truth::never());
    assert_eq!(text.compares(How::Whole, "other"), Truth::never());
    assert_eq!(text.compares(How::Beginning, "k@10."), Truth::of(of(&["10.0.0.0/8"])));
    assert_eq!(text.compares(How::Beginning, "k"), Truth::always());
    assert_eq!(text.compares(How::Within, "10"), Truth::unknown());
    let unknown = Text::known("k@").then(&Text::of(Part::Unknown));
    assert_eq!(unknown.compares(How::Whole, "x"), Truth::never());
    assert_eq!(unknown.compares(How::Whole, "k@x"), Truth::unknown());
}

#[test]
fn keys_are_found_in_what_templates_are_compared_with() {
    let (key, address, between) = (Part::Key, Part::Address, Part::Known(":".into()));
    let behind = [key.clone(), between.clone(), address.clone()];
    let before = [address, between, key.clone()];
    let cases: [(&[Part], How, &str, Option<&str>); 8] = [
        (&[key], How::Whole, "abc", Some("abc")),
        (&behind, How::Whole, "abc:10.0.0.1", Some("abc")),
        (&behind, How::Whole, "abc:2001:db8::1", Some("abc")),
        (&behind, How::Beginning, "abc:10.0.", Some("abc")),
        (&behind, How::Whole, "abc", None),
        (&before, How::Whole, "2001:db8::1:abc", Some("abc")),
        (&before, How::Whole, "10.0.0.1:a:c", Some("a:c")),
        (&before, How::Beginning, "10.0.0.1:a", None),
    ];
    for (template, how, pattern, expected) in cases {
        assert_eq!(key_in(template, how, pattern), expected, "{template:?} {pattern}");
    }
}

#[test]
fn tables_tell_what_a_text_stands_for() {
    let mut table = Table::of(Some(vec![Part::Known("0".into())]));
    let value = |text: &str| Some(vec![Part::Known(text.to_owned())]);
    table.add(Entry::Text(How::Whole, "k@10.0.0.1".into()), value("1"));
    table.add(Entry::Text(How::Beginning, "k@10.".into()), value("2"));
    let text = Text::known("k@").then(&Text::of(Part::Address)).looked_up(&table);
    let is = |number: &str| text.compares(How::Whole, number);
    assert_eq!(is("1"), Truth::of(of(&["10.0.0.1"])));
    assert_eq!(is("2"), Truth::of(of(&["10.0.0.0/8"]).without(&of(&["10.0.0.1"]))));
    assert_eq!(is("0"), Truth::of(Addresses::all().without(&of(&["10.0.0.0/8"]))));
    let mut table = Table::default();
    table.networks(vec![
        ("10.0.0.0/8".parse().unwrap(), value("a")),
        ("10.1.0.0/16".parse().unwrap(), value("b")),
        ("10.1.2.0/24".parse().unwrap(), value("a")),
    ]);
    let text = Text::of(Part::Address).looked_up(&table);
    assert_eq!(text.compares(How::Whole, "b"), Truth::of(of(&["10.1.0.0/16"]).without(&of(&["10.1.2.0/24"]))));
    table.add(Entry::Unknown, None);
    assert_eq!(Text::known("x").looked_up(&table).compares(How::Whole, "b"), Truth::unknown());
}

proptest! {
    /// What is said of a beginning is so for every address.
    #[test]
    fn beginnings_are_exact(bits in any::<u32>(), length in 0_usize..12) {
        let address = std::net::Ipv4Addr::from_bits(bits).to_string();
        let begins = &address[..length.min(address.len())];
        if let Some(found) = beginning(begins) {
            prop_assert!(!found.and(&written(&address)).is_empty(), "{begins} {address}");
        }
    }

    #[test]
    fn addresses_of_a_beginning_are_spelled_so(text in "[0-9]{1,3}\\.[0-9.]{0,9}", bits in any::<u32>()) {
        if let Some(found) = beginning(&text) {
            for network in found.networks() {
                for address in [network.address(), network.last()] {
                    prop_assert!(address.to_string().starts_with(&text), "{text} {address}");
                }
            }
            let other = std::net::Ipv4Addr::from_bits(bits).to_string();
            prop_assert_eq!(other.starts_with(&text), !found.and(&written(&other)).is_empty());
        }
    }

    #[test]
    fn a_condition_certainly_holds_only_where_it_may(a in any::<[bool; 2]>(), b in any::<[bool; 2]>()) {
        let truth = |[must, may]: [bool; 2]| match (must, may) {
            (true, _) => Truth::always(),
            (false, true) => Truth::unknown(),
            (false, false) => Truth::never(),
        };
        for one in [truth(a).and(&truth(b)), truth(a).or(&truth(b)), truth(a).not()] {
            prop_assert!(one.must.without(&one.may).is_empty());
        }
        prop_assert_eq!(truth(a).and(&truth(b)).not(), truth(a).not().or(&truth(b).not()));
    }
}
