use bytes::Bytes;

use super::super::super::problem::Problem;
use super::*;

const INIT: &str = r#"{"type":"connection_init"}"#;

/// A conversation that was begun and accepted.
fn ready(dialect: Dialect) -> Conversation {
    let mut conversation = Conversation::new(dialect, 2);
    assert_eq!(conversation.hears(INIT), [Act::Verify(Map::new())]);
    conversation.accepts();
    conversation
}

fn sent(text: &str) -> Act {
    Act::Send(text.to_owned())
}

fn begun(id: &str) -> Act {
    Act::Begin {
        id: id.to_owned(),
        payload: r#"{"query":"{ a }"}"#.to_owned(),
    }
}

fn subscribe(id: &str) -> String {
    let id = Json::from(id);
    format!(r#"{{"id":{id},"type":"subscribe","payload":{{"query":"{{ a }}"}}}}"#)
}

fn start(id: &str) -> String {
    subscribe(id).replace("subscribe", "start")
}

fn code(acts: &[Act]) -> u16 {
    match acts {
        [Act::Close(close)] => close.code,
        other => panic!("it is not closed: {other:?}"),
    }
}

fn next(body: &'static str) -> Option<Told> {
    Some(Told::Next(Bytes::from_static(body.as_bytes())))
}

#[test]
fn every_violation_has_its_close_code() {
    let table: &[(u16, &str)] = &[
        (4400, "no json"),
        (4400, "[]"),
        (4400, r#"["connection_init"]"#),
        (4400, "{}"),
        (4400, r#"{"type":7}"#),
        (4400, r#"{"type":"unknown"}"#),
        (4400, r#"{"type":"connection_ack"}"#),
        (4400, r#"{"type":"next","id":"1","payload":{}}"#),
        (
            4400,
            r#"{"type":"start","id":"1","payload":{"query":"{ a }"}}"#,
        ),
        (4400, r#"{"type":"subscribe"}"#),
        (4400, r#"{"type":"subscribe","id":"1"}"#),
        (
            4400,
            r#"{"type":"subscribe","id":"","payload":{"query":"{ a }"}}"#,
        ),
        (
            4400,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{ a }"}}"#,
        ),
        (4400, r#"{"type":"subscribe","id":"1","payload":"{ a }"}"#),
        (4400, r#"{"type":"subscribe","id":"1","payload":null}"#),
        (4400, r#"{"type":"complete"}"#),
        (4400, r#"{"type":"ping","payload":1}"#),
        (4400, r#"{"type":"pong","payload":[]}"#),
        (4429, INIT),
    ];
    for (expected, text) in table {
        let acts = ready(Dialect::TransportWs).hears(text);
        assert_eq!(code(&acts), *expected, "{text}");
    }
}

#[test]
fn before_the_acknowledgement_nothing_runs() {
    let mut fresh = Conversation::new(Dialect::TransportWs, 2);
    assert_eq!(code(&fresh.hears(&subscribe("1"))), 4401);
    let mut waits = Conversation::new(Dialect::TransportWs, 2);
    waits.hears(INIT);
    assert_eq!(code(&waits.hears(&subscribe("1"))), 4401);
    assert_eq!(code(&waits.hears(INIT)), 4429);
    assert!(!waits.is_ready());
    let mut odd = Conversation::new(Dialect::TransportWs, 2);
    assert_eq!(
        code(&odd.hears(r#"{"type":"connection_init","payload":7}"#)),
        4400
    );
    let mut older = Conversation::new(Dialect::Legacy, 2);
    assert_eq!(code(&older.hears(&start("1"))), 4401);
}

#[test]
fn an_id_names_one_operation_at_a_time() {
    let mut conversation = ready(Dialect::TransportWs);
    assert_eq!(conversation.hears(&subscribe("1")), [begun("1")]);
    let acts = conversation.hears(&subscribe("1"));
    let expected = Close {
        code: 4409,
        reason: "Subscriber for 1 already exists".to_owned(),
    };
    assert_eq!(acts, [Act::Close(expected)]);

    let mut again = ready(Dialect::TransportWs);
    again.hears(&subscribe("1"));
    assert_eq!(
        again.tells("1", None),
        [sent(r#"{"id":"1","type":"complete"}"#)]
    );
    assert_eq!(again.hears(&subscribe("1")), [begun("1")]);
}

#[test]
fn pings_are_answered_at_any_time_with_what_they_carry() {
    let mut fresh = Conversation::new(Dialect::TransportWs, 2);
    assert_eq!(
        fresh.hears(r#"{"type":"ping"}"#),
        [sent(r#"{"type":"pong"}"#)]
    );
    let with = fresh.hears(r#"{"type":"ping","payload":{"a": [1]}}"#);
    assert_eq!(with, [sent(r#"{"type":"pong","payload":{"a": [1]}}"#)]);
    assert_eq!(fresh.hears(r#"{"type":"pong"}"#), []);
}

#[test]
fn what_an_operation_tells_is_said_until_its_end() {
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("a\"b"));
    assert_eq!(conversation.tells("a\"b", Some(Told::Begun)), []);
    assert_eq!(
        conversation.tells("a\"b", next(r#"{"data":{"n":1}}"#)),
        [sent(
            r#"{"id":"a\"b","type":"next","payload":{"data":{"n":1}}}"#
        )]
    );
    let end = [sent(r#"{"id":"a\"b","type":"complete"}"#)];
    assert_eq!(conversation.tells("a\"b", None), end);
    assert_eq!(conversation.tells("a\"b", None), []);
}

#[test]
fn an_error_ends_an_operation_without_complete() {
    let failed = || {
        Some(Told::Failed(Bytes::from_static(
            br#"{"errors":[{"message":"no"},{"message":"never"}]}"#,
        )))
    };
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("1"));
    let expected = r#"{"id":"1","type":"error","payload":[{"message":"no"},{"message":"never"}]}"#;
    assert_eq!(
        conversation.tells("1", failed()),
        [Act::Stop("1".to_owned()), sent(expected)]
    );
    assert_eq!(conversation.tells("1", None), []);

    let mut older = ready(Dialect::Legacy);
    older.hears(&start("1"));
    let expected = r#"{"id":"1","type":"error","payload":{"message":"no"}}"#;
    assert_eq!(
        older.tells("1", failed()),
        [Act::Stop("1".to_owned()), sent(expected)]
    );
}

#[test]
fn a_payload_that_is_no_operation_is_a_bad_message() {
    let told = || {
        Some(Told::Problem(
            Box::new(Problem::malformed("`query` is missing.")),
            "c".into(),
        ))
    };
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("1"));
    assert_eq!(code(&conversation.tells("1", told())), 4400);
    let mut older = ready(Dialect::Legacy);
    older.hears(&start("1"));
    assert!(
        matches!(&older.tells("1", told())[..], [Act::Stop(_), Act::Send(text)] if text.contains("MALFORMED_REQUEST"))
    );
    let busy = Some(Told::Problem(
        Box::new(Problem::new(Kind::Overloaded, "busy")),
        "c".into(),
    ));
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("1"));
    assert!(
        matches!(&conversation.tells("1", busy)[..], [Act::Stop(_), Act::Send(text)] if text.contains("OVERLOADED"))
    );
}

#[test]
fn a_client_ends_what_it_began_and_nothing_else() {
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("1"));
    let complete = r#"{"id":"1","type":"complete"}"#;
    assert_eq!(conversation.hears(complete), [Act::Stop("1".to_owned())]);
    assert_eq!(conversation.hears(complete), []);
    assert_eq!(conversation.tells("1", next("{}")), []);
}

#[test]
fn operations_of_one_socket_are_bounded() {
    let mut conversation = ready(Dialect::TransportWs);
    conversation.hears(&subscribe("1"));
    conversation.hears(&subscribe("2"));
    let acts = conversation.hears(&subscribe("3"));
    assert!(
        matches!(&acts[..], [Act::Send(text)] if text.contains("TOO_MANY_SUBSCRIPTIONS")),
        "{acts:?}"
    );
    conversation.tells("1", None);
    assert_eq!(conversation.hears(&subscribe("3")), [begun("3")]);
}

#[test]
fn credentials_are_accepted_or_the_socket_ends() {
    let mut conversation = Conversation::new(Dialect::TransportWs, 1);
    let acts = conversation.hears(r#"{"type":"connection_init","payload":{"token":"t"}}"#);
    let payload = json!({ "token": "t" });
    assert_eq!(acts, [Act::Verify(payload.as_object().unwrap().clone())]);
    assert_eq!(
        conversation.rejects(Close::forbidden()),
        close(4403, "Forbidden")
    );
    assert_eq!(
        conversation.accepts(),
        [sent(r#"{"type":"connection_ack"}"#)]
    );
    assert_eq!(conversation.keep_alive(), None);

    let mut older = Conversation::new(Dialect::Legacy, 1);
    older.hears(INIT);
    let told = sent(r#"{"type":"connection_error","payload":{"message":"Forbidden"}}"#);
    let end = Act::Close(Close::forbidden());
    assert_eq!(older.rejects(Close::forbidden()), [told, end]);
    let ack = [
        sent(r#"{"type":"connection_ack"}"#),
        sent(r#"{"type":"ka"}"#),
    ];
    assert_eq!(older.accepts(), ack);
    assert_eq!(older.keep_alive(), Some(sent(r#"{"type":"ka"}"#)));
}

#[test]
fn the_older_protocol_starts_stops_and_terminates() {
    let mut conversation = ready(Dialect::Legacy);
    assert_eq!(conversation.hears(INIT), []);
    assert_eq!(conversation.hears(&start("1")), [begun("1")]);
    assert_eq!(
        conversation.tells("1", next(r#"{"data":null}"#)),
        [sent(r#"{"id":"1","type":"data","payload":{"data":null}}"#)]
    );
    assert_eq!(
        conversation.hears(&start("1")),
        [Act::Stop("1".to_owned()), begun("1")]
    );
    let complete = sent(r#"{"id":"1","type":"complete"}"#);
    let stop = r#"{"type":"stop","id":"1"}"#;
    assert_eq!(
        conversation.hears(stop),
        [Act::Stop("1".to_owned()), complete]
    );
    assert_eq!(conversation.hears(stop), []);
    for odd in [
        "no json",
        r#"{"type":"subscribe","id":"1"}"#,
        r#"{"type":"start"}"#,
    ] {
        let acts = conversation.hears(odd);
        assert!(
            matches!(&acts[..], [Act::Send(text)] if text.contains("connection_error")),
            "{acts:?}"
        );
    }
    assert_eq!(
        code(&conversation.hears(r#"{"type":"connection_terminate"}"#)),
        1000
    );
}

#[test]
fn a_reason_fits_a_close_frame() {
    let long = Close::new(
        4409,
        format!("Subscriber for {} already exists", "ä".repeat(200)),
    );
    assert!(
        long.reason.len() <= 123 && long.reason.len() > 120,
        "{}",
        long.reason.len()
    );
}
