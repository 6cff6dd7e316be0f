//! Values that fields read against what the contract has there.
//!
//! Owns the comparison of one GraphQL type with the types of a contract: lists,
//! objects, leaves and null. Must not know whether a view or a whole reply asks.

use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use serde_json::Value as Json;

use super::super::Graph;
use super::hint::hint;
use super::leaf::{self, Fit};
use super::reading::{Doubt, Found, Reading};
use crate::contract::model::{Place as ContractPlace, StringFormat};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Document;
use crate::model::{FieldPath, Format, Read, ReadPiece, ViewField, ViewId};

const OR_DEFAULT: &str = ", or say what stands for null: @map(default: …)";

/// The values of one source, as one subgraph reads them.
pub(super) struct Inward<'c, 'g> {
    pub(super) graph: &'g Graph<'g>,
    pub(super) document: &'g Document,
    pub(super) reading: Reading<'g>,
    pub(super) diagnostics: &'c mut Diagnostics,
}

/// Where the SDL says that a value is read.
pub(super) struct Site {
    pub(super) place: Place,
    /// The code of a list where one value is read, or the reverse.
    pub(super) list: &'static str,
    /// What to do where the contract has a list, or none, beside changing the type.
    pub(super) unwrap: Option<String>,
    /// The value is part of a reference's key: null makes the reference null.
    pub(super) key: bool,
}

