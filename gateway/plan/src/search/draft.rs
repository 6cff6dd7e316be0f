//! A plan in the making: steps whose shapes still grow.
//!
//! Owns slots. A field that is read for any reason (selected, a key, an input
//! of another call) gets one slot on its object, once.

use std::hash::Hash;
use std::hash::Hasher;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use apollo_compiler::name;
use compose::Supergraph;
use compose::model::BatchBy;
use compose::model::Read;
use compose::model::Resolver;
use compose::model::ResolverId;
use compose::model::ViewId;
use hashbrown::HashMap;
use indexmap::Equivalent;
use indexmap::IndexMap;

use crate::condition::All;
use crate::condition::Any;
use crate::condition::Term;
use crate::model::Arg;
use crate::model::ArgValue;
use crate::model::Hop;
use crate::model::LayoutSlot;
use crate::model::Selection;
use crate::shape::Included;

/// Index into [`DraftStep::objects`]; also the object's layout.
pub(crate) type ObjectIndex = usize;

/// One step in the making.
#[derive(Debug, Clone)]
pub(crate) struct DraftStep {
    pub(crate) resolver: ResolverId,
    pub(crate) single: Option<ResolverId>,
    pub(crate) args: Vec<Arg>,
    /// Arguments of fields that are read, each value once.
    pub(crate) below: Vec<Arg>,
    /// When a field is wanted of an object that is there, by the object and its slot; always where nothing is said.
    pub(crate) wanted: HashMap<(ObjectIndex, u32), Any>,
    /// The same as the source is told it, once everything is known.
    pub(crate) included: HashMap<(ObjectIndex, u32), Vec<Included>>,
    pub(crate) parents: Option<DraftParents>,
    pub(crate) inputs: Vec<Vec<Hop>>,
    /// Its fields for which others of the entity are sent.
    pub(crate) requiring: Vec<Name>,
    /// What is sent for them, beside the key.
    pub(crate) representation: Option<Selection>,
    pub(crate) after: Vec<usize>,
    pub(crate) condition: Any,
    /// What is demanded of the caller for what it is keyed by; part of the condition, and of the access to all that it brings.
    pub(crate) access: All,
    /// Sequential calls up to and including this one.
    pub(crate) depth: usize,
    pub(crate) objects: Vec<DraftObject>,
    /// What one parent gets.
    pub(crate) value: DraftValue,
    /// For a batch whose items are not the values themselves: the item object, with the value in its only field.
    pub(crate) item: Option<ObjectIndex>,
    /// The slots of the batch key, on every item object.
    pub(crate) by: Vec<u32>,
    /// Objects of another step that are joined to this one's by their place.
    pub(crate) aligned: Vec<Aligned>,
}

/// Objects of a root field that another call to a root field of the same name knows more of.
#[derive(Debug, Clone)]
pub(crate) struct Aligned {
    pub(crate) with: DraftParents,
    /// The way to the same objects here.
    pub(crate) path: Vec<LayoutSlot>,
    pub(crate) object: ObjectIndex,
}

/// Where a step's parents are.
#[derive(Debug, Clone)]
pub(crate) struct DraftParents {
    pub(crate) step: usize,
    pub(crate) path: Vec<LayoutSlot>,
    pub(crate) object: ObjectIndex,
    pub(crate) join: u32,
}

/// An object type at one place of a reply.
#[derive(Debug, Clone)]
pub(crate) struct DraftObject {
    pub(crate) ty: Name,
    pub(crate) kind: ObjectKind,
    pub(crate) slots: u32,
    pub(crate) fields: IndexMap<FieldKey, (u32, DraftValue)>,
    /// Upstream values read for the gateway's own use: batch keys.
    pub(crate) extra: Vec<(BatchBy, u32)>,
}

impl DraftObject {
    /// The slots of its fields, and the objects that may stand there.
    pub(crate) fn reads(&self) -> Vec<(u32, Vec<ObjectIndex>)> {
        let reads = self.fields.values().map(|(slot, value)| match value {
            DraftValue::Leaf => (*slot, Vec::new()),
            DraftValue::Objects(objects) => (*slot, objects.clone()),
        });
        reads.collect()
    }
}

/// A field that is read: one with other arguments is another one, where they go upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldKey {
    pub(crate) name: Name,
    /// Indices into [`DraftStep::below`].
    pub(crate) args: Vec<u32>,
}

