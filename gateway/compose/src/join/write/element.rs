//! Fields, arguments and values of a subgraph, and what they carry.

use apollo_compiler::ast::{
    Directive, DirectiveList, EnumValueDefinition, FieldDefinition, InputValueDefinition, Type,
    Value,
};
use apollo_compiler::{Name, Node};

use super::Writer;
use super::shared::overridden;
use crate::join::parts::TypePart;
use crate::join::said::SaidField;

impl<'a> Writer<'a, '_, '_> {
    pub(super) fn field(
        &mut self,
        ty: &'a Name,
        field: &'a Node<FieldDefinition>,
        part: &TypePart<'a>,
    ) {
        let Some(said) = part.fields.get(&field.name) else {
            return;
        };
        let speaks = self.shared.speaks(ty, &field.name, self.graph);
        self.description(field.description.as_ref());
        self.text.name(&field.name);
        self.arguments(field, said, speaks);
        self.text.add(": ");
        self.type_in_subgraph(&field.ty, said);
        self.said_of_field(said);
        let is_interface = self.parts[ty].ty.is_interface() && !part.said.interface_object;
        let answered = !said.external && !said.used_overridden;
        if answered && !is_interface && self.shared.is_shared(ty, &field.name) {
            self.text.add(" @federation__shareable");
        }
        self.directives(&field.directives, speaks);
        self.text.add("\n");
    }

    pub(super) fn input_field(
        &mut self,
        ty: &'a Name,
        field: &'a Node<InputValueDefinition>,
        part: &TypePart<'a>,
    ) {
        let Some(said) = part.fields.get(&field.name) else {
            return;
        };
        let speaks = self.shared.speaks(ty, &field.name, self.graph);
        self.input(field, said, speaks);
        self.text.add("\n");
    }

    pub(super) fn value(&mut self, ty: &Name, value: &'a Node<EnumValueDefinition>) {
        let mut graphs = self.parts[ty].graphs.iter();
        let first = graphs.find(|(_, part)| part.values.contains(&&value.value));
        let speaks = first.is_some_and(|(graph, _)| *graph == self.graph);
        self.description(value.description.as_ref());
        self.text.name(&value.value);
        self.directives(&value.directives, speaks);
        self.text.add("\n");
    }

    pub(super) fn description(&mut self, description: Option<&'a Node<str>>) {
        if let Some(description) = description {
            self.text.copy(description.location());
            self.text.add("\n");
        }
    }

    fn arguments(&mut self, field: &'a FieldDefinition, said: &SaidField<'a>, speaks: bool) {
        let nothing = SaidField::default();
        let any = !field.arguments.is_empty() || !said.context.is_empty();
        self.text.add(if any { "(" } else { "" });
        for argument in &field.arguments {
            self.input(argument, &nothing, speaks);
            self.text.add(" ");
        }
        for argument in &said.context {
            self.context_argument(argument);
        }
        self.text.add(if any { ")" } else { "" });
    }

    /// An argument that the gateway fills in, and the supergraph keeps from clients.
    fn context_argument(&mut self, argument: &'a Node<Value>) {
        let entries = argument.as_object().unwrap_or_default();
        let text = |wanted: &str| {
            let mut entries = entries.iter();
            let (_, value) = entries.find(|(name, _)| name == wanted)?;
            value.as_str()
        };
        let (Some(name), Some(ty), Some(context), Some(selection)) = (
            text("name"),
            text("type"),
            text("context"),
            text("selection"),
        ) else {
            self.reading.wrong(
                "an argument of a context says `name`, `type`, `context` and `selection`",
                argument,
            );
            return;
        };
        if Name::new(name).is_err() || Type::parse(ty, "type").is_err() {
            self.reading
                .wrong("not the name and type of an argument", argument);
            return;
        }
        let context = self.own_context(context).unwrap_or(context);
        let field = Value::String(format!("${context} {selection}"));
        let written = format!("{name}: {ty} @federation__fromContext(field: {field})");
        let place = argument.location().map(|it| it.offset()..it.end_offset());
        self.text.stand(&written, place.unwrap_or(0..0));
        self.text.add(" ");
    }

