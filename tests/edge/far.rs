//! The least gRPC service there is, as a contract: `far.Far/Get`.

/// `far.proto`.
pub(super) const PROTO: &str = r#"
syntax = "proto3";
package far;
service Far { rpc Get(Empty) returns (Number); }
message Empty {}
message Number { optional int32 n = 1; }
"#;
