//! The floor: the least program that answers the benchmark's four operations. It makes the same
//! upstream calls as a gateway, decodes into typed structs and writes the answer, and it can do
//! nothing else: what a gateway costs above it is what being a gateway costs.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::grpc;
use crate::pool::{GrpcChannel, Pool};
use crate::rows;

/// Serves until the process is killed, and prints its address first.
pub(crate) async fn serve(listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("graphql http://{}/graphql", listener.local_addr()?);
    accept(listener, upstream).await
}

async fn accept(listener: TcpListener, upstream: SocketAddr) -> anyhow::Result<()> {
    let floor = Arc::new(Floor::new(upstream)?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, floor.clone()));
    }
}

async fn connection(stream: TcpStream, floor: Arc<Floor>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| floor.reply(request));
    // A connection that ends in an error ended: the load generator counts it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Floor {
    rest: Pool,
    grpc: GrpcChannel,
}

#[derive(Deserialize)]
struct GraphqlRequest<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
}

impl Floor {
    fn new(upstream: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            rest: Pool::new(upstream)?,
            grpc: GrpcChannel::new(upstream)?,
        })
    }

    async fn reply(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let answer = self.answer(request).await;
        let failed = answer.is_err();
        let body = answer.unwrap_or_else(|error| refusal(&error));
        let mut response = Response::new(Full::new(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if failed {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        Ok(response)
    }

    async fn answer(&self, request: Request<Incoming>) -> anyhow::Result<Bytes> {
        let body = request.into_body().collect().await?.to_bytes();
        let request: GraphqlRequest<'_> = sonic_rs::from_slice(&body)?;
        match request.query.as_ref() {
            rows::JOIN_QUERY => self.posts_with_users().await,
            rows::LIST_QUERY => self.items().await,
            rows::NO_UPSTREAM_QUERY => {
                Ok(Bytes::from_static(br#"{"data":{"__typename":"Query"}}"#))
            }
            rows::GRPC_QUERY => self.articles_with_users().await,
            unknown => anyhow::bail!("not one of the four operations: {unknown}"),
        }
    }
}

#[derive(Deserialize)]
struct Post<'a> {
    id: i32,
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(rename = "userId")]
    user_id: i32,
}

#[derive(Deserialize, Serialize)]
struct User<'a> {
    id: i32,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// `{ id title user { id name } }`, of a post or of an article.
#[derive(Serialize)]
struct Joined<'a> {
    id: i32,
    title: &'a str,
    user: Option<&'a User<'a>>,
}

impl Floor {
    async fn posts_with_users(&self) -> anyhow::Result<Bytes> {
        let reply = self.rest.get(Uri::from_static("/posts")).await?;
        let posts: Vec<Post<'_>> = sonic_rs::from_slice(&reply)?;
        let reply = self.users_of(posts.iter().map(|post| post.user_id)).await?;
        let users = Users::read(&reply)?;
        let rows = posts.iter().map(|post| Joined {
            id: post.id,
            title: &post.title,
            user: users.find(post.user_id),
        });
        write(
            Data {
                data: Posts {
                    posts: rows.collect(),
                },
            },
            reply_size(posts.len()),
        )
    }

    async fn users_of(&self, ids: impl Iterator<Item = i32>) -> anyhow::Result<Bytes> {
        let mut distinct: Vec<i32> = ids.collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut uri = String::with_capacity(8 + 8 * distinct.len());
        for id in distinct {
            let before = if uri.is_empty() { "/users?id=" } else { "&id=" };
            write!(uri, "{before}{id}")?;
        }
        self.rest
            .get(Uri::from_maybe_shared(Bytes::from(uri))?)
            .await
    }
}

/// Sorted by id: the upstream may answer in any order.
struct Users<'a>(Vec<User<'a>>);

impl<'a> Users<'a> {
    fn read(reply: &'a [u8]) -> anyhow::Result<Self> {
        let mut users: Vec<User<'a>> = sonic_rs::from_slice(reply)?;
        users.sort_unstable_by_key(|user| user.id);
        Ok(Self(users))
    }

    fn find(&self, id: i32) -> Option<&User<'a>> {
        let index = self.0.binary_search_by_key(&id, |user| user.id).ok()?;
        self.0.get(index)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: i32,
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    price: f64,
    in_stock: bool,
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    description: Cow<'a, str>,
}

impl Floor {
    async fn items(&self) -> anyhow::Result<Bytes> {
        let reply = self.rest.get(Uri::from_static("/list32k")).await?;
        let items: Vec<Item<'_>> = sonic_rs::from_slice(&reply)?;
        write(
            Data {
                data: Items { items },
            },
            reply.len() + 1024,
        )
    }
}

