use apollo_compiler::ast::Type;
use apollo_compiler::name;
use compose::model::Batch;
use compose::model::EncodingId;
use compose::model::Errors;
use compose::model::Expr;
use compose::model::HeaderMerge;
use compose::model::HeaderRule;
use compose::model::Limits;
use compose::model::Naming;
use compose::model::PageStyle;
use compose::model::Policy;
use compose::model::Read;
use compose::model::ReplyRule;
use compose::model::Resolver;
use compose::model::ResolverId;
use compose::model::ResponseRule;
use compose::model::Source;
use compose::model::SourceId;
use compose::model::SourceKind;
use compose::model::SubgraphId;
use compose::model::Target;
use compose::model::ViewField;
use http::HeaderMap;
use plan::model::Step;
use plan::shape::AbstractShape;
use plan::shape::AbstractVariant;
use plan::shape::LeafKind;
use plan::shape::ReplyShape;
use plan::source::CallLog;
use plan::source::Context;
use plan::source::KeyPart;
use plan::source::Reply;
use plan::source::Source as _;
use plan::source::TraceContext;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use serde_json::Value as Json;
use serde_json::json;

use super::testing::Fields;
use super::testing::everything;
use super::testing::leaf;
use super::testing::pool;
use super::testing::reply;
use super::testing::server::Answer;
use super::testing::server::Call;
use super::testing::server::Upstream;
use super::testing::shown;
use super::testing::unwrapped;
use plan::cache::CachePolicy;
use plan::cache::Caching;

use super::*;
use crate::SourcesConfig;
use crate::cache::Cache;
use crate::calls;
use crate::fetch::Fetcher;
use crate::peers::SystemResolver;
use crate::render::Encodings;

/// One source, one resolver and one step, as a graph would have them.
struct Fixture {
    source: Fetcher<Grpc>,
    resolver: Resolver,
    step: Step,
    context: Context,
    args: Json,
    rows: Vec<Row>,
}

fn declared(url: &str) -> Source {
    Source {
        name: "things".to_owned(),
        subgraph: SubgraphId(0),
        kind: SourceKind::Grpc {
            url: url.to_owned(),
            pool: pool(),
        },
        naming: Naming::Exact,
        lists: Default::default(),
        headers: vec![HeaderRule {
            name: "x-tenant".to_owned(),
            value: Expr::Header("x-tenant".to_owned()),
        }],
        propagated: Vec::new(),
        timeout: None,
        min_deadline: None,
        retry: None,
        limits: Limits::default(),
        errors: Errors::default(),
    }
}

fn request(method: &str, message: Vec<(&str, Expr)>) -> GrpcRequest {
    let service = pool().get_service_by_name("test.Things").unwrap();
    let method = service
        .methods()
        .find(|known| known.name() == method)
        .unwrap();
    GrpcRequest {
        method,
        message: Expr::Object(
            message
                .into_iter()
                .map(|(name, expr)| (name.to_owned(), expr))
                .collect(),
        ),
        field_mask: None,
        metadata: Vec::new(),
        max_messages: 3,
    }
}

fn resolver(request: GrpcRequest) -> Resolver {
    let ty = Type::Named(name!("Thing"));
    Resolver {
        id: ResolverId(0),
        subgraph: SubgraphId(0),
        source: SourceId(0),
        target: Target::Root {
            ty: name!("Query"),
            field: name!("thing"),
            mutation: false,
        },
        inputs: vec![vec![name!("id")]],
        sends: None,
        request: Request::Grpc(request),
        batch: None,
        reply: ReplyRule {
            unwrap: Vec::new(),
            ty: ty.clone(),
            value: ViewField {
                ty,
                read: Read::Path(Vec::new()),
                format: None,
                default: None,
                view: None,
                enum_values: None,
                args: Vec::new(),
                requires: None,
            },
            connection: None,
        },
        page: None,
        policy: Policy {
            idempotent: true,
            ..Policy::default()
        },
        queue: None,
        place: "things.graphql:1:1".to_owned(),
    }
}

fn step(shape: ReplyShape) -> Step {
    Step {
        id: 4,
        resolver: ResolverId(0),
        single: None,
        args: Vec::new(),
        below: Vec::new(),
        parents: None,
        aligned: Vec::new(),
        inputs: Vec::new(),
        representation: None,
        without: None,
        after: Vec::new(),
        condition: None,
        shape,
        selects: String::new(),
        value_slot: None,
        in_company: false,
        prepared: Default::default(),
        cache: Default::default(),
    }
}