impl<'g> Inward<'_, 'g> {
    /// Checks a field of a GraphQL type that is read from a value of the contract.
    pub(super) fn value(&mut self, field: &ViewField, ty: &Type, base: TypeId, site: &Site) {
        let doubt = self.read(&field.read, field, ty, base, site);
        let has_default = field
            .default
            .as_ref()
            .is_some_and(|default| !default.is_null());
        if ty.is_non_null() && !has_default && !site.key {
            // A default stands in for a leaf only.
            let or = if field.view.is_some() { "" } else { OR_DEFAULT };
            self.nullability(ty, doubt, or, site);
        }
    }

    /// Checks where a value is read, and says whether it is always there.
    fn read(
        &mut self,
        read: &Read,
        field: &ViewField,
        ty: &Type,
        base: TypeId,
        site: &Site,
    ) -> Option<Doubt> {
        match read {
            Read::Path(path) => {
                let (types, doubt) = self.path(base, path, site)?;
                self.shape(field, ty, &types, site);
                doubt
            }
            Read::Embedded => self.key_doubt(field.view?, base),
            Read::ListOf(path) => {
                let (types, doubt) = self.path(base, path, site)?;
                self.items(field, ty, &types, site);
                doubt
            }
            Read::FirstOf(all) => self.first_of(all, field, ty, base, site),
            Read::Template(pieces) => self.template(pieces, ty, base, site),
            Read::Const(json) => {
                self.constant(json, ty, site);
                None
            }
            Read::Status => None,
        }
    }

    /// The types at a path, and whether something is always there. What the contract lacks is reported.
    fn path(
        &mut self,
        base: TypeId,
        path: &[String],
        site: &Site,
    ) -> Option<(Vec<TypeId>, Option<Doubt>)> {
        match self.reading.follow(base, path) {
            Found::Value { types, doubt } => Some((types, doubt)),
            Found::Unstated => None,
            Found::Missing { on, name } => {
                self.missing(&on, &name, &site.place);
                None
            }
        }
    }

    /// Reports a property that replies do not have.
    pub(super) fn missing(&mut self, on: &[TypeId], name: &str, place: &Place) {
        let contract = self.reading.contract;
        let (whose, here) = match self.reading.name(on) {
            Some(ty) => (format!("the contract's `{ty}`"), ""),
            None => ("the contract".to_owned(), " here"),
        };
        let names = self.reading.names(on);
        let help = hint(
            name,
            names,
            "it has no properties: read another value with @map(from:)",
        );
        self.diagnostics.push(
            Diagnostic::error(
                "RESPONSE_FIELD_MISSING",
                format!("{whose} has no `{name}`{here}"),
            )
            .at(place.clone())
            .contract(contract[on[0]].place.to_string())
            .help(help),
        );
    }

    /// The first that is there counts: each must fit, and one that is certain is enough.
    fn first_of(
        &mut self,
        all: &[Read],
        field: &ViewField,
        ty: &Type,
        base: TypeId,
        site: &Site,
    ) -> Option<Doubt> {
        let mut last = None;
        let mut certain = false;
        for read in all {
            last = self.read(read, field, ty, base, site);
            certain |= last.is_none();
        }
        last.filter(|_| !certain)
    }

    /// A text is there when all its parts are.
    fn template(
        &mut self,
        pieces: &[ReadPiece],
        ty: &Type,
        base: TypeId,
        site: &Site,
    ) -> Option<Doubt> {
        self.text(ty, site);
        let mut doubt = None;
        for piece in pieces {
            let ReadPiece::Path(path) = piece else {
                continue;
            };
            let Some((types, more)) = self.path(base, path, site) else {
                continue;
            };
            doubt = Doubt::graver(doubt, more);
            self.part_of_text(&types, site);
        }
        doubt
    }

    /// The type of a text with holes.
    fn text(&mut self, ty: &Type, site: &Site) {
        let name = ty.inner_named_type();
        if ty.is_list() || matches!(name.as_str(), "Int" | "Float" | "Boolean") {
            let message = format!("this is a text, and the field is `{ty}`");
            let found = Diagnostic::error("TYPE_MISMATCH", message).at(site.place.clone());
            self.diagnostics.push(found.help("make it `String`"));
        }
    }

    fn part_of_text(&mut self, types: &[TypeId], site: &Site) {
        let contract = self.reading.contract;
        let types = self.reading.alternatives(types);
        let is_compound = |ty: &TypeId| {
            matches!(
                contract[*ty].kind,
                Kind::List(_) | Kind::Map(_) | Kind::Object(_)
            )
        };
        if types.iter().all(is_compound) {
            let message = format!("a text cannot hold {}", self.reading.describe(&types));
            self.mismatch(message, &types, "name one of its values", &site.place);
        }
    }

    fn constant(&mut self, json: &Json, ty: &Type, site: &Site) {
        let is_custom = !matches!(
            ty.inner_named_type().as_str(),
            "Int" | "Float" | "String" | "Boolean" | "ID"
        );
        let fits = match (ty.inner_named_type().as_str(), json) {
            (_, Json::Null) => !ty.is_non_null(),
            (_, Json::Array(_)) => ty.is_list() || is_custom,
            _ if is_custom => true,
            (_, _) if ty.is_list() => false,
            ("Int", json) => json.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
            ("Float", json) => json.is_number(),
            ("Boolean", json) => json.is_boolean(),
            ("ID", json) => json.is_string() || json.is_i64() || json.is_u64(),
            (_, json) => json.is_string(),
        };
        if !fits {
            let message = format!("{json} is no `{ty}`");
            let found = Diagnostic::error("TYPE_MISMATCH", message).at(site.place.clone());
            self.diagnostics
                .push(found.help("write a constant of the field's type"));
        }
    }

    /// A GraphQL type against the types of a contract, whichever of them a reply has.
    pub(super) fn shape(&mut self, field: &ViewField, ty: &Type, types: &[TypeId], site: &Site) {
        let contract = self.reading.contract;
        let all = self.reading.alternatives(types);
        let is = |test: fn(&Kind) -> bool| all.iter().any(|ty| test(&contract[*ty].kind));
        let holds_json = field.format == Some(Format::JsonString) && is(is_text);
        if all.is_empty() || is(|kind| *kind == Kind::Any) || holds_json {
            return;
        }
        if ty.is_list() {
            return self.items(field, ty, types, site);
        }
        if field.view.is_some() {
            return self.composite(ty, &all, site);
        }
        self.leaf(field, ty, &all, site);
    }

    /// A list type, item by item.
    fn items(&mut self, field: &ViewField, ty: &Type, types: &[TypeId], site: &Site) {
        let contract = self.reading.contract;
        let all = self.reading.alternatives(types);
        let items: Vec<TypeId> = all
            .iter()
            .filter_map(|ty| match contract[*ty].kind {
                Kind::List(item) => Some(item),
                _ => None,
            })
            .collect();
        if all.iter().any(|ty| contract[*ty].kind == Kind::Any) {
            return;
        }
        if items.is_empty() {
            return self.not_a_list(ty, &all, site);
        }
        let item = ty.item_type();
        let null = items.iter().find(|item| contract[**item].nullable);
        let is_list_of = matches!(field.read, Read::ListOf(_));
        let doubt = match null {
            Some(null) => Some(Doubt::Null(contract[*null].place.clone())),
            None if is_list_of => field.view.and_then(|view| self.key_doubt(view, items[0])),
            None => None,
        };
        if item.is_non_null() {
            self.nullability(item, doubt, "", site);
        }
        if !is_list_of {
            self.shape(field, item, &items, site);
        }
    }

    fn not_a_list(&mut self, ty: &Type, types: &[TypeId], site: &Site) {
        let message = format!(
            "`{ty}` is a list, and the contract has {}",
            self.reading.describe(types)
        );
        let item = ty.item_type();
        let help = site
            .unwrap
            .clone()
            .unwrap_or_else(|| format!("make it `{item}`"));
        self.mismatch_as(site.list, message, types, &help, &site.place);
    }

    fn a_list(&mut self, ty: &Type, types: &[TypeId], site: &Site) {
        let message = format!(
            "`{ty}` is one value, and the contract has {}",
            self.reading.describe(types)
        );
        let help = format!("make it `{}`", ty.clone().list());
        self.mismatch_as(site.list, message, types, &help, &site.place);
    }

    fn composite(&mut self, ty: &Type, types: &[TypeId], site: &Site) {
        let contract = self.reading.contract;
        let is_object = |ty: &TypeId| {
            matches!(
                contract[*ty].kind,
                Kind::Object(_) | Kind::Map(_) | Kind::Null
            )
        };
        if types.iter().any(is_object) {
            return;
        }
        if types
            .iter()
            .all(|ty| matches!(contract[*ty].kind, Kind::List(_)))
        {
            return self.a_list(ty, types, site);
        }
        let message = format!(
            "`{ty}` is an object, and the contract has {}",
            self.reading.describe(types)
        );
        let wanted = leaf::graphql_type(contract, types[0], "an object type");
        let help = format!("make it {wanted}, or a reference: @map(from: {{ id: \"…\" }})");
        self.mismatch(message, types, &help, &site.place);
    }

    fn leaf(&mut self, field: &ViewField, ty: &Type, types: &[TypeId], site: &Site) {
        let document = self.document;
        let contract = self.reading.contract;
        let name = ty.inner_named_type().as_str();
        let is_list = |ty: &TypeId| matches!(contract[*ty].kind, Kind::List(_));
        let holds_lists = holds_anything(document, name) && field.format.is_none();
        if types.iter().all(is_list) && !holds_lists {
            return self.a_list(ty, types, site);
        }
        if let Some(ExtendedType::Enum(it)) = document.schema.types.get(name) {
            return self.enumeration(it, field, ty, types, site);
        }
        let fits = |it: &TypeId| leaf::comes_in(name, field.format, &contract[*it].kind);
        let fits: Vec<Fit> = types.iter().map(fits).collect();
        if fits.contains(&Fit::Yes) {
            return;
        }
        let partly = fits.iter().find_map(|fit| match fit {
            Fit::Partly(why) => Some(*why),
            _ => None,
        });
        match partly {
            Some(why) => self.partly(ty, types, why, site),
            None => self.wrong_leaf(field, ty, types, site),
        }
    }

    fn wrong_leaf(&mut self, field: &ViewField, ty: &Type, types: &[TypeId], site: &Site) {
        let contract = self.reading.contract;
        let formatted = if field.format.is_some() {
            " in the format of its @map"
        } else {
            ""
        };
        let described = self.reading.describe(types);
        let message = format!("this is `{ty}`{formatted}, and the contract has {described}");
        let wanted = leaf::graphql_type(contract, types[0], "an object type");
        let help = match (field.format, convertible(ty, &contract[types[0]].kind)) {
            (None, Some(format)) => {
                format!("make it {wanted}, or convert it: @map(format: {format})")
            }
            (None, None) => format!("make it {wanted}"),
            (Some(_), _) => "name another format, or leave it out".to_owned(),
        };
        self.mismatch(message, types, &help, &site.place);
    }

    fn partly(&mut self, ty: &Type, types: &[TypeId], why: &str, site: &Site) {
        let described = self.reading.describe(types);
        self.diagnostics.push(
            Diagnostic::warning(
                "TYPE_MISMATCH",
                format!("the contract has {described}: as `{ty}` {why}"),
            )
            .at(site.place.clone())
            .contract(self.reading.contract[types[0]].place.to_string())
            .help("make it `ID`, `Float`, or a scalar Int64"),
        );
    }

    fn mismatch(&mut self, message: String, types: &[TypeId], help: &str, place: &Place) {
        self.mismatch_as("TYPE_MISMATCH", message, types, help, place);
    }

    pub(super) fn mismatch_as(
        &mut self,
        code: &'static str,
        message: String,
        types: &[TypeId],
        help: &str,
        place: &Place,
    ) {
        self.diagnostics.push(
            Diagnostic::error(code, message)
                .at(place.clone())
                .contract(self.reading.contract[types[0]].place.to_string())
                .help(help),
        );
    }

    /// A non-null type over a value that may not be there.
    /// `or` is what else than a nullable type would do.
    pub(super) fn nullability(&mut self, ty: &Type, doubt: Option<Doubt>, or: &str, site: &Site) {
        let nullable = ty.clone().nullable();
        let help = format!("make it `{nullable}`{or}");
        let report = |found: Diagnostic, at: ContractPlace| {
            found
                .at(site.place.clone())
                .contract(at.to_string())
                .help(help)
        };
        let found = match doubt {
            None => return,
            Some(Doubt::Null(at)) => {
                let message = format!("`{ty}` is never null, and the contract allows null here");
                report(Diagnostic::error("NULLABILITY", message), at)
            }
            Some(Doubt::Absent(at)) => {
                let message = format!("`{ty}` is never null, and the contract does not require it");
                report(Diagnostic::warning("NULLABILITY", message), at)
            }
        };
        self.diagnostics.push(found);
    }

    /// Whether a reference may be null because a part of its key may.
    fn key_doubt(&self, view: ViewId, base: TypeId) -> Option<Doubt> {
        let view = &self.graph.lowered.views[view.index()];
        let keys = keys(self.graph, view.subgraph, &view.ty);
        let parts = view
            .fields
            .iter()
            .filter(|(name, _)| keys.iter().any(|path| path.first() == Some(*name)));
        let doubts = parts.map(|(_, field)| match &field.read {
            Read::Path(path) => match self.reading.follow(base, path) {
                Found::Value { doubt, .. } => doubt,
                _ => None,
            },
            _ => None,
        });
        doubts.fold(None, Doubt::graver)
    }
}

