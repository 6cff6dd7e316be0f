//! The whole graph as text, in the style of SDL: which subgraph declares
//! what, which source answers it, and with which call.

use std::fmt;
use std::fmt::Write as _;

use compose::Supergraph;
use compose::model::CompositeKind;
use compose::model::FieldDef;
use compose::model::FieldPath;
use compose::model::Key;
use compose::model::ResolverId;
use compose::model::SourceKind;
use compose::model::SubgraphId;
use compose::model::TypeDef;
use plan::print::describe_request;

/// Sources, then every composite type with its fields.
pub(super) fn print(graph: &Supergraph) -> String {
    let mut text = String::new();
    let printer = Printer { graph };
    // Writing to memory cannot fail.
    let _ = printer.all(&mut text);
    text
}

struct Printer<'g> {
    graph: &'g Supergraph,
}

impl Printer<'_> {
    fn all(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "# graph {:016x}\n", self.graph.version())?;
        self.sources(out)?;
        for ty in self.graph.types().values() {
            writeln!(out)?;
            self.ty(out, ty)?;
        }
        Ok(())
    }

    fn sources(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "schema")?;
        for source in self.graph.sources() {
            let url = source.kind.url();
            let kind = match &source.kind {
                SourceKind::Http { .. } => "http",
                SourceKind::Grpc { .. } => "grpc",
                SourceKind::Graphql { .. } => "graphql",
            };
            let subgraph = self.subgraph(source.subgraph);
            writeln!(
                out,
                "  @source(name: {:?}, subgraph: {subgraph:?}, {kind}: {url:?})",
                source.name
            )?;
        }
        Ok(())
    }

    fn ty(&self, out: &mut String, ty: &TypeDef) -> fmt::Result {
        let kind = match ty.kind {
            CompositeKind::Object => "type",
            CompositeKind::Interface => "interface",
            CompositeKind::Union => "union",
        };
        write!(out, "{kind} {}", ty.name)?;
        for entry in &ty.subgraphs {
            let subgraph = self.subgraph(entry.subgraph);
            write!(
                out,
                "\n  @join(subgraph: {subgraph:?}{})",
                keys(&entry.keys)
            )?;
        }
        for id in &ty.entity_resolvers {
            write!(out, "\n  {}", self.resolver(*id))?;
        }
        match ty.kind {
            CompositeKind::Union => writeln!(out, "\n  = {}", ty.possible_types.join(" | ")),
            _ => self.fields(out, ty),
        }
    }

    fn fields(&self, out: &mut String, ty: &TypeDef) -> fmt::Result {
        writeln!(out, "\n{{")?;
        for field in ty.fields.values() {
            self.field(out, field)?;
        }
        writeln!(out, "}}")
    }

    fn field(&self, out: &mut String, field: &FieldDef) -> fmt::Result {
        write!(out, "  {}: {}", field.name, field.ty)?;
        for entry in &field.subgraphs {
            write!(out, " @join(subgraph: {:?}", self.subgraph(entry.subgraph))?;
            if entry.external {
                write!(out, ", external: true")?;
            }
            if !entry.requires.is_empty() {
                write!(out, ", requires: {:?}", paths(&entry.requires))?;
            }
            if !entry.provides.is_empty() {
                write!(out, ", provides: {:?}", paths(&entry.provides))?;
            }
            if let Some(overridden) = &entry.overrides {
                write!(out, ", override: {:?}", overridden.from)?;
                if let Some(label) = &overridden.label {
                    write!(out, ", label: {label:?}")?;
                }
            }
            write!(out, ")")?;
        }
        for id in &field.resolvers {
            write!(out, "\n    {}", self.resolver(*id))?;
        }
        writeln!(out)
    }

    fn resolver(&self, id: ResolverId) -> String {
        let resolver = self.graph.resolver(id);
        let source = &self.graph.source(resolver.source).name;
        let request = describe_request(resolver);
        let batch = resolver.batch.as_ref().map(|batch| batch.max);
        let batch = batch.map_or(String::new(), |max| format!(", batch: {max}"));
        format!("@call(source: {source:?}, request: {request:?}{batch})")
    }

    fn subgraph(&self, id: SubgraphId) -> &str {
        &self.graph.subgraphs()[id.index()].name
    }
}

fn keys(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        let _ = write!(text, ", key: {:?}", paths(&key.fields));
    }
    text
}

fn paths(paths: &[FieldPath]) -> String {
    let dotted = |path: &FieldPath| path.join(".");
    paths.iter().map(dotted).collect::<Vec<_>>().join(" ")
}