fn context() -> Context {
    let now = calls::now();
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", "seven".parse().unwrap());
    Context {
        correlation_id: "corr-1".into(),
        trace: TraceContext {
            trace_id: [0xab; 16],
            parent_id: [0xcd; 8],
            flags: 1,
            state: Some("vendor=1".to_owned()),
        },
        deadline: now + Duration::from_secs(30),
        headers,
        claims: Json::Null.into(),
        epoch: 0,
        merge_reads: true,
        rehearsal: None,
        calls: Some(CallLog::new(now)),
        caching: None,
        principal: None,
        stale: Default::default(),
        calls_left: Default::default(),
        propagated: Default::default(),
        outbox: None,
        effects: None,
    }
}

fn text_shape() -> Shape {
    Fields::default()
        .read("text", leaf(LeafKind::String))
        .object()
}

/// Of no graph: each test makes resolvers of its own.
fn connected(source: &Source) -> Result<Grpc, ConnectError> {
    let SourceKind::Grpc { url, .. } = &source.kind else {
        unreachable!("it is a gRPC source")
    };
    let settings = SourcesConfig::default().settings(source).unwrap();
    let encodings = Arc::new(Encodings::from_table(Vec::new()));
    let none = std::iter::empty();
    let service = Service::new(source, settings, encodings, Cache::for_tests(), none);
    Grpc::new(service, url, Arc::new(SystemResolver), None)
}

impl Fixture {
    fn new(url: &str, request: GrpcRequest, shape: Shape) -> Self {
        Self {
            source: Fetcher::new(connected(&declared(url)).unwrap()),
            resolver: resolver(request),
            step: step(reply(shape)),
            context: context(),
            args: json!({}),
            rows: vec![Row::new()],
        }
    }

    /// `Get` with the argument `id`, and the text of the reply.
    fn get(url: &str) -> Self {
        let id = Expr::Arg {
            path: vec!["id".to_owned()],
            encode: EncodingId(0),
        };
        let mut fixture = Self::new(url, request("Get", vec![("int64_field", id)]), text_shape());
        fixture.args = json!({ "id": "7" });
        fixture
    }

    /// `List` for many parents, keyed by nothing in particular.
    fn batch(url: &str, rows: u64, max: usize) -> Self {
        let ids = Expr::Batch {
            input: 0,
            encode: EncodingId(0),
        };
        let list = Shape::List(Box::new(text_shape()));
        let mut fixture = Self::new(url, request("List", vec![("unpacked", ids)]), list);
        fixture.rows = (1..=rows)
            .map(|id| Row::from_iter([KeyPart::UInt(id)]))
            .collect();
        fixture.resolver.batch = Some(Batch {
            order: Default::default(),
            by: Vec::new(),
            max,
            window: None,
            limit: None,
            to_many: false,
        });
        fixture
    }

    fn mutation(mut self) -> Self {
        self.resolver.policy.idempotent = false;
        self.resolver.target = Target::Root {
            ty: name!("Mutation"),
            field: name!("thing"),
            mutation: true,
        };
        self
    }

    async fn fetch(&self) -> Reply {
        let fetch = Fetch {
            step: &self.step,
            shape: &self.step.shape,
            prepared: &self.step.prepared,
            resolver: &self.resolver,
            args: self.args.as_object().unwrap().clone(),
            below: Vec::new(),
            rows: self.rows.clone(),
            context: &self.context,
        };
        self.source.fetch(fetch).await
    }

    /// The outcome of the only chunk: the value of its only tape.
    async fn outcome(&self) -> Result<Json, SourceError> {
        let mut chunks = self.fetch().await.chunks;
        assert_eq!(chunks.len(), 1);
        let chunk = chunks.remove(0);
        assert_eq!(chunk.rows, 0..self.rows.len());
        let tapes = chunk.outcome?;
        assert_eq!(tapes.len(), 1);
        Ok(shown(&tapes[0], &self.step.shape.root))
    }

    async fn code(&self) -> Code {
        self.outcome().await.unwrap_err().code
    }
}

fn thing(json: Json) -> Vec<u8> {
    DynamicMessage::deserialize(everything(), json)
        .unwrap()
        .encode_to_vec()
}