    /// A context of this subgraph's: the supergraph puts the subgraph's name before it.
    fn own_context<'n>(&self, name: &'n str) -> Option<&'n str> {
        let graph = &self.reading.graphs.0[self.graph.0];
        let behind = |prefix: &str| name.strip_prefix(prefix)?.strip_prefix("__");
        behind(graph.name).or_else(|| behind(graph.value))
    }

    fn input(&mut self, input: &'a InputValueDefinition, said: &SaidField<'a>, speaks: bool) {
        self.description(input.description.as_ref());
        self.text.name(&input.name);
        self.text.add(": ");
        self.type_in_subgraph(&input.ty, said);
        if let Some(default) = &input.default_value {
            self.text.add(" = ");
            self.text.copy(default.location());
        }
        self.directives(&input.directives, speaks);
    }

    fn type_in_subgraph(&mut self, merged: &Type, said: &SaidField<'a>) {
        match &said.ty {
            Some((ty, value)) => {
                let place = self.reading.places.node_range(value);
                self.text.stand(&ty.to_string(), place);
            }
            None => self.ty_reference(merged),
        }
    }

    fn ty_reference(&mut self, ty: &Type) {
        match ty {
            Type::Named(name) => self.text.name(name),
            Type::NonNullNamed(name) => {
                self.text.name(name);
                self.text.add("!");
            }
            Type::List(item) | Type::NonNullList(item) => {
                self.text.add("[");
                self.ty_reference(item);
                self.text.add(if ty.is_non_null() { "]!" } else { "]" });
            }
        }
    }

    /// What `@join__field` says, in the words of Federation.
    fn said_of_field(&mut self, said: &SaidField<'a>) {
        let place = said
            .directive
            .map_or(0..0, |it| self.reading.places.directive_range(it));
        if said.external {
            self.text.add(" @federation__external");
        }
        let sets = [("requires", said.requires), ("provides", said.provides)];
        for (name, fields) in sets {
            if let Some(fields) = fields {
                self.text.add(" ");
                self.text
                    .stand(&format!("@federation__{name}"), place.clone());
                self.text.add("(fields: ");
                self.text.copy(fields.location());
                self.text.add(")");
            }
        }
        // What is taken over from nobody that is left is taken over from nobody.
        if let Some(from) = said
            .overrides
            .filter(|_| overridden(self.reading, said).is_some())
        {
            self.text.add(" ");
            self.text.stand("@federation__override", place);
            self.text.add("(from: ");
            self.text.copy(from.location());
            if let Some(label) = said.label {
                self.text.add(", label: ");
                self.text.copy(label.location());
            }
            self.text.add(")");
        }
    }

    /// What an element carries besides its join directives: of the language, in every subgraph;
    /// the rest in the one that speaks for it.
    pub(super) fn directives(&mut self, directives: &'a DirectiveList, speaks: bool) {
        for directive in directives.iter() {
            let name = directive.name.as_str();
            match self.reading.links.part_of_join(name) {
                Some("directive") => self.directive_of_graph(directive),
                Some(_) => {}
                None if self.reading.links.is_context(name) => self.context(directive),
                None if speaks || matches!(name, "deprecated" | "specifiedBy" | "oneOf") => {
                    self.text.add(" ");
                    self.text.copy(directive.location());
                }
                None => {}
            }
        }
    }

    fn context(&mut self, directive: &'a Node<Directive>) {
        let name = directive.specified_argument_by_name("name");
        let Some(own) = name
            .and_then(|it| it.as_str())
            .and_then(|it| self.own_context(it))
        else {
            return;
        };
        let place = self.reading.places.directive_range(directive);
        self.text.add(" ");
        self.text.stand("@federation__context", place);
        self.text
            .add(&format!("(name: {})", Value::String(own.to_owned())));
    }

    /// `@join__directive`: a directive of some subgraphs that the join specification does not know.
    pub(super) fn directive_of_graph(&mut self, directive: &'a Node<Directive>) {
        if !self.is_for_here(directive) {
            return;
        }
        let argument = |name: &str| directive.specified_argument_by_name(name);
        let Some(value) = argument("name").filter(|it| it.as_str().is_some()) else {
            return;
        };
        let name = value.as_str().unwrap_or("").trim_start_matches('@');
        if Name::new(name).is_err() {
            self.reading.wrong("not the name of a directive", value);
            return;
        }
        let place = self.reading.places.node_range(value);
        self.text.add(" ");
        self.text.stand(&format!("@{name}"), place);
        let entries = argument("args").and_then(|it| it.as_object());
        let entries = entries.unwrap_or_default();
        if !entries.is_empty() {
            self.text.add("(");
            for (name, value) in entries {
                self.text.name(name);
                self.text.add(": ");
                self.text.copy(value.location());
                self.text.add(" ");
            }
            self.text.add(")");
        }
        self.text.add("\n");
    }

    /// Whether a `@join__directive` is for this subgraph.
    pub(super) fn is_for_here(&mut self, directive: &'a Node<Directive>) -> bool {
        let graphs = directive.specified_argument_by_name("graphs");
        let items = graphs.map(|it| it.as_list().unwrap_or(std::slice::from_ref(it)));
        let mut here = false;
        for item in items.unwrap_or_default() {
            here |= self.reading.graph(item) == Some(self.graph);
        }
        here
    }
}
