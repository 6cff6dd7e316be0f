//! What a document measures, in one pass over its selections.
//!
//! Owns the counts. Each fragment is walked once, however often it is spread:
//! an alias or a directive counts where it is written, and what spreading
//! multiplies is the cost's to say. Runs before validation, so nothing is
//! taken for granted: fragments may be missing or spread themselves.

use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::DirectiveList;
use apollo_compiler::ast::Value;
use apollo_compiler::executable::Field;
use apollo_compiler::executable::Operation;
use apollo_compiler::executable::Selection;
use apollo_compiler::executable::SelectionSet;
use hashbrown::HashMap;
use hashbrown::HashSet;

use super::Kind;
use super::MOST_LEVELS;
use super::MOST_OPERATIONS;
use super::scan::Scanned;
use super::too_large;
use crate::refusal::Refusal;

/// How much a document holds of everything that is limited: of its largest operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measures([u64; Kind::ALL.len()]);

impl Measures {
    /// How much of one kind.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub(super) fn set(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] = count;
    }

    fn raise(&mut self, kind: Kind, count: u64) {
        self.set(kind, self.get(kind).max(count));
    }
}

/// How deep a selection set goes.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// Fields inside of each other, introspection apart.
    depth: u64,
    /// The same under `__schema` and `__type`.
    introspection: u64,
    /// Selection sets inside of each other.
    levels: u64,
}

/// What is written in one operation or fragment.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    aliases: u64,
    directives: u64,
    input_nesting: u64,
}

/// The pass over a document.
pub(crate) struct Walk<'d> {
    document: &'d ExecutableDocument,
    /// `None` while it is being walked: a fragment that spreads itself goes no deeper.
    fragments: HashMap<&'d str, Option<Shape>>,
    written: Written,
}

impl<'d> Walk<'d> {
    /// Everything that is limited.
    pub(crate) fn measure(
        document: &'d ExecutableDocument,
        scanned: Scanned,
    ) -> Result<Measures, Refusal> {
        let mut walk = Self {
            document,
            fragments: HashMap::new(),
            written: Written::default(),
        };
        let mut measures = Measures::default();
        measures.set(Kind::Characters, scanned.characters);
        measures.set(Kind::Tokens, scanned.tokens);
        measures.set(Kind::Nesting, scanned.nesting);
        let operations = document.operations.len() as u64;
        measures.set(Kind::Operations, operations);
        if operations > MOST_OPERATIONS {
            return Err(too_large(format!(
                "The document has {operations} operations, and no more than {MOST_OPERATIONS} are ever read."
            )));
        }
        for name in document.fragments.keys() {
            walk.fragment(name, 0)?;
        }
        let of_fragments = walk.written;
        for operation in document.operations.iter() {
            walk.written = of_fragments;
            walk.operation(operation, &mut measures)?;
        }
        Ok(measures)
    }

