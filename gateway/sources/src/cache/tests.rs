//! What is kept, for whom and for how long, seen by the calls that a service gets.
//!
//! The clock stands still only while it is moved: real connections need it to run.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use plan::cache::CachePolicy;
use plan::cache::Caching;
use plan::cache::Freshness;
use plan::source::Context;
use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::Notify;

use super::CacheSettings;
use super::Purge;
use super::UpstreamRule;
use crate::SourcesConfig;
use crate::testing::Graph;
use crate::testing::Service;
use crate::testing::context;
use crate::testing::reply;

const SHOP: &str = r#"
    extend schema @source(name: "shop", http: { baseURL: "SERVICE" })
    type Query {
      hello: String @rest(GET: "/hello", result: "text") @cacheControl(maxAge: 60)
      brief: String @rest(GET: "/hello", result: "text") @cacheControl(maxAge: 10)
      silent: String @rest(GET: "/hello", result: "text")
      mine: String @rest(GET: "/mine", result: "text") @cacheControl(maxAge: 60, scope: PRIVATE)
      asked: String @rest(GET: "/asked", result: "text", headers: [{ name: "authorization", from: "authorization" }]) @cacheControl(maxAge: 60)
      posts: [Post!] @rest(GET: "/posts") @listSize(assumedSize: 10) @cacheControl(maxAge: 60)
    }
    type Mutation { write: String @rest(POST: "/hello", result: "text") }
    type Post { id: ID! user: User @map(from: { id: "userId" }) }
    type User @cacheControl(maxAge: 60) @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }, batch: { max: 100 }) { id: ID! name: String }
"#;

const NAMES: &str = "{ posts { user { name } } }";

fn answers(target: &str) -> Json {
    match target.split_once('?') {
        Some(("/users", query)) => {
            let ids = query.split('&').filter_map(|it| it.strip_prefix("id="));
            let user = |id: &str| json!({ "id": id, "name": format!("user {id}") });
            ids.filter(|id| *id != "none").map(user).collect()
        }
        _ => json!({ "text": target }),
    }
}

struct Scene {
    service: Service,
    graph: Graph,
}

impl Scene {
    async fn new() -> Self {
        Self::with(CacheSettings::default(), None).await
    }

    /// A service that says how long its replies may be kept.
    async fn with(cache: CacheSettings, control: Option<&'static str>) -> Self {
        let service = Service::new(move |seen| {
            let mut reply = reply(200, &answers(&seen.target));
            if let Some(control) = control {
                let control = HeaderValue::from_static(control);
                reply.headers_mut().insert("cache-control", control);
            }
            std::future::ready(reply)
        })
        .await;
        Self::of(service, cache)
    }

    fn of(service: Service, cache: CacheSettings) -> Self {
        let config = SourcesConfig {
            cache,
            ..SourcesConfig::default()
        };
        let graph = Graph::configured(SHOP, &service.url, &config);
        Self { service, graph }
    }

    /// Asks as somebody, and says how many calls that took and how fresh the answer is.
    async fn ask_as(&self, who: &Context, operation: &str) -> (usize, Option<Freshness>) {
        let before = self.service.seen().len();
        let plan = self.graph.plan(operation);
        self.graph.fetch_in(who, &plan).await.unwrap();
        let calls = self.service.seen().len() - before;
        let policy = CachePolicy {
            max_age: Some(1_000_000),
            ..CachePolicy::default()
        };
        (calls, who.caching.as_ref().unwrap().freshness(policy))
    }

    async fn calls(&self, operation: &str) -> usize {
        self.ask_as(&somebody(None), operation).await.0
    }

    /// The targets of the calls for some users.
    async fn users(&self, ids: &[&str]) -> Vec<String> {
        let before = self.service.targets().len();
        let outcomes = self.graph.batch_in(&somebody(None), NAMES, ids).await;
        assert_eq!(outcomes.len(), 1);
        let tapes = outcomes[0].1.as_ref().unwrap();
        let names: Vec<&Json> = tapes.iter().flat_map(|it| it.as_array().unwrap()).collect();
        let known: Vec<_> = ids.iter().filter(|id| **id != "none").collect();
        assert_eq!(names.len(), known.len(), "{names:?}");
        self.service.targets().split_off(before)
    }

    fn purge(&self, purge: Purge) -> u64 {
        self.graph.sources().purge(&purge)
    }
}

fn somebody(principal: Option<&str>) -> Context {
    Context {
        caching: Some(Caching::default()),
        principal: principal.map(|it| Arc::from(it.as_bytes())),
        ..context()
    }
}

async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

fn fresh(age: u64, left: u64) -> Option<Freshness> {
    Some(Freshness {
        age,
        left,
        private: false,
    })
}

