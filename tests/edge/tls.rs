//! TLS on the port of clients: protocols, certificates that change, certificates of clients.

use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use reqwest::Certificate;
use reqwest::Identity;
use reqwest::Version;
use serde_json::json;
use tokio::time::Instant;

use super::binary::Folder;
use super::binary::Gateway;
use super::lifecycle::until;
use super::raw::Raw;
use super::scripted::Scripted;

const TLS: &str = "tls: { certificate: cert.pem, key: key.pem";

/// An authority that tests trust.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// A certificate and its key, for localhost and 127.0.0.1.
    pub(super) fn issue(&self) -> (String, String) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.pem().as_bytes()).expect("a certificate")
    }
}

async fn gateway(authority: &Authority, config: &str) -> (Folder, Gateway) {
    let service = Scripted::open("{}").await;
    let folder = service.folder(&format!("http: {{ hsts: 24h }}\n{config}"));
    let (certificate, key) = authority.issue();
    folder.write("cert.pem", &certificate);
    folder.write("key.pem", &key);
    folder.write("ca.pem", &authority.pem());
    let gateway = service.gateway(&folder).await;
    (folder, gateway)
}

fn trusting(authority: &Authority) -> reqwest::ClientBuilder {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([authority.certificate()])
}

/// What a client shows of itself.
fn identity(authority: &Authority) -> Identity {
    let (certificate, key) = authority.issue();
    Identity::from_pem(format!("{certificate}{key}").as_bytes()).expect("an identity")
}

