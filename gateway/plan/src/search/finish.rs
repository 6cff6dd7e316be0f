//! From drafts to steps: the shapes that replies are decoded into.
//!
//! Owns the last act of planning, when every slot is known: views say where
//! each slot is read, and embedded objects get their place in the outermost
//! object's run of slots.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use compose::Supergraph;
use compose::model::Read;
use compose::model::ReadPiece;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::ViewField;
use compose::model::ViewId;
use indexmap::IndexMap;

use crate::access;
use crate::cache;
use crate::condition::All;
use crate::condition::Any;
use crate::condition::Term;
use crate::model::Aligned;
use crate::model::Arg;
use crate::model::ArgValue;
use crate::model::LayoutSlot;
use crate::model::Parents;
use crate::model::Prepared;
use crate::model::Single;
use crate::model::Step;
use crate::model::Without;
use crate::search::Search;
use crate::search::draft;
use crate::search::draft::DraftObject;
use crate::search::draft::DraftParents;
use crate::search::draft::DraftStep;
use crate::search::draft::DraftValue;
use crate::search::draft::FieldKey;
use crate::search::draft::ObjectIndex;
use crate::search::draft::ObjectKind;
use crate::search::leaf::Leaves;
use crate::search::names::Names;
use crate::search::names::Place;
use crate::shape::AbstractShape;
use crate::shape::AbstractVariant;
use crate::shape::AskedArg;
use crate::shape::Compute;
use crate::shape::ComputePiece;
use crate::shape::Computed;
use crate::shape::ConnectionShape;
use crate::shape::EdgesShape;
use crate::shape::Embedded;
use crate::shape::Included;
use crate::shape::Layout;
use crate::shape::Leaf;
use crate::shape::LeafKind;
use crate::shape::ObjectShape;
use crate::shape::PageInfoShape;
use crate::shape::Prop;
use crate::shape::PropTarget;
use crate::shape::Props;
use crate::shape::ReplyShape;
use crate::shape::Shape;