fn asked(call: &Call) -> Json {
    let message = DynamicMessage::decode(everything(), call.message.clone()).unwrap();
    serde_json::to_value(&message).unwrap()
}

fn answers(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |_| answer())
}

fn fails(status: tonic::Status) -> Upstream {
    answers(move || Answer::Status(status.clone()))
}

fn closed_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_fetch_is_a_call_and_its_reply_a_tape() {
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "hello" }))]));
    let fixture = Fixture::get(&upstream.url());
    assert_eq!(fixture.outcome().await.unwrap(), json!({ "text": "hello" }));
    let call = &upstream.calls()[0];
    assert_eq!(call.path, "/test.Things/Get");
    assert_eq!(asked(call), json!({ "int64Field": "7" }));
}

#[tokio::test]
async fn a_reply_is_kept_as_long_as_the_schema_says_and_apart_for_other_metadata() {
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "hello" }))]));
    let mut fixture = Fixture::get(&upstream.url());
    fixture.context.caching = Some(Caching::default());
    fixture.step.cache = CachePolicy {
        max_age: Some(60),
        ..CachePolicy::default()
    };
    for _ in 0..2 {
        assert_eq!(fixture.outcome().await.unwrap(), json!({ "text": "hello" }));
    }
    assert_eq!(upstream.calls().len(), 1);
    let other = "eight".parse().unwrap();
    fixture.context.headers.insert("x-tenant", other);
    fixture.outcome().await.unwrap();
    assert_eq!(upstream.calls().len(), 2);
    fixture.step.cache = CachePolicy::NEVER;
    fixture.outcome().await.unwrap();
    assert_eq!(upstream.calls().len(), 3);
}

#[tokio::test]
async fn labels_and_listed_headers_go_with_every_call_and_nothing_else() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut fixture = Fixture::get(&upstream.url());
    fixture
        .context
        .headers
        .insert("authorization", "secret".parse().unwrap());
    fixture.outcome().await.unwrap();
    let headers = &upstream.calls()[0].headers;
    assert_eq!(headers["x-tenant"], "seven");
    assert_eq!(headers["x-correlation-id"], "corr-1");
    assert_eq!(headers["tracestate"], "vendor=1");
    let parent = headers["traceparent"].to_str().unwrap();
    assert!(
        parent.starts_with(&format!("00-{}-", "ab".repeat(16))),
        "{parent}"
    );
    assert!(
        !parent.contains(&"cd".repeat(8)),
        "each call has a parent of its own: {parent}"
    );
    let timeout = headers["grpc-timeout"].to_str().unwrap();
    let timeout = timeout.strip_suffix('m').unwrap().parse::<u32>().unwrap();
    assert!((5_000..=10_000).contains(&timeout), "{timeout} ms");
    assert!(!headers.contains_key("authorization"));
}

#[tokio::test]
async fn metadata_of_the_operation_beats_that_of_the_source() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut fixture = Fixture::get(&upstream.url());
    let rule = |name: &str, value: &str| HeaderRule {
        name: name.to_owned(),
        value: Expr::Const(json!(value)),
    };
    if let Request::Grpc(request) = &mut fixture.resolver.request {
        request.metadata = vec![
            rule("x-tenant", "eight"),
            rule("grpc-timeout", "1n"),
            rule("x-extra", "1"),
        ];
    }
    fixture.outcome().await.unwrap();
    let headers = &upstream.calls()[0].headers;
    assert_eq!(headers["x-tenant"], "eight");
    assert_eq!(headers["x-extra"], "1");
    let timeout = headers["grpc-timeout"].to_str().unwrap();
    let timeout = timeout.strip_suffix('m').unwrap().parse::<u32>().unwrap();
    assert!((5_000..=10_000).contains(&timeout), "{timeout} ms");
}

#[tokio::test]
async fn the_call_is_written_down() {
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "hello" }))]));
    let fixture = Fixture::get(&upstream.url());
    fixture.outcome().await.unwrap();
    let calls = fixture.context.calls.as_ref().unwrap().take();
    let [call] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (call.step, &*call.source, &*call.method),
        (4, "things", "gRPC")
    );
    assert_eq!((&*call.target, &*call.status), ("test.Things/Get", "OK"));
    assert_eq!(call.body.as_deref(), Some("{\"int64_field\":\"7\"}"));
    assert_eq!((call.keys, call.bytes), (0, 7));
    assert!(call.error.is_none() && !call.coalesced);
}

