//! What is counted is what was permitted, whatever stripes it was counted in and however often they were emptied.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::access::client_address::ClientAddress;
use crate::access::usage::{EntryUse, MOST_ADDRESSES};
use crate::problem::Code;

fn id(number: u8) -> Id {
    Id::from_bytes([number; 12])
}

fn address(number: u8) -> ClientAddress {
    ClientAddress::new(Ipv4Addr::new(192, 0, 2, number).into())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second)
}

fn network(number: u8) -> crate::access::network::Network {
    crate::access::network::Network::host(address(number).ip())
}

/// A permitted request as a stripe counts it.
fn used(meter: &Meter, credential: u8, entry: Option<u8>, from: u8, second: i64) {
    let Some(stripe) = &meter.to else { return };
    let last = LastUse { at: at(second), address: address(from) };
    count(stripe, id(credential), |seen| seen.used(entry.map(|entry| Named::Network(network(entry))), last));
}

fn denied(meter: &Meter, credential: u8, from: u8, second: i64, enforced: bool) {
    let Some(stripe) = &meter.to else { return };
    let denial =
        DenialSeen { code: Code::IpAddressNotOnAccessList, address: Some(address(from)), at: at(second), enforced };
    count(stripe, id(credential), |seen| seen.denied(denial));
}

#[test]
fn a_denial_counts_nothing_and_refreshes_nothing() {
    let usage = Usage::kept(true);
    let meter = usage.meter();
    used(&meter, 1, Some(9), 9, 100);
    denied(&meter, 1, 7, 200, true);
    let mut book = Book::new();
    usage.drain(&mut book);
    let seen = &book[&id(1)];
    assert_eq!((seen.uses(), seen.recent()), (1, &[LastUse { at: at(100), address: address(9) }][..]));
    assert_eq!(seen.denial().map(|denial| (denial.at, denial.address)), Some((at(200), Some(address(7)))));
}

#[test]
fn what_is_not_kept_is_not_counted() {
    let usage = Usage::ignored();
    used(&usage.meter(), 1, None, 1, 1);
    let mut book = Book::new();
    usage.drain(&mut book);
    assert!(book.is_empty());
}

#[test]
fn the_last_addresses_stay_newest_first() {
    let usage = Usage::kept(true);
    let meter = usage.meter();
    for number in 0..40 {
        used(&meter, 1, None, number, i64::from(number));
        // One that is used all the time never falls out.
        used(&meter, 1, None, 200, i64::from(number));
    }
    let mut book = Book::new();
    usage.drain(&mut book);
    let numbers: Vec<ClientAddress> = book[&id(1)].recent().iter().map(|used| used.address).collect();
    let expected: Vec<ClientAddress> = std::iter::once(200).chain((25..40).rev()).map(address).collect();
    assert_eq!((numbers.len(), numbers), (MOST_ADDRESSES, expected));
}

#[test]
fn an_entry_that_went_begins_anew() {
    let usage = Usage::kept(true);
    let meter = usage.meter();
    for entry in 0..20 {
        used(&meter, 1, Some(entry), 1, 1);
    }
    let mut book = Book::new();
    usage.drain(&mut book);
    let seen = book.get_mut(&id(1)).unwrap();
    for gone in [0, 19] {
        let name = crate::access::target::Target::Network(network(gone));
        assert!(seen.entries().any(|(entry, _)| *entry == name));
        seen.forget(&name);
        assert!(!seen.entries().any(|(entry, _)| *entry == name));
    }
    assert_eq!(seen.entries().count(), 18);
}

#[tokio::test]
async fn a_full_stripe_asks_to_be_emptied() {
    let usage = Usage::kept(true);
    let Some(stripe) = &usage.meter().to else { unreachable!() };
    for number in 0..FULL {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        count(stripe, Id::from_bytes(bytes), |seen| seen.used(None, LastUse { at: at(1), address: address(1) }));
    }
    usage.is_full().await;
}

proptest! {
    /// However uses are spread over stripes and emptyings, the book says what one list of all of them says.
    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(
        deeds in prop::collection::vec((0..3_usize, 0..4_u8, prop::option::of(0..30_u8), 0..30_u8, any::<bool>()), 0..200),
    ) {
        let usage = Usage::kept(true);
        let meters: Vec<Meter> = (0..3).map(|_| usage.meter()).collect();
        let mut book = Book::new();
        let mut uses: BTreeMap<u8, u64> = BTreeMap::new();
        let mut entries: BTreeMap<(u8, u8), EntryUse> = BTreeMap::new();
        let mut addresses: BTreeMap<u8, Vec<LastUse>> = BTreeMap::new();
        for (second, (stripe, credential, entry, from, empty)) in (0_i64..).zip(deeds) {
            used(&meters[stripe], credential, entry, from, second);
            let last = LastUse { at: at(second), address: address(from) };
            *uses.entry(credential).or_default() += 1;
            if let Some(entry) = entry {
                let known = entries.entry((credential, entry)).or_insert(EntryUse { count: 0, last });
                *known = EntryUse { count: known.count + 1, last };
            }
            let known = addresses.entry(credential).or_default();
            known.retain(|known| known.address != last.address);
            known.insert(0, last);
            if empty {
                usage.drain(&mut book);
            }
        }
        usage.drain(&mut book);
        let counted: BTreeMap<Id, u64> = book.iter().map(|(id, seen)| (*id, seen.uses())).collect();
        prop_assert_eq!(counted, uses.into_iter().map(|(number, uses)| (id(number), uses)).collect());
        for (number, mut expected) in addresses {
            expected.truncate(MOST_ADDRESSES);
            prop_assert_eq!(book[&id(number)].recent(), &expected[..]);
        }
        let counted: BTreeMap<(Id, String), EntryUse> = book
            .iter()
            .flat_map(|(id, seen)| seen.entries().map(|(entry, used)| ((*id, entry.to_string()), *used)))
            .collect();
        let expected: BTreeMap<(Id, String), EntryUse> = entries
            .into_iter()
            .map(|((number, entry), used)| ((id(number), network(entry).to_string()), used))
            .collect();
        prop_assert_eq!(counted, expected);
    }
}