impl Search<'_> {
    /// Every step, finished.
    pub(crate) fn finish(&mut self) -> Vec<Step> {
        let drafts = std::mem::take(&mut self.steps);
        let steps = drafts.into_iter().enumerate();
        let mut steps: Vec<Step> = steps
            .map(|(id, draft)| self.finish_step(id, draft))
            .collect();
        for index in 0..steps.len() {
            let same = |other: &Step| other.id != index && self.go_together(&steps[index], other);
            steps[index].in_company = steps.iter().any(same);
        }
        steps
    }

    /// Whether two steps begin at the same time and may be one call.
    fn go_together(&self, one: &Step, other: &Step) -> bool {
        let [one_resolver, other_resolver] =
            [one, other].map(|step| self.graph.resolver(step.resolver));
        let reads = |resolver: &Resolver| match &resolver.request {
            Request::Graphql(request) => !request.mutation && !resolver.target.is_subscription(),
            Request::Rest(_) | Request::Grpc(_) => false,
        };
        one_resolver.source == other_resolver.source
            && one.after == other.after
            && reads(one_resolver)
            && reads(other_resolver)
    }

    fn finish_step(&mut self, id: usize, mut draft: DraftStep) -> Step {
        let graph = self.graph;
        self.include(&mut draft);
        let resolver = graph.resolver(draft.resolver);
        let shape = self.shape(&draft, resolver);
        let single = draft.single.and_then(|single| {
            let resolver = graph.resolver(single);
            let same = provides(graph, &draft, resolver);
            same.then(|| Single {
                resolver: single,
                inputs: reorder(graph.resolver(draft.resolver), resolver, &draft.inputs),
                shape: self.shape(&draft, resolver),
                prepared: Prepared::default(),
            })
        });
        let without = self.without(&draft, resolver);
        let selects = selects(&draft, &draft.value, 0);
        let cache = cache::of_step(graph, &draft);
        Step {
            id,
            resolver: draft.resolver,
            single: single
                .filter(|single| single.inputs.len() == draft.inputs.len())
                .map(Box::new),
            args: draft.args,
            below: draft.below,
            parents: draft.parents.map(parents),
            aligned: draft.aligned.into_iter().map(aligned).collect(),
            inputs: draft.inputs,
            representation: draft.representation,
            without: without.map(Box::new),
            after: draft.after,
            selects,
            value_slot: draft.item.map(|item| draft.objects[item].slots - 1),
            condition: self.condition(draft.condition),
            shape,
            in_company: false,
            prepared: Prepared::default(),
            cache,
        }
    }

    /// Says of each field when it is asked for, where the source is told.
    fn include(&mut self, draft: &mut DraftStep) {
        let source = self.graph.resolver(draft.resolver).source;
        if !self.graph.source(source).kind.takes_selections() {
            return;
        }
        // The demands that are met wherever an object is asked for: what holds above need not be said again.
        let met = |any: &Any| any.only(|term| matches!(term, Term::Met(_))).certain();
        let mut given = vec![met(&draft.condition); draft.objects.len()];
        for object in 0..draft.objects.len() {
            for (slot, children) in draft.objects[object].reads() {
                let wanted = draft.wanted.get(&(object, slot)).cloned();
                let wanted = wanted.unwrap_or_else(Any::always);
                let included = self.included(draft, &wanted.without(&given[object]));
                if !included.is_empty() {
                    draft.included.insert((object, slot), included);
                }
                let below = access::both(&given[object], &met(&wanted));
                children
                    .iter()
                    .for_each(|child| given[*child].clone_from(&below));
            }
        }
    }

    /// What is demanded of the caller decides together with variables, in one directive.
    fn included(&mut self, draft: &mut DraftStep, wanted: &Any) -> Vec<Included> {
        let demands = |all: &All| all.iter().any(|term| matches!(term, Term::Met(_)));
        if !wanted.0.iter().any(demands) {
            return draft.when(wanted);
        }
        let condition = self.demands.condition(wanted.clone());
        let included = condition.map(|it| draft.included(ArgValue::Holds(it), true));
        included.into_iter().collect()
    }

    /// What is asked for all the same where what some fields require cannot be had; none where
    /// nothing else is read.
    fn without(&mut self, draft: &DraftStep, resolver: &Resolver) -> Option<Without> {
        if draft.requiring.is_empty() || resolver.sends.is_some() {
            return None;
        }
        let DraftValue::Objects(objects) = &draft.value else {
            return None;
        };
        let mut slots = Vec::new();
        let mut fewer = draft.clone();
        for index in objects {
            let object = &mut fewer.objects[*index];
            let requiring = |name: &Name| draft.requiring.contains(name);
            let (left_out, kept) = object
                .fields
                .drain(..)
                .partition(|it| requiring(&it.0.name));
            let left_out: IndexMap<FieldKey, (u32, DraftValue)> = left_out;
            object.fields = kept;
            slots.extend(left_out.values().map(|(slot, _)| LayoutSlot {
                layout: *index as u32,
                slot: *slot,
            }));
        }
        let reads = objects
            .iter()
            .any(|it| !fewer.objects[*it].fields.is_empty());
        reads.then(|| Without {
            call: Single {
                resolver: draft.resolver,
                inputs: draft.inputs.clone(),
                shape: self.shape(&fewer, resolver),
                prepared: Prepared::default(),
            },
            slots,
        })
    }

    fn shape(&mut self, draft: &DraftStep, resolver: &Resolver) -> ReplyShape {
        let source = self.graph.source(resolver.source);
        let mut finisher = Finisher {
            graph: self.graph,
            selects: source.kind.takes_selections(),
            leaves: &mut self.leaves,
            step: draft,
            layouts: draft
                .objects
                .iter()
                .map(|object| Layout {
                    ty: Arc::from(object.ty.as_str()),
                    slots: object.slots,
                })
                .collect(),
        };
        finisher.reply(resolver)
    }
}

fn parents(draft: DraftParents) -> Parents {
    Parents {
        step: draft.step,
        path: draft.path,
        layout: draft.object as u32,
        join: draft.join,
    }
}

fn aligned(draft: draft::Aligned) -> Aligned {
    Aligned {
        with: parents(draft.with),
        path: draft.path,
        layout: draft.object as u32,
    }
}

