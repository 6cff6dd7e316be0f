//! Subscriptions: one tape for each message, as they come.

use std::time::Duration;

use futures_util::StreamExt as _;
use plan::source::Events;

use super::*;

impl Fixture {
    /// The events of `List`.
    fn changes(url: &str) -> Self {
        let mut fixture = Self::new(url, request("List", Vec::new()), text_shape());
        fixture.resolver.target = Target::Root {
            ty: name!("Subscription"),
            field: name!("thing"),
            mutation: false,
        };
        fixture
    }

    fn listen(&self) -> Events<'_> {
        self.source.subscribe(Fetch {
            step: &self.step,
            shape: &self.step.shape,
            prepared: &self.step.prepared,
            resolver: &self.resolver,
            args: Default::default(),
            below: Vec::new(),
            rows: vec![Row::new()],
            context: &self.context,
        })
    }

    async fn told(&self) -> Vec<Result<Json, Code>> {
        let events = self.listen().map(|event| match event {
            Ok(tape) => Ok(shown(&tape, &self.step.shape.root)),
            Err(error) => Err(error.code),
        });
        events.collect().await
    }
}

fn text(text: &str) -> Json {
    json!({ "text": text })
}

#[tokio::test]
async fn each_message_is_an_event_and_the_streams_end_is_theirs() {
    let upstream = answers(|| Answer::Messages(vec![thing(text("one")), thing(text("two"))]));
    let fixture = Fixture::changes(&upstream.url());
    assert_eq!(fixture.told().await, [Ok(text("one")), Ok(text("two"))]);
    let call = &upstream.calls()[0];
    assert_eq!(call.path, "/test.Things/List");
    assert_eq!(call.headers["x-tenant"], "seven");
    assert_eq!(call.headers["x-correlation-id"], "corr-1");
    assert!(
        !call.headers.contains_key("grpc-timeout"),
        "{:?}",
        call.headers
    );
}

#[tokio::test]
async fn more_than_a_reply_may_have_may_come_one_by_one() {
    let upstream = answers(|| Answer::Messages(vec![thing(text("again")); 1_500]));
    let fixture = Fixture::changes(&upstream.url());
    assert_eq!(fixture.listen().count().await, 1_500);
}

#[tokio::test]
async fn whoever_stops_listening_ends_the_call() {
    let mut upstream = answers(|| Answer::Endless(thing(text(&"again".repeat(20_000)))));
    let fixture = Fixture::changes(&upstream.url());
    let mut events = fixture.listen();
    assert!(matches!(events.next().await, Some(Ok(_))));
    drop(events);
    let abandoned = tokio::time::timeout(Duration::from_secs(20), upstream.abandoned());
    abandoned.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_what_the_service_says() {
    let status = || tonic::Status::not_found("no such thing");
    let late = answers(move || Answer::MessageThen(thing(text("one")), status()));
    let told = Fixture::changes(&late.url()).told().await;
    assert_eq!(told, [Ok(text("one")), Err(Code::NotFound)]);
    let at_once = fails(tonic::Status::permission_denied("not for you"));
    let told = Fixture::changes(&at_once.url()).told().await;
    assert_eq!(told, [Err(Code::Forbidden)]);
    let told = Fixture::changes(&closed_url()).told().await;
    assert_eq!(told, [Err(Code::UpstreamUnavailable)]);
    let malformed = answers(|| Answer::Messages(vec![vec![0xff; 3], thing(text("two"))]));
    let told = Fixture::changes(&malformed.url()).told().await;
    assert_eq!(told, [Err(Code::UpstreamInvalidResponse)]);
}