/// The paths of every key of a type in a subgraph.
pub(super) fn keys<'g>(
    graph: &'g Graph<'_>,
    subgraph: crate::model::SubgraphId,
    ty: &str,
) -> Vec<&'g FieldPath> {
    let subgraphs = graph.types.get(ty).map(|def| def.subgraphs.iter());
    let own = subgraphs
        .into_iter()
        .flatten()
        .filter(|it| it.subgraph == subgraph);
    own.flat_map(|it| &it.keys)
        .flat_map(|key| &key.fields)
        .collect()
}

/// A scalar of the graph's own, which may hold lists and objects.
fn holds_anything(document: &Document, name: &str) -> bool {
    let ty = document.schema.types.get(name);
    matches!(ty, Some(ExtendedType::Scalar(it)) if !it.is_built_in()) && name != "Int64"
}

fn is_text(kind: &Kind) -> bool {
    matches!(kind, Kind::String { .. })
}

/// The format that would convert a value, for messages.
fn convertible(ty: &Type, kind: &Kind) -> Option<&'static str> {
    let is_number = matches!(kind, Kind::Integer { .. } | Kind::Number);
    match (ty.inner_named_type().as_str(), kind) {
        ("String" | "ID", _) if is_number => Some("STRING_AS_NUMBER"),
        ("Int" | "Float", Kind::String { format }) => match format {
            None | Some(StringFormat::Int64 | StringFormat::Uint64) => Some("NUMBER_AS_STRING"),
            _ => None,
        },
        _ => None,
    }
}