/// Nesting that the printed plan shows.
const SHOWN_DEPTH: usize = 6;

/// What the step reads, in GraphQL's words: `id name address { city }`.
fn selects(draft: &DraftStep, value: &DraftValue, depth: usize) -> String {
    let DraftValue::Objects(objects) = value else {
        return String::new();
    };
    let of_object = |object: &ObjectIndex| {
        let object = &draft.objects[*object];
        let fields = object.fields.iter().map(|(key, (_, value))| {
            let name = &key.name;
            match value {
                DraftValue::Leaf => name.to_string(),
                DraftValue::Objects(_) if depth >= SHOWN_DEPTH => format!("{name} {{ … }}"),
                value => format!("{name} {{ {} }}", selects(draft, value, depth + 1)),
            }
        });
        let fields = fields.collect::<Vec<_>>().join(" ");
        match objects.len() {
            1 => fields,
            _ => format!("... on {} {{ {fields} }}", object.ty),
        }
    };
    objects.iter().map(of_object).collect::<Vec<_>>().join(" ")
}

/// Whether the resolver for one parent alone carries everything that the step reads.
fn provides(graph: &Supergraph, draft: &DraftStep, single: &Resolver) -> bool {
    match (&draft.value, single.reply.value.view, draft.item) {
        (DraftValue::Objects(objects), Some(view), None) => objects
            .iter()
            .all(|object| provides_object(graph, draft, *object, view)),
        _ => false,
    }
}

fn provides_object(
    graph: &Supergraph,
    draft: &DraftStep,
    object: ObjectIndex,
    view: ViewId,
) -> bool {
    let object = &draft.objects[object];
    let known = graph.view(view);
    let of_type = match known
        .variants
        .iter()
        .find(|variant| variant.ty == object.ty)
    {
        Some(variant) => graph.view(variant.view),
        None => known,
    };
    of_type.ty == object.ty
        && object.fields.iter().all(|(key, (_, value))| {
            match (of_type.fields.get(&key.name), value) {
                (None, _) => false,
                (Some(field), _) if !key.args.is_empty() && field.args.is_empty() => false,
                (Some(_), DraftValue::Leaf) => true,
                (Some(field), DraftValue::Objects(children)) => field.view.is_some_and(|view| {
                    children
                        .iter()
                        .all(|child| provides_object(graph, draft, *child, view))
                }),
            }
        })
}

/// The batch's inputs in the order of the single resolver's.
fn reorder<T: Clone>(batch: &Resolver, single: &Resolver, inputs: &[T]) -> Vec<T> {
    let place = |path| batch.inputs.iter().position(|known| known == path);
    single
        .inputs
        .iter()
        .filter_map(|path| inputs.get(place(path)?).cloned())
        .collect()
}

struct Finisher<'f> {
    graph: &'f Supergraph,
    leaves: &'f mut Leaves,
    step: &'f DraftStep,
    layouts: Vec<Layout>,
    /// Whether the source is told what to select, and so under which names.
    selects: bool,
}

/// One outermost object while its shape is put together.
struct Run {
    shape: ObjectShape,
    free: u32,
    /// The names of its properties, where the source is told them.
    names: Option<Names>,
}