fn entity(id: &str) -> Purge {
    let key = json!({ "id": id });
    Purge::Entity {
        ty: "User".into(),
        key: key.as_object().unwrap().clone(),
    }
}

#[tokio::test]
async fn a_reply_is_kept_as_long_as_the_schema_says_and_tells_its_age() {
    let scene = Scene::new().await;
    let who = || somebody(None);
    assert_eq!(scene.ask_as(&who(), "{ hello }").await, (1, fresh(0, 60)));
    later(20).await;
    let (calls, told) = scene.ask_as(&who(), "{ hello }").await;
    assert_eq!(calls, 0);
    assert!(told == fresh(20, 39) || told == fresh(20, 40), "{told:?}");
    later(41).await;
    assert_eq!(scene.ask_as(&who(), "{ hello }").await, (1, fresh(0, 60)));
}

#[tokio::test]
async fn each_reader_has_the_time_that_its_own_field_says() {
    let scene = Scene::new().await;
    assert_eq!(scene.calls("{ hello }").await, 1);
    later(5).await;
    assert_eq!(scene.calls("{ brief }").await, 0);
    later(10).await;
    assert_eq!(scene.calls("{ hello }").await, 0);
    assert_eq!(scene.calls("{ brief }").await, 1);
}

#[tokio::test]
async fn without_a_hint_nothing_is_kept() {
    let scene = Scene::new().await;
    assert_eq!(scene.calls("{ silent }").await, 1);
    assert_eq!(scene.calls("{ silent }").await, 1);
}

#[tokio::test]
async fn callers_whose_headers_are_sent_share_nothing() {
    let scene = Scene::new().await;
    let caller = |name| Context {
        caching: Some(Caching::default()),
        ..crate::testing::caller(name)
    };
    for (name, calls) in [("ada", 1), ("bob", 1), ("ada", 0), ("bob", 0)] {
        let (made, _) = scene.ask_as(&caller(name), "{ asked }").await;
        assert_eq!(made, calls, "{name}");
    }
}

#[tokio::test]
async fn what_is_private_is_kept_for_each_caller_and_for_nobody_without_a_name() {
    let scene = Scene::new().await;
    for (who, calls) in [
        (Some("ada"), 1),
        (Some("bob"), 1),
        (None, 1),
        (None, 1),
        (Some("ada"), 0),
        (Some("bob"), 0),
    ] {
        let (made, fresh) = scene.ask_as(&somebody(who), "{ mine }").await;
        assert_eq!(made, calls, "{who:?}");
        assert!(fresh.unwrap().private);
    }
}

#[tokio::test]
async fn a_service_makes_its_reply_private_too() {
    let scene = Scene::with(CacheSettings::default(), Some("private")).await;
    for (who, calls) in [
        (Some("ada"), 1),
        (Some("bob"), 1),
        (None, 1),
        (Some("ada"), 0),
    ] {
        let (made, fresh) = scene.ask_as(&somebody(who), "{ hello }").await;
        assert_eq!(made, calls, "{who:?}");
        assert!(fresh.unwrap().private);
    }
}

#[tokio::test]
async fn a_service_forbids_it_and_the_answer_says_so() {
    let scene = Scene::with(CacheSettings::default(), Some("no-store")).await;
    let who = || somebody(None);
    assert_eq!(scene.ask_as(&who(), "{ hello }").await, (1, None));
    assert_eq!(scene.ask_as(&who(), "{ hello }").await, (1, None));
}

#[tokio::test]
async fn a_service_that_is_followed_allows_it_where_the_schema_is_silent() {
    let settings = CacheSettings {
        upstream: UpstreamRule::Follow,
        ..CacheSettings::default()
    };
    let scene = Scene::with(settings, Some("max-age=9")).await;
    assert_eq!(scene.calls("{ silent }").await, 1);
    assert_eq!(scene.calls("{ silent }").await, 0);
    later(10).await;
    assert_eq!(scene.calls("{ silent }").await, 1);
}

