//! OpenAPI 3.0 and 3.1 documents.
//!
//! [`OpenApi::parse`] is the front door: text → value (`text`) → references (`document`) →
//! operations (`read`) over types (`schema`, from schemas put together by `flat`). Servers,
//! security and examples are not read: addresses and credentials are the mapping's.

mod document;
mod flat;
mod locate;
mod operation;
mod path;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod types;

pub use operation::{
    Body, Content, Encoding, Location, Operation, Parameter, ParameterStyle, Response, Status,
};
pub use path::{PathBinding, PathPart, PathTemplate};

use super::error::ContractError;
use super::model::Contract;
use crate::suggest;
use document::Document;

/// What an OpenAPI document says of a service.
#[derive(Debug, Clone)]
pub struct OpenApi {
    contract: Contract,
    operations: Vec<Operation>,
}

/// The operation that a request's method and path mean.
#[derive(Debug, Clone)]
pub struct Matched<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// Its path parameters in order, and what the request puts in their place.
    pub bindings: Vec<PathBinding>,
}

impl OpenApi {
    /// Reads a document, YAML or JSON. `file` is how messages call it; a name that ends with
    /// `.json` is read as JSON.
    ///
    /// An error is one of the whole document. A mistake in one operation or schema is kept until
    /// [`OpenApi::problems_of`] asks for it, so that it stops only who uses it.
    pub fn parse(file: &str, source: &str) -> Result<Self, ContractError> {
        let document = Document::parse(file, source)?;
        let (operations, contract) = read::read(&document);
        Ok(OpenApi {
            contract,
            operations,
        })
    }

    /// The types of the document.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Every operation, in the document's order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that a method and a path template mean, whatever the parameters are called;
    /// of several the one with literal text further to the left.
    pub fn operation(&self, method: &str, template: &str) -> Option<Matched<'_>> {
        let request = PathTemplate::parse(template);
        let candidates = self.operations.iter().filter_map(|operation| {
            let is_method = operation.method.eq_ignore_ascii_case(method);
            let fit = operation.template.fit(&request).filter(|_| is_method)?;
            Some((fit, operation))
        });
        let (fit, operation) = candidates.max_by(|(a, _), (b, _)| a.literals.cmp(&b.literals))?;
        Some(Matched {
            operation,
            bindings: fit.bindings,
        })
    }

    /// What a person may have meant by a method and a path that match nothing, as
    /// `GET /users/{id}`: other methods of that path, else paths of a similar shape.
    pub fn closest(&self, method: &str, template: &str) -> Vec<String> {
        let request = PathTemplate::parse(template);
        let fits = |operation: &&Operation| operation.template.fit(&request).is_some();
        let other_methods: Vec<String> =
            self.operations.iter().filter(fits).map(signature).collect();
        if !other_methods.is_empty() {
            return other_methods;
        }
        let wanted = format!("{} {}", method.to_uppercase(), request.shape());
        let shapes: Vec<(String, &Operation)> = self
            .operations
            .iter()
            .map(|operation| {
                let shape = operation.template.shape();
                (format!("{} {shape}", operation.method), operation)
            })
            .collect();
        suggest::closest(&wanted, shapes.iter().map(|(shape, _)| shape.as_str()))
            .into_iter()
            .filter_map(|near| shapes.iter().find(|(shape, _)| shape == near))
            .map(|(_, operation)| signature(operation))
            .collect()
    }

    /// What is wrong with an operation and the types it refers to.
    pub fn problems_of<'a>(&'a self, operation: &'a Operation) -> Vec<&'a ContractError> {
        let mut problems: Vec<&ContractError> = operation.problems.iter().collect();
        problems.extend(self.contract.problems_within(operation.types()));
        problems
    }
}

fn signature(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}
