//! The schema that clients see, with what its elements cost.
//!
//! Owns the printed form: introspection cannot carry applied directives, so
//! application authors read weights and list sizes here.

use apollo_compiler::ast::{
    Argument, Directive, DirectiveList, InputValueDefinition, IntValue, Value,
};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node, Schema, name};

use crate::Supergraph;
use crate::model::{FieldDef, ListSize, Weights};

const DEFINITIONS: &str = "\
directive @cost(weight: String!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR

directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION

";

/// The client schema as SDL; where nothing says a cost, without the directives.
pub(crate) fn print(graph: &Supergraph) -> String {
    let mut schema: Schema = graph.api().as_ref().clone().into_inner();
    let mut priced = Priced { graph, any: false };
    for (name, ty) in &mut schema.types {
        if !ty.is_built_in() {
            priced.ty(name, ty);
        }
    }
    match priced.any {
        true => format!("{DEFINITIONS}{schema}"),
        false => schema.to_string(),
    }
}

struct Priced<'g> {
    graph: &'g Supergraph,
    any: bool,
}

impl Priced<'_> {
    fn weights(&self) -> &Weights {
        self.graph.weights()
    }

    fn ty(&mut self, name: &Name, ty: &mut ExtendedType) {
        let own = self.weights().of_type(name);
        match ty {
            ExtendedType::Scalar(it) => self.add_cost(own, &mut it.make_mut().directives),
            ExtendedType::Enum(it) => self.add_cost(own, &mut it.make_mut().directives),
            ExtendedType::Union(_) => {}
            ExtendedType::Object(it) => {
                let it = it.make_mut();
                self.add_cost(own, &mut it.directives);
                for field in it.fields.values_mut() {
                    self.field(name, field.make_mut());
                }
            }
            ExtendedType::Interface(it) => {
                for field in it.make_mut().fields.values_mut() {
                    self.field(name, field.make_mut());
                }
            }
            ExtendedType::InputObject(it) => {
                for input in it.make_mut().fields.values_mut() {
                    let weight = self
                        .weights()
                        .of_input_field(name.clone(), input.name.clone());
                    self.input(weight, input);
                }
            }
        }
    }

    fn field(&mut self, ty: &Name, field: &mut apollo_compiler::ast::FieldDefinition) {
        for input in &mut field.arguments {
            let weight =
                self.weights()
                    .of_argument(ty.clone(), field.name.clone(), input.name.clone());
            self.input(weight, input);
        }
        let known = self.graph.type_def(ty);
        let Some(known) = known.and_then(|ty| ty.fields.get(&field.name)) else {
            return;
        };
        let FieldDef {
            cost, list_size, ..
        } = known;
        self.add_cost(*cost, &mut field.directives);
        if let Some(size) = list_size {
            self.any = true;
            field.directives.push(list_size_directive(size));
        }
    }

    fn input(&mut self, weight: Option<f64>, input: &mut Node<InputValueDefinition>) {
        if weight.is_some() {
            self.add_cost(weight, &mut input.make_mut().directives);
        }
    }

    fn add_cost(&mut self, weight: Option<f64>, directives: &mut DirectiveList) {
        if let Some(weight) = weight {
            self.any = true;
            directives.push(directive(
                name!("cost"),
                vec![(name!("weight"), Value::String(weight.to_string()))],
            ));
        }
    }
}

fn list_size_directive(size: &ListSize) -> Node<Directive> {
    let texts = |texts: &[String]| {
        let values = texts
            .iter()
            .map(|text| Node::new(Value::String(text.clone())));
        (!texts.is_empty()).then(|| Value::List(values.collect()))
    };
    let assumed = size
        .assumed
        .map(|size| Value::Int(IntValue::from(size as i32)));
    let one = (!size.require_one_slicing_argument).then_some(Value::Boolean(false));
    let arguments = [
        (name!("assumedSize"), assumed),
        (name!("slicingArguments"), texts(&size.slicing_arguments)),
        (name!("sizedFields"), texts(&size.sized_fields)),
        (name!("requireOneSlicingArgument"), one),
    ];
    let given = arguments
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    directive(name!("listSize"), given.collect())
}

fn directive(name: Name, arguments: Vec<(Name, Value)>) -> Node<Directive> {
    let argument = |(name, value): (Name, Value)| {
        Node::new(Argument {
            name,
            value: Node::new(value),
        })
    };
    Node::new(Directive {
        name,
        arguments: arguments.into_iter().map(argument).collect(),
    })
}

#[cfg(test)]
mod tests {
    use crate::merge::testing::files;

    fn printed(sdl: &str) -> String {
        let graph = crate::compose(&files(&[sdl])).unwrap_or_else(|bad| panic!("{bad}"));
        graph.priced_sdl()
    }

    #[test]
    fn weights_and_sizes_are_printed_with_their_definitions_and_the_result_is_valid() {
        let sdl = printed(
            "type Query { a(n: Int = 5 @cost(weight: 1)): [A!] @rest(GET: \"/a\", query: { n: \"$args.n\" }) @listSize(slicingArguments: [\"n\"]) @cost(weight: 2.5) } \
             type A @cost(weight: 3) { id: ID! }",
        );
        assert!(sdl.contains("n: Int = 5 @cost(weight: \"1\")"), "{sdl}");
        let field = "): [A!] @cost(weight: \"2.5\") @listSize(slicingArguments: [\"n\"])";
        assert!(sdl.contains(field), "{sdl}");
        assert!(sdl.contains("type A @cost(weight: \"3\")"), "{sdl}");
        assert!(
            sdl.starts_with("directive @cost(weight: String!) on"),
            "{sdl}"
        );
        apollo_compiler::Schema::parse_and_validate(&sdl, "printed.graphql").expect("valid SDL");
    }

    #[test]
    fn a_graph_without_weights_is_printed_without_the_directives() {
        let sdl = printed("type Query { a: Int @rest(GET: \"/a\") }");
        assert!(!sdl.contains("directive"), "{sdl}");
    }
}
