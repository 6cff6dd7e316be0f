//! Users: customers over REST, by id, by many ids, or in windows. Contract: `schema/users.openapi.yaml`.
//!
//! Knows neither reviews nor orders.

mod table;

use std::io;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::net::TcpListener;

use self::table::{Changes, NewUser, User, Users};
use crate::{
    faults::Faults,
    rest::{Parameters, Refusal, Shared, body, identifier, shared},
    serve::{Protocol, Running, start},
};

pub(crate) const NAME: &str = "users";

const MOST_IN_A_WINDOW: u64 = 500;

/// Starts the service on a listener, inside the caller's tokio runtime.
///
/// # Errors
/// When the listener has no address of its own.
pub fn serve(listener: TcpListener, faults: Faults) -> io::Result<Running> {
    start(NAME, Protocol::Rest, routes(), listener, faults)
}

fn routes() -> Router {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(show).patch(update))
        .with_state(shared(Users::seeded()))
}

async fn show(
    State(users): State<Shared<Users>>,
    Path(id): Path<String>,
) -> Result<Json<User>, Refusal> {
    let id = identifier(&id)?;
    let users = users.read().expect("no holder of this lock can panic");
    users
        .get(id)
        .cloned()
        .map(Json)
        .ok_or_else(|| Refusal::not_found("user", id))
}

