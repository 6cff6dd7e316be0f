//! A service's contract, asked of the service itself.
//!
//! Owns the reflection protocol, in its final version and the alpha that older
//! servers speak. Asks once, at start. Knows nothing of calls to the graph.
//! <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::transport::Channel;

use super::call;
use super::call::Failure;
use super::call::Outgoing;
use super::call::Take;
use super::channel;
use super::status;
use crate::ConnectError;
use crate::SourcesConfig;
use crate::credentials::Bearer;
use crate::peers::Address;
use crate::peers::PeerSettings;
use crate::peers::Peers;
use crate::peers::SystemResolver;

const VERSIONS: [&str; 2] = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];
/// For all questions together.
const TIME: Duration = Duration::from_secs(10);
const CONNECT_TIME: Duration = Duration::from_secs(2);
const PEERS: PeerSettings = PeerSettings {
    lookup: CONNECT_TIME,
    eject_after: 0,
    max_age: None,
};
/// The largest answer to one question.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Files of one contract: a server that names ever new ones is stopped.
const MAX_FILES: usize = 10_000;

/// Why a service's contract could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReflectError {
    /// The address is none.
    #[error("`{url}` is not an address: {reason}")]
    Url {
        /// As it was written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What the configuration says of it cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The service cannot be reached.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The service does not speak the reflection protocol.
    #[error("{url} does not offer server reflection; name its descriptors or .proto files instead")]
    Unsupported {
        /// The address.
        url: String,
    },
    /// The service answered otherwise than the protocol says.
    #[error("{url} answers server reflection with an error: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What it said.
        reason: String,
    },
}

/// The contract of the services at an address: an encoded `google.protobuf.FileDescriptorSet`. Asked as the configuration says of the source: its headers, credentials and certificates.
pub async fn reflect(
    config: &SourcesConfig,
    source: &str,
    url: &str,
) -> Result<Vec<u8>, ReflectError> {
    let address = Address::parse(url).map_err(|bad| ReflectError::Url {
        url: url.to_owned(),
        reason: bad.to_string(),
    })?;
    let unusable = |error: ConnectError| ReflectError::Settings(error.to_string());
    let settings = config.before_the_graph(source).map_err(unusable)?;
    let bearer = Bearer::new(&source.into(), &settings).map_err(unusable)?;
    let resolver = Arc::new(SystemResolver);
    let connections = channel::peers(address, settings.dial(), PEERS, resolver);
    let work = async {
        let mut metadata = settings.headers.clone();
        let credentials = bearer.value().await;
        let credentials = credentials.map_err(|error| Refused::Answer(error.message))?;
        if let Some(credentials) = credentials {
            metadata.insert(AUTHORIZATION, credentials);
        }
        in_either_version(&connections, &metadata).await
    };
    let asked = tokio::time::timeout(TIME, work).await;
    let files = asked.unwrap_or(Err(Refused::Failure(Failure::TimedOut)));
    files
        .map(|files| encoded(files.into_values()))
        .map_err(|refused| refused.of(url))
}

/// Files by name.
type Files = BTreeMap<String, Bytes>;

/// Why one question has no answer.
#[derive(Debug)]
enum Refused {
    Failure(Failure),
    Answer(String),
}

impl Refused {
    fn is_unimplemented(&self) -> bool {
        matches!(self, Refused::Failure(Failure::Status(status, _)) if status.code() == tonic::Code::Unimplemented)
    }

    fn of(self, url: &str) -> ReflectError {
        let url = url.to_owned();
        match self {
            refused if refused.is_unimplemented() => ReflectError::Unsupported { url },
            Refused::Failure(Failure::Unreachable(reason) | Failure::Broken(reason, _)) => {
                ReflectError::Unreachable { url, reason }
            }
            Refused::Failure(failure) => ReflectError::Answer {
                url,
                reason: said(failure),
            },
            Refused::Answer(reason) => ReflectError::Answer { url, reason },
        }
    }
}

