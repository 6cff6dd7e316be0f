//! Server reflection, so that tools can learn a gRPC service's contract from the running service.

use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};

/// Answers for the services of one encoded descriptor set.
pub(crate) fn service(descriptors: &'static [u8]) -> ServerReflectionServer<impl ServerReflection> {
    Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .build_v1()
        .expect("the build wrote these descriptors and compiled code from them")
}
