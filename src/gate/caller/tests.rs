//! The same decision as on the gateway, by the listener's own rule for addresses, on whatever is published now.

use super::*;
use crate::access::snapshot::Draft;
use crate::config::settings::{AddressHeader, FailureBudget};
use crate::gate::judge::tests::{EXPIRED, KEY, NOW, current, gateway};
use crate::live::published::Published;

const LISTED: &str = "203.0.113.9";

/// A judge that believes one proxy, which is none of the gateway's.
fn judge(published: &Arc<Published>) -> CallerJudge {
    let trusted = ["192.0.2.1".parse().unwrap()].into_iter().collect();
    let rule = ClientAddressRule {
        trusted_proxies: trusted,
        certified_proxies: Vec::new(),
        header: AddressHeader::XForwardedFor,
        hops: None,
    };
    let nonces = Arc::new(Nonces::new(NOW));
    CallerJudge::new(Arc::clone(published), rule, Clock::manual(NOW), nonces, Arc::default(), Meter::ignoring())
}

fn call(judge: &CallerJudge, from: &str, path: &str, lines: &[(&str, &str)]) -> Result<Caller, Refused> {
    let mut request = http::Request::builder().uri(path);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let peer = Peer::tcp(format!("{from}:1").parse().unwrap(), "127.0.0.1:8081".parse().unwrap());
    judge.judge(&peer, &request.body(()).unwrap().into_parts().0)
}

#[test]
fn a_caller_is_judged_like_traffic() {
    let published = Published::new(Arc::new(gateway()), Arc::default()).unwrap();
    let judge = judge(&published);
    let refused = call(&judge, LISTED, "/", &[("x-api-key", KEY)]).unwrap_err();
    assert_eq!((refused.code, refused.challenges.len()), (Code::NotReady, 0));
    published.publish_snapshot(current().snapshot.unwrap()).unwrap();

    // Paths that are public or unknown on the gateway need a credential here like any other.
    for path in ["/open", "/api/v1/orgs", "/"] {
        let caller = call(&judge, LISTED, path, &[("x-api-key", KEY)]).unwrap();
        let told = (caller.credential.to_string(), caller.kind, caller.address.ip().to_string());
        assert_eq!(told, ("5f0000000000000000000002".into(), CredentialKind::ApiKey, LISTED.into()), "{path}");
        let refused = call(&judge, LISTED, path, &[]).unwrap_err();
        let asked: Vec<_> = refused.challenges.iter().filter_map(|challenge| challenge.split(' ').next()).collect();
        assert_eq!((refused.code, &*asked), (Code::CredentialsRequired, &["Basic", "Bearer"][..]), "{path}");
    }
    let refused = call(&judge, LISTED, "/", &[("x-api-key", EXPIRED)]).unwrap_err();
    assert_eq!((refused.code, refused.challenges.len()), (Code::InvalidCredentials, 2));
    assert!(refused.challenges[0].starts_with("Basic ") && !refused.reason.is_empty());
    assert_eq!(refused.address.map(|address| address.ip().to_string()).as_deref(), Some(LISTED));
}

#[test]
fn l8_failures_are_counted_here_too() {
    let mut settings = gateway();
    settings.limits.clients.failed_attempts = Some(FailureBudget { burst: 2, per_minute: 1 });
    let published = Published::new(Arc::new(settings), Arc::default()).unwrap();
    published.publish_snapshot(current().snapshot.unwrap()).unwrap();
    let judge = judge(&published);
    let failed = || call(&judge, LISTED, "/", &[("x-api-key", EXPIRED)]).unwrap_err();
    // What is only supposed is no attempt.
    let head = http::Request::builder().header("x-api-key", EXPIRED).body(()).unwrap().into_parts().0;
    let peer = Peer::tcp(format!("{LISTED}:1").parse().unwrap(), "127.0.0.1:8081".parse().unwrap());
    assert!((0..9).all(|_| judge.suppose(&peer, &head).unwrap_err().code == Code::InvalidCredentials));
    assert_eq!([failed().code, failed().code], [Code::InvalidCredentials; 2]);
    let refused = failed();
    assert_eq!((refused.code, refused.challenges.len()), (Code::RateLimited, 0));
    assert!(refused.retry_after.is_some_and(|seconds| (1..=61).contains(&seconds)), "{:?}", refused.retry_after);
    assert!(call(&judge, LISTED, "/", &[("x-api-key", KEY)]).is_ok(), "a good key passes");
}

#[test]
fn addresses_are_the_listeners_own_business() {
    let published = Published::new(Arc::new(gateway()), Arc::default()).unwrap();
    published.publish_snapshot(current().snapshot.unwrap()).unwrap();
    let judge = judge(&published);
    let key = ("x-api-key", KEY);
    let refused = |from: &str, lines: &[(&str, &str)]| {
        let refused = call(&judge, from, "/", lines).unwrap_err();
        assert_eq!(refused.challenges, [""; 0]);
        (refused.code, refused.address.map(|address| address.ip().to_string()))
    };
    let not_listed = |address: &str| (Code::IpAddressNotOnAccessList, Some(address.to_owned()));
    assert_eq!(refused("198.51.100.1", &[key]), not_listed("198.51.100.1"));
    // What the gateway trusts is a stranger here, and the other way round.
    assert_eq!(refused("10.0.0.1", &[key, ("x-forwarded-for", LISTED)]), not_listed("10.0.0.1"));
    assert!(call(&judge, "192.0.2.1", "/", &[key, ("x-forwarded-for", LISTED)]).is_ok());
    assert_eq!(refused("192.0.2.1", &[key, ("x-forwarded-for", "unknown")]), (Code::ClientAddressUnresolved, None));
}

#[test]
fn what_is_published_next_judges_the_next_call() {
    let published = Published::new(Arc::new(gateway()), Arc::default()).unwrap();
    published.publish_snapshot(current().snapshot.unwrap()).unwrap();
    let judge = judge(&published);
    assert!(call(&judge, LISTED, "/", &[("x-api-key", KEY)]).is_ok());
    let mut settings = gateway();
    settings.credentials.headers = vec![http::HeaderName::from_static("x-other-key")];
    published.publish_settings(Arc::new(settings), Arc::default());
    assert_eq!(call(&judge, LISTED, "/", &[("x-api-key", KEY)]).unwrap_err().code, Code::CredentialsRequired);
    assert!(call(&judge, LISTED, "/", &[("x-other-key", KEY)]).is_ok());
    published.publish_snapshot(Arc::new(Draft::new().finish(8))).unwrap();
    assert_eq!(call(&judge, LISTED, "/", &[("x-other-key", KEY)]).unwrap_err().code, Code::InvalidCredentials);
}