fn said(failure: Failure) -> String {
    let error = match status::told_apart(failure, &Arc::from("")) {
        Ok(refusal) => refusal.error,
        Err(failed) => failed.error,
    };
    error.internal.unwrap_or(error.message)
}

async fn in_either_version(
    connections: &Arc<Peers<Channel>>,
    metadata: &HeaderMap,
) -> Result<Files, Refused> {
    let [current, alpha] = VERSIONS.map(|version| Reflection {
        connections,
        metadata,
        version,
    });
    match current.files().await {
        Err(refused) if refused.is_unimplemented() => alpha.files().await,
        other => other,
    }
}

/// What is known of the contract so far.
#[derive(Default)]
struct Contract {
    files: Files,
    imports: Vec<String>,
}

impl Contract {
    fn add(&mut self, answer: wire::Said) -> Result<(), Refused> {
        let wire::Said::Files(list) = answer else {
            return Err(unexpected());
        };
        for bytes in list.files {
            let file = wire::File::decode(bytes.clone())
                .map_err(|error| Refused::Answer(error.to_string()))?;
            self.imports.extend(file.imports);
            self.files.insert(file.name, bytes);
        }
        Ok(())
    }

    /// An import that nobody has given yet.
    fn missing(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.imports.pop()).find(|name| !self.files.contains_key(name))
    }
}

struct Reflection<'a> {
    connections: &'a Arc<Peers<Channel>>,
    metadata: &'a HeaderMap,
    version: &'a str,
}

impl Reflection<'_> {
    /// The files of every service, and all they import.
    async fn files(&self) -> Result<Files, Refused> {
        let mut contract = Contract::default();
        for service in self.services().await? {
            let question = wire::Question::FileContainingSymbol(service);
            contract.add(self.ask(question).await?)?;
        }
        while let Some(name) = contract.missing() {
            if contract.files.len() >= MAX_FILES {
                return Err(Refused::Answer(
                    "the contract has too many files".to_owned(),
                ));
            }
            contract.add(
                self.ask(wire::Question::FileByFilename(name.clone()))
                    .await?,
            )?;
            if !contract.files.contains_key(&name) {
                return Err(Refused::Answer(format!(
                    "the file `{name}` is imported but not given"
                )));
            }
        }
        Ok(contract.files)
    }

    async fn services(&self) -> Result<Vec<String>, Refused> {
        let answer = self
            .ask(wire::Question::ListServices(String::new()))
            .await?;
        let wire::Said::Services(list) = answer else {
            return Err(unexpected());
        };
        let names = list.services.into_iter().map(|service| service.name);
        Ok(names
            .filter(|name| !name.starts_with("grpc.reflection."))
            .collect())
    }

    /// One question on one stream: few are asked, and each answer stands alone.
    async fn ask(&self, question: wire::Question) -> Result<wire::Said, Refused> {
        let method = format!("{}.ServerReflection/ServerReflectionInfo", self.version);
        let path = self.connections.address().path(&method);
        let request = wire::Request {
            question: Some(question),
        };
        let outgoing = Outgoing {
            path: PathAndQuery::try_from(path)
                .map_err(|error| Refused::Answer(error.to_string()))?,
            metadata: self.metadata.clone(),
            message: request.encode_to_vec().into(),
            take: Take::UpTo(1),
            max_bytes: MAX_BYTES,
            wants_metadata: false,
        };
        let incoming = call::call(self.connections, &outgoing)
            .await
            .map_err(Refused::Failure)?;
        let answer = wire::Answer::decode(incoming.bytes)
            .map_err(|error| Refused::Answer(error.to_string()))?;
        match answer.said {
            Some(wire::Said::Error(error)) if error.code == tonic::Code::Unimplemented as i32 => {
                let status = tonic::Status::unimplemented(error.message);
                Err(Refused::Failure(Failure::Status(Box::new(status), true)))
            }
            Some(wire::Said::Error(error)) => Err(Refused::Answer(error.message)),
            Some(said) => Ok(said),
            None => Err(unexpected()),
        }
    }
}