    fn operation(
        &mut self,
        operation: &'d Operation,
        measures: &mut Measures,
    ) -> Result<(), Refusal> {
        self.directives(&operation.directives);
        for variable in &operation.variables {
            self.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                self.input(default);
            }
        }
        let shape = self.selection_set(&operation.selection_set, 1)?;
        measures.raise(Kind::Depth, shape.depth);
        measures.raise(Kind::IntrospectionDepth, shape.introspection);
        measures.raise(Kind::Variables, operation.variables.len() as u64);
        measures.raise(Kind::RootFields, self.root_fields(operation));
        measures.raise(Kind::Aliases, self.written.aliases);
        measures.raise(Kind::Directives, self.written.directives);
        measures.raise(Kind::InputNesting, self.written.input_nesting);
        Ok(())
    }

    fn fragment(&mut self, name: &'d str, level: u64) -> Result<Shape, Refusal> {
        if let Some(known) = self.fragments.get(name) {
            let shape = known.unwrap_or_default();
            return levels(level + shape.levels).map(|()| shape);
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Shape::default());
        };
        self.fragments.insert(name, None);
        self.directives(&fragment.directives);
        let shape = self.selection_set(&fragment.selection_set, level + 1)?;
        self.fragments.insert(name, Some(shape));
        Ok(shape)
    }

    /// `level` is how many selection sets this one stands in, itself included.
    fn selection_set(&mut self, set: &'d SelectionSet, level: u64) -> Result<Shape, Refusal> {
        levels(level)?;
        let mut shape = Shape::default();
        for selection in &set.selections {
            let below = match selection {
                Selection::Field(field) => self.field(field, level)?,
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives);
                    self.selection_set(&inline.selection_set, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives);
                    self.fragment(&spread.fragment_name, level)?
                }
            };
            shape.depth = shape.depth.max(below.depth);
            shape.introspection = shape.introspection.max(below.introspection);
            shape.levels = shape.levels.max(below.levels);
        }
        shape.levels += 1;
        Ok(shape)
    }

    fn field(&mut self, field: &'d Field, level: u64) -> Result<Shape, Refusal> {
        self.written.aliases += u64::from(field.alias.is_some());
        self.directives(&field.directives);
        for argument in &field.arguments {
            self.input(&argument.value);
        }
        let mut shape = match &field.selection_set {
            Some(set) => self.selection_set(set, level + 1)?,
            None => Shape::default(),
        };
        match field.name.as_str() {
            "__schema" | "__type" => {
                shape.introspection = shape.depth + 1;
                shape.depth = 0;
            }
            _ => shape.depth += 1,
        }
        Ok(shape)
    }

    fn directives(&mut self, directives: &'d DirectiveList) {
        self.written.directives += directives.len() as u64;
        for argument in directives.iter().flat_map(|it| &it.arguments) {
            self.input(&argument.value);
        }
    }

    fn input(&mut self, value: &Value) {
        let nesting = &mut self.written.input_nesting;
        *nesting = (*nesting).max(nesting_of(value));
    }

    /// Distinct response keys at the root, which is as many calls as a mutation makes.
    fn root_fields(&self, operation: &'d Operation) -> u64 {
        let mut keys = HashSet::new();
        let mut spread = HashSet::new();
        let mut sets = vec![&operation.selection_set];
        while let Some(set) = sets.pop() {
            for selection in &set.selections {
                match selection {
                    Selection::Field(field) => {
                        keys.insert(field.response_name().as_str());
                    }
                    Selection::InlineFragment(inline) => sets.push(&inline.selection_set),
                    Selection::FragmentSpread(it) => {
                        let name = it.fragment_name.as_str();
                        let fragment = self.document.fragments.get(name);
                        let fragment = fragment.filter(|_| spread.insert(name));
                        sets.extend(fragment.map(|it| &it.selection_set));
                    }
                }
            }
        }
        keys.len() as u64
    }
}

fn levels(found: u64) -> Result<(), Refusal> {
    match found > MOST_LEVELS {
        true => Err(too_large(format!(
            "The document has more than {MOST_LEVELS} selection sets inside of each other."
        ))),
        false => Ok(()),
    }
}