/// What the operation asks of `bench.v1.ListArticlesReply`; the decoder skips the rest.
#[derive(Clone, PartialEq, Message)]
struct ArticlesReply {
    #[prost(message, repeated, tag = "1")]
    articles: Vec<Article>,
}

#[derive(Clone, PartialEq, Message)]
struct Article {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(int32, tag = "2")]
    user_id: i32,
    #[prost(string, tag = "3")]
    title: String,
}

impl Floor {
    async fn articles_with_users(&self) -> anyhow::Result<Bytes> {
        let reply = self.grpc.call().await?;
        let articles = ArticlesReply::decode(grpc::unframe(&reply)?)?.articles;
        let reply = self
            .users_of(articles.iter().map(|article| article.user_id))
            .await?;
        let users = Users::read(&reply)?;
        let rows = articles.iter().map(|article| Joined {
            id: article.id,
            title: &article.title,
            user: users.find(article.user_id),
        });
        let article_list = ArticleList {
            articles: rows.collect(),
        };
        write(
            Data {
                data: Articles { article_list },
            },
            reply_size(articles.len()),
        )
    }
}

#[derive(Serialize)]
struct Data<T> {
    data: T,
}

#[derive(Serialize)]
struct Posts<'a> {
    posts: Vec<Joined<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Articles<'a> {
    article_list: ArticleList<'a>,
}

#[derive(Serialize)]
struct ArticleList<'a> {
    articles: Vec<Joined<'a>>,
}

#[derive(Serialize)]
struct Items<'a> {
    items: Vec<Item<'a>>,
}

/// Room for so many joined rows, guessed generously: growing would copy what is written.
fn reply_size(rows: usize) -> usize {
    1024 + 160 * rows
}

fn write<T: Serialize>(answer: T, capacity: usize) -> anyhow::Result<Bytes> {
    let mut body = Vec::with_capacity(capacity);
    sonic_rs::to_writer(&mut body, &answer).context("the answer does not serialise")?;
    Ok(body.into())
}

fn refusal(error: &anyhow::Error) -> Bytes {
    let message = serde_json::Value::from(format!("{error:#}"));
    format!("{{\"errors\":[{{\"message\":{message}}}]}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{self, Operation};
    use crate::{run, upstream};
    use serde_json::{Value, json};

    /// The answer to `query`, and how many upstream calls it took.
    fn answer(query: &'static str) -> (Value, u64) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let bind = || {
            runtime
                .block_on(TcpListener::bind("127.0.0.1:0"))
                .expect("a free port")
        };
        let (mock, floor) = (bind(), bind());
        let [mock_at, floor_at] = [&mock, &floor].map(|at| at.local_addr().expect("an address"));
        runtime.spawn(upstream::accept(mock));
        runtime.spawn(accept(floor, mock_at));
        let url = format!("http://{floor_at}/graphql").parse().expect("a URL");
        let stats = format!("http://{mock_at}/__stats").parse().expect("a URL");
        let body = generator::fetch(&url, Some(&Operation::new(query))).expect("an answer");
        let calls = run::requests(&stats).expect("a count");
        (serde_json::from_slice(&body).expect("JSON"), calls)
    }

    fn joined() -> Value {
        let title = "thunder willow clover hollow signal compass";
        json!({ "id": 1, "title": title, "user": { "id": 1, "name": "Bruno Tanaka" } })
    }

    #[test]
    fn the_join_takes_two_calls() {
        let (answer, calls) = answer(rows::JOIN_QUERY);
        let posts = answer["data"]["posts"].as_array().expect("a list");
        assert_eq!((posts.len(), &posts[0], calls), (100, &joined(), 2));
    }

    #[test]
    fn the_join_over_grpc_takes_two_calls() {
        let (answer, calls) = answer(rows::GRPC_QUERY);
        let articles = answer["data"]["articleList"]["articles"]
            .as_array()
            .expect("a list");
        assert_eq!((articles.len(), &articles[0], calls), (100, &joined(), 2));
    }

    #[test]
    fn the_list_is_the_upstreams_list_in_one_call() {
        let (answer, calls) = answer(rows::LIST_QUERY);
        let upstream: Value = serde_json::from_slice(&crate::data::items()).expect("JSON");
        assert_eq!((&answer["data"]["items"], calls), (&upstream, 1));
    }

    #[test]
    fn the_type_name_takes_no_call() {
        let answer = answer(rows::NO_UPSTREAM_QUERY);
        assert_eq!(answer, (json!({ "data": { "__typename": "Query" } }), 0));
    }

    #[test]
    fn anything_else_is_refused() {
        let (answer, calls) = answer("{ users { id } }");
        assert!(answer["errors"][0]["message"].is_string());
        assert_eq!(calls, 0);
    }
}