#[tokio::test]
async fn a_batch_is_split_and_each_part_has_its_own_outcome() {
    let upstream =
        Upstream::start(
            |call| match asked(call)["unpacked"].as_array().unwrap().len() {
                2 => Answer::Messages(vec![
                    thing(json!({ "text": "a" })),
                    thing(json!({ "text": "b" })),
                ]),
                _ => Answer::Status(tonic::Status::internal("boom")),
            },
        );
    let fixture = Fixture::batch(&upstream.url(), 5, 2);
    let chunks = fixture.fetch().await.chunks;
    let rows: Vec<_> = chunks.iter().map(|chunk| chunk.rows.clone()).collect();
    assert_eq!(rows, [0..2, 2..4, 4..5]);
    let whole: Vec<_> = chunks.iter().map(|chunk| chunk.outcome.is_ok()).collect();
    assert_eq!(whole, [true, true, false]);
    let mut keys: Vec<_> = fixture
        .context
        .calls
        .unwrap()
        .take()
        .iter()
        .map(|call| call.keys)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2, 2]);
}

#[tokio::test]
async fn what_comes_before_the_messages_is_given_to_the_client_where_a_rule_says_so() {
    let upstream = answers(|| Answer::Told("x-region", "north", thing(json!({ "text": "x" }))));
    for (rules, expected) in [(vec![], vec![]), (vec!["x-region"], vec!["north"])] {
        let mut source = declared(&upstream.url());
        source.propagated = rules
            .iter()
            .map(|name| ResponseRule {
                name: (*name).to_owned(),
                merge: HeaderMerge::First,
            })
            .collect();
        let mut fixture = Fixture::get(&upstream.url());
        fixture.source = Fetcher::new(connected(&source).unwrap());
        fixture.outcome().await.unwrap();
        let given = fixture.context.propagated.take();
        let values: Vec<_> = given.iter().map(|(_, value)| value).collect();
        assert_eq!(values, expected);
    }
}

#[tokio::test]
async fn a_stream_stops_at_its_bound() {
    // Long ones, of which few are on the way when the reader stops.
    let long = json!({ "text": "x".repeat(100_000) });
    let message = thing(long.clone());
    let mut upstream = answers(move || Answer::Endless(message.clone()));
    let list = Shape::List(Box::new(text_shape()));
    let fixture = Fixture::new(&upstream.url(), request("List", Vec::new()), list);
    assert_eq!(fixture.outcome().await.unwrap(), json!([long, long, long]));
    upstream.abandoned().await;
}

#[tokio::test]
async fn one_that_is_not_found_is_null_where_the_graph_allows_it() {
    let upstream = fails(tonic::Status::not_found("no thing 7"));
    let url = upstream.url();
    assert_eq!(Fixture::get(&url).outcome().await.unwrap(), Json::Null);

    let mut required = Fixture::get(&url);
    required.resolver.reply.ty = required.resolver.reply.ty.non_null();
    let error = required.outcome().await.unwrap_err();
    assert_eq!(
        (error.code, &*error.message),
        (Code::NotFound, "no thing 7")
    );

    let mut strict = Fixture::get(&url);
    strict.resolver.policy.not_found_is_error = true;
    assert_eq!(strict.code().await, Code::NotFound);

    assert_eq!(Fixture::batch(&url, 2, 10).code().await, Code::NotFound);
}

#[tokio::test]
async fn a_status_can_be_a_type_of_the_graph() {
    let upstream = fails(tonic::Status::failed_precondition("already shipped"));
    let variant = |layout, status: &[&str], fields: Fields| AbstractVariant {
        value: None,
        status: status.iter().map(|name| (*name).to_owned()).collect(),
        shape: Arc::new(plan::shape::ObjectShape {
            layout,
            ..fields.shape()
        }),
    };
    let shape = Shape::Abstract(Arc::new(AbstractShape {
        ty: "Outcome".into(),
        discriminator: Vec::new(),
        variants: vec![
            variant(
                1,
                &[],
                Fields::default().read("text", leaf(LeafKind::String)),
            ),
            variant(
                2,
                &["FAILED_PRECONDITION"],
                Fields::default().read("message", leaf(LeafKind::String)),
            ),
        ],
    }));
    let fixture = Fixture::new(&upstream.url(), request("Get", Vec::new()), shape.clone());
    assert_eq!(
        fixture.outcome().await.unwrap(),
        json!({ "message": "already shipped" })
    );
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "done" }))]));
    let fixture = Fixture::new(&upstream.url(), request("Get", Vec::new()), shape);
    assert_eq!(fixture.outcome().await.unwrap(), json!({ "text": "done" }));
}