impl Hash for FieldKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name.as_str(), &self.args[..]).hash(state);
    }
}

/// A [`FieldKey`] that nobody owns.
#[derive(Hash)]
struct Wanted<'a>(&'a str, &'a [u32]);

impl Equivalent<FieldKey> for Wanted<'_> {
    fn equivalent(&self, key: &FieldKey) -> bool {
        key.name == self.0 && key.args == self.1
    }
}

impl DraftObject {
    /// A field that is read without arguments.
    pub(crate) fn plain(&self, name: &str) -> Option<&(u32, DraftValue)> {
        self.fields.get(&Wanted(name, &[]))
    }

    fn add(&mut self, name: Name, args: Vec<u32>, slot: u32, value: DraftValue) {
        self.fields.insert(FieldKey { name, args }, (slot, value));
    }
}

/// What an object is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    View(ViewId),
    /// A batch item that only carries its key and a value.
    Item,
    Connection,
    Edge,
    PageInfo,
}

/// A value at one place of a reply. Lists are in the type, not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftValue {
    Leaf,
    /// The object types that can stand here.
    Objects(Vec<ObjectIndex>),
}

impl DraftStep {
    pub(crate) fn add(&mut self, ty: &Name, kind: ObjectKind) -> ObjectIndex {
        self.objects.push(DraftObject {
            ty: ty.clone(),
            kind,
            slots: 0,
            fields: IndexMap::new(),
            extra: Vec::new(),
        });
        self.objects.len() - 1
    }

    /// A fresh slot on an object.
    pub(crate) fn slot(&mut self, object: ObjectIndex) -> u32 {
        let object = &mut self.objects[object];
        object.slots += 1;
        object.slots - 1
    }

    /// The objects for a composite value read by `view`: one, or one per variant.
    pub(crate) fn composite(&mut self, graph: &Supergraph, view: ViewId) -> DraftValue {
        let known = graph.view(view);
        if known.variants.is_empty() {
            return DraftValue::Objects(vec![self.add(&known.ty, ObjectKind::View(view))]);
        }
        let objects = known
            .variants
            .iter()
            .map(|variant| self.add(&variant.ty, ObjectKind::View(variant.view)))
            .collect();
        DraftValue::Objects(objects)
    }

    /// The slot and value of a field that the object's view carries; read once however often it is asked for.
    pub(crate) fn read(
        &mut self,
        graph: &Supergraph,
        resolver: &Resolver,
        object: ObjectIndex,
        field: &str,
        args: Vec<Arg>,
        when: &Any,
    ) -> Option<(u32, DraftValue)> {
        let args: Vec<u32> = args.into_iter().map(|arg| self.argument(arg)).collect();
        if let Some(known) = self.objects[object].fields.get(&Wanted(field, &args)) {
            if let Some(wanted) = self.wanted.get_mut(&(object, known.0)) {
                wanted.or_any(when);
            }
            return Some(known.clone());
        }
        let value = match self.objects[object].kind {
            ObjectKind::View(view) => self.read_view(graph, view, field)?,
            kind => self.read_connection(graph, resolver, kind, field)?,
        };
        let slot = self.slot(object);
        let name = Name::new(field).ok()?;
        self.objects[object].add(name, args, slot, value.clone());
        self.wanted.insert((object, slot), when.clone());
        Some((slot, value))
    }

    /// What decides whether a field is asked for, as arguments below; none where it always is, or
    /// where no two directives could say when.
    pub(crate) fn when(&mut self, wanted: &Any) -> Vec<Included> {
        let [all] = &wanted.0[..] else {
            return Vec::new();
        };
        let variables = all.iter().filter_map(|term| match term {
            Term::Variable(variable, equals) => Some((*variable, *equals)),
            Term::Met(_) => None,
        });
        let variables: Vec<(u32, bool)> = variables.collect();
        let twice = |is: bool| variables.iter().filter(|(_, equals)| *equals == is).count() > 1;
        if twice(true) || twice(false) {
            return Vec::new();
        }
        let included = variables.into_iter();
        included
            .map(|(variable, equals)| self.included(ArgValue::Variable(variable), equals))
            .collect()
    }

