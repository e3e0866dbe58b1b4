//! What is held stays held, what is told is told once, and no clock and no list keeps a source from being asked.

use super::*;
use crate::access::credential::AccessListMode;
use crate::access::feed::FeedState;
use crate::config::feed_source::FeedSource;
use crate::control::network_sets::NewNetworkSet;
use crate::control::tests::served;
use crate::control::{NewOrganization, organizations};

struct Scene {
    control: Arc<Control>,
    organization: Id,
    _folder: tempfile::TempDir,
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn actor() -> Actor {
    Actor::system("test")
}

impl Scene {
    /// With a set that holds this, and a source that is asked every hour.
    async fn holding(held: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control = served(folder.path());
        let held = networks(held);
        let actor = actor();
        let made = control.change(&actor, move |change| {
            let new = NewOrganization { name: "acme".into(), mode: AccessListMode::Off, key: None };
            let organization = organizations::add(change, &new)?;
            let (url, every) = (Some("https://lists.example.com/".into()), Some("1h".into()));
            let source = FeedSource { url, every, ..FeedSource::default() }.parsed()?;
            let source = SourceEdit::Becomes(Some(source));
            let content = NetworkSetEdit { networks: Some(held), owner: None, comment: None, source };
            network_sets::add(change, &organization, NewNetworkSet { name: "edge".into(), content })?;
            Ok(organization.id)
        });
        let organization = made.await.unwrap().value;
        Self { control, organization, _folder: folder }
    }

    fn now(&self) -> i64 {
        self.control.clock.now().unix_seconds()
    }

    fn pass(&self, seconds: i64) {
        self.control.clock.set(Timestamp::from_unix_seconds(self.now() + seconds));
    }

    async fn set(&self) -> NetworkSet {
        self.control.network_set(&actor(), self.organization, "edge".into()).await.unwrap()
    }

    async fn feed(&self) -> NetworkFeed {
        self.set().await.feed.unwrap()
    }

    async fn begun(&self) -> DueFeed {
        self.control.begin_feeds(&mut Turns::default()).await.unwrap().pop().expect("the source is due")
    }

    /// What comes of a list.
    async fn given(&self, list: &[&str]) -> Settled {
        let due = self.begun().await;
        self.control.settle_feed(due, Ok(networks(list))).await.unwrap()
    }

    /// Has the source asked at once.
    async fn wish(&self) {
        let organization = self.organization;
        let actor = actor();
        let wished = self.control.change(&actor, move |change| {
            let organization = change.rows().organization(organization)?.unwrap();
            let set = find(change.rows(), &organization, "edge")?;
            let mut feed = change.rows().feed(set.pk)?.unwrap();
            feed.due_at = change.now();
            change.store().write_feed(&feed)?;
            change.keep_aside();
            Ok(())
        });
        wished.await.unwrap();
    }
}

#[tokio::test]
async fn s3_what_is_held_for_a_recent_caller_is_not_taken_once_that_one_is_quiet() {
    let scene = Scene::holding(&["10.0.0.0/8", "198.51.100.0/24"]).await;
    let due = scene.begun().await;
    let actor = actor();
    let held = scene.control.change(&actor, move |change| {
        let (_, set, feed) = present(change, &due)?.unwrap();
        hold(change, &due, (&set, feed), networks(&["10.0.0.0/8"]), "somebody has called".into())
    });
    let why = "somebody has called".to_owned();
    assert_eq!(held.await.unwrap().value, Settled::Held { is_new: true, why: why.clone() });
    for _ in 0..3 {
        // Longer than a use is recent; no guard has anything against the list any more.
        scene.pass(2 * 3600);
        assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Held { is_new: false, why: why.clone() });
    }
    let set = scene.set().await;
    assert_eq!(set.row.networks, networks(&["10.0.0.0/8", "198.51.100.0/24"]));
    let (place, id) = ((scene.organization, "edge".to_owned()), set.held().unwrap().0.id());
    let confirmed = scene.control.confirm_held(&actor, Guards::All, place, id).await.unwrap();
    assert_eq!(confirmed.value.row.networks, networks(&["10.0.0.0/8"]));
    scene.pass(3600);
    assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
}