fn unexpected() -> Refused {
    Refused::Answer("the answer is not to the question".to_owned())
}

fn encoded(files: impl Iterator<Item = Bytes>) -> Vec<u8> {
    let set = wire::FileSet {
        files: files.collect(),
    };
    set.encode_to_vec()
}

/// The protocol's messages, as far as they are used.
mod wire {
    use bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(oneof = "Question", tags = "3, 4, 7")]
        pub(super) question: Option<Question>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Question {
        #[prost(string, tag = "3")]
        FileByFilename(String),
        #[prost(string, tag = "4")]
        FileContainingSymbol(String),
        #[prost(string, tag = "7")]
        ListServices(String),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Answer {
        #[prost(oneof = "Said", tags = "4, 6, 7")]
        pub(super) said: Option<Said>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Said {
        #[prost(message, tag = "4")]
        Files(FileList),
        #[prost(message, tag = "6")]
        Services(ServiceList),
        #[prost(message, tag = "7")]
        Error(ErrorAnswer),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct FileList {
        #[prost(bytes = "bytes", repeated, tag = "1")]
        pub(super) files: Vec<Bytes>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ServiceList {
        #[prost(message, repeated, tag = "1")]
        pub(super) services: Vec<Service>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Service {
        #[prost(string, tag = "1")]
        pub(super) name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ErrorAnswer {
        #[prost(int32, tag = "1")]
        pub(super) code: i32,
        #[prost(string, tag = "2")]
        pub(super) message: String,
    }

    /// The two fields of a `FileDescriptorProto` that say which files belong together.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct File {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, repeated, tag = "3")]
        pub(super) imports: Vec<String>,
    }

    /// A `FileDescriptorSet` of files as they came.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct FileSet {
        #[prost(bytes = "bytes", repeated, tag = "1")]
        pub(super) files: Vec<Bytes>,
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;
    use tonic::Status;

    use crate::Credentials;
    use crate::SourceOverride;
    use crate::grpc::testing::compile;
    use crate::grpc::testing::server::Answer;
    use crate::grpc::testing::server::Call;
    use crate::grpc::testing::server::Upstream;

    const PROTO: &str = r#"
        syntax = "proto3";
        package test;
        import "google/protobuf/timestamp.proto";
        message Thing { google.protobuf.Timestamp at = 1; }
        service Things { rpc Get(Thing) returns (Thing); }
    "#;

    async fn asked(url: &str) -> Result<Vec<u8>, ReflectError> {
        reflect(&SourcesConfig::default(), "things", url).await
    }

    /// Answers as a server does that gives each file alone.
    fn reflection(pool: &DescriptorPool, call: &Call) -> wire::Said {
        let file = |file: Option<prost_reflect::FileDescriptor>| match file {
            Some(file) => wire::Said::Files(wire::FileList {
                files: vec![file.encode_to_vec().into()],
            }),
            None => error(tonic::Code::NotFound),
        };
        match wire::Request::decode(call.message.clone())
            .unwrap()
            .question
            .unwrap()
        {
            wire::Question::ListServices(_) => {
                services(&["test.Things", "grpc.reflection.v1.ServerReflection"])
            }
            wire::Question::FileContainingSymbol(name) => file(
                pool.get_service_by_name(&name)
                    .map(|service| service.parent_file()),
            ),
            wire::Question::FileByFilename(name) => file(pool.get_file_by_name(&name)),
        }
    }

    fn services(names: &[&str]) -> wire::Said {
        let services = names.iter().map(|name| wire::Service {
            name: (*name).to_owned(),
        });
        wire::Said::Services(wire::ServiceList {
            services: services.collect(),
        })
    }

    fn error(code: tonic::Code) -> wire::Said {
        wire::Said::Error(wire::ErrorAnswer {
            code: code as i32,
            message: "no".to_owned(),
        })
    }

    fn answer(said: wire::Said) -> Answer {
        let answer = wire::Answer { said: Some(said) };
        Answer::Messages(vec![answer.encode_to_vec()])
    }

    fn serve(only: &'static str) -> Upstream {
        let pool = compile(PROTO);
        Upstream::start(move |call| {
            match call.path.starts_with(&format!("/{only}.ServerReflection/")) {
                true => answer(reflection(&pool, call)),
                false => Answer::Status(tonic::Status::unimplemented("unknown service")),
            }
        })
    }

    #[tokio::test]
    async fn the_contract_is_complete_in_either_version() {
        for version in VERSIONS {
            let upstream = serve(version);
            let set = asked(&upstream.url()).await.unwrap();
            let pool = DescriptorPool::decode(set.as_slice()).unwrap();
            assert!(pool.get_service_by_name("test.Things").is_some());
            assert!(
                pool.get_message_by_name("google.protobuf.Timestamp")
                    .is_some()
            );
            assert_eq!(pool.files().len(), 2);
        }
    }

    #[tokio::test]
    async fn a_service_without_reflection_is_told_so() {
        let upstream = serve("another");
        let url = upstream.url();
        assert_eq!(asked(&url).await, Err(ReflectError::Unsupported { url }));
    }

    #[tokio::test]
    async fn an_answer_to_another_question_or_garbage_is_refused() {
        let upstream =
            Upstream::start(|_| answer(wire::Said::Files(wire::FileList { files: Vec::new() })));
        assert!(matches!(
            asked(&upstream.url()).await,
            Err(ReflectError::Answer { .. })
        ));
        let upstream = Upstream::start(|_| Answer::Messages(vec![vec![0xff, 0xff]]));
        assert!(matches!(
            asked(&upstream.url()).await,
            Err(ReflectError::Answer { .. })
        ));
        let upstream = Upstream::start(|_| answer(error(tonic::Code::Internal)));
        assert!(matches!(
            asked(&upstream.url()).await,
            Err(ReflectError::Answer { .. })
        ));
    }

    #[tokio::test]
    async fn an_import_that_the_service_does_not_give_is_refused() {
        let pool = compile(PROTO);
        let upstream = Upstream::start(move |call| {
            let question = wire::Request::decode(call.message.clone())
                .unwrap()
                .question;
            answer(match question {
                Some(wire::Question::FileByFilename(_)) => {
                    wire::Said::Files(wire::FileList { files: Vec::new() })
                }
                _ => reflection(&pool, call),
            })
        });
        let refused = asked(&upstream.url()).await.unwrap_err().to_string();
        assert!(
            refused
                .ends_with("the file `google/protobuf/timestamp.proto` is imported but not given"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn what_is_no_address_or_not_there_is_told_so() {
        assert!(matches!(
            asked("ftp://x").await,
            Err(ReflectError::Url { .. })
        ));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(
            asked(&url).await,
            Err(ReflectError::Unreachable { .. })
        ));
    }

    #[tokio::test]
    async fn who_the_gateway_is_is_said_as_it_is_to_calls() {
        let upstream = Upstream::start(|_| Answer::Status(Status::unimplemented("no")));
        let own = SourceOverride {
            headers: vec![("x-tenant".to_owned(), "seven".to_owned().into())],
            credentials: Some(Credentials::Basic {
                user: "gateway".to_owned(),
                password: "secret".to_owned().into(),
            }),
            ..SourceOverride::default()
        };
        let mut config = SourcesConfig::default();
        config.sources.insert("things".to_owned(), own);
        assert!(reflect(&config, "things", &upstream.url()).await.is_err());
        let call = &upstream.calls()[0];
        assert_eq!(call.headers["x-tenant"], "seven");
        assert_eq!(call.headers["authorization"], "Basic Z2F0ZXdheTpzZWNyZXQ=");
    }
}
