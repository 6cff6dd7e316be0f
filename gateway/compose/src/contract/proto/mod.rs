//! Protocol Buffers: services compiled from .proto files, from a descriptor set, or handed over as
//! descriptors.
//!
//! Compiles in memory, without protoc. Must not know transports: the descriptors are handed on to
//! whoever makes the calls.

mod compile;
mod lower;
mod nesting;
#[cfg(test)]
mod tests;

pub use compile::imports;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::error::ContractError;
use super::model::{Contract, Place, TypeId};
use crate::suggest;
use lower::Messages;

/// What .proto files say of a service.
#[derive(Debug, Clone)]
pub struct Proto {
    pool: DescriptorPool,
    contract: Contract,
    methods: IndexMap<String, Method>,
}

/// A method of a gRPC service.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name as `package.Service/Method`.
    pub name: String,
    /// Its descriptor, for whoever makes the call.
    pub descriptor: MethodDescriptor,
    /// The message it takes.
    pub input: TypeId,
    /// The message it answers with.
    pub output: TypeId,
    /// Whether it takes a stream of messages.
    pub client_streaming: bool,
    /// Whether it answers with a stream of messages.
    pub server_streaming: bool,
    /// What its option `idempotency_level` says.
    pub idempotency: Idempotency,
    /// Where it is declared.
    pub place: Place,
}

/// What a service promises about calling a method twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing.
    Unknown,
    /// It only reads.
    NoSideEffects,
    /// A second call has no further effect.
    Idempotent,
}

impl Proto {
    /// Compiles .proto files.
    ///
    /// `sources` are the names and texts of all files, imported ones included (those of
    /// `google/protobuf/` are built in); `roots` are the names of those whose services are wanted.
    /// An import is found by the name it is given in the `import` statement, or by a longer name
    /// that ends with it, if there is only one: `import "common.proto"` finds
    /// `protos/common.proto`.
    pub fn compile<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a str)>,
        roots: &[&str],
    ) -> Result<Self, ContractError> {
        let compiled = compile::compile(sources, roots)?;
        Ok(Self::lower(compiled.pool, &compiled.given_names))
    }

    /// Reads the bytes of a `google.protobuf.FileDescriptorSet`. `file` is how messages call it.
    pub fn from_descriptor_set(file: &str, bytes: &[u8]) -> Result<Self, ContractError> {
        let pool = compile::decode(file, bytes)?;
        Ok(Self::from_pool(pool))
    }

    /// Takes descriptors that came another way, such as by server reflection.
    pub fn from_pool(pool: DescriptorPool) -> Self {
        Self::lower(pool, &HashMap::new())
    }

    /// The types of all messages that a method leads to.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The descriptors, for whoever makes calls.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Every method, by service.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.values()
    }

    /// The method of a name such as `package.Service/Method`.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// What a person may have meant by a name that is no method.
    pub fn closest(&self, name: &str) -> Vec<String> {
        let wanted = with_slash(name);
        let names = || self.methods.keys().map(String::as_str);
        let ends_so = names().filter(|known| known.ends_with(&format!(".{wanted}")));
        let mut near: Vec<&str> = ends_so.take(3).collect();
        if near.is_empty() {
            near = suggest::closest(&wanted, names());
        }
        if near.is_empty() {
            let method = method_part(&wanted);
            near = names()
                .filter(|known| method_part(known) == method)
                .take(3)
                .collect();
        }
        near.into_iter().map(str::to_owned).collect()
    }

    fn lower(pool: DescriptorPool, given_names: &HashMap<String, Arc<str>>) -> Self {
        let mut messages = Messages::new(given_names);
        let services: Vec<_> = pool.services().collect();
        let methods = services
            .iter()
            .flat_map(|service| service.methods())
            .map(|descriptor| messages.method(descriptor))
            .map(|method| (method.name.clone(), method))
            .collect();
        Proto {
            pool,
            contract: messages.finish(),
            methods,
        }
    }
}

/// `package.Service.Method` and `/package.Service/Method` mean `package.Service/Method`.
fn with_slash(name: &str) -> String {
    let name = name.trim_start_matches('/');
    match (name.contains('/'), name.rsplit_once('.')) {
        (false, Some((service, method))) => format!("{service}/{method}"),
        _ => name.to_owned(),
    }
}

fn method_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
