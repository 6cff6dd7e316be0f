//! Subgraphs as text: Federation v2 SDL, one for each subgraph of the supergraph.
//!
//! Owns how what was read is spelled: directives of Federation under their full
//! names, so that nothing of the supergraph can clash with them, and every word
//! with the place that it stands for. Who has what is settled before.

mod element;
mod shared;
mod text;

use apollo_compiler::ast::{Directive, OperationType};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

use super::Reading;
use super::graphs::GraphId;
use super::origin::Copied;
use super::parts::{Parts, TypePart, TypeParts, is_root};
use super::said::SaidKey;
use shared::Shared;
use text::Text;

/// One subgraph.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) sdl: String,
    pub(super) copied: Vec<Copied>,
    /// Whether it says itself which services answer.
    pub(super) has_sources: bool,
}

/// Writes every subgraph.
pub(super) fn all<'a>(reading: &mut Reading<'a, '_>, parts: &Parts<'a>) -> Vec<Written> {
    let shared = Shared::of(reading, parts);
    let graphs = reading.graphs.ids();
    graphs
        .map(|graph| {
            let mut writer = Writer {
                text: Text::new(reading.places),
                reading: &mut *reading,
                parts,
                shared: &shared,
                graph,
                has_sources: false,
            };
            writer.subgraph();
            let (sdl, copied) = writer.text.finish();
            Written {
                sdl,
                copied,
                has_sources: writer.has_sources,
            }
        })
        .collect()
}

struct Writer<'a, 'r, 'd> {
    reading: &'r mut Reading<'a, 'd>,
    parts: &'r Parts<'a>,
    shared: &'r Shared<'a>,
    graph: GraphId,
    text: Text<'a>,
    has_sources: bool,
}

impl<'a> Writer<'a, '_, '_> {
    fn subgraph(&mut self) {
        self.schema();
        self.definitions();
        for (name, it) in self.parts {
            if let Some(part) = it.graphs.get(&self.graph) {
                let nothing = is_root(self.reading, name) && part.fields.is_empty();
                if !nothing {
                    self.ty(name, it, part);
                }
            }
        }
    }

    fn schema(&mut self) {
        let roots = self.roots();
        let named = roots.iter().any(|(operation, name)| {
            let usual = match operation {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            *name != usual
        });
        self.text
            .add(if named { "schema" } else { "extend schema" });
        self.text
            .add(" @link(url: \"https://specs.apollo.dev/federation/v2.9\")\n");
        for link in &self.reading.links.others {
            let place = self.reading.places.directive_range(link.directive);
            self.text.add("  ");
            self.text.stand("@link", place);
            self.text.add(&format!("({})\n", link.arguments()));
        }
        let directives = &self.reading.schema.schema_definition.directives;
        for directive in directives.iter() {
            if self.reading.links.is_join(&directive.name, "directive") {
                self.has_sources |= self.is_for_here(directive) && declares_source(directive);
                self.directive_of_graph(directive);
            }
        }
        if named {
            self.text.add("{");
            for (operation, name) in roots {
                self.text.add(&format!(" {operation}: "));
                self.text.name(name);
            }
            self.text.add(" }");
        }
        self.text.add("\n");
    }

    /// The roots that the subgraph has fields of.
    fn roots(&self) -> Vec<(OperationType, &'a Name)> {
        let schema = self.reading.schema;
        let roots = schema.schema_definition.iter_root_operations();
        let here = roots.filter(|(_, name)| {
            let part = self.parts.get(&***name);
            let part = part.and_then(|it| it.graphs.get(&self.graph));
            part.is_some_and(|part| !part.fields.is_empty())
        });
        here.map(|(operation, name)| (operation, &**name)).collect()
    }

    /// Directives that the supergraph defines for itself: what carries them stays readable.
    fn definitions(&mut self) {
        let definitions = self.reading.schema.directive_definitions.values();
        for definition in definitions.filter(|it| !it.is_built_in()) {
            let linked = self.reading.links.is_machinery(&definition.name);
            if !linked {
                self.text.copy(definition.location());
                self.text.add("\n");
            }
        }
    }

    fn ty(&mut self, name: &'a Name, it: &TypeParts<'a>, part: &TypePart<'a>) {
        self.description(it.ty.description());
        self.text.add(keyword(it.ty, part));
        self.text.add(" ");
        self.text.name(name);
        for (index, interface) in part.interfaces.iter().enumerate() {
            self.text
                .add(if index == 0 { " implements " } else { " & " });
            self.text.name(interface);
        }
        for key in &part.said.keys {
            self.key(key);
        }
        if part.said.extension && !it.ty.is_input_object() && !is_root(self.reading, name) {
            self.text.add(" @federation__extends");
        }
        if part.said.interface_object {
            self.text.add(" @federation__interfaceObject");
        }
        let speaks = it.graphs.keys().next() == Some(&self.graph);
        self.directives(it.ty.directives(), speaks);
        self.content(it.ty, part);
        self.text.add("\n");
    }

    fn key(&mut self, key: &SaidKey<'a>) {
        let place = self.reading.places.directive_range(key.directive);
        self.text.add(" ");
        self.text.stand("@federation__key", place);
        self.text.add("(fields: ");
        self.text.copy(key.fields.location());
        if !key.resolvable {
            self.text.add(", resolvable: false");
        }
        self.text.add(")");
    }

    fn content(&mut self, ty: &'a ExtendedType, part: &TypePart<'a>) {
        match ty {
            ExtendedType::Scalar(_) => {}
            ExtendedType::Union(_) => {
                for (index, member) in part.members.iter().enumerate() {
                    self.text.add(if index == 0 { " = " } else { " | " });
                    self.text.name(member);
                }
            }
            ExtendedType::Object(it) => self.block(|writer| {
                for field in it.fields.values() {
                    writer.field(&it.name, field, part);
                }
            }),
            ExtendedType::Interface(it) => self.block(|writer| {
                for field in it.fields.values() {
                    writer.field(&it.name, field, part);
                }
            }),
            ExtendedType::InputObject(it) => self.block(|writer| {
                for field in it.fields.values() {
                    writer.input_field(&it.name, field, part);
                }
            }),
            ExtendedType::Enum(it) => self.block(|writer| {
                for value in it.values.values() {
                    if part.values.contains(&&value.value) {
                        writer.value(&it.name, value);
                    }
                }
            }),
        }
    }

    fn block(&mut self, inside: impl FnOnce(&mut Self)) {
        self.text.add(" {\n");
        inside(self);
        self.text.add("}");
    }
}

fn keyword(ty: &ExtendedType, part: &TypePart<'_>) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "scalar",
        ExtendedType::Object(_) => "type",
        ExtendedType::Interface(_) if part.said.interface_object => "type",
        ExtendedType::Interface(_) => "interface",
        ExtendedType::Union(_) => "union",
        ExtendedType::Enum(_) => "enum",
        ExtendedType::InputObject(_) => "input",
    }
}

/// `@join__directive(name: "source")`: one of our own.
fn declares_source(directive: &Node<Directive>) -> bool {
    let name = directive.specified_argument_by_name("name");
    name.and_then(|it| it.as_str()) == Some("source")
}
