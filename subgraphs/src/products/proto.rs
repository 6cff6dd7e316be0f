//! The messages, client and server of `schema/products.proto`, generated when the crate is built.

#![expect(missing_docs, reason = "the proto is where these are described")]

tonic::include_proto!("ecommerce.v1");
