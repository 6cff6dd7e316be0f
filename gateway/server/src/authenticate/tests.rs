//! Tokens and keys as callers and attackers send them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use http::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::rsa::PublicKeyComponents;
use ring::signature as sig;
use ring::signature::EcdsaKeyPair;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair as _;
use serde_json::Value as Json;
use serde_json::json;

use super::denied::ApiKeyFault;
use super::denied::TokenFault;
use super::*;
use crate::config::Algorithm;
use crate::config::ApiKeys as ApiKeySettings;
use crate::config::Issuer;
use crate::config::Jwt;
use crate::config::KeyPlace;

const NOW: Timestamp = Timestamp(1_000_000.0);
const SECRET: [u8; 32] = [7; 32];

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Every kind of key, each under a name of its own.
struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = |algorithm| {
            let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap()
        };
        let made = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            // Made for these tests with `openssl genpkey`; it opens nothing.
            rsa: RsaKeyPair::from_pkcs8(include_bytes!("test-key.pk8")).unwrap(),
            p256: ec(&sig::ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&sig::ECDSA_P384_SHA384_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap(),
        }
    }

    fn set(&self) -> Json {
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let ec = |id: &str, curve: &str, pair: &EcdsaKeyPair| {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": curve, "kid": id, "x": b64(x), "y": b64(y) })
        };
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig", "n": b64(&rsa.n), "e": b64(&rsa.e) },
            ec("p256", "P-256", &self.p256),
            ec("p384", "P-384", &self.p384),
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(self.ed25519.public_key()) },
            { "kty": "oct", "kid": "hs", "k": b64(SECRET) },
            { "kty": "RSA", "kid": "encrypts", "use": "enc", "n": b64(&rsa.n), "e": b64(&rsa.e) },
            { "kty": "unheard of", "kid": "new" },
        ] })
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn sig::RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(encoding, &random, message, &mut signature)
                .unwrap();
            signature
        };
        let hs = |hash| {
            hmac::sign(&hmac::Key::new(hash, &SECRET), message)
                .as_ref()
                .to_vec()
        };
        match algorithm {
            "RS256" => rsa(&sig::RSA_PKCS1_SHA256),
            "RS384" => rsa(&sig::RSA_PKCS1_SHA384),
            "RS512" => rsa(&sig::RSA_PKCS1_SHA512),
            "PS256" => rsa(&sig::RSA_PSS_SHA256),
            "PS384" => rsa(&sig::RSA_PSS_SHA384),
            "PS512" => rsa(&sig::RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            "HS256" => hs(hmac::HMAC_SHA256),
            "HS384" => hs(hmac::HMAC_SHA384),
            "HS512" => hs(hmac::HMAC_SHA512),
            other => panic!("{other}"),
        }
    }

    fn token(&self, algorithm: &str, id: &str, claims: &Json) -> String {
        self.token_with(&json!({ "alg": algorithm, "kid": id }), claims)
    }

    fn token_with(&self, header: &Json, claims: &Json) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let algorithm = header["alg"].as_str().unwrap();
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", b64(signature))
    }
}

fn claims() -> Json {
    json!({
        "iss": "https://id", "aud": "api", "sub": "ada", "exp": 1_000_060, "nbf": 999_990,
        "scope": "read write",
    })
}

fn with(name: &str, value: Json) -> Json {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// A file of its own, removed at the end.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let name = format!("switchboard-authenticate-{}", uuid::Uuid::now_v7());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const ALL: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256",
    "HS384", "HS512",
];

fn settings(keys: KeyPlace) -> Settings {
    Settings {
        required: false,
        jwt: Some(Jwt {
            places: vec![TokenPlace::Header {
                name: AUTHORIZATION,
                prefix: "Bearer".into(),
            }],
            issuers: vec![Issuer {
                name: "https://id".into(),
                audiences: vec!["api".into(), "other".into()],
                keys,
                algorithms: ALL
                    .iter()
                    .filter_map(|name| Algorithm::named(name))
                    .collect(),
                required_claims: vec!["sub".into()],
                leeway: Duration::from_secs(30),
            }],
            max_bytes: 4096,
            cache: 100,
        }),
        api_keys: None,
    }
}