/// Literals are no deeper than brackets may be: see [`super::MOST_NESTING`].
fn nesting_of(value: &Value) -> u64 {
    let below = match value {
        Value::List(items) => items.iter().map(|item| nesting_of(item)).max(),
        Value::Object(fields) => fields.iter().map(|(_, value)| nesting_of(value)).max(),
        _ => return 0,
    };
    1 + below.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::limits::OperationLimits;
    use crate::limits::scan;
    use apollo_compiler::Schema;

    fn measured(text: &str) -> Result<Measures, Refusal> {
        let sdl = "type Query { user(in: In): User } type User { id: ID! friend(in: In): User } scalar In";
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").unwrap();
        let scanned = scan(text, &OperationLimits::off())?;
        let document = match ExecutableDocument::parse(&schema, text, "operation.graphql") {
            Ok(document) => document,
            Err(bad) => bad.partial,
        };
        Walk::measure(&document, scanned)
    }

    #[track_caller]
    fn assert_measures(text: &str, kind: Kind, expected: u64) {
        assert_eq!(measured(text).unwrap().get(kind), expected, "{text}");
    }

    #[test]
    fn depth_goes_through_fragments_and_not_into_introspection() {
        assert_measures("{ user { id } }", Kind::Depth, 2);
        let spread = "{ user { ...A } } fragment A on User { ... { friend { ...B } } } fragment B on User { friend { id } }";
        assert_measures(spread, Kind::Depth, 4);
        let introspection = "{ __schema { types { fields { name } } } user { id } }";
        assert_measures(introspection, Kind::Depth, 2);
        assert_measures(introspection, Kind::IntrospectionDepth, 4);
    }

    #[test]
    fn aliases_and_directives_count_where_they_are_written() {
        let text = "query @a { x: user @include(if: true) { ...A ...A @skip(if: false) } } fragment A on User { y: id }";
        assert_measures(text, Kind::Aliases, 2);
        assert_measures(text, Kind::Directives, 3);
    }

    #[test]
    fn root_fields_are_response_keys() {
        let text = "{ user { id } user { id } ...R x: user { id } } fragment R on Query { y: user { id } ... { x: user { id } } }";
        assert_measures(text, Kind::RootFields, 3);
    }

    #[test]
    fn inputs_count_lists_and_objects() {
        assert_measures("{ user(in: {a: [[1]]}) { id } }", Kind::InputNesting, 3);
        assert_measures(
            "query($v: In = [[[[1]]]]) { user(in: $v) { id } }",
            Kind::InputNesting,
            4,
        );
        assert_measures("{ user(in: 1) { id } }", Kind::InputNesting, 0);
    }

    #[test]
    fn variables_and_operations_are_those_of_the_largest() {
        let text = "query A($a: In $b: In) { user(in: $a) { id } } query B($a: In) { user(in: $a) { friend { id } } }";
        assert_measures(text, Kind::Variables, 2);
        assert_measures(text, Kind::Operations, 2);
        assert_measures(text, Kind::Depth, 3);
    }

    #[test]
    fn doubling_fragments_are_measured_in_linear_work() {
        let mut text = String::from("{ user { ...F0 } }");
        for level in 0..60 {
            let next = level + 1;
            text.push_str(&format!(
                " fragment F{level} on User {{ a: friend {{ ...F{next} }} b: friend {{ ...F{next} }} }}"
            ));
        }
        text.push_str(" fragment F60 on User { id }");
        assert_measures(&text, Kind::Depth, 62);
        assert_measures(&text, Kind::Aliases, 120);
    }

    #[test]
    fn a_chain_of_fragments_ends_somewhere_and_a_circle_is_left_to_validation() {
        let chain = |length: usize| {
            let mut text = String::from("{ user { ...F0 } }");
            for level in 0..length {
                text.push_str(&format!(
                    " fragment F{level} on User {{ friend {{ ...F{} }} }}",
                    level + 1
                ));
            }
            text + &format!(" fragment F{length} on User {{ id }}")
        };
        assert_measures(&chain(90), Kind::Depth, 92);
        for length in [100, 20_000] {
            let refusal = measured(&chain(length)).unwrap_err();
            assert_eq!(refusal.code, Code::OperationTooLarge);
        }
        let circle = "{ user { ...A } } fragment A on User { friend { ...A } }";
        assert!(measured(circle).is_ok());
    }

    #[test]
    fn a_document_of_very_many_operations_is_refused() {
        let text: String = (0..101)
            .map(|n| format!("query Q{n} {{ user {{ id }} }} "))
            .collect();
        assert_eq!(measured(&text).unwrap_err().code, Code::OperationTooLarge);
    }
}