impl Finisher<'_> {
    fn reply(&mut self, resolver: &Resolver) -> ReplyShape {
        let (root, connection) = match &resolver.reply.connection {
            Some(connection) => {
                let node = self.node_shape(&connection.node);
                (Shape::List(Box::new(node)), Some(self.connection()))
            }
            None if resolver.batch.is_some() => (self.batch_root(resolver), None),
            None => (self.value_root(resolver), None),
        };
        ReplyShape {
            unwrap: resolver.reply.unwrap.clone(),
            root,
            layouts: std::mem::take(&mut self.layouts),
            by: self.step.by.clone(),
            connection,
        }
    }

    /// A reply that is the field's value.
    fn value_root(&mut self, resolver: &Resolver) -> Shape {
        let value = &resolver.reply.value;
        let step = self.step;
        self.value(&value.ty, value, &step.value)
    }

    /// A reply that is a list of items for many parents.
    fn batch_root(&mut self, resolver: &Resolver) -> Shape {
        let value = &resolver.reply.value;
        let to_many = resolver.batch.as_ref().is_some_and(|batch| batch.to_many);
        let ty = match to_many {
            true => value.ty.item_type(),
            false => &value.ty,
        };
        let step = self.step;
        let item = match step.item {
            Some(item) => self.item(item, ty, value),
            None => self.value(ty, value, &step.value),
        };
        Shape::List(Box::new(item))
    }

    /// An item that carries a key and, somewhere, the value.
    fn item(&mut self, item: ObjectIndex, ty: &Type, value: &ViewField) -> Shape {
        let step = self.step;
        let mut run = self.run(item);
        self.extras(&step.objects[item], 0, &mut run);
        let slot = step.objects[item].slots - 1;
        let target = PropTarget {
            slot,
            shape: self.value(ty, value, &step.value),
        };
        match &value.read {
            Read::Path(path) if !path.is_empty() => run.put(Place::plain(path, None), target),
            _ => {}
        }
        Shape::Object(Arc::new(self.end(item, run)))
    }

    fn node_shape(&mut self, node: &ViewField) -> Shape {
        let objects = self.step.objects.iter();
        let mut known = objects.filter_map(|object| match object.kind {
            ObjectKind::Connection => object.plain("nodes"),
            ObjectKind::Edge => object.plain("node"),
            _ => None,
        });
        let value = known.next().map(|(_, value)| value.clone());
        match value.or_else(|| node.view.map(|_| DraftValue::Objects(Vec::new()))) {
            Some(value) => self.value(&node.ty, node, &value),
            None => self.value(&node.ty, node, &DraftValue::Leaf),
        }
    }

    fn connection(&self) -> ConnectionShape {
        let objects = &self.step.objects;
        let root = objects
            .iter()
            .position(|o| o.kind == ObjectKind::Connection)
            .unwrap_or(0);
        let slot = |object: ObjectIndex, name: &str| objects[object].plain(name).map(|f| f.0);
        let child = |name: &str| match objects[root].plain(name) {
            Some((slot, DraftValue::Objects(children))) => Some((*slot, children[0])),
            _ => None,
        };
        ConnectionShape {
            layout: root as u32,
            nodes: slot(root, "nodes"),
            total: slot(root, "totalCount"),
            edges: child("edges").map(|(at, edge)| EdgesShape {
                slot: at,
                layout: edge as u32,
                node: slot(edge, "node"),
                cursor: slot(edge, "cursor"),
            }),
            page_info: child("pageInfo").map(|(at, info)| PageInfoShape {
                slot: at,
                layout: info as u32,
                has_next: slot(info, "hasNextPage"),
                has_previous: slot(info, "hasPreviousPage"),
                start: slot(info, "startCursor"),
                end: slot(info, "endCursor"),
            }),
        }
    }

    /// A value of a type: lists around a leaf or object.
    fn value(&mut self, ty: &Type, field: &ViewField, value: &DraftValue) -> Shape {
        if let Type::List(item) | Type::NonNullList(item) = ty {
            return Shape::List(Box::new(self.value(item, field, value)));
        }
        match (value, field.view) {
            (DraftValue::Objects(objects), Some(view)) => self.objects(objects, view),
            _ => Shape::Leaf(self.leaves.leaf(
                self.graph.api(),
                ty.inner_named_type(),
                Some(field),
            )),
        }
    }

    fn objects(&mut self, objects: &[ObjectIndex], view: ViewId) -> Shape {
        let known = self.graph.view(view);
        if known.variants.is_empty() {
            return match objects.first() {
                Some(object) => {
                    let names = self.names();
                    Shape::Object(Arc::new(self.object(*object, view, names).0))
                }
                None => Shape::Object(Arc::new(self.nothing())),
            };
        }
        let mut names = self.names();
        let mut variants = Vec::new();
        for variant in &known.variants {
            let ty = &variant.ty;
            let mut objects = objects.iter();
            let Some(object) = objects.find(|o| self.step.objects[**o].ty == *ty) else {
                continue;
            };
            let (shape, used) = self.object(*object, variant.view, names);
            names = used.map(Names::of_another);
            variants.push(AbstractVariant {
                value: variant.value.as_deref().map(Box::from),
                status: variant.status.clone(),
                shape: Arc::new(shape),
            });
        }
        Shape::Abstract(Arc::new(AbstractShape {
            ty: Arc::from(known.ty.as_str()),
            discriminator: known.discriminator.clone().unwrap_or_default(),
            variants,
        }))
    }

    /// An object of which nothing is read: a connection whose nodes are not selected.
    fn nothing(&mut self) -> ObjectShape {
        self.layouts.push(Layout {
            ty: Arc::from(""),
            slots: 0,
        });
        let mut run = self.run(0);
        run.shape.layout = self.layouts.len() as u32 - 1;
        run.shape.slots = 0;
        run.shape
    }

    fn names(&self) -> Option<Names> {
        self.selects.then(Names::default)
    }

    /// An object's shape, and the names that its properties have taken.
    fn object(
        &mut self,
        object: ObjectIndex,
        view: ViewId,
        names: Option<Names>,
    ) -> (ObjectShape, Option<Names>) {
        let mut run = self.run(object);
        run.names = names;
        self.fill(object, view, 0, &mut run);
        let names = run.names.take();
        (self.end(object, run), names)
    }

    fn run(&self, object: ObjectIndex) -> Run {
        let slots = self
            .step
            .objects
            .get(object)
            .map_or(0, |object| object.slots);
        Run {
            shape: ObjectShape {
                layout: object as u32,
                slots,
                props: Props::default(),
                embedded: Vec::new(),
                computed: Vec::new(),
                defaults: Vec::new(),
                itself: Vec::new(),
            },
            free: slots,
            names: self.names(),
        }
    }

    fn end(&mut self, object: ObjectIndex, run: Run) -> ObjectShape {
        let mut shape = run.shape;
        shape.slots = run.free;
        if let Some(layout) = self.layouts.get_mut(object) {
            layout.slots = layout.slots.max(run.free);
        }
        shape
    }

    /// Reads of one object whose slots begin at `at`.
    fn fill(&mut self, object: ObjectIndex, view: ViewId, at: u32, run: &mut Run) {
        let draft = &self.step.objects[object];
        self.extras(draft, at, run);
        let view = self.graph.view(view);
        for (key, (slot, value)) in &draft.fields {
            if let Some(field) = view.fields.get(&key.name) {
                let args = asked_args(&self.step.below, field, &key.args);
                let included = self.step.included.get(&(object, *slot));
                let asked = (args, included.cloned().unwrap_or_default());
                self.fill_field(field, at + slot, value, asked, run);
            }
        }
    }

    fn extras(&mut self, draft: &DraftObject, at: u32, run: &mut Run) {
        for (by, slot) in &draft.extra {
            let leaf = self.leaves.key(self.graph.api(), by);
            self.read_leaf(Place::plain(&by.path, Some(&by.ty)), at + slot, leaf, run);
        }
    }

    fn read_leaf(&mut self, place: Place<'_>, slot: u32, leaf: Leaf, run: &mut Run) {
        match place.path.is_empty() {
            true => run.shape.itself.push((slot, leaf)),
            false => {
                let shape = Shape::Leaf(leaf);
                run.put(place, PropTarget { slot, shape });
            }
        }
    }

    fn fill_field(
        &mut self,
        field: &ViewField,
        slot: u32,
        value: &DraftValue,
        (args, included): (Vec<AskedArg>, Vec<Included>),
        run: &mut Run,
    ) {
        let place = |path| Place {
            path,
            args,
            included,
            ty: Some(&field.ty),
        };
        if let Some(default) = &field.default {
            run.shape.defaults.push((slot, default.clone()));
        }
        match (&field.read, value) {
            (Read::Embedded, DraftValue::Objects(objects)) => {
                self.embed(field, slot, objects, run);
            }
            (Read::ListOf(path), _) => {
                let shape = self.value(&field.ty, field, value);
                run.put(place(path), PropTarget { slot, shape });
            }
            (Read::Path(path), DraftValue::Objects(objects)) if path.is_empty() => {
                self.embed(field, slot, objects, run);
            }
            (Read::Path(path), _) => match self.value(&field.ty, field, value) {
                Shape::Leaf(leaf) => self.read_leaf(place(path), slot, leaf, run),
                shape => run.put(place(path), PropTarget { slot, shape }),
            },
            (read, _) => {
                let ty = field.ty.inner_named_type();
                let leaf = self.leaves.leaf(self.graph.api(), ty, Some(field));
                let how = self.compute(read, &leaf, run);
                run.shape.computed.push(Computed { slot, how, leaf });
            }
        }
    }

    fn embed(&mut self, field: &ViewField, slot: u32, objects: &[ObjectIndex], run: &mut Run) {
        let (Some(view), Some(object)) = (field.view, objects.first()) else {
            return;
        };
        let at = run.free;
        let draft = &self.step.objects[*object];
        run.free += draft.slots;
        let known = self.graph.view(view);
        let leaves = draft.fields.iter().filter(|(key, _)| {
            field.read == Read::Embedded
                && known
                    .fields
                    .get(&key.name)
                    .is_some_and(|field| field.view.is_none())
        });
        run.shape.embedded.push(Embedded {
            slot,
            at,
            layout: *object as u32,
            keys: leaves.map(|(_, (slot, _))| at + slot).collect(),
        });
        self.fill(*object, view, at, run);
    }

    fn compute(&mut self, read: &Read, leaf: &Leaf, run: &mut Run) -> Compute {
        match read {
            Read::FirstOf(reads) => {
                let slots = reads
                    .iter()
                    .map(|read| self.hidden(read, leaf, run))
                    .collect();
                Compute::FirstOf(slots)
            }
            Read::Template(pieces) => {
                let hole = Leaf {
                    kind: LeafKind::Json,
                    format: None,
                };
                let pieces = pieces.iter().map(|piece| match piece {
                    ReadPiece::Text(text) => ComputePiece::Text(text.as_str().into()),
                    ReadPiece::Path(path) => {
                        let read = Read::Path(path.clone());
                        ComputePiece::Slot(self.hidden(&read, &hole, run))
                    }
                });
                Compute::Template(pieces.collect())
            }
            Read::Const(value) => Compute::Const(value.clone()),
            _ => Compute::Status,
        }
    }

    /// A slot that only the gateway sees.
    fn hidden(&mut self, read: &Read, leaf: &Leaf, run: &mut Run) -> u32 {
        let slot = run.free;
        run.free += 1;
        match read {
            // What it is upstream, nobody says.
            Read::Path(path) => self.read_leaf(Place::plain(path, None), slot, leaf.clone(), run),
            read => {
                let how = self.compute(read, leaf, run);
                let leaf = leaf.clone();
                run.shape.computed.push(Computed { slot, how, leaf });
            }
        }
        slot
    }
}