/// An authenticator over a file with every kind of key.
struct Scene {
    keys: Keys,
    _file: File,
    authenticator: Authenticator,
}

impl Scene {
    fn new() -> Self {
        let keys = Keys::new();
        let file = File::new(&keys.set().to_string());
        let settings = settings(KeyPlace::File(file.0.clone()));
        Self {
            authenticator: Authenticator::new(&settings, None).unwrap(),
            keys,
            _file: file,
        }
    }

    async fn ask(&self, token: &str) -> Result<Principal, Denied> {
        ask(&self.authenticator, token, NOW).await
    }

    async fn fault(&self, token: &str) -> TokenFault {
        match self.ask(token).await {
            Err(Denied::Token(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }
}

async fn ask(who: &Authenticator, token: &str, now: Timestamp) -> Result<Principal, Denied> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    headers.insert(AUTHORIZATION, value);
    who.authenticate(&headers, now).await
}

#[tokio::test]
async fn a_good_token_of_every_algorithm_says_who_asks() {
    let scene = Scene::new();
    for algorithm in ALL {
        let id = match &algorithm[..2] {
            "RS" | "PS" => "rsa",
            "HS" => "hs",
            "Ed" => "ed",
            _ if algorithm == "ES256" => "p256",
            _ => "p384",
        };
        let token = scene.keys.token(algorithm, id, &claims());
        let who = scene
            .ask(&token)
            .await
            .unwrap_or_else(|denied| panic!("{algorithm} {denied:?}"));
        assert_eq!(who.subject(), Some("ada"));
        assert_eq!(who.scopes(), ["read", "write"]);
        assert_eq!(*who.claims(), claims());
        // One changed bit of the signature, and it is nobody's.
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[5] ^= 1;
        let forged = format!("{message}.{}", b64(signature));
        assert_eq!(
            scene.fault(&forged).await,
            TokenFault::Signature,
            "{algorithm}"
        );
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_no_token() {
    let scene = Scene::new();
    for algorithm in ["none", "None", "NONE", "nOnE", "", "HS1"] {
        let header = json!({ "alg": algorithm, "kid": "rsa" });
        let message = format!("{}.{}.", b64(header.to_string()), b64(claims().to_string()));
        assert_eq!(
            scene.fault(&message).await,
            TokenFault::Algorithm,
            "{algorithm}"
        );
    }
}

#[tokio::test]
async fn a_public_key_is_never_a_shared_secret() {
    let scene = Scene::new();
    let header = json!({ "alg": "HS256", "kid": "rsa" });
    let message = format!("{}.{}", b64(header.to_string()), b64(claims().to_string()));
    let modulus = PublicKeyComponents::<Vec<u8>>::from(scene.keys.rsa.public()).n;
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &modulus),
        message.as_bytes(),
    );
    let forged = format!("{message}.{}", b64(tag));
    assert_eq!(scene.fault(&forged).await, TokenFault::UnknownKey);
    // Nor is a key for encryption, or of a kind that is not known, one for signatures.
    for id in ["encrypts", "new", "nobody's"] {
        let token = scene.keys.token("RS256", id, &claims());
        assert_eq!(scene.fault(&token).await, TokenFault::UnknownKey, "{id}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_on_the_list_is_refused() {
    let keys = Keys::new();
    let file = File::new(&keys.set().to_string());
    let mut settings = settings(KeyPlace::File(file.0.clone()));
    if let Some(jwt) = &mut settings.jwt {
        jwt.issuers[0].algorithms = vec![Algorithm::ES256];
    }
    let who = Authenticator::new(&settings, None).unwrap();
    let refused = ask(&who, &keys.token("RS256", "rsa", &claims()), NOW).await;
    assert_eq!(refused.unwrap_err(), TokenFault::Algorithm.into());
    assert!(
        ask(&who, &keys.token("ES256", "p256", &claims()), NOW)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_a_token_claims_must_hold_for_this_gateway_now() {
    let scene = Scene::new();
    use TokenFault as F;
    let mut nameless = claims();
    nameless.as_object_mut().unwrap().remove("sub");
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    for (claims, fault) in [
        (with("exp", json!(999_970)), F::Expired),
        (with("exp", json!("1000060")), F::Malformed),
        (endless, F::NoExpiry),
        (with("nbf", json!(1_000_031)), F::NotYet),
        (with("nbf", json!([])), F::Malformed),
        (with("aud", json!("somebody")), F::Audience),
        (with("aud", json!(["somebody", "else"])), F::Audience),
        (with("aud", Json::Null), F::Audience),
        (with("iss", json!("https://evil")), F::Issuer),
        (with("iss", json!(["https://id"])), F::Issuer),
        (nameless, F::MissingClaim),
        (with("sub", Json::Null), F::MissingClaim),
        (json!([]), F::Malformed),
    ] {
        let token = scene.keys.token("ES256", "p256", &claims);
        assert_eq!(scene.fault(&token).await, fault, "{claims}");
    }
    for claims in [
        with("exp", json!(999_971)),
        with("exp", json!(1_000_000.5)),
        with("nbf", json!(1_000_030)),
        with("aud", json!(["somebody", "other"])),
    ] {
        let token = scene.keys.token("ES256", "p256", &claims);
        assert!(scene.ask(&token).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_before_it_is_looked_at_closely() {
    let scene = Scene::new();
    for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30"] {
        assert_eq!(scene.fault(text).await, TokenFault::Malformed, "{text}");
    }
    assert_eq!(scene.ask("ä.ö.ü").await.unwrap_err(), Denied::Unreadable);
    assert_eq!(scene.fault(&"a".repeat(4097)).await, TokenFault::TooLong);
    let header = json!({ "alg": "ES256", "kid": "p256", "crit": ["b64"], "b64": false });
    let critical = scene.keys.token_with(&header, &claims());
    assert_eq!(scene.fault(&critical).await, TokenFault::Critical);
}

#[tokio::test]
async fn a_token_that_was_seen_before_still_ends() {
    let scene = Scene::new();
    let token = scene.keys.token("ES256", "p256", &claims());
    assert!(scene.ask(&token).await.is_ok());
    assert!(scene.ask(&token).await.is_ok());
    let who = &scene.authenticator;
    let end = Timestamp(1_000_090.0);
    assert!(ask(who, &token, Timestamp(1_000_089.9)).await.is_ok());
    assert_eq!(
        ask(who, &token, end).await.unwrap_err(),
        TokenFault::Expired.into()
    );
}

#[tokio::test]
async fn nobody_is_anonymous_where_credentials_are_required() {
    let mut scene = Scene::new();
    let nobody = scene
        .authenticator
        .authenticate(&HeaderMap::new(), NOW)
        .await;
    assert!(!nobody.unwrap().is_authenticated());
    scene.authenticator.required = true;
    let denied = scene
        .authenticator
        .authenticate(&HeaderMap::new(), NOW)
        .await;
    assert_eq!(denied.unwrap_err(), Denied::Missing);
    assert_eq!(scene.authenticator.challenge(Denied::Missing), "Bearer");
    let expired = scene.authenticator.challenge(TokenFault::Expired.into());
    let told = "Bearer error=\"invalid_token\", error_description=\"The token has expired.\"";
    assert_eq!(expired, told);
}

// --- Keys at an address ----------------------------------------------------

/// A service that answers with a key set, or with nothing that is one.
struct Published {
    url: String,
    answer: Arc<ArcSwap<String>>,
    asked: Arc<AtomicUsize>,
}

impl Published {
    async fn new(answer: &str) -> Self {
        let answer = Arc::new(ArcSwap::from_pointee(answer.to_owned()));
        let asked = Arc::new(AtomicUsize::new(0));
        let (said, count) = (answer.clone(), asked.clone());
        let reply = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            said.load_full().to_string()
        };
        let routes = Router::new().route("/keys", get(reply));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, answer, asked }
    }

    fn say(&self, answer: &str) {
        self.answer.store(Arc::new(answer.to_owned()));
    }

    fn settings(&self, cool_down: Duration) -> Settings {
        settings(KeyPlace::Url {
            url: self.url.clone(),
            refresh: Duration::from_secs(3600),
            cool_down,
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_wait_and_not_again_for_a_key_that_is_not_there() {
    let keys = Keys::new();
    let issuer = Published::new(&keys.set().to_string()).await;
    let who = Authenticator::new(&issuer.settings(LONG), None).unwrap();
    let good = keys.token("ES256", "p256", &claims());
    let all = (0..20).map(|_| ask(&who, &good, NOW));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(issuer.asked(), 1);
    for number in 0..20 {
        let unknown = keys.token("ES256", &format!("unknown-{number}"), &claims());
        let denied = ask(&who, &unknown, NOW).await.unwrap_err();
        assert_eq!(denied, TokenFault::UnknownKey.into());
    }
    assert_eq!(issuer.asked(), 1, "not within the cool-down");
    let shared = keys.token("HS256", "hs", &claims());
    let denied = ask(&who, &shared, NOW).await.unwrap_err();
    assert_eq!(
        denied,
        TokenFault::UnknownKey.into(),
        "a secret at an address is none"
    );
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_one_that_is_gone_verifies_no_longer() {
    let (old, new) = (Keys::new(), Keys::new());
    let issuer = Published::new(&old.set().to_string()).await;
    let who = Authenticator::new(&issuer.settings(Duration::ZERO), None).unwrap();
    let seen = old.token("ES256", "p256", &claims());
    assert!(ask(&who, &seen, NOW).await.is_ok());

    issuer.say(&new.set().to_string().replace("p256", "fresh"));
    let fresh = new.token("ES256", "fresh", &claims());
    assert!(ask(&who, &fresh, NOW).await.is_ok());
    let denied = ask(&who, &seen, NOW).await.unwrap_err();
    assert_eq!(
        denied,
        TokenFault::UnknownKey.into(),
        "although it was seen before"
    );
}

#[tokio::test]
async fn the_last_good_keys_stay_while_the_address_answers_nonsense() {
    let keys = Keys::new();
    let issuer = Published::new(&keys.set().to_string()).await;
    let who = Authenticator::new(&issuer.settings(Duration::ZERO), None).unwrap();
    assert!(
        ask(&who, &keys.token("ES256", "p256", &claims()), NOW)
            .await
            .is_ok()
    );
    for nonsense in ["", "<html>", "{}", "{\"keys\":[]}"] {
        issuer.say(nonsense);
        let unknown = keys.token("ES256", "unknown", &claims());
        assert!(ask(&who, &unknown, NOW).await.is_err());
        assert!(
            ask(&who, &keys.token("RS256", "rsa", &claims()), NOW)
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn without_any_keys_nobody_can_say_whether_a_token_is_good() {
    let keys = Keys::new();
    let issuer = Published::new("nothing yet").await;
    let who = Authenticator::new(&issuer.settings(Duration::ZERO), None).unwrap();
    let token = keys.token("ES256", "p256", &claims());
    assert_eq!(ask(&who, &token, NOW).await.unwrap_err(), Denied::KeysAway);
    assert!(who.authenticate(&HeaderMap::new(), NOW).await.is_ok());
    issuer.say(&keys.set().to_string());
    assert!(ask(&who, &token, NOW).await.is_ok());
    // A reload begins with what is known.
    let asked = issuer.asked();
    let next = Authenticator::new(&issuer.settings(Duration::ZERO), Some(&who)).unwrap();
    issuer.say("nothing any more");
    assert!(ask(&next, &token, NOW).await.is_ok());
    assert!(issuer.asked() <= asked + 1);
}

// --- API keys --------------------------------------------------------------

fn api_keys(file: &File) -> Result<Authenticator, String> {
    let settings = Settings {
        api_keys: Some(ApiKeySettings {
            file: file.0.clone(),
            header: HeaderName::from_static("x-api-key"),
        }),
        ..Settings::default()
    };
    Authenticator::new(&settings, None)
}

async fn by_key(who: &Authenticator, key: &str) -> Result<Principal, Denied> {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::try_from(key).unwrap());
    who.authenticate(&headers, NOW).await
}

#[tokio::test]
async fn an_api_key_is_found_by_its_hash() {
    let ((mobile, mobile_hash), (old, old_hash)) =
        (fresh_api_key().unwrap(), fresh_api_key().unwrap());
    assert_ne!(mobile, old);
    let file = File::new(&format!(
        "- {{ id: mobile, hash: {mobile_hash}, scopes: [read], claims: {{ tenant: 7 }} }}\n\
         - {{ id: old, hash: {old_hash}, expires: 1970-01-12T13:46:40Z }}\n"
    ));
    let who = api_keys(&file).unwrap();
    let found = by_key(&who, &mobile).await.unwrap();
    assert_eq!(found.api_key_id(), Some("mobile"));
    assert_eq!(found.scopes(), ["read"]);
    assert_eq!(*found.claims(), json!({ "tenant": 7 }));
    let denied = |fault| Denied::ApiKey(fault);
    assert_eq!(
        by_key(&who, &old).await.unwrap_err(),
        denied(ApiKeyFault::Expired)
    );
    for wrong in ["", "sbk_", &mobile_hash, &mobile[1..], &"x".repeat(100_000)] {
        assert_eq!(
            by_key(&who, wrong).await.unwrap_err(),
            denied(ApiKeyFault::Unknown)
        );
    }
    assert_eq!(who.challenge(Denied::Missing), "ApiKey");
}

#[tokio::test]
async fn a_file_of_hashes_that_is_wrong_is_said_so_at_the_start() {
    let (_, hash) = fresh_api_key().unwrap();
    for (text, told) in [
        ("- { id: a, hash: abc }".to_owned(), "64 hexadecimal digits"),
        (
            format!("- {{ id: a, hash: {hash}, expires: soon }}"),
            "`soon` is not a time",
        ),
        (
            format!("- {{ id: a, hash: {hash} }}\n- {{ id: b, hash: {hash} }}"),
            "twice",
        ),
        (format!("- {{ id: a, hash: {hash}, scope: x }}"), "scope"),
    ] {
        let why = api_keys(&File::new(&text)).err().unwrap();
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_read_again_and_a_wrong_one_is_not_taken() {
    let ((first, first_hash), (second, second_hash)) =
        (fresh_api_key().unwrap(), fresh_api_key().unwrap());
    let line = |hash: &str| format!("- {{ id: a, hash: {hash} }}");
    let file = File::new(&line(&first_hash));
    let who = api_keys(&file).unwrap();
    assert!(by_key(&who, &first).await.is_ok());
    file.write("- nonsense");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(by_key(&who, &first).await.is_ok());
    file.write(&line(&second_hash));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(by_key(&who, &first).await.is_err());
    assert!(by_key(&who, &second).await.is_ok());
}

#[tokio::test]
async fn a_token_and_a_key_must_both_be_good_and_the_token_says_who_asks() {
    let keys = Keys::new();
    let set = File::new(&keys.set().to_string());
    let (key, hash) = fresh_api_key().unwrap();
    let file = File::new(&format!(
        "- {{ id: mobile, hash: {hash}, scopes: [admin], claims: {{ sub: key }} }}"
    ));
    let settings = Settings {
        api_keys: Some(ApiKeySettings {
            file: file.0.clone(),
            header: HeaderName::from_static("x-api-key"),
        }),
        ..settings(KeyPlace::File(set.0.clone()))
    };
    let who = Authenticator::new(&settings, None).unwrap();
    let given = async |token: &str, key: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::try_from(key).unwrap());
        let token = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        headers.insert(AUTHORIZATION, token);
        who.authenticate(&headers, NOW).await
    };
    let token = keys.token("ES256", "p256", &claims());
    let both = given(&token, &key).await.unwrap();
    assert_eq!(
        (both.subject(), both.api_key_id()),
        (Some("ada"), Some("mobile"))
    );
    assert_eq!(both.scopes(), ["read", "write"]);
    assert!(given(&token, "wrong").await.is_err());
    assert!(given("wrong", &key).await.is_err());
}