#[tokio::test]
async fn s3_lists_that_take_turns_are_told_once_an_hour() {
    let scene = Scene::holding(&["10.0.0.0/8"]).await;
    let is_told = async |list: &[&str]| match scene.given(list).await {
        Settled::Held { is_new, .. } => is_new,
        other => panic!("{other:?}"),
    };
    let (one, other) = (&["10.0.0.0/9"][..], &["10.128.0.0/9"][..]);
    assert!(is_told(one).await);
    for list in [other, one, one, other] {
        scene.pass(60);
        scene.wish().await;
        assert!(!is_told(list).await);
    }
    // What is held is the newest all the same.
    assert_eq!(scene.feed().await.held.unwrap().networks, networks(other));
    scene.pass(3600);
    assert!(!is_told(other).await);
    scene.pass(3600);
    assert!(is_told(one).await);
    // What comes anew is told, though once an hour where good lists take turns with it.
    for again in 0..4 {
        for minute in 0..6 {
            scene.pass(300);
            scene.wish().await;
            assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
            scene.pass(300);
            scene.wish().await;
            assert_eq!(is_told(one).await, minute == 5, "{again}");
            assert_eq!(scene.feed().await.held.unwrap().since.unix_seconds(), scene.now());
        }
    }
}

#[tokio::test]
async fn s3_what_is_held_stays_held_where_its_source_is_asked_more_often() {
    let scene = Scene::holding(&["10.0.0.0/8"]).await;
    let becomes = async |url: &str, every: &str| {
        let (organization, actor) = (scene.organization, actor());
        let asked = FeedSource { url: Some(url.into()), every: Some(every.into()), ..FeedSource::default() };
        let source = asked.parsed().unwrap();
        let changed = scene.control.change(&actor, move |change| {
            let organization = change.rows().organization(organization)?.unwrap();
            let set = find(change.rows(), &organization, "edge")?;
            let edit = NetworkSetEdit { source: SourceEdit::Becomes(Some(source)), ..only(&set, set.networks.clone()) };
            network_sets::replace(change, Guards::All, &organization, set, edit)
        });
        changed.await.unwrap();
    };
    assert!(matches!(scene.given(&["10.0.0.0/9"]).await, Settled::Held { is_new: true, .. }));
    let before = scene.feed().await;
    scene.pass(60);
    becomes("https://lists.example.com/", "2h").await;
    let after = scene.feed().await;
    assert_eq!((&after.held, after.made_at, after.source.every()), (&before.held, before.made_at, "2h".into()));
    // It is asked at once, and told no more than before.
    assert!(matches!(scene.given(&["10.0.0.0/9"]).await, Settled::Held { is_new: false, .. }));
    // Another list is another matter, but for how often an hour is told of.
    becomes("https://lists.example.com/other", "2h").await;
    assert_eq!((scene.feed().await.held, scene.feed().await.good_at), (None, None));
    assert!(matches!(scene.given(&["10.0.0.0/9"]).await, Settled::Held { is_new: false, .. }));
}

