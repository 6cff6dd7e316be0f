//! Fields of Subscription: calls whose reply is a stream of events.

use super::Lowering;
use super::input::Input;
use super::rest::Lowered;
use crate::diagnostic::Diagnostic;
use crate::model::Request;

/// What bounds, repeats or gathers one reply says nothing of a stream of them.
const OF_ONE_REPLY: [&str; 4] = ["maxMessages", "page", "batch", "hedge"];

impl Lowering<'_> {
    /// The call as one that brings events: each message of its stream is a reply of its own. None
    /// where it answers once.
    pub(super) fn as_events(&mut self, input: &Input<'_>, mut lowered: Lowered) -> Option<Lowered> {
        for name in OF_ONE_REPLY.into_iter().filter(|name| input.has(name)) {
            let message = format!("`{name}` has no meaning on a Subscription field");
            self.push(
                Diagnostic::error("INVALID_VALUE", message)
                    .at(input.at_name(name))
                    .help("leave it out: events come one by one for as long as a client listens"),
            );
        }
        if !lowered.streamed {
            let message =
                "a Subscription field is answered by a stream, and this method answers once";
            self.push(
                Diagnostic::error("NOT_A_STREAM", message)
                    .at(input.at_value("method"))
                    .help("name a method that `returns (stream …)`"),
            );
            return None;
        }
        if let Request::Grpc(request) = &mut lowered.request {
            request.max_messages = u32::MAX;
        }
        Some(Lowered {
            streamed: false,
            ..lowered
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, printed_files, said_of};
    use crate::SchemaFiles;

    const PROTO: &str = "syntax = \"proto3\"; package v1;
        service Items {
          rpc Get(Which) returns (Item);
          rpc Watch(Which) returns (stream Changed);
        }
        message Which { int64 id = 1; }
        message Changed { Item item = 1; }
        message Item { int64 id = 1; string full_name = 2; }";

    fn with(fields: &str) -> SchemaFiles {
        let source = "extend schema @source(name: \"items\", grpc: { url: \"http://a\", protos: [\"items.proto\"] })";
        let types = "type Item { id: ID! fullName: String }";
        let mut files = file(&format!(
            "{source}\n{types} type Subscription {{ {fields} }}"
        ));
        files.files.insert("items.proto".into(), PROTO.into());
        files
    }

    #[test]
    fn each_message_of_a_stream_is_one_event() {
        let shown = printed_files(&with(
            "changed(id: ID!): Item @grpc(method: \"v1.Items/Watch\", result: \"item\")",
        ));
        assert_eq!(
            shown,
            "Subscription.changed\n  \
             call    items: v1.Items.Watch { id: $args.id as integer }\n  \
             reply   item → Item { id, fullName: full_name }\n"
        );
    }

    #[test]
    fn what_answers_once_or_is_bounded_is_no_subscription() {
        let once = said_of(&with("item(id: ID!): Item @grpc(method: \"v1.Items/Get\")"));
        assert!(
            once.starts_with("error[NOT_A_STREAM] shop.graphql:2:"),
            "{once}"
        );
        let bounded = said_of(&with(
            "changed(id: ID!): Item @grpc(method: \"v1.Items/Watch\", result: \"item\", maxMessages: 3)",
        ));
        assert!(
            bounded.contains("`maxMessages` has no meaning"),
            "{bounded}"
        );
    }

    #[test]
    fn a_subscription_that_nobody_answers_is_an_error() {
        let nobody = said_of(&with("changed: Item"));
        assert!(nobody.starts_with("error[NO_RESOLVER]"), "{nobody}");
        assert!(nobody.contains("answers with a stream"), "{nobody}");
    }
}
