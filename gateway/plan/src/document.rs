//! From text to one valid operation.
//!
//! Owns parsing, validating and choosing the operation. Validation is
//! apollo-compiler's; this adds what it leaves to the caller.

use std::collections::HashSet;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::executable::Operation;
use apollo_compiler::executable::Selection;
use apollo_compiler::executable::SelectionSet;
use apollo_compiler::validation::DiagnosticList;
use apollo_compiler::validation::Valid;
use compose::Supergraph;
use compose::model::LabelId;

use crate::code::Code;
use crate::limits::Measures;
use crate::limits::OperationLimits;
use crate::limits::Walk;
use crate::limits::check_merging;
use crate::limits::scan;
use crate::refusal::Refusal;
use crate::refusal::RequestError;

/// A document that fits the schema.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) valid: Valid<ExecutableDocument>,
    pub(crate) measures: Measures,
}

impl Document {
    /// Parses and validates. Limits apply before the work that they bound.
    pub fn parse(
        schema: &Valid<Schema>,
        text: &str,
        limits: &OperationLimits,
    ) -> Result<Self, Refusal> {
        let scanned = scan(text, limits)?;
        let parsed = ExecutableDocument::parse(schema, text, "operation.graphql")
            .map_err(|bad| refuse(&bad.errors, limits))?;
        let measures = Walk::measure(&parsed, scanned)?;
        limits.check(&measures)?;
        check_merging(schema, &parsed)?;
        let valid = parsed
            .validate(schema)
            .map_err(|bad| refuse(&bad.errors, limits))?;
        Ok(Self { valid, measures })
    }

    /// What the limits are compared with.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// The operation of this name, or the only one.
    pub fn operation(&self, name: Option<&str>) -> Result<&Node<Operation>, Refusal> {
        let name = name.filter(|name| !name.is_empty());
        self.valid
            .operations
            .get(name)
            .map_err(|_| Refusal::new(Code::OperationNotFound, self.not_found(name)))
    }

    /// The labels of `@override` on which the plan of one of its operations may depend.
    pub fn labels(&self, graph: &Supergraph) -> Vec<LabelId> {
        if graph.labels().is_empty() {
            return Vec::new();
        }
        let selected = self.selected();
        let labels = graph.labels().iter().enumerate();
        labels
            .filter(|(_, label)| label.concerns(&selected))
            .map(|(index, _)| LabelId(index as u32))
            .collect()
    }

    /// The names of all fields that it selects anywhere.
    fn selected(&self) -> HashSet<&str> {
        let operations = self.valid.operations.iter();
        let fragments = self.valid.fragments.values();
        let mut open: Vec<&SelectionSet> = operations
            .map(|it| &it.selection_set)
            .chain(fragments.map(|it| &it.selection_set))
            .collect();
        let mut selected = HashSet::new();
        while let Some(set) = open.pop() {
            for selection in &set.selections {
                match selection {
                    Selection::Field(field) => {
                        selected.insert(field.name.as_str());
                        open.extend(&field.selection_set);
                    }
                    Selection::InlineFragment(inline) => open.push(&inline.selection_set),
                    Selection::FragmentSpread(_) => {}
                }
            }
        }
        selected
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

fn refuse(errors: &DiagnosticList, limits: &OperationLimits) -> Refusal {
    let parse = errors
        .iter()
        .any(|e| e.error.unstable_error_name().is_none() && is_syntax(&e.error.to_string()));
    let code = match parse {
        true => Code::GraphqlParseFailed,
        false => Code::GraphqlValidationFailed,
    };
    let errors = errors
        .iter()
        .take(limits.most_errors())
        .map(|e| request_error(&e))
        .collect();
    Refusal {
        code,
        errors,
        details: Vec::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Valid<Schema> {
        let sdl = "type Query { user(id: ID, tags: [Int]): User users: [User!] } type User { id: ID! name: String friend: User tagged(tags: [Int]): User }";
        Schema::parse_and_validate(sdl, "schema.graphql").unwrap()
    }

    fn refusal(text: &str) -> Refusal {
        let schema = schema();
        Document::parse(&schema, text, &OperationLimits::default()).unwrap_err()
    }

    #[test]
    fn a_document_that_does_not_parse_says_where() {
        let refusal = refusal("{ user(id: ) { id } }");
        assert_eq!(refusal.code, Code::GraphqlParseFailed);
        assert!(!refusal.errors[0].locations.is_empty());
    }

    #[test]
    fn a_field_that_does_not_exist_is_named() {
        let refusal = refusal("{ users { nmae } }");
        assert_eq!(refusal.code, Code::GraphqlValidationFailed);
        assert!(refusal.errors[0].message.contains("nmae"), "{refusal}");
        assert_eq!(refusal.errors[0].locations, vec![(1, 11)]);
    }

    #[test]
    fn an_empty_selection_is_refused() {
        assert_eq!(refusal("{ users { } }").code, Code::GraphqlParseFailed);
        assert_eq!(refusal("{ }").code, Code::GraphqlParseFailed);
        let inner = refusal("{\n  users { ... on User { } } }");
        assert_eq!(inner.code, Code::GraphqlParseFailed);
        assert_eq!(inner.errors[0].locations, vec![(2, 25)]);
    }

    #[test]
    fn doubling_fragments_are_refused_or_validated_in_bounded_work() {
        let mut text = String::from("{ user { ...F0 } }");
        for level in 0..60 {
            text.push_str(&format!(
                " fragment F{level} on User {{ ...F{0} ...F{0} }}",
                level + 1
            ));
        }
        text.push_str(" fragment F60 on User { id }");
        let schema = schema();
        let document = Document::parse(&schema, &text, &OperationLimits::default());
        assert!(document.is_ok());
    }

    #[test]
    fn a_missing_operation_is_named() {
        let schema = schema();
        let two = "query A { users { id } } query B { users { id } }";
        let document = Document::parse(&schema, two, &OperationLimits::default()).unwrap();
        assert!(document.operation(Some("A")).is_ok());
        for name in [None, Some("C"), Some("")] {
            let refusal = document.operation(name).unwrap_err();
            assert_eq!(refusal.code, Code::OperationNotFound);
        }
    }
}