#[tokio::test]
async fn a_stale_reply_is_answered_at_once_and_fetched_anew_once() {
    let control = Some("max-age=10, stale-while-revalidate=30");
    let scene = Scene::with(CacheSettings::default(), control).await;
    assert_eq!(scene.calls("{ hello }").await, 1);
    later(15).await;
    let (_, told) = scene.ask_as(&somebody(None), "{ hello }").await;
    assert_eq!(told.map(|it| (it.age, it.left)), Some((15, 0)));
    let _ = scene.ask_as(&somebody(None), "{ hello }").await;
    // The refresh is on its way: it ends when the reply is kept, and then the answer is fresh again.
    let mut told = told;
    for _ in 0..10_000 {
        told = scene.ask_as(&somebody(None), "{ hello }").await.1;
        if told.is_some_and(|it| it.age == 0) {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(told.map(|it| it.age), Some(0));
    assert_eq!(scene.service.seen().len(), 2);
    let headers = &scene.service.seen()[1].headers;
    assert!(!headers.contains_key("x-correlation-id"), "{headers:?}");
    later(41).await;
    assert_eq!(scene.calls("{ hello }").await, 1);
}

#[tokio::test]
async fn of_a_batch_only_the_keys_that_are_not_kept_are_asked_for() {
    let scene = Scene::new().await;
    assert_eq!(scene.users(&["1", "2"]).await, ["/users?id=1&id=2"]);
    assert_eq!(scene.users(&["3", "1", "4"]).await, ["/users?id=3&id=4"]);
    assert!(scene.users(&["4", "3", "2", "1"]).await.is_empty());
    later(61).await;
    assert_eq!(scene.users(&["2"]).await, ["/users?id=2"]);
}

#[tokio::test]
async fn a_key_without_an_item_is_asked_for_again_unless_it_is_remembered() {
    let scene = Scene::new().await;
    assert_eq!(scene.users(&["none"]).await.len(), 1);
    assert_eq!(scene.users(&["none"]).await.len(), 1);
    let settings = CacheSettings {
        missing: Duration::from_secs(5),
        ..CacheSettings::default()
    };
    let scene = Scene::with(settings, None).await;
    assert_eq!(scene.users(&["none", "1"]).await.len(), 1);
    assert!(scene.users(&["1", "none"]).await.is_empty());
    later(6).await;
    assert_eq!(scene.users(&["none", "1"]).await, ["/users?id=none"]);
}

#[tokio::test]
async fn a_purge_takes_what_it_names_and_says_how_much() {
    let scene = Scene::new().await;
    let _ = scene.users(&["1", "2", "3"]).await;
    assert_eq!(scene.calls("{ hello }").await, 1);
    assert_eq!(scene.purge(entity("2")), 1);
    assert_eq!(scene.users(&["1", "2", "3"]).await, ["/users?id=2"]);
    assert_eq!(scene.purge(Purge::Type("User".into())), 3);
    assert_eq!(scene.users(&["1"]).await, ["/users?id=1"]);
    assert_eq!(scene.calls("{ hello }").await, 0);
    assert_eq!(scene.purge(Purge::Source("other".into())), 0);
    assert_eq!(scene.purge(Purge::Source("shop".into())), 2);
    assert_eq!(scene.calls("{ hello }").await, 1);
    assert_eq!(scene.purge(Purge::All), 1);
    assert_eq!(scene.calls("{ hello }").await, 1);
}

#[tokio::test]
async fn what_a_mutation_wrote_is_not_read_from_what_was_kept_before() {
    let scene = Scene::new().await;
    assert_eq!(scene.calls("{ hello }").await, 1);
    let _ = scene.users(&["1"]).await;
    let sources = scene.graph.sources();
    sources.written(&[], &["User".into()]);
    assert_eq!(scene.users(&["1"]).await, ["/users?id=1"]);
    assert_eq!(scene.calls("{ hello }").await, 0);
    let plan = scene.graph.plan("mutation { write }");
    let source = plan.supergraph().resolver(plan.steps()[0].resolver).source;
    sources.written(&[source], &[]);
    assert_eq!(scene.calls("{ hello }").await, 1);
    assert_eq!(scene.users(&["1"]).await, ["/users?id=1"]);
}

#[tokio::test]
async fn a_reply_that_was_on_its_way_while_something_was_purged_is_not_kept() {
    let gate = Arc::new(Notify::new());
    let hold = gate.clone();
    let service = Service::new(move |seen| {
        let hold = hold.clone();
        async move {
            hold.notified().await;
            reply(200, &answers(&seen.target))
        }
    })
    .await;
    let scene = Scene::of(service, CacheSettings::default());
    for purge in [Purge::All, Purge::Source("shop".into()), entity("1")] {
        let purged = async {
            let before = scene.service.seen().len();
            while scene.service.seen().len() == before {
                tokio::task::yield_now().await;
            }
            scene.purge(purge);
            gate.notify_one();
        };
        let (calls, ()) = tokio::join!(scene.calls("{ hello }"), purged);
        assert_eq!(calls, 1);
    }
    gate.notify_one();
    assert_eq!(scene.calls("{ hello }").await, 1);
    assert_eq!(scene.calls("{ hello }").await, 0);
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_bytes() {
    let settings = CacheSettings {
        size: 2_000,
        ..CacheSettings::default()
    };
    let scene = Scene::with(settings, None).await;
    for id in 0..200 {
        let _ = scene.users(&[&id.to_string()]).await;
    }
    let cache = scene.graph.sources().kept_bytes();
    assert!(cache <= 2_000, "{cache}");
    assert!(cache > 0);
}
