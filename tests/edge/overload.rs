//! Far more requests than can be computed: what is let in is answered, the
//! rest is told so soon, and what needs no room is answered all the same.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::binary::Folder;
use super::binary::Gateway;
use super::scripted::Scripted;

/// Nothing is shared, or one answer would serve all.
const CONFIG: &str = "coalesce: { operations: false, reads: false }\n";

/// What many clients were answered, one after the other each.
#[derive(Default)]
struct Told {
    answered: usize,
    /// How long each refusal took.
    refused: Vec<Duration>,
}

async fn scene(config: &str) -> (Scripted, Folder, Arc<Gateway>) {
    let item = r#"{ "id": 1, "name": "a name that takes some room" }"#;
    let service = Scripted::open(&format!("[{}]", [item; 400].join(","))).await;
    let folder = service.folder(&format!("{CONFIG}{config}"));
    let url = service.url();
    // One processor's worth: the clients need the others.
    let env = [("THINGS_URL", &*url), ("TOKIO_WORKER_THREADS", "1")];
    let gateway = Gateway::start(&folder.file("switchboard.yaml"), &env).await;
    (service, folder, Arc::new(gateway))
}

/// So many clients ask for so long.
async fn load(gateway: &Arc<Gateway>, clients: usize, time: Duration) -> Told {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(gateway.clone(), stop.clone())))
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Relaxed);
    let mut all = Told::default();
    for client in clients {
        let told = client.await.expect("a client");
        all.answered += told.answered;
        all.refused.extend(told.refused);
    }
    all.refused.sort_unstable();
    all
}

async fn client(gateway: Arc<Gateway>, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    while !stop.load(Relaxed) {
        let began = Instant::now();
        let asked = gateway.post(&json!({ "query": "{ things { id name } }" }));
        let answer = asked.send().await.expect("an answer");
        match answer.status().as_u16() {
            200 => told.answered += 1,
            503 => {
                let wait = &answer.headers()["retry-after"];
                let wait: u64 = wait.to_str().expect("text").parse().expect("seconds");
                assert!((1..=3).contains(&wait), "{wait}");
                told.refused.push(began.elapsed());
            }
            other => panic!("{other}"),
        }
        drop(answer.bytes().await);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_ten_times_the_load_work_goes_on_and_the_rest_is_refused() {
    let (_service, _folder, gateway) = scene("").await;
    let peak = load(&gateway, 12, Duration::from_secs(2)).await;
    assert_eq!(peak.refused.len(), 0, "twelve at once are no overload");
    // The door closes as soon as there is too much, and opens again afterwards.
    load(&gateway, 200, Duration::from_secs(1)).await;
    let crowd = load(&gateway, 200, Duration::from_secs(4)).await;
    assert!(!crowd.refused.is_empty());
    // How much of the peak is left is for a release build on a machine of its own to say: here the
    // clients take processors too, and a refusal costs nearly what an answer does.
    assert!(crowd.answered >= peak.answered / 4, "{}", crowd.answered);
    let told = |gateway: &Arc<Gateway>| {
        let gateway = gateway.clone();
        async move { load(&gateway, 4, Duration::from_secs(1)).await.refused }
    };
    told(&gateway).await;
    assert!(told(&gateway).await.is_empty(), "it is over");
}

#[tokio::test]
async fn who_finds_no_room_is_refused_but_health_and_operators_are_not() {
    let config = "admission: { most: 1, least: 1 }\nshutdown: { grace: 100ms }\n";
    let mut service = Scripted::closed("1").await;
    let folder = service.folder(config);
    let gateway = service.gateway(&folder).await;
    let held = tokio::spawn(
        gateway
            .post(&json!({ "query": "{ thing(id: 1) { id } }" }))
            .send(),
    );
    service.next().await;
    let refused = gateway.post(&json!({ "query": "{ __typename }" })).send();
    let refused = refused.await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    assert!(refused.headers().contains_key("retry-after"));
    let refused = super::binary::body(refused).await;
    assert_eq!(refused["title"], "Overloaded");
    for path in ["health", "ready"] {
        let url = gateway.url.replace("graphql", path);
        assert_eq!(gateway.get(&url).await.status(), 200, "{path}");
    }
    let ready = format!("{}/health/ready", gateway.admin);
    assert_eq!(gateway.get(&ready).await.status(), 200);
    drop(held);
}
