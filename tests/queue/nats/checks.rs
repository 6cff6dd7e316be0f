//! The start: what is refused, and what it says to change.

use std::num::NonZeroU32;

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::stream::StorageType;
use queue::Nats as NatsStore;
use queue::nats::Credentials;
use queue::nats::Durability;
use queue::nats::Options;
use queue::nats::Tls;
use queue::seal::Seal;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;

use super::open;
use super::options;
use super::raw::Raw;
use crate::queue::brokers::Nats;
use crate::queue::suite::append;
use crate::queue::suite::messages::message;

async fn refusal(options: Options, seal: Seal) -> String {
    let connected = NatsStore::connect(options, seal).await;
    connected.err().expect("it is refused").to_string()
}

#[tokio::test]
async fn one_server_is_not_what_three_replicas_need() {
    let server = Nats::start().await;
    let replicated = Options {
        durability: Durability::Replicated,
        ..options(&[server.url()])
    };
    let refused = refusal(replicated.clone(), Seal::none()).await;
    assert!(
        refused.contains("needs 3 replicas, and this server is alone"),
        "{refused}"
    );
    // Made by somebody who needed less.
    open(options(&[server.url()])).await;
    let refused = refusal(replicated, Seal::none()).await;
    assert!(
        refused.contains("has 1 replica(s)") && refused.contains("--replicas 3"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stream_in_memory_is_refused() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    let raw = Raw::connect(&options).await;
    let config = Config {
        name: raw.stream("queue"),
        subjects: vec!["test.q.>".into()],
        storage: StorageType::Memory,
        ..Config::default()
    };
    raw.context().create_stream(config).await.unwrap();
    let refused = refusal(options, Seal::none()).await;
    assert!(refused.contains("is kept in memory"), "{refused}");
}

#[tokio::test]
async fn another_number_of_partitions_or_another_key_is_refused() {
    let server = Nats::start().await;
    let options = options(&[server.url()]);
    open(options.clone()).await;
    let other = Options {
        partitions: NonZeroU32::new(8).unwrap(),
        ..options.clone()
    };
    let refused = refusal(other, Seal::none()).await;
    assert!(
        refused.contains("in 4 partitions") && refused.contains("in 8 partitions"),
        "{refused}"
    );
    // What was stored before there was a key is read with any.
    let sealed = Options {
        prefix: "sealed".into(),
        ..options
    };
    let key = |byte| Seal::with_key(&[byte; 32]).unwrap();
    drop(
        NatsStore::connect(sealed.clone(), key(7))
            .await
            .expect("it opens"),
    );
    let refused = refusal(sealed.clone(), key(8)).await;
    assert!(refused.contains("sealed with another key"), "{refused}");
    let refused = refusal(sealed, Seal::none()).await;
    assert!(refused.contains("sealed with another key"), "{refused}");
}

#[tokio::test]
async fn a_server_that_does_not_confirm_what_the_operator_says_is_refused() {
    let server = Nats::start_with("http: \"127.0.0.1:-1\"").await;
    let says = Options {
        durability: Durability::SyncAlways,
        monitoring: vec![server.monitoring()],
        ..options(&[server.url()])
    };
    let refused = refusal(says.clone(), Seal::none()).await;
    assert!(
        refused.contains("sync_interval is not \"always\""),
        "{refused}"
    );
    let believed = Options {
        monitoring: Vec::new(),
        ..says
    };
    open(believed).await;
}

#[tokio::test]
async fn nobody_answers_where_there_is_no_server() {
    let mut server = Nats::start().await;
    server.kill().await;
    let refused = refusal(options(&[server.url()]), Seal::none()).await;
    assert!(
        refused.starts_with("cannot connect to nats://127.0.0.1:"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_message_is_never_larger_than_the_brokers_take() {
    let server = Nats::start_with("max_payload: 65536").await;
    let store = open(options(&[server.url()])).await;
    let mut large = message("a");
    large.call.body.0 = vec![b'x'; 40_000];
    let refused = queue::Store::append(&store, vec![large]).await.remove(0);
    let limit = 65_536 - 32 * 1024;
    assert!(
        matches!(refused, Err(queue::store::Refused::TooLarge { limit: at, .. }) if at == limit),
        "{refused:?}"
    );
    append(&store, message("a")).await;
}

#[tokio::test]
async fn a_queue_larger_than_the_disk_says_so() {
    let server = Nats::start().await;
    let mut large = options(&[server.url()]);
    large.limits.bytes = 1 << 50;
    let refused = refusal(large, Seal::none()).await;
    assert!(refused.contains("limit of the queue's bytes"), "{refused}");
}

/// A public seed of the documentation, and its public half.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

#[tokio::test]
async fn the_gateway_says_who_it_is() {
    let password = Credentials::Password {
        user: "gateway".into(),
        password: "s3cret".into(),
    };
    let cases = [
        (
            "authorization { user: gateway, password: s3cret }".into(),
            password,
        ),
        (
            "authorization { token: t0ken }".into(),
            Credentials::Token("t0ken".into()),
        ),
        (
            format!("authorization {{ users: [{{ nkey: {PUBLIC} }}] }}"),
            Credentials::Nkey(SEED.into()),
        ),
    ];
    for (further, credentials) in cases {
        let server = Nats::start_with(&further).await;
        let refused = refusal(options(&[server.url()]), Seal::none()).await;
        assert!(refused.contains("authorization violation"), "{refused}");
        let known = Options {
            credentials,
            ..options(&[server.url()])
        };
        append(&open(known).await, message("a")).await;
    }
}

/// A certificate of an authority, and its key.
fn issued(authority: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let (certificate, key) = issued(&authority);
    let server = Nats::start_with_tls(&authority.pem(), &certificate, &key).await;
    let stranger = options(&[server.url()]);
    let refused = refusal(stranger.clone(), Seal::none()).await;
    assert!(refused.starts_with("cannot connect to"), "{refused}");
    let (certificate, key) = issued(&authority);
    let tls = Tls {
        required: true,
        authorities: Some(server.file("our-ca", &authority.pem())),
        identity: Some((
            server.file("our-cert", &certificate),
            server.file("our-key", &key),
        )),
    };
    let nameless = Options {
        tls: Tls {
            identity: None,
            ..tls.clone()
        },
        ..stranger.clone()
    };
    let refused = refusal(nameless, Seal::none()).await;
    assert!(refused.starts_with("cannot connect to"), "{refused}");
    append(&open(Options { tls, ..stranger }).await, message("a")).await;
}