#[tokio::test]
async fn a_source_says_how_it_does_as_the_sums_do() {
    let scene = Scene::holding(&["10.0.0.0/8"]).await;
    let begun = scene.now();
    let is = async |state: FeedState, since: i64, (held, overdue): (u64, u64)| {
        let feed = scene.feed().await;
        let now = scene.control.clock.now();
        assert_eq!(feed.state(now), (state, Timestamp::from_unix_seconds(since)));
        let sums = scene.control.feed_sums().await.unwrap();
        assert_eq!((sums.held, sums.overdue), (held, overdue), "{state:?}");
    };
    is(FeedState::New, begun, (0, 0)).await;
    let fault = || FeedFault { reason: "fetch", told: "it is away".into() };
    let due = scene.begun().await;
    is(FeedState::New, begun, (0, 0)).await;
    scene.control.settle_feed(due, Err(fault())).await.unwrap();
    is(FeedState::Failing, begun, (0, 0)).await;
    scene.pass(3 * 3600 + 300);
    is(FeedState::Failing, begun, (0, 0)).await;
    scene.pass(1);
    is(FeedState::Overdue, begun, (0, 1)).await;
    assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
    let good = scene.now();
    is(FeedState::Fresh, good, (0, 0)).await;
    scene.pass(3600);
    assert!(matches!(scene.given(&["10.0.0.0/9"]).await, Settled::Held { .. }));
    is(FeedState::Held, good + 3600, (1, 0)).await;
    scene.pass(4 * 3600);
    is(FeedState::Held, good + 3600, (1, 1)).await;
    scene.pass(-86_400);
    is(FeedState::Held, good + 3600, (1, 1)).await;
}

#[tokio::test]
async fn s3_half_of_a_family_and_most_of_the_networks_are_held() {
    let scene = Scene::holding(&[]).await;
    let Settled::Held { why, .. } = scene.given(&["10.0.0.0/8", "128.0.0.0/1"]).await else { panic!("it is taken") };
    assert!(why.contains("half of all addresses"), "{why}");
    let mut many: Vec<String> = (0..20).map(|number| format!("192.0.2.{}", 2 * number)).collect();
    many.push("10.0.0.0/8".into());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    scene.pass(3600);
    assert!(matches!(scene.given(&many).await, Settled::Changed(_)), "the first list");
    scene.pass(3600);
    let Settled::Held { why, .. } = scene.given(&["10.0.0.0/8"]).await else { panic!("it is taken") };
    assert_eq!(why, "96 % of its networks would go");
}

#[tokio::test]
async fn s3_what_ends_the_process_is_not_begun_again_at_once() {
    let scene = Scene::holding(&["10.0.0.0/8"]).await;
    for (count, wait) in [(1, 60), (2, 120), (3, 240), (4, 480)] {
        // Nobody tells what came of it.
        let due = scene.begun().await;
        let feed = scene.feed().await;
        assert_eq!((feed.failures, feed.failed(), feed.is_asked), (count, count - 1, true));
        assert_eq!((feed.due_at, due.again.unix_seconds()), (due.again, scene.now() + wait));
        assert!(scene.control.begin_feeds(&mut Turns::default()).await.unwrap().is_empty());
        scene.pass(wait);
    }
    let (reason, told) = ("fetch", "it is away".to_owned());
    let due = scene.begun().await;
    let failed = scene.control.settle_feed(due, Err(FeedFault { reason, told: told.clone() })).await.unwrap();
    assert_eq!(failed, Settled::Failed(FeedFailed { reason, told, failures: 5 }));
    let feed = scene.feed().await;
    assert_eq!((feed.failed(), feed.due_at.unix_seconds()), (5, scene.now() + 960));
    scene.pass(960);
    assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
    let feed = scene.feed().await;
    assert_eq!((feed.failures, feed.due_at.unix_seconds()), (0, scene.now() + 3600));
}

#[tokio::test]
async fn s3_a_clock_that_was_ahead_keeps_no_source_from_being_asked() {
    let scene = Scene::holding(&["10.0.0.0/8"]).await;
    scene.pass(10 * 86_400);
    assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
    assert_eq!(scene.control.feed_sums().await.unwrap().overdue, 0);
    scene.pass(-10 * 86_400);
    assert_eq!(scene.control.feed_sums().await.unwrap().overdue, 1);
    assert_eq!(scene.given(&["10.0.0.0/8"]).await, Settled::Same);
    assert_eq!(scene.control.feed_sums().await.unwrap().overdue, 0);
    assert!(scene.control.begin_feeds(&mut Turns::default()).await.unwrap().is_empty());
}
