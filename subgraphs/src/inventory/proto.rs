//! The messages, client and server of `schema/inventory.proto`, generated when the crate is built.

#![expect(missing_docs, reason = "the proto is where these are described")]

tonic::include_proto!("inventory.v1");