    /// A Boolean that decides whether a field is asked for.
    pub(crate) fn included(&mut self, value: ArgValue, equals: bool) -> Included {
        let value = self.argument(Arg {
            name: "if".to_owned(),
            value,
            default: None,
            ty: Type::NonNullNamed(name!("Boolean")),
        });
        Included { value, equals }
    }

    /// The index of an argument below; equal ones are one.
    fn argument(&mut self, arg: Arg) -> u32 {
        let known = self.below.iter().position(|known| *known == arg);
        let index = known.unwrap_or_else(|| {
            self.below.push(arg);
            self.below.len() - 1
        });
        index as u32
    }

    fn read_view(&mut self, graph: &Supergraph, view: ViewId, field: &str) -> Option<DraftValue> {
        let known = graph.view(view).fields.get(field)?;
        let Some(child) = known.view else {
            return Some(DraftValue::Leaf);
        };
        let value = self.composite(graph, child);
        if matches!(known.read, Read::Embedded | Read::ListOf(_)) {
            self.read_reference(graph, child, &value);
        }
        Some(value)
    }

    /// A reference is null when a part of its key is, so the parts are read whatever is selected.
    fn read_reference(&mut self, graph: &Supergraph, view: ViewId, value: &DraftValue) {
        let DraftValue::Objects(objects) = value else {
            return;
        };
        let leaves = graph.view(view).fields.iter();
        let names: Vec<Name> = leaves
            .filter(|(_, field)| field.view.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let slot = self.slot(objects[0]);
            self.objects[objects[0]].add(name, Vec::new(), slot, DraftValue::Leaf);
        }
    }

    fn read_connection(
        &mut self,
        graph: &Supergraph,
        resolver: &Resolver,
        kind: ObjectKind,
        field: &str,
    ) -> Option<DraftValue> {
        let connection = resolver.reply.connection.as_ref()?;
        match (kind, field) {
            (ObjectKind::Connection, "edges") => {
                let edge = self.add(connection.edge_type.as_ref()?, ObjectKind::Edge);
                Some(DraftValue::Objects(vec![edge]))
            }
            (ObjectKind::Connection, "pageInfo") => {
                let info = self.add(&connection.page_info_type, ObjectKind::PageInfo);
                Some(DraftValue::Objects(vec![info]))
            }
            (ObjectKind::Connection, "nodes") | (ObjectKind::Edge, "node") => {
                self.node(graph, resolver)
            }
            (ObjectKind::Connection, "totalCount")
            | (ObjectKind::Edge, "cursor")
            | (
                ObjectKind::PageInfo,
                "hasNextPage" | "hasPreviousPage" | "startCursor" | "endCursor",
            ) => Some(DraftValue::Leaf),
            _ => None,
        }
    }

    /// The nodes of a connection are decoded once, whether they are selected through edges, nodes or both.
    fn node(&mut self, graph: &Supergraph, resolver: &Resolver) -> Option<DraftValue> {
        let known = self.objects.iter().find_map(|object| {
            let name = match object.kind {
                ObjectKind::Connection => "nodes",
                ObjectKind::Edge => "node",
                _ => return None,
            };
            object.plain(name).map(|(_, value)| value.clone())
        });
        if known.is_some() {
            return known;
        }
        match resolver.reply.connection.as_ref()?.node.view {
            Some(view) => Some(self.composite(graph, view)),
            None => Some(DraftValue::Leaf),
        }
    }
}

/// Whether an object of this kind carries a field without a further call.
pub(crate) fn carries(
    graph: &Supergraph,
    resolver: &Resolver,
    kind: ObjectKind,
    field: &str,
) -> bool {
    let connection = resolver.reply.connection.as_ref();
    match kind {
        ObjectKind::View(view) => graph.view(view).fields.contains_key(field),
        ObjectKind::Item => false,
        ObjectKind::Connection => connection.is_some_and(|c| match field {
            "edges" => c.edge_type.is_some(),
            "nodes" => c.has_nodes,
            "totalCount" => c.has_total,
            "pageInfo" => true,
            _ => false,
        }),
        ObjectKind::Edge => matches!(field, "node" | "cursor"),
        ObjectKind::PageInfo => matches!(
            field,
            "hasNextPage" | "hasPreviousPage" | "startCursor" | "endCursor"
        ),
    }
}
