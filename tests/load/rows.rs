//! The rows of the benchmark: what is asked, under which configuration, and how close to the floor
//! it has to be. Knows nothing of how a row is run.

use clap::ValueEnum;

/// Two upstream calls: the list, then the ten authors in one batch.
pub(crate) const JOIN_QUERY: &str = "{ posts { id title user { id name } } }";
/// One upstream call of 32 KiB, everything in it asked for.
pub(crate) const LIST_QUERY: &str = "{ items { id sku name price inStock category description } }";
/// No upstream call.
pub(crate) const NO_UPSTREAM_QUERY: &str = "{ __typename }";
/// One gRPC call, then the ten authors in one REST batch.
pub(crate) const GRPC_QUERY: &str = "{ articleList { articles { id title user { id name } } } }";

/// What `bench run` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowName {
    /// REST list with a batched join, nothing shared between requests
    Join,
    /// REST list, one upstream call of 32 KB
    List32k,
    /// The batched join, identical concurrent queries coalesced
    JoinCoalesced,
    /// No upstream call
    NoUpstream,
    /// gRPC list with a batched REST join
    GrpcJoin,
    /// The example shop under load: errors, memory, upstream calls
    Shop,
    /// Honest clients beside hostile ones: latencies
    Hostile,
}

/// One operation under one configuration, measured against the floor.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) query: &'static str,
    /// At most this many times the floor's processor time per request.
    pub(crate) target: f64,
    /// Each request has an identity of its own, so that no server may share work between two.
    pub(crate) vary: bool,
    /// The gateway's configuration, beside this source.
    pub(crate) config: &'static str,
    /// Tailcall's, in tailcall/.
    pub(crate) tailcall: String,
}

impl RowName {
    /// The rows against the floor.
    pub(crate) const AGAINST_THE_FLOOR: [Self; 5] = [
        Self::Join,
        Self::List32k,
        Self::JoinCoalesced,
        Self::NoUpstream,
        Self::GrpcJoin,
    ];

    /// What has no floor is no such row.
    pub(crate) fn row(self) -> Option<Row> {
        let (name, title, query, target) = match self {
            Self::Join => (
                "join",
                "REST list with a batched join, nothing shared",
                JOIN_QUERY,
                1.5,
            ),
            Self::List32k => (
                "list32k",
                "REST list, one upstream call of 32 KB",
                LIST_QUERY,
                1.3,
            ),
            Self::JoinCoalesced => (
                "join-coalesced",
                "the batched join, identical queries coalesced",
                JOIN_QUERY,
                0.3,
            ),
            Self::NoUpstream => ("no-upstream", "no upstream call", NO_UPSTREAM_QUERY, 1.3),
            Self::GrpcJoin => (
                "grpc-join",
                "gRPC list with a batched REST join",
                GRPC_QUERY,
                1.5,
            ),
            Self::Shop | Self::Hostile => return None,
        };
        let coalesced = self == Self::JoinCoalesced;
        let config = if coalesced {
            "bench-coalesced.yaml"
        } else {
            "bench.yaml"
        };
        let tailcall = match self {
            Self::NoUpstream => "list32k.graphql".to_owned(),
            _ => format!("{name}.graphql"),
        };
        Some(Row {
            name,
            title,
            query,
            target,
            vary: !coalesced,
            config,
            tailcall,
        })
    }
}
