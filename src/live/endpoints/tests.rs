//! Only news count, and nothing is no news.

use super::*;

#[test]
fn only_what_differs_counts_as_a_change() {
    let endpoints = Endpoints::default();
    let place = Place { upstream: "api".into(), endpoint: Endpoint::Echo };
    let at = |port: u16, healthy| Address { at: SocketAddr::from(([127, 0, 0, 1], port)), healthy };
    assert_eq!((endpoints.changes(), endpoints.of(&place)), (0, None));
    endpoints.tell(&place, &[at(1, true)]);
    endpoints.tell(&place, &[at(1, true)]);
    endpoints.tell(&place, &[]);
    assert_eq!((endpoints.changes(), endpoints.of(&place)), (1, Some([at(1, true)].into())));
    endpoints.tell(&place, &[at(1, false), at(2, true)]);
    assert_eq!((endpoints.changes(), endpoints.of(&place).unwrap().len()), (2, 2));
    endpoints.retain(|_| true);
    assert_eq!(endpoints.changes(), 2);
    endpoints.retain(|_| false);
    assert_eq!((endpoints.changes(), endpoints.of(&place)), (3, None));
}
