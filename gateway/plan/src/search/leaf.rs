//! Leaves: how a scalar or enum is decoded and written.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use compose::model::BatchBy;
use compose::model::Format;
use compose::model::ViewField;
use hashbrown::HashMap;
use indexmap::IndexMap;

use crate::model::OutLeaf;
use crate::shape::EnumValues;
use crate::shape::Leaf;
use crate::shape::LeafKind;

/// Names of enums are numbered in the order of the schema, whatever a source calls them, so that decoding and writing agree.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    names: HashMap<String, Arc<EnumValues>>,
}

impl Leaves {
    /// How a leaf of this type is written.
    pub(crate) fn out(&mut self, schema: &Schema, ty: &str) -> OutLeaf {
        match (ty, schema.types.get(ty)) {
            ("ID" | "Int64", _) => OutLeaf::Text,
            (_, Some(ExtendedType::Enum(_))) => OutLeaf::Enum(self.names_of(schema, ty)),
            _ => OutLeaf::Plain,
        }
    }

    /// How a leaf is decoded.
    pub(crate) fn leaf(&mut self, schema: &Schema, ty: &str, field: Option<&ViewField>) -> Leaf {
        let upstream = field.and_then(|field| field.enum_values.as_deref());
        let format = field.and_then(|field| field.format);
        self.decoded(schema, ty, upstream, format)
    }

    /// How a batch's item carries a part of its parent's key.
    pub(crate) fn key(&mut self, schema: &Schema, by: &BatchBy) -> Leaf {
        let ty = by.ty.inner_named_type();
        self.decoded(schema, ty, by.enum_values.as_deref(), by.format)
    }

    fn decoded(
        &mut self,
        schema: &Schema,
        ty: &str,
        upstream: Option<&IndexMap<String, Name>>,
        format: Option<Format>,
    ) -> Leaf {
        let kind = match (ty, schema.types.get(ty)) {
            ("Int", _) => LeafKind::Int,
            ("Float", _) => LeafKind::Float,
            ("String", _) => LeafKind::String,
            ("Boolean", _) => LeafKind::Boolean,
            ("ID", _) => LeafKind::Id,
            ("Int64", _) => LeafKind::Int64,
            (_, Some(ExtendedType::Enum(_))) => LeafKind::Enum(self.values(schema, ty, upstream)),
            _ => LeafKind::Json,
        };
        Leaf { kind, format }
    }

    fn values(
        &mut self,
        schema: &Schema,
        ty: &str,
        upstream: Option<&IndexMap<String, Name>>,
    ) -> Arc<EnumValues> {
        let names = self.names_of(schema, ty);
        let Some(upstream) = upstream else {
            return names;
        };
        let index = |name: &Name| names.names.iter().position(|n| **n == **name);
        let mut values = EnumValues {
            names: names.names.clone(),
            ..EnumValues::default()
        };
        for (value, name) in upstream {
            match (value.as_str(), index(name)) {
                ("*", Some(index)) => values.other = Some(index as u32),
                (_, Some(index)) => values.upstream.push((value.as_str().into(), index as u32)),
                (_, None) => {}
            }
        }
        Arc::new(values)
    }

    fn names_of(&mut self, schema: &Schema, ty: &str) -> Arc<EnumValues> {
        if let Some(known) = self.names.get(ty) {
            return known.clone();
        }
        let names: Vec<Arc<str>> = match schema.types.get(ty) {
            Some(ExtendedType::Enum(definition)) => definition
                .values
                .keys()
                .map(|name| Arc::from(name.as_str()))
                .collect(),
            _ => Vec::new(),
        };
        let upstream = names
            .iter()
            .zip(0..)
            .map(|(name, index)| (Box::from(&**name), index));
        let values = Arc::new(EnumValues {
            upstream: upstream.collect(),
            names,
            other: None,
        });
        self.names.insert(ty.to_owned(), values.clone());
        values
    }
}