async fn ask(client: &reqwest::Client, gateway: &Gateway) -> reqwest::Result<reqwest::Response> {
    let asked = client.post(&gateway.url);
    let asked = asked.header("content-type", "application/json");
    asked
        .body(json!({ "query": "{ __typename }" }).to_string())
        .send()
        .await
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_browsers_are_told_to_stay() {
    let authority = Authority::new();
    let (_folder, gateway) = gateway(&authority, &format!("{TLS} }}")).await;
    assert!(gateway.url.starts_with("https://"), "{}", gateway.url);
    let client = trusting(&authority).build().expect("a client");
    let answer = ask(&client, &gateway).await.expect("an answer");
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(
        answer.headers()["strict-transport-security"],
        "max-age=86400"
    );
    let client = trusting(&authority).http1_only().build().expect("a client");
    let answer = ask(&client, &gateway).await.expect("an answer");
    assert_eq!(answer.version(), Version::HTTP_11);
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_dropping_anybody_and_a_broken_one_is_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let (folder, gateway) = gateway(&old, &format!("{TLS} }}")).await;
    let kept = trusting(&old).http1_only().build().expect("a client");
    ask(&kept, &gateway).await.expect("an answer");

    folder.write("key.pem", "nonsense");
    until(|| gateway.log().contains("the certificate in use stays")).await;
    let fresh = trusting(&old).build().expect("a client");
    ask(&fresh, &gateway)
        .await
        .expect("the old certificate still serves");

    let (certificate, key) = new.issue();
    folder.write("cert.pem", &certificate);
    folder.write("key.pem", &key);
    until(|| gateway.log().contains("a new certificate is in use")).await;
    let fresh = trusting(&new).build().expect("a client");
    ask(&fresh, &gateway)
        .await
        .expect("the new certificate serves");
    ask(&kept, &gateway)
        .await
        .expect("the open connection goes on");
    let late = trusting(&old).build().expect("a client");
    assert!(ask(&late, &gateway).await.is_err());
}

#[tokio::test]
async fn at_sighup_a_new_certificate_is_taken_at_once() {
    let authority = Authority::new();
    let (folder, gateway) = gateway(&authority, &format!("{TLS} }}")).await;
    let began = Instant::now();
    for taken in 1..=5 {
        let (certificate, key) = authority.issue();
        folder.write("key.pem", &key);
        folder.write("cert.pem", &certificate);
        let new = "a new certificate is in use";
        until_async(async || {
            gateway.signal("HUP").await;
            gateway.log().matches(new).count() >= taken
        })
        .await;
    }
    // Who only looks every two seconds needs eight at least.
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

/// Does something until it has helped.
async fn until_async(mut helps: impl AsyncFnMut() -> bool) {
    let helped = async { while !helps().await {} };
    tokio::time::timeout(super::PATIENCE, helped)
        .await
        .expect("it helps in time");
}

#[tokio::test]
async fn clients_without_a_certificate_are_let_in_only_where_it_is_optional() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let clients = ", clients: { ca: ca.pem, required:";
    let (_required, required) = gateway(&authority, &format!("{TLS}{clients} true }} }}")).await;
    let (_optional, optional) = gateway(&authority, &format!("{TLS}{clients} false }} }}")).await;
    let nobody = trusting(&authority).build().expect("a client");
    let known = trusting(&authority)
        .identity(identity(&authority))
        .build()
        .expect("a client");
    let unknown = trusting(&authority)
        .identity(identity(&stranger))
        .build()
        .expect("a client");
    assert!(ask(&nobody, &required).await.is_err());
    assert!(ask(&unknown, &required).await.is_err());
    assert_eq!(
        ask(&known, &required).await.expect("an answer").status(),
        200
    );
    assert_eq!(
        ask(&nobody, &optional).await.expect("an answer").status(),
        200
    );
    assert!(ask(&unknown, &optional).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let authority = Authority::new();
    let config = format!("timeouts: {{ handshake: 200ms }}\n{TLS} }}");
    let (_folder, gateway) = gateway(&authority, &config).await;
    let mut silent = Raw::connect(&gateway).await;
    assert!(silent.rest().await.is_empty());
    let mut plain = Raw::connect(&gateway).await;
    plain.send(b"GET / HTTP/1.1\r\n\r\n").await;
    plain.rest().await;
}

/// TLS on the port of operators alone; what else `admin` says.
async fn administered(authority: &Authority, admin: &str) -> (Folder, Gateway) {
    let admin = format!("admin: {{ {admin}, {TLS} }} }}");
    gateway(authority, &admin).await
}

async fn reload(
    client: &reqwest::Client,
    gateway: &Gateway,
    token: &str,
) -> reqwest::Result<reqwest::Response> {
    let asked = client.post(format!("{}/reload", gateway.admin));
    asked.bearer_auth(token).send().await
}

#[tokio::test]
async fn operators_are_answered_over_tls_and_show_their_token_there_too() {
    let authority = Authority::new();
    let (_folder, gateway) = administered(&authority, "tokens: { deploy: 0123456789abcdef }").await;
    assert!(gateway.admin.starts_with("https://"), "{}", gateway.admin);
    assert!(gateway.url.starts_with("http://"), "{}", gateway.url);
    let client = trusting(&authority).build().expect("a client");
    let health = client.get(format!("{}/health/ready", gateway.admin));
    assert_eq!(health.send().await.expect("an answer").status(), 200);
    for (token, status) in [("0123456789abcdeg", 401), ("0123456789abcdef", 200)] {
        let answer = reload(&client, &gateway, token).await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
    let stranger = trusting(&Authority::new()).build().expect("a client");
    assert!(
        reload(&stranger, &gateway, "0123456789abcdef")
            .await
            .is_err()
    );
    let plain = gateway.admin.replacen("https://", "http://", 1);
    let plain = gateway.request(&format!("{plain}/health/ready")).send();
    assert!(plain.await.is_err(), "nothing is answered without TLS");
}

#[tokio::test]
async fn operators_may_be_known_by_their_certificates() {
    let authority = Authority::new();
    let admin = "admin: { tls: { certificate: cert.pem, key: key.pem, clients: { ca: ca.pem } } }";
    let (_folder, gateway) = gateway(&authority, admin).await;
    let nobody = trusting(&authority).build().expect("a client");
    let unknown = trusting(&authority).identity(identity(&Authority::new()));
    let known = trusting(&authority).identity(identity(&authority));
    for refused in [nobody, unknown.build().expect("a client")] {
        assert!(reload(&refused, &gateway, "none").await.is_err());
    }
    let known = known.build().expect("a client");
    let answer = reload(&known, &gateway, "none").await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_new_certificate_of_the_port_of_operators_is_taken_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (folder, gateway) = administered(&old, "tokens: { deploy: 0123456789abcdef }").await;
    let (certificate, key) = new.issue();
    folder.write("cert.pem", &certificate);
    folder.write("key.pem", &key);
    until(|| gateway.log().contains("a new certificate is in use")).await;
    let client = trusting(&new).build().expect("a client");
    let answer = reload(&client, &gateway, "0123456789abcdef").await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let late = trusting(&old).build().expect("a client");
    assert!(reload(&late, &gateway, "0123456789abcdef").await.is_err());
}
