//! Sources that want to know who the gateway is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::post;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::json;

use super::*;

/// A token endpoint: each token is another, and lives as long as the test says.
struct Endpoint {
    url: String,
    granted: Arc<AtomicUsize>,
    life: Arc<AtomicU64>,
    said: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn new() -> Self {
        let granted = Arc::new(AtomicUsize::new(0));
        let life = Arc::new(AtomicU64::new(3600));
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (count, lives, heard) = (granted.clone(), life.clone(), said.clone());
        let grant = async move |headers: HeaderMap, body: String| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let who = headers
                .get(AUTHORIZATION)
                .map(|who| who.to_str().unwrap().to_owned());
            heard
                .lock()
                .unwrap()
                .push(format!("{} {body}", who.unwrap_or_default()));
            let life = lives.load(Ordering::SeqCst);
            let token = json!({ "access_token": format!("t{number}"), "token_type": "bearer", "expires_in": life });
            match life {
                0 => (
                    http::StatusCode::BAD_REQUEST,
                    json!({ "error": "invalid_client" }).to_string(),
                ),
                _ => (http::StatusCode::OK, token.to_string()),
            }
        };
        let routes = Router::new().route("/token", post(grant));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            url,
            granted,
            life,
            said,
        }
    }

    fn bearer(&self, style: OAuthStyle) -> Bearer {
        let oauth = OAuth {
            token_url: self.url.clone(),
            client_id: "gate:way".to_owned(),
            client_secret: "hunter 2".to_owned().into(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            audience: Some("users".to_owned()),
            style,
            tls: Tls::default(),
        };
        bearer(Credentials::OAuth(oauth)).unwrap()
    }
}

fn bearer(credentials: Credentials) -> Result<Bearer, ConnectError> {
    let usual = Settings::outbound(Duration::from_secs(2), 1_000, Tls::default());
    let settings = Settings {
        credentials: Some(credentials),
        ..usual
    };
    Bearer::new(&"users".into(), &settings)
}

async fn signed(bearer: &Bearer) -> Result<String, SourceError> {
    let value = bearer.value().await?.unwrap();
    Ok(value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_name_and_a_password_are_sent_as_they_are() {
    let credentials = |user: &str| Credentials::Basic {
        user: user.to_owned(),
        password: "open sesame".to_owned().into(),
    };
    let ada = bearer(credentials("Aladdin")).unwrap();
    assert_eq!(
        signed(&ada).await.unwrap(),
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
    assert!(bearer(credentials("a:b")).is_err());
    let shown = format!("{ada:?} {:?}", credentials("Aladdin"));
    assert!(
        !shown.contains("sesame") && !shown.contains("QWxh"),
        "{shown}"
    );
}

#[tokio::test]
async fn one_token_is_fetched_for_all_who_wait_and_then_kept() {
    let endpoint = Endpoint::new().await;
    let bearer = endpoint.bearer(OAuthStyle::Basic);
    assert_eq!(
        endpoint.granted.load(Ordering::SeqCst),
        0,
        "nothing before the first call"
    );
    let all = futures_util::future::join_all((0..20).map(|_| signed(&bearer))).await;
    assert!(
        all.iter()
            .all(|token| token.as_ref().is_ok_and(|t| t == "Bearer t0"))
    );
    assert_eq!(signed(&bearer).await.unwrap(), "Bearer t0");
    let who = STANDARD.encode("gate%3Away:hunter%202");
    let form = "grant%5Ftype=client%5Fcredentials&scope=read%20write&audience=users";
    assert_eq!(
        *endpoint.said.lock().unwrap(),
        [format!("Basic {who} {form}")]
    );
}

#[tokio::test]
async fn id_and_secret_stand_in_the_form_where_the_endpoint_wants_them_there() {
    let endpoint = Endpoint::new().await;
    signed(&endpoint.bearer(OAuthStyle::Body)).await.unwrap();
    let said = endpoint.said.lock().unwrap().concat();
    assert!(
        said.contains("client%5Fid=gate%3Away&client%5Fsecret=hunter%202"),
        "{said}"
    );
}

#[tokio::test]
async fn a_token_that_was_refused_is_replaced_at_the_next_call() {
    let endpoint = Endpoint::new().await;
    let bearer = endpoint.bearer(OAuthStyle::Basic);
    signed(&bearer).await.unwrap();
    let (first, other) = (
        HeaderValue::from_static("Bearer t0"),
        HeaderValue::from_static("x"),
    );
    bearer.refused(Some(&other));
    assert_eq!(signed(&bearer).await.unwrap(), "Bearer t0");
    bearer.refused(Some(&first));
    assert_eq!(signed(&bearer).await.unwrap(), "Bearer t1");
}

#[tokio::test]
async fn without_a_token_the_client_learns_that_the_service_is_away_and_the_log_why() {
    let endpoint = Endpoint::new().await;
    endpoint.life.store(0, Ordering::SeqCst);
    let bearer = endpoint.bearer(OAuthStyle::Basic);
    let all = futures_util::future::join_all((0..20).map(|_| signed(&bearer))).await;
    assert_eq!(
        endpoint.granted.load(Ordering::SeqCst),
        1,
        "a failure is shared"
    );
    let error = all[0].clone().unwrap_err();
    assert_eq!(error.code, Code::UpstreamUnavailable);
    assert!(!error.message.contains("token"), "{}", error.message);
    let internal = error.internal.unwrap();
    assert!(
        internal.contains("invalid_client") && !internal.contains("hunter"),
        "{internal}"
    );
}