#[tokio::test]
async fn a_mutation_that_may_have_happened_says_so() {
    let unknown = async |upstream: &Upstream| {
        let fixture = Fixture::get(&upstream.url()).mutation();
        fixture.outcome().await.unwrap_err().outcome_unknown
    };
    assert!(unknown(&fails(tonic::Status::unavailable("restarting"))).await);
    assert!(!unknown(&fails(tonic::Status::invalid_argument("no"))).await);
    let refused = Fixture::get(&closed_url())
        .mutation()
        .outcome()
        .await
        .unwrap_err();
    assert!(!refused.outcome_unknown, "nothing was sent");
    let read = Fixture::get(&fails(tonic::Status::unavailable("restarting")).url());
    assert!(!read.outcome().await.unwrap_err().outcome_unknown);
}

#[tokio::test]
async fn what_the_client_sent_wrongly_is_told_without_a_call() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut fixture = Fixture::get(&upstream.url());
    fixture.args = json!({ "id": "seven" });
    let error = fixture.outcome().await.unwrap_err();
    assert_eq!(error.code, Code::BadUserInput);
    assert_eq!(
        error.message,
        "The request's field `int64_field` takes an int64."
    );
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn a_reply_that_is_no_message_of_the_contract_is_invalid() {
    for garbage in [vec![0xff; 9], b"<html>".to_vec(), vec![0x72, 0x7f, b'x']] {
        let upstream = answers(move || Answer::Messages(vec![garbage.clone()]));
        let error = Fixture::get(&upstream.url()).outcome().await.unwrap_err();
        assert_eq!(error.code, Code::UpstreamInvalidResponse);
        assert_eq!(error.message, "The service's answer is not as declared.");
        assert!(error.internal.is_some());
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let error = Fixture::get(&closed_url()).outcome().await.unwrap_err();
    assert_eq!(error.code, Code::UpstreamUnavailable);
    assert!(
        !error.message.contains("127.0.0.1"),
        "addresses never leave"
    );
}

#[tokio::test]
async fn a_call_ends_with_its_own_time_or_with_the_requests() {
    let upstream = answers(|| Answer::Hang);
    let mut slow = Fixture::get(&upstream.url());
    slow.resolver.policy.timeout = Some(Duration::from_millis(50));
    assert_eq!(slow.code().await, Code::UpstreamTimeout);

    let mut late = Fixture::get(&upstream.url());
    late.context.deadline = calls::now() + Duration::from_millis(50);
    assert_eq!(late.code().await, Code::DeadlineExceeded);

    let mut over = Fixture::get(&upstream.url());
    over.context.deadline = calls::now();
    assert_eq!(over.code().await, Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_calls_time_is_never_longer_than_what_remains() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut fixture = Fixture::get(&upstream.url());
    fixture.context.deadline = calls::now() + Duration::from_secs(3);
    fixture.outcome().await.unwrap();
    let sent = upstream.calls()[0].headers["grpc-timeout"]
        .to_str()
        .unwrap()
        .to_owned();
    let millis: u64 = sent.strip_suffix('m').unwrap().parse().unwrap();
    assert!(millis <= 3000, "{sent}");
}

#[tokio::test]
async fn identical_reads_in_flight_are_one_call() {
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "once" }))]));
    let fixture = Fixture::get(&upstream.url());
    let (one, two) = tokio::join!(fixture.outcome(), fixture.outcome());
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(upstream.calls().len(), 1);
    let coalesced: Vec<_> = fixture
        .context
        .calls
        .unwrap()
        .take()
        .iter()
        .map(|call| call.coalesced)
        .collect();
    assert_eq!(coalesced.iter().filter(|coalesced| **coalesced).count(), 1);
}

