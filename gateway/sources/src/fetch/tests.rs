//! Batches, pages and windows over REST, call by call.

use plan::code::Code;
use serde_json::Value as Json;
use serde_json::json;

use crate::testing::Graph;
use crate::testing::Outcome;
use crate::testing::Service;
use crate::testing::reply;
use crate::testing::rows;

/// The values of the parameter in a target.
fn values<'a>(target: &'a str, name: &str) -> Vec<&'a str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

fn value(target: &str, name: &str) -> Option<usize> {
    values(target, name).first()?.parse().ok()
}

fn data(outcome: &Outcome) -> &[Json] {
    outcome.1.as_deref().expect("the chunk has data")
}

mod batches {
    use super::*;

    const POSTS: &str = r#"
        extend schema @source(name: "blog", http: { baseURL: "SERVICE" })
        type Query { posts: [Post!] @rest(GET: "/posts") @listSize(assumedSize: 10) }
        type Post { id: ID! user: User @map(from: { id: "userId" }) }
        type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }, batch: { max: MAX }) { id: ID! name: String }
    "#;

    const NAMES: &str = "{ posts { user { name } } }";

    fn users(target: &str) -> Json {
        let user = |id: &&str| json!({ "id": id, "name": format!("user {id}") });
        values(target, "id").iter().map(user).collect()
    }

    async fn graph(max: usize, answer: fn(&str) -> Json) -> (Service, Graph) {
        let service = Service::of(answer).await;
        let graph = Graph::new(&POSTS.replace("MAX", &max.to_string()), &service.url);
        (service, graph)
    }

    #[tokio::test]
    async fn all_parents_are_one_call() {
        let (service, graph) = graph(100, users).await;
        let outcomes = graph.batch(NAMES, &["1", "2", "a b"]).await;
        assert_eq!(service.targets(), ["/users?id=1&id=2&id=a%20b"]);
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].0, 0..3);
        assert_eq!(data(&outcomes[0])[0].as_array().unwrap().len(), 3);
        let calls = graph.calls();
        assert_eq!((calls.len(), calls[0].keys, calls[0].step), (1, 3, 1));
    }

    #[tokio::test]
    async fn more_parents_than_a_call_may_carry_are_several_calls() {
        let (service, graph) = graph(2, users).await;
        let outcomes = graph.batch(NAMES, &["1", "2", "3", "4", "5"]).await;
        let mut targets = service.targets();
        targets.sort();
        assert_eq!(
            targets,
            ["/users?id=1&id=2", "/users?id=3&id=4", "/users?id=5"]
        );
        let runs: Vec<_> = outcomes.into_iter().map(|(rows, _)| rows).collect();
        assert_eq!(runs, [0..2, 2..4, 4..5]);
    }

    #[tokio::test]
    async fn an_address_over_eight_kibibytes_is_split() {
        let (service, graph) = graph(1000, users).await;
        let ids: Vec<String> = (0..400).map(|id| format!("{id:040}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let outcomes = graph.batch(NAMES, &ids).await;
        let targets = service.targets();
        assert!(targets.iter().all(|target| target.len() <= 8192));
        assert_eq!(targets.len(), 4);
        let answered: usize = outcomes
            .iter()
            .map(|outcome| data(outcome)[0].as_array().unwrap().len())
            .sum();
        assert_eq!(answered, 400);
    }

    #[tokio::test]
    async fn a_failed_call_fails_its_own_parents_alone() {
        let service = Service::new(|seen| {
            let status = if seen.target.contains("id=3") {
                503
            } else {
                200
            };
            std::future::ready(reply(status, &users(&seen.target)))
        })
        .await;
        let graph = Graph::new(&POSTS.replace("MAX", "2"), &service.url);
        let outcomes = graph.batch(NAMES, &["1", "2", "3", "4", "5"]).await;
        let failed: Vec<bool> = outcomes
            .iter()
            .map(|(_, outcome)| outcome.is_err())
            .collect();
        assert_eq!(failed, [false, true, false]);
        assert_eq!(
            outcomes[1].1.as_ref().unwrap_err().code,
            Code::UpstreamUnavailable
        );
    }

    #[tokio::test]
    async fn null_is_an_empty_list_and_anything_else_is_not_as_declared() {
        let (_service, graph) = graph(9, |_| Json::Null).await;
        assert_eq!(graph.batch(NAMES, &["1"]).await[0].1, Ok(vec![json!([])]));
        let (_service, graph) = self::graph(9, |_| json!({ "id": "1" })).await;
        let outcomes = graph.batch(NAMES, &["1"]).await;
        assert_eq!(
            outcomes[0].1.as_ref().unwrap_err().code,
            Code::UpstreamInvalidResponse
        );
    }

    #[tokio::test]
    async fn a_batch_that_is_not_found_is_a_wrong_address() {
        let service = Service::new(|_| std::future::ready(reply(404, &json!({})))).await;
        let graph = Graph::new(&POSTS.replace("MAX", "9"), &service.url);
        let outcomes = graph.batch(NAMES, &["1"]).await;
        assert_eq!(
            outcomes[0].1.as_ref().unwrap_err().code,
            Code::UpstreamInvalidResponse
        );
    }

    #[tokio::test]
    async fn a_composite_key_is_one_object_for_each_parent() {
        let sdl = r#"
            extend schema @source(name: "blog", http: { baseURL: "SERVICE" })
            type Query { posts: [Post!] @rest(GET: "/posts") @listSize(assumedSize: 10) }
            type Post { id: ID! shop: Shop @map(from: { id: "shopId", region: "shopRegion" }) }
            type Shop @key(fields: "id region") @rest(POST: "/shops", body: { keys: [{ id: "$batch.id", region: "$batch.region" }] }) {
              id: ID! region: String! name: String
            }
        "#;
        let service = Service::json(json!([])).await;
        let graph = Graph::new(sdl, &service.url);
        let plan = graph.plan("{ posts { shop { name } } }");
        let mut pairs = rows(&["1", "2"]);
        pairs[0].extend(rows(&["eu"]).remove(0));
        pairs[1].extend(rows(&["us"]).remove(0));
        graph.step(&plan, 1, pairs, &graph.context).await;
        assert_eq!(
            service.seen()[0].body,
            r#"{"keys":[{"id":"1","region":"eu"},{"id":"2","region":"us"}]}"#
        );
    }
}

mod pages {
    use super::*;

    /// Posts 1 to 7, in pages as the parameters say.
    fn posts(target: &str) -> Json {
        let from = value(target, "offset").unwrap_or(0);
        let size = value(target, "limit").unwrap_or(3);
        let ids = (1..=7).skip(from).take(size);
        ids.map(|id| json!({ "id": id })).collect()
    }

    fn connection(style: &str) -> String {
        let total = if style.contains("total:") {
            "totalCount: Int"
        } else {
            ""
        };
        CONNECTION.replace("PAGE", style).replace("TOTAL", total)
    }

    const CONNECTION: &str = r#"
        extend schema @source(name: "blog", http: { baseURL: "SERVICE" })
        type Query {
          posts(first: Int = 3, after: String): PostConnection @rest(GET: "/posts", RESULT page: { PAGE })
        }
        type PostConnection { edges: [PostEdge!] nodes: [Post!] pageInfo: PageInfo! TOTAL }
        type PostEdge { cursor: String! node: Post }
        type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
        type Post { id: ID! }
    "#;

    /// Pages through a connection, three at a time; the numbers of each page and whether there is a next one.
    async fn walk(graph: &Graph) -> Vec<Json> {
        let mut after = String::new();
        let mut pages = Vec::new();
        while pages.len() < 9 {
            let fields = "nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor }";
            let operation = format!("{{ posts(first: 3{after}) {{ {fields} }} }}");
            let value = graph.fetch(&operation).await.unwrap();
            let (nodes, info) = (&value[0], &value[1]);
            let ids: Vec<&Json> = nodes
                .as_array()
                .unwrap()
                .iter()
                .map(|node| &node[0])
                .collect();
            pages.push(json!([ids, info[0], info[1]]));
            if info[0] == json!(false) {
                break;
            }
            after = format!(", after: {}", info[2]);
        }
        pages
    }

    fn all_seven() -> [Json; 3] {
        [
            json!([[1, 2, 3], true, false]),
            json!([[4, 5, 6], true, true]),
            json!([[7], false, true]),
        ]
    }

    #[tokio::test]
    async fn offsets_look_one_item_ahead() {
        let service = Service::of(posts).await;
        let sdl = connection(r#"style: OFFSET, size: "limit", at: "offset""#).replace("RESULT", "");
        let graph = Graph::new(&sdl, &service.url);
        assert_eq!(walk(&graph).await, all_seven());
        assert_eq!(
            service.targets(),
            [
                "/posts?limit=4",
                "/posts?limit=4&offset=3",
                "/posts?limit=4&offset=6"
            ]
        );
    }

    #[tokio::test]
    async fn a_stated_total_needs_no_look_ahead() {
        let service = Service::of(|target| json!({ "items": posts(target), "total": 7 })).await;
        let page = r#"style: OFFSET, size: "limit", at: "offset", total: "total""#;
        let sdl = connection(page).replace("RESULT", "result: \"items\",");
        let graph = Graph::new(&sdl, &service.url);
        assert_eq!(walk(&graph).await, all_seven());
        assert_eq!(service.targets()[0], "/posts?limit=3");
        let total = graph
            .fetch("{ posts(first: 1) { totalCount } }")
            .await
            .unwrap();
        assert_eq!(total, json!([7]));
    }

    #[tokio::test]
    async fn page_numbers_cover_any_place_of_the_list() {
        fn numbered(target: &str) -> Json {
            let size = value(target, "size").unwrap();
            let page = value(target, "page").unwrap_or(1);
            let ids = (1..=7).skip((page - 1) * size).take(size);
            json!({ "items": ids.map(|id| json!({ "id": id })).collect::<Json>(), "more": page * size < 7 })
        }
        let service = Service::of(numbered).await;
        let page = r#"style: PAGE_NUMBER, size: "size", at: "page", hasMore: "more""#;
        let sdl = connection(page).replace("RESULT", "result: \"items\",");
        let graph = Graph::new(&sdl, &service.url);
        assert_eq!(walk(&graph).await, all_seven());
        assert_eq!(
            service.targets(),
            [
                "/posts?size=3",
                "/posts?size=3&page=2",
                "/posts?size=3&page=3"
            ]
        );
        // From the cursor behind item 1, two items: no page of two begins there, but one of three holds them.
        let cursors = graph
            .fetch("{ posts(first: 3) { edges { cursor } } }")
            .await
            .unwrap();
        let cursor = &cursors[0][0][0];
        let operation = format!("{{ posts(first: 2, after: {cursor}) {{ nodes {{ id }} }} }}");
        assert_eq!(graph.fetch(&operation).await.unwrap(), json!([[[2], [3]]]));
        assert_eq!(service.targets().last().unwrap(), "/posts?size=3");
    }

    /// Cursors are letters: "b" is the page after the first.
    fn lettered(target: &str) -> Json {
        let from = match values(target, "cursor").first() {
            Some(&"b") => 3,
            Some(&"c") => 6,
            _ => 0,
        };
        let size = value(target, "limit").unwrap_or(3).min(3);
        let next = match from {
            0 => json!("b"),
            3 => json!("c"),
            _ => Json::Null,
        };
        let ids = (1..=7).skip(from).take(size);
        json!({ "items": ids.map(|id| json!({ "id": id })).collect::<Json>(), "next": next })
    }

    const CURSOR: &str = r#"style: CURSOR, size: "limit", at: "cursor", next: "next""#;

    #[tokio::test]
    async fn upstream_cursors_are_hidden_in_our_own() {
        let service = Service::of(lettered).await;
        let sdl = connection(CURSOR).replace("RESULT", "result: \"items\",");
        let graph = Graph::new(&sdl, &service.url);
        assert_eq!(walk(&graph).await, all_seven());
        assert_eq!(
            service.targets(),
            [
                "/posts?limit=3",
                "/posts?limit=3&cursor=b",
                "/posts?limit=3&cursor=c"
            ]
        );
    }

    #[tokio::test]
    async fn a_cursor_in_the_middle_of_a_page_passes_over_what_is_before() {
        let service = Service::of(lettered).await;
        let page = format!("{CURSOR}, follow: 3");
        let sdl = connection(&page).replace("RESULT", "result: \"items\",");
        let graph = Graph::new(&sdl, &service.url);
        let edges = graph
            .fetch("{ posts(first: 7) { edges { cursor node { id } } } }")
            .await
            .unwrap();
        let edges = edges[0].as_array().unwrap();
        assert_eq!(edges.len(), 7);
        for (at, edge) in edges.iter().enumerate() {
            let operation = format!(
                "{{ posts(first: 2, after: {}) {{ nodes {{ id }} }} }}",
                edge[0]
            );
            let value = graph.fetch(&operation).await.unwrap();
            let ids: Vec<Json> = (at + 2..=7).take(2).map(|id| json!([id])).collect();
            assert_eq!(value, json!([ids]), "after {edge}");
        }
    }

    #[tokio::test]
    async fn only_the_cursor_is_taken_from_a_link() {
        let service = Service::new(|seen| {
            let body = lettered(&seen.target);
            let mut answer = reply(200, &body["items"]);
            if let Some(next) = body["next"].as_str() {
                let link = format!("<http://evil.example/posts?cursor={next}>; rel=\"next\"");
                answer.headers_mut().insert("link", link.parse().unwrap());
            }
            std::future::ready(answer)
        })
        .await;
        let page = r#"style: LINK_HEADER, size: "limit", at: "cursor""#;
        let graph = Graph::new(&connection(page).replace("RESULT", ""), &service.url);
        assert_eq!(walk(&graph).await, all_seven());
        assert_eq!(service.targets()[1], "/posts?limit=3&cursor=b");
    }

    #[tokio::test]
    async fn a_link_without_a_named_parameter_counts_pages() {
        let service = Service::new(|seen| {
            let page = value(&seen.target, "page").unwrap_or(1);
            let mut answer = reply(200, &json!([{ "id": page }]));
            if page < 3 {
                let link = format!("</posts?page={}>; rel=next", page + 1);
                answer.headers_mut().insert("link", link.parse().unwrap());
            }
            std::future::ready(answer)
        })
        .await;
        let sdl = connection("style: LINK_HEADER, follow: 5").replace("RESULT", "");
        let graph = Graph::new(&sdl, &service.url);
        let value = graph
            .fetch("{ posts(first: 9) { nodes { id } } }")
            .await
            .unwrap();
        assert_eq!(value, json!([[[1], [2], [3]]]));
        assert_eq!(
            service.targets(),
            ["/posts", "/posts?page=2", "/posts?page=3"]
        );
    }

    #[tokio::test]
    async fn a_connection_around_null_is_empty() {
        let service = Service::json(json!({ "items": null })).await;
        let sdl = connection(CURSOR).replace("RESULT", "result: \"items\",");
        let graph = Graph::new(&sdl, &service.url);
        let fields = "nodes { id } pageInfo { hasNextPage endCursor }";
        let value = graph
            .fetch(&format!("{{ posts {{ {fields} }} }}"))
            .await
            .unwrap();
        assert_eq!(value, json!([[], [false, null]]));
    }

    #[tokio::test]
    async fn what_is_no_cursor_of_ours_is_refused_without_a_call() {
        let service = Service::of(posts).await;
        let sdl = connection(r#"style: OFFSET, size: "limit", at: "offset""#).replace("RESULT", "");
        let graph = Graph::new(&sdl, &service.url);
        for arguments in [
            "after: \"x\"",
            "after: \"bzotMQ\"",
            "after: \"cDowOmI\"",
            "first: -1",
        ] {
            let error = graph
                .failure(&format!("{{ posts({arguments}) {{ nodes {{ id }} }} }}"))
                .await;
            assert_eq!(error.code, Code::BadUserInput, "{arguments}");
        }
        assert!(service.seen().is_empty());
    }

    #[tokio::test]
    async fn a_plain_list_reads_on_until_there_is_enough() {
        let sdl = r#"
            extend schema @source(name: "blog", http: { baseURL: "SERVICE" })
            type Query {
              posts(first: Int): [Post!] @rest(GET: "/posts", result: "items", page: { PAGE, maxSize: 3, follow: 5 }) @listSize(assumedSize: 10)
            }
            type Post { id: ID! }
        "#;
        let service = Service::of(lettered).await;
        let graph = Graph::new(&sdl.replace("PAGE", CURSOR), &service.url);
        let ids = |value: Json| {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|post| post[0].clone())
                .collect::<Json>()
        };
        let five = graph.fetch("{ posts(first: 5) { id } }").await.unwrap();
        assert_eq!(ids(five), json!([1, 2, 3, 4, 5]));
        assert_eq!(
            service.targets(),
            ["/posts?limit=3", "/posts?limit=2&cursor=b"]
        );
        let all = graph.fetch("{ posts { id } }").await.unwrap();
        assert_eq!(ids(all), json!([1, 2, 3, 4, 5, 6, 7]));
    }

    mod of_batches {
        use super::*;

        const REVIEWS: &str = r#"
            extend schema @source(name: "blog", http: { baseURL: "SERVICE" })
            type Query { users: [User!] @rest(GET: "/users") @listSize(assumedSize: 10) }
            type User @key(fields: "id") {
              id: ID!
              reviews(first: Int = 2): [Review!] @rest(
                GET: "/reviews", query: { user_id: "$batch.id" }, result: "items", FANOUT
                batch: { by: { id: "user_id" }, limit: "$args.first" }
                page: { style: CURSOR, size: "limit", maxSize: 4, at: "cursor", next: "next", follow: 1 }
              )
            }
            type Review { id: ID! }
        "#;

        const IDS: &str = "{ users { reviews { id } } }";

        /// Three reviews of each user that is asked for; the cursor is an offset.
        fn reviews(target: &str) -> Json {
            let users = values(target, "user_id");
            let all = users.iter().flat_map(|user| {
                (0..3).map(move |n| json!({ "user_id": user, "id": format!("{user}{n}") }))
            });
            let from = value(target, "cursor").unwrap_or(0);
            let to = from + value(target, "limit").unwrap();
            let next = (to < users.len() * 3).then(|| to.to_string());
            json!({ "items": all.skip(from).take(to - from).collect::<Json>(), "next": next })
        }

        #[tokio::test]
        async fn a_batch_reads_on_and_gives_one_tape_for_each_page() {
            let service = Service::of(reviews).await;
            let graph = Graph::new(&REVIEWS.replace("FANOUT", ""), &service.url);
            let outcomes = graph.batch(IDS, &["a", "b"]).await;
            assert_eq!(
                service.targets(),
                [
                    "/reviews?user_id=a&user_id=b&limit=4",
                    "/reviews?user_id=a&user_id=b&limit=4&cursor=4"
                ]
            );
            let sizes: Vec<usize> = data(&outcomes[0])
                .iter()
                .map(|tape| tape.as_array().unwrap().len())
                .collect();
            assert_eq!(sizes, [4, 2]);
        }

        #[tokio::test]
        async fn one_parent_asks_for_no_more_than_its_list_is_cut_to() {
            let service = Service::of(reviews).await;
            let graph = Graph::new(&REVIEWS.replace("FANOUT", ""), &service.url);
            graph.batch(IDS, &["a"]).await;
            assert_eq!(service.targets(), ["/reviews?user_id=a&limit=2"]);
        }

        #[tokio::test]
        async fn when_the_pages_run_out_all_keys_fail_rather_than_being_cut() {
            let service = Service::of(reviews).await;
            let graph = Graph::new(&REVIEWS.replace("FANOUT", ""), &service.url);
            let outcomes = graph.batch(IDS, &["a", "b", "c"]).await;
            assert_eq!(outcomes.len(), 1);
            assert_eq!(outcomes[0].0, 0..3);
            assert_eq!(
                outcomes[0].1.as_ref().unwrap_err().code,
                Code::FanoutExceeded
            );
            assert_eq!(service.targets().len(), 2);
        }

        #[tokio::test]
        async fn within_the_fanout_fewer_keys_are_asked_for_again() {
            let service = Service::of(reviews).await;
            let graph = Graph::new(&REVIEWS.replace("FANOUT", "fanout: 4"), &service.url);
            let mut outcomes = graph.batch(IDS, &["a", "b", "c"]).await;
            outcomes.sort_by_key(|(rows, _)| rows.start);
            let runs: Vec<_> = outcomes.iter().map(|(rows, _)| rows.clone()).collect();
            assert_eq!(runs, [0..1, 1..3]);
            assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
        }
    }
}

mod windows {
    use std::time::Duration;

    use plan::source::Context;

    use super::*;
    use crate::calls::now;
    use crate::testing::caller;

    const USERS: &str = r#"
        extend schema @source(name: "blog", http: { baseURL: "SERVICE" }, headers: [{ name: "authorization", from: "authorization" }])
        type Query { posts: [Post!] @rest(GET: "/posts") @listSize(assumedSize: 10) }
        type Post { id: ID! user: User @map(from: { id: "userId" }) }
        type User @key(fields: "id") @rest(GET: "/users", query: { id: "$batch.id" }, batch: { window: "20ms", max: 3 }) { id: ID! name: String age: Int }
    "#;

    fn users(target: &str) -> Json {
        let user = |id: &&str| json!({ "id": id, "name": format!("n{id}"), "age": 7 });
        values(target, "id").iter().map(user).collect()
    }

    async fn both(
        graph: &Graph,
        first: (&Context, &str, &[&str]),
        second: (&Context, &str, &[&str]),
    ) -> [Vec<Outcome>; 2] {
        let (one, two) = tokio::join!(
            graph.batch_in(first.0, first.1, first.2),
            graph.batch_in(second.0, second.1, second.2),
        );
        [one, two]
    }

    const NAMES: &str = "{ posts { user { name } } }";

    #[tokio::test]
    async fn keys_of_several_requests_gather_in_one_call() {
        let service = Service::of(users).await;
        let graph = Graph::new(USERS, &service.url);
        let (ada, eve) = (caller("ada"), caller("ada"));
        let ages = "{ posts { user { age } } }";
        let [one, two] = both(
            &graph,
            (&ada, NAMES, &["1", "2"]),
            (&eve, ages, &["2", "3"]),
        )
        .await;
        assert_eq!(service.targets(), ["/users?id=1&id=2&id=3"]);
        assert_eq!(one[0].0, 0..2);
        assert!(data(&one[0])[0].to_string().contains("\"n1\""), "{one:?}");
        assert!(data(&two[0])[0].to_string().contains('7'), "{two:?}");
        let coalesced =
            [&ada, &eve].map(|context| context.calls.as_ref().unwrap().take()[0].coalesced);
        assert_eq!(coalesced, [false, true]);
    }

    #[tokio::test]
    async fn requests_that_forward_different_headers_never_gather() {
        let service = Service::of(users).await;
        let graph = Graph::new(USERS, &service.url);
        both(
            &graph,
            (&caller("ada"), NAMES, &["1"]),
            (&caller("bob"), NAMES, &["2"]),
        )
        .await;
        let mut seen: Vec<_> = service
            .seen()
            .into_iter()
            .map(|seen| {
                (
                    seen.header("authorization").unwrap().to_owned(),
                    seen.target,
                )
            })
            .collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                ("ada".to_owned(), "/users?id=1".to_owned()),
                ("bob".to_owned(), "/users?id=2".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn a_failed_call_fails_the_parents_that_it_was_for() {
        let service = Service::new(|seen| {
            let status = if seen.target.contains("id=4") {
                500
            } else {
                200
            };
            std::future::ready(reply(status, &users(&seen.target)))
        })
        .await;
        let graph = Graph::new(USERS, &service.url);
        let outcomes = graph
            .batch_in(&caller("ada"), NAMES, &["1", "2", "3", "4"])
            .await;
        let failed: Vec<_> = outcomes
            .iter()
            .map(|(rows, outcome)| (rows.clone(), outcome.is_err()))
            .collect();
        assert_eq!(failed, [(0..3, false), (3..4, true)]);
    }

    #[tokio::test]
    async fn a_request_that_gives_up_does_not_harm_the_others() {
        let service = Service::of(users).await;
        let graph = Graph::new(USERS, &service.url);
        let (gone, stays) = (caller("ada"), caller("ada"));
        let mut leader = Box::pin(graph.batch_in(&gone, NAMES, &["1"]));
        let mut follower = Box::pin(graph.batch_in(&stays, NAMES, &["2"]));
        // Polled once, the leader has opened the window; then it goes away.
        assert!(futures_util::poll!(&mut leader).is_pending());
        assert!(futures_util::poll!(&mut follower).is_pending());
        drop(leader);
        assert_eq!(follower.await[0].0, 0..1);
        assert_eq!(service.targets(), ["/users?id=1&id=2"]);
    }

    #[tokio::test]
    async fn the_call_has_the_time_of_the_request_that_waits_longest() {
        let service = Service::of(users).await;
        let graph = Graph::new(USERS, &service.url);
        let (mut hasty, mut patient) = (caller("ada"), caller("ada"));
        hasty.deadline = now() + Duration::from_millis(500);
        patient.deadline = now() + Duration::from_secs(2);
        both(&graph, (&hasty, NAMES, &["1"]), (&patient, NAMES, &["2"])).await;
        assert_eq!(service.targets(), ["/users?id=1&id=2"]);
        let told = service.seen()[0]
            .header("x-request-timeout-ms")
            .map(str::parse::<u64>);
        let told = told.unwrap().unwrap();
        assert!(told > 1_500 && told <= 1_990, "{told}");
    }
}
