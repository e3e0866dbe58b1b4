//! Tokens over months of a clock: keys come, sign and go without a gap; ends are kept.

use std::path::Path;

use super::*;
use crate::access::credential::Enforcement;
use crate::access::record::Place;
use crate::clock::Clock;
use crate::control::{Bootstrap, NewAccount, Opened, Rules, UsageSource};
use crate::gate::judge::tests::gateway;
use crate::gate::token::{Origin, Tokens};
use crate::live::key_sets::KeySets;
use crate::live::published::Published;
use crate::live::usage::Usage;

const START: i64 = 1_795_392_000;
const DAY: i64 = 24 * 3600;

struct World {
    control: Arc<Control>,
    published: Arc<Published>,
    clock: Clock,
}

impl World {
    fn open(folder: &Path) -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(START));
        let opened = Opened::new(&folder.join("store.db"), Rules::default(), Bootstrap::default(), &clock).unwrap();
        let published = Published::new(Arc::new(gateway()), Arc::new(KeySets::default())).unwrap();
        published.publish_snapshot(Arc::clone(opened.snapshot())).unwrap();
        let usage = UsageSource {
            usage: Usage::ignored(),
            told: Box::new(|_| ()),
            refusals: std::sync::Arc::default(),
            activity: std::sync::Arc::default(),
        };
        let told = Box::new(|_: &_, _| ());
        let control = opened.serve(Arc::clone(&published), told, usage, "https://a.example.com").unwrap();
        Self { control, published, clock }
    }

    fn at(&self, seconds: i64) {
        self.clock.set(Timestamp::from_unix_seconds(START + seconds));
    }

    async fn account(&self, hours: u32) -> (ClientId, String) {
        let actor = Actor::system("test");
        let organization = self.control.organizations(&actor).await.unwrap()[0].id;
        let new = NewAccount {
            name: "batch".into(),
            description: "batch".into(),
            roles: Vec::new(),
            secret_hours: Some(hours),
            subject: None,
            certificate: None,
            expires_at: Timestamp::NEVER,
            enforcement: Enforcement::Enforce,
            entries: Vec::new(),
        };
        let place = Place::Organization(organization);
        let (account, secret) = self.control.create_service_account(&actor, place, new).await.unwrap().value;
        (ClientId(account.row.id), secret.unwrap().secret)
    }

    async fn mint(&self, (id, secret): &(ClientId, String)) -> Result<Minted, Fault> {
        let (id, address) = (id.to_string(), ClientAddress::new("192.0.2.1".parse().unwrap()));
        self.control.mint_token(Client { id: &id, secret, address }).await
    }

    /// Whether a worker that remembers nothing takes the token now.
    fn takes(&self, token: &str) -> bool {
        let (current, tokens) = (self.published.current(), Tokens::default());
        let verified =
            tokens.verify(token, &current.settings, (&current.keys, current.own.as_deref()), self.clock.now(), || true);
        let snapshot = current.snapshot.as_ref().unwrap();
        verified.is_ok_and(|subject| match subject.origin {
            Origin::Own(id) => !snapshot.is_revoked(&id) && snapshot.find(&subject.fingerprint).is_some(),
            Origin::Foreign(_) => false,
        })
    }

    fn kids(&self) -> Vec<String> {
        let document: serde_json::Value = serde_json::from_str(&self.control.signing_keys()).unwrap();
        document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn keys_rotate_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path());
    let client = world.account(8760).await;
    let first = world.kids();
    assert_eq!(first.len(), 1);
    let mut before: Option<String> = None;
    let mut seen = first.clone();
    // Over two months, every half hour around the times when keys change.
    let around = |day: i64| (day * DAY - 7200..day * DAY + 7200).step_by(1800);
    let mut times: Vec<i64> =
        (0..62 * DAY).step_by(40_000).chain([29, 30, 31, 59, 60].into_iter().flat_map(around)).collect();
    times.sort_unstable();
    let mut last = 0;
    for seconds in times {
        world.at(seconds);
        // Whoever fetched the keys a day ago knows the one that signs now.
        let token = world.mint(&client).await.unwrap().token;
        assert!(world.takes(&token) && seen.contains(&kid(&token)), "{seconds}");
        if let Some(before) = before.replace(token) {
            assert_eq!(world.takes(&before), seconds - last < 3600, "{seconds}: a token ended with its key");
        }
        last = seconds;
        for one in world.kids() {
            if !seen.contains(&one) {
                assert_ne!(one, kid(before.as_ref().unwrap()), "a key signs at once");
                seen.push(one);
            }
        }
    }
    assert!(seen.len() >= 3, "{seen:?}");
    assert!(!world.kids().contains(&first[0]), "the first key is still there");
}

#[tokio::test]
async fn a_restart_signs_with_the_same_keys_and_forgets_no_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path());
    let client = world.account(8760).await;
    let (good, gone) = (world.mint(&client).await.unwrap().token, world.mint(&client).await.unwrap().token);
    let (id, address) = (client.0.to_string(), ClientAddress::new("192.0.2.1".parse().unwrap()));
    let asks = Client { id: &id, secret: &client.1, address };
    world.control.revoke_token(asks, &gone).await.unwrap();
    assert!(world.takes(&good) && !world.takes(&gone));
    let kids = world.kids();
    let copy = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let again = World::open(copy.path());
    assert_eq!(again.kids(), kids);
    assert!(again.takes(&good) && !again.takes(&gone));
    again.at(3600);
    assert!(!again.takes(&good));
}

#[tokio::test]
async fn a_token_ends_with_its_secret_at_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path());
    let client = world.account(8).await;
    world.at(8 * 3600 - 60);
    let minted = world.mint(&client).await.unwrap();
    assert_eq!(minted.expires_in, 60);
    world.at(8 * 3600 - 1);
    assert!(world.takes(&minted.token));
    world.at(8 * 3600);
    assert!(!world.takes(&minted.token));
    let refused = world.mint(&client).await.err().unwrap().refusal();
    assert_eq!(refused.code, Code::InvalidCredentials);
}