/// The arguments of a field as its source knows them.
fn asked_args(below: &[Arg], field: &ViewField, given: &[u32]) -> Vec<AskedArg> {
    let args = given.iter().filter_map(|index| {
        let arg = &below[*index as usize];
        let known = field.args.iter().find(|it| it.name == arg.name.as_str())?;
        Some(AskedArg {
            name: known.upstream.as_str().into(),
            ty: known.ty.to_string().into(),
            encode: known.encode,
            value: *index,
        })
    });
    args.collect()
}

impl Run {
    fn put(&mut self, place: Place<'_>, target: PropTarget) {
        match &mut self.names {
            Some(names) => names.ask(&mut self.shape.props, place, target),
            None => insert(&mut self.shape.props, place.path, target),
        }
    }
}

/// Adds a target at a path of properties.
fn insert(props: &mut Props, path: &[String], target: PropTarget) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let known = props.0.iter().position(|prop| *prop.name == **first);
    let index = known.unwrap_or_else(|| {
        props.0.push(Prop {
            name: first.as_str().into(),
            asked: None,
            targets: Vec::new(),
            nested: Props::default(),
        });
        props.0.len() - 1
    });
    match rest.is_empty() {
        true => props.0[index].targets.push(target),
        false => insert(&mut props.0[index].nested, rest, target),
    }
}