#[tokio::test]
async fn reads_of_another_identity_or_epoch_and_mutations_are_calls_of_their_own() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut fixture = Fixture::get(&upstream.url());
    let mut other = context();
    other.headers.insert("x-tenant", "eight".parse().unwrap());
    let mut later = context();
    later.epoch = 1;
    let fetch = |context| Fetch {
        step: &fixture.step,
        shape: &fixture.step.shape,
        prepared: &fixture.step.prepared,
        resolver: &fixture.resolver,
        args: fixture.args.as_object().unwrap().clone(),
        below: Vec::new(),
        rows: fixture.rows.clone(),
        context,
    };
    let source = &fixture.source;
    tokio::join!(
        source.fetch(fetch(&fixture.context)),
        source.fetch(fetch(&other)),
        source.fetch(fetch(&later))
    );
    assert_eq!(upstream.calls().len(), 3);
    fixture = fixture.mutation();
    let (one, two) = tokio::join!(fixture.outcome(), fixture.outcome());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(upstream.calls().len(), 5);
}

#[tokio::test]
async fn the_field_mask_asks_for_what_is_selected() {
    let upstream = answers(|| Answer::Messages(vec![Vec::new()]));
    let mut request = request("Get", Vec::new());
    request.field_mask = Some("mask".to_owned());
    let shape = Fields::default()
        .read("text", leaf(LeafKind::String))
        .read("child.optional_int", leaf(LeafKind::Int))
        .object();
    Fixture::new(&upstream.url(), request, shape)
        .outcome()
        .await
        .unwrap();
    assert_eq!(
        asked(&upstream.calls()[0]),
        json!({ "mask": "child.optionalInt,text" })
    );
}

/// Three things on two pages: the cursor stands in `text`.
fn pages(call: &Call) -> Answer {
    let page = match asked(call)["optionalText"].as_str() {
        None => json!({ "text": "p2", "children": [{ "text": "a" }, { "text": "b" }] }),
        Some("p2") => json!({ "children": [{ "text": "c" }] }),
        Some(other) => panic!("{other}"),
    };
    Answer::Messages(vec![thing(page)])
}

fn paged(url: &str, follow: u32) -> Fixture {
    let list = Shape::List(Box::new(text_shape()));
    let mut fixture = Fixture::new(url, request("Get", Vec::new()), list.clone());
    fixture.step.shape = unwrapped("children", list);
    fixture.resolver.reply.unwrap = vec!["children".to_owned()];
    fixture.resolver.page = Some(Page {
        style: PageStyle::Cursor,
        size: Some("int32_field".to_owned()),
        at: Some("optional_text".to_owned()),
        next: Some(vec!["text".to_owned()]),
        has_more: None,
        total: None,
        max_size: 2,
        follow: Some(follow),
        first: None,
        after: None,
    });
    fixture
}

#[tokio::test]
async fn a_list_is_read_page_by_page_into_one_tape() {
    let upstream = Upstream::start(pages);
    let things = paged(&upstream.url(), 5).outcome().await.unwrap();
    assert_eq!(
        things,
        json!([{ "text": "a" }, { "text": "b" }, { "text": "c" }])
    );
    let calls: Vec<_> = upstream.calls().iter().map(asked).collect();
    assert_eq!(
        calls,
        [
            json!({ "int32Field": 2 }),
            json!({ "int32Field": 2, "optionalText": "p2" })
        ]
    );
    let first = paged(&upstream.url(), 0).outcome().await.unwrap();
    assert_eq!(first, json!([{ "text": "a" }, { "text": "b" }]));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let source = declared("ftp://things");
    let refused = connected(&source);
    assert!(matches!(refused, Err(ConnectError::Url { .. })));
}

#[test]
fn the_timeout_header_has_at_most_eight_digits() {
    assert_eq!(timeout_header(Duration::from_millis(1500)), "1500m");
    assert_eq!(timeout_header(Duration::from_nanos(1)), "1m");
    assert_eq!(
        timeout_header(Duration::from_secs(u64::MAX / 2)),
        "99999999m"
    );
}

mod again;
mod events;
mod shop;

#[tokio::test]
async fn a_call_above_the_sources_limit_is_not_made() {
    let upstream = answers(|| Answer::Messages(vec![thing(json!({ "text": "once" }))]));
    let mut source = declared(&upstream.url());
    source.limits.requests_per_second = Some(1);
    let grpc = connected(&source).unwrap();
    let mut fixture = Fixture::get(&upstream.url());
    fixture.source = Fetcher::new(grpc);
    assert!(fixture.outcome().await.is_ok());
    let refused = fixture.outcome().await.unwrap_err();
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after.is_some() && !refused.outcome_unknown);
    assert_eq!(upstream.calls().len(), 1);
}
