//! From text to one valid operation.
//!
//! Owns parsing, validating and choosing the operation. Validation is
//! apollo-compiler's; this adds what it leaves to the caller.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::executable::Operation;
use apollo_compiler::validation::DiagnosticList;
use apollo_compiler::validation::Valid;

use crate::code::Code;
use crate::limits::DocumentLimits;
use crate::limits::check;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// A document that fits the schema.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) valid: Valid<ExecutableDocument>,
}

impl Document {
    /// Parses and validates; limits apply before parsing.
    pub fn parse(
        schema: &Valid<Schema>,
        text: &str,
        limits: &DocumentLimits,
    ) -> Result<Self, Refusal> {
        check(text, limits)?;
        let parsed = ExecutableDocument::parse(schema, text, "operation.graphql")
            .map_err(|bad| refuse(&bad.errors, limits))?;
        let valid = parsed
            .validate(schema)
            .map_err(|bad| refuse(&bad.errors, limits))?;
        Ok(Self { valid })
    }

    /// The operation of this name, or the only one.
    pub fn operation(&self, name: Option<&str>) -> Result<&Node<Operation>, Refusal> {
        let name = name.filter(|name| !name.is_empty());
        self.valid
            .operations
            .get(name)
            .map_err(|_| Refusal::new(Code::OperationNotFound, self.not_found(name)))
    }

    fn not_found(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("The document has no operation named \"{name}\"."),
            None if self.valid.operations.is_empty() => {
                "The document has no operation, only fragments.".into()
            }
            None => "The document has several operations: say which with `operationName`.".into(),
        }
    }
}

fn refuse(errors: &DiagnosticList, limits: &DocumentLimits) -> Refusal {
    let parse = errors
        .iter()
        .any(|e| e.error.unstable_error_name().is_none() && is_syntax(&e.error.to_string()));
    let code = match parse {
        true => Code::GraphqlParseFailed,
        false => Code::GraphqlValidationFailed,
    };
    let errors = errors
        .iter()
        .take(limits.errors)
        .map(|e| request_error(&e))
        .collect();
    Refusal { code, errors }
}

fn is_syntax(message: &str) -> bool {
    message.starts_with("syntax error")
        || message.contains("recursion")
        || message.contains("limit")
}

fn request_error(
    diagnostic: &apollo_compiler::diagnostic::Diagnostic<
        '_,
        apollo_compiler::validation::DiagnosticData,
    >,
) -> RequestError {
    let json = diagnostic.unstable_to_json_compat();
    RequestError {
        message: json.message,
        locations: json.locations.iter().map(|l| (l.line, l.column)).collect(),
    }
}