async fn list(
    State(users): State<Shared<Users>>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Refusal> {
    let users = users.read().expect("no holder of this lock can panic");
    let ids = parameters.ids("id")?;
    if ids.is_empty() {
        return window(&users, &parameters);
    }
    Ok(Json(users.with_ids(&ids).collect::<Vec<_>>()).into_response())
}

fn window(users: &Users, parameters: &Parameters) -> Result<Response, Refusal> {
    let limit = parameters.number("limit", 1..=MOST_IN_A_WINDOW, 20)?;
    let offset = parameters.number("offset", 0..=u64::from(u32::MAX), 0)?;
    let page = users.window(offset, limit);
    let next = offset + limit;
    let links = if next < users.count() {
        link_to(next, limit)
    } else {
        HeaderMap::new()
    };
    Ok((links, Json(page)).into_response())
}

/// The next window, <https://www.rfc-editor.org/rfc/rfc8288>.
fn link_to(offset: u64, limit: u64) -> HeaderMap {
    let link = format!("</users?limit={limit}&offset={offset}>; rel=\"next\"");
    HeaderMap::from_iter([(
        header::LINK,
        HeaderValue::from_str(&link).expect("numbers and ASCII make a header"),
    )])
}

async fn create(
    State(users): State<Shared<Users>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<User>), Refusal> {
    let new: NewUser = body(&bytes)?;
    let user = users
        .write()
        .expect("no holder of this lock can panic")
        .add(new)?;
    Ok((StatusCode::CREATED, Json(user)))
}

async fn update(
    State(users): State<Shared<Users>>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<User>, Refusal> {
    let id = identifier(&id)?;
    let changes: Changes = body(&bytes)?;
    users
        .write()
        .expect("no holder of this lock can panic")
        .change(id, changes)
        .map(Json)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::{ask, keys, properties};

    #[tokio::test]
    async fn one_user_answers_by_id() {
        let (status, user) = ask(&routes(), "GET", "/users/1", None).await;
        assert_eq!(status, 200);
        assert_eq!(user["id"], 1);
        assert!(user["created_at"].is_string() && user.get("phone").is_some());
    }

    #[tokio::test]
    async fn an_unknown_user_is_not_found_with_a_reason() {
        let reply = ask(&routes(), "GET", "/users/10001", None).await;
        assert_eq!(reply, (404, json!({ "error": "there is no user 10001" })));
    }

    #[tokio::test]
    async fn repeated_ids_answer_known_users_once_each() {
        let (_, users) = ask(&routes(), "GET", "/users?id=9&id=3&id=99999&id=9", None).await;
        assert_eq!(ids(&users), [3, 9]);
    }

    #[tokio::test]
    async fn windows_follow_each_other() {
        assert_eq!(
            ids(&ask(&routes(), "GET", "/users?limit=2&offset=3", None)
                .await
                .1),
            [4, 5]
        );
        assert_eq!(
            ids(&ask(&routes(), "GET", "/users?limit=5&offset=9998", None)
                .await
                .1),
            [9999, 10_000]
        );
        assert!(ids(&ask(&routes(), "GET", "/users?offset=20000", None).await.1).is_empty());
    }

    #[tokio::test]
    async fn a_window_links_to_the_next_until_the_last() {
        let users = Users::seeded();
        let link = |offset: u64| {
            let query = vec![
                ("limit".to_owned(), "10".to_owned()),
                ("offset".to_owned(), offset.to_string()),
            ];
            let reply = window(&users, &Parameters::from(query)).unwrap();
            reply
                .headers()
                .get("link")
                .map(|link| link.to_str().unwrap().to_owned())
        };
        assert_eq!(
            link(0).unwrap(),
            "</users?limit=10&offset=10>; rel=\"next\""
        );
        assert_eq!(link(9990), None);
    }

    #[tokio::test]
    async fn parameters_outside_their_range_are_refused() {
        for query in ["limit=0", "limit=501", "limit=ten", "offset=-1", "id=x"] {
            let (status, reply) = ask(&routes(), "GET", &format!("/users?{query}"), None).await;
            assert_eq!(status, 400, "{query}: {reply}");
        }
    }

    #[tokio::test]
    async fn a_new_user_is_found_under_its_id() {
        let routes = routes();
        let new = json!({ "name": "Ada Lovelace", "email": "ada@example.org" });
        let (status, created) = ask(&routes, "POST", "/users", Some(new)).await;
        assert_eq!(
            (status, &created["id"], &created["phone"]),
            (201, &json!(10_001), &Value::Null)
        );
        assert_eq!(
            ask(&routes, "GET", "/users/10001", None).await,
            (200, created)
        );
    }

    #[tokio::test]
    async fn an_email_belongs_to_one_user() {
        let routes = routes();
        let taken = ask(&routes, "GET", "/users/1", None).await.1["email"].clone();
        let new = json!({ "name": "Another", "email": taken });
        assert_eq!(ask(&routes, "POST", "/users", Some(new)).await.0, 409);
        assert_eq!(
            ask(
                &routes,
                "PATCH",
                "/users/2",
                Some(json!({ "email": taken }))
            )
            .await
            .0,
            409
        );
        assert_eq!(
            ask(
                &routes,
                "PATCH",
                "/users/1",
                Some(json!({ "email": taken }))
            )
            .await
            .0,
            200
        );
    }

    #[tokio::test]
    async fn a_freed_email_can_be_taken() {
        let routes = routes();
        let old = ask(&routes, "GET", "/users/1", None).await.1["email"].clone();
        ask(
            &routes,
            "PATCH",
            "/users/1",
            Some(json!({ "email": "new@example.org" })),
        )
        .await;
        assert_eq!(
            ask(&routes, "PATCH", "/users/2", Some(json!({ "email": old })))
                .await
                .0,
            200
        );
    }

    #[tokio::test]
    async fn a_change_keeps_what_it_does_not_name() {
        let routes = routes();
        ask(
            &routes,
            "PATCH",
            "/users/5",
            Some(json!({ "phone": "+41 44 000 00 00" })),
        )
        .await;
        let (_, renamed) = ask(
            &routes,
            "PATCH",
            "/users/5",
            Some(json!({ "name": "Grace" })),
        )
        .await;
        assert_eq!(
            (&renamed["name"], &renamed["phone"]),
            (&json!("Grace"), &json!("+41 44 000 00 00"))
        );
        let (_, forgotten) =
            ask(&routes, "PATCH", "/users/5", Some(json!({ "phone": null }))).await;
        assert_eq!(forgotten["phone"], Value::Null);
    }

    #[tokio::test]
    async fn a_body_that_makes_no_user_is_refused() {
        let bodies = [
            json!({ "name": "No Email" }),
            json!({ "name": "", "email": "a@b.c" }),
            json!({ "name": "A", "email": "nobody" }),
            json!({ "name": "A", "email": "a@b.c", "age": 3 }),
        ];
        for new in bodies {
            assert_eq!(
                ask(&routes(), "POST", "/users", Some(new.clone())).await.0,
                422,
                "{new}"
            );
        }
    }

    #[tokio::test]
    async fn replies_have_the_properties_that_the_contract_names() {
        let contract =
            serde_yaml_ng::from_str(include_str!("../../schema/users.openapi.yaml")).unwrap();
        let (_, user) = ask(&routes(), "GET", "/users/1", None).await;
        assert_eq!(properties(&contract, "User"), keys(&user));
        let (_, refusal) = ask(&routes(), "GET", "/users/0", None).await;
        assert_eq!(properties(&contract, "Refusal"), keys(&refusal));
    }

    fn ids(users: &Value) -> Vec<u64> {
        users
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["id"].as_u64().unwrap())
            .collect()
    }
}
