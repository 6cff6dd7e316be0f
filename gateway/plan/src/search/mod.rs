//! The search over which source can answer what.
//!
//! Owns the walk over an operation: at each object, fields that a known reply
//! carries are read from it, the others are brought by the best further calls.
//! Steps grow while the walk goes on and are finished at its end.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::Field;
use apollo_compiler::schema::ExtendedType;
use compose::Supergraph;
use compose::model::FieldDef;
use compose::model::Resolver;
use compose::model::ResolverId;
use compose::model::Target;
use compose::model::ViewId;
use hashbrown::HashMap;
use indexmap::IndexMap;

pub(crate) mod budget;
mod candidates;
mod demand;
pub(crate) mod draft;
mod finish;
mod interface_object;
pub(crate) mod leaf;
mod names;
#[cfg(test)]
mod tests;
mod twins;

use crate::access;
use crate::code::Code;
use crate::collect::Collected;
use crate::collect::Collector;
use crate::collect::Conditional;
use crate::collect::Group;
use crate::condition::All;
use crate::condition::Any;
use crate::cost;
use crate::cost::Price;
use crate::cost::Pricing;
use crate::input::coerce_literal;
use crate::input::default_value;
use crate::model::Arg;
use crate::model::ConditionId;
use crate::model::Hop;
use crate::model::LayoutSlot;
use crate::model::Origin;
use crate::model::OutField;
use crate::model::OutKind;
use crate::model::OutType;
use crate::model::Selection;
use crate::queued;
use crate::refusal::Refusal;
use crate::refusal::RequestError;
use crate::search::budget::Budget;
use crate::search::candidates::Call;
use crate::search::candidates::Known;
use crate::search::candidates::calls;
use crate::search::candidates::choose;
use crate::search::candidates::entity_view;
use crate::search::candidates::has_path;
use crate::search::candidates::is_one_of;
use crate::search::candidates::reachable;
use crate::search::candidates::single_twin;
use crate::search::demand::Demands;
use crate::search::draft::DraftParents;
use crate::search::draft::DraftStep;
use crate::search::draft::DraftValue;
use crate::search::draft::ObjectIndex;
use crate::search::draft::ObjectKind;
use crate::search::draft::carries;
use crate::search::leaf::Leaves;

/// The search's state.
pub(crate) struct Search<'d> {
    pub(crate) graph: &'d Supergraph,
    pub(crate) collector: Collector<'d>,
    pub(crate) budget: Budget,
    total_budget: usize,
    pub(crate) steps: Vec<DraftStep>,
    pub(crate) conditions: Vec<crate::model::Condition>,
    pub(crate) demands: Demands,
    pub(crate) leaves: Leaves,
    /// Steps already joined to an object: by the object's step and index, the resolver, and the arguments.
    joined: HashMap<(usize, ObjectIndex, ResolverId, String), (u32, usize)>,
    /// Whether root fields are those of a mutation.
    mutation: bool,
    /// Steps of finished root fields of a mutation: later ones wait for them.
    barrier: Vec<usize>,
}

/// One object of the response while its fields are planned.
struct Position {
    /// The step on whose tapes the object stands.
    step: usize,
    object: ObjectIndex,
    /// From the step's items to the object.
    path: Vec<LayoutSlot>,
    /// Further steps joined to it.
    joins: Vec<Joined>,
    /// When the object is in the response at all.
    condition: Any,
}

/// A step that was joined to an object and knows more of it.
#[derive(Debug, Clone, Copy)]
struct Joined {
    slot: u32,
    step: usize,
    object: ObjectIndex,
}

/// Which of the things known of an object a field is read from.
#[derive(Debug, Clone, Copy)]
enum Provider {
    Own,
    Join(Joined),
}

type Groups<'d> = IndexMap<&'d str, Group<'d>>;

impl<'d> Search<'d> {
    /// `variables` is how many the operation declares.
    pub(crate) fn new(collector: Collector<'d>, variables: usize, planning: usize) -> Self {
        Self {
            graph: collector.supergraph,
            collector,
            budget: Budget::new(planning),
            total_budget: planning,
            steps: Vec::new(),
            conditions: Vec::new(),
            demands: Demands::after(variables),
            leaves: Leaves::default(),
            joined: HashMap::new(),
            mutation: false,
            barrier: Vec::new(),
        }
    }

    /// Plans the root selection.
    pub(crate) fn root(
        &mut self,
        ty: &str,
        sets: &[Conditional<'d>],
        mutation: bool,
    ) -> Result<Selection, Refusal> {
        let collected = self.collected(ty, sets)?;
        let mut selection = self.selection(&collected);
        self.mutation = mutation;
        let fields = collected.groups.values().map(|group| &group.field.name);
        let fields = fields.filter(|name| !name.starts_with("__"));
        // What is accepted as a whole is put together, not one after the other.
        let in_order = mutation && !queued::all(self.graph, ty, fields);
        for (key, group) in &collected.groups {
            let field = match group.field.name.as_str() {
                "__typename" => self.typename(key, group, ty),
                "__schema" | "__type" => self.introspection(key, group),
                _ => self.root_field(key, group, ty)?,
            };
            selection.fields.push(field);
            if in_order {
                self.barrier = (0..self.steps.len()).collect();
            }
        }
        Ok(selection)
    }

    fn collected(&mut self, ty: &str, sets: &[Conditional<'d>]) -> Result<Collected<'d>, Refusal> {
        let collected = self.collector.collect(ty, sets, &mut self.budget);
        if self.budget.is_exhausted() {
            return Err(too_costly());
        }
        let mut groups = collected.groups.iter();
        match groups.find_map(|(key, group)| Some((key, group.conflict()?))) {
            Some((key, twin)) => Err(self.cannot_merge(key, twin)),
            None => Ok(collected),
        }
    }

    /// An empty selection that knows its order.
    fn selection(&mut self, collected: &Collected<'d>) -> Selection {
        let appearances = collected.conditional_order().iter();
        Selection {
            fields: Vec::with_capacity(collected.groups.len()),
            appearances: appearances
                .map(|(group, all)| (*group, self.condition(Any(vec![all.clone()]))))
                .collect(),
            is_another: false,
            weight: 0,
            access: None,
        }
    }

    fn cannot_merge(&self, key: &str, twin: &Node<Field>) -> Refusal {
        let sources = &self.collector.document.sources;
        let place = twin.location().and_then(|span| span.line_column(sources));
        let message = format!(
            "\"{key}\" is selected more than once with different arguments: give one of them an alias."
        );
        Refusal {
            code: Code::GraphqlValidationFailed,
            errors: vec![RequestError {
                message,
                locations: place.iter().map(|l| (l.line, l.column)).collect(),
            }],
            details: Vec::new(),
        }
    }

    fn introspection(&mut self, key: &str, group: &Group<'d>) -> OutField {
        let ty = OutType {
            nullable: true,
            kind: OutKind::Leaf(crate::model::OutLeaf::Plain),
        };
        self.out_field(key, group, Origin::Introspection, ty, None)
    }

    fn root_field(&mut self, key: &str, group: &Group<'d>, ty: &str) -> Result<OutField, Refusal> {
        let resolver = self.root_resolver(ty, group)?;
        let arguments = self.arguments(group.field);
        let memo = (usize::MAX, 0, resolver.id, format!("{arguments:?}"));
        let mutation = matches!(resolver.target, Target::Root { mutation: true, .. });
        let wanted = group.wanted();
        let access = self.field_access(&Any::always(), group, &group.access);
        let step = match self.joined.get(&memo) {
            Some((_, step)) if !mutation => {
                let step = *step;
                self.steps[step].condition.or_any(&wanted);
                step
            }
            _ => {
                let step = self.add_step(resolver, arguments, Parents::default(), &wanted);
                self.joined.insert(memo, (0, step));
                step
            }
        };
        let value = self.steps[step].value.clone();
        let below = Below {
            step,
            path: Vec::new(),
            condition: wanted,
        };
        let ty = self.out_type(group.field.ty(), &value, group, below)?;
        Ok(self.out_field(key, group, Origin::Root { step }, ty, access))
    }

    fn root_resolver(&mut self, ty: &str, group: &Group<'d>) -> Result<&'d Resolver, Refusal> {
        let field = field_def(self.graph, ty, &group.field.name)?;
        let mut resolvers = field.resolvers.iter().map(|id| self.graph.resolver(*id));
        let Some(first) = resolvers.next() else {
            return Err(unanswerable(ty, &group.field.name));
        };
        let mut best = first;
        for other in resolvers {
            if !self.covers_value(best, group) && self.covers_value(other, group) {
                best = other;
            }
        }
        Ok(best)
    }

    fn covers_value(&mut self, resolver: &'d Resolver, group: &Group<'d>) -> bool {
        match resolver.reply.value.view {
            Some(view) => self.covers(view, group),
            None => true,
        }
    }

    /// One object of a known type: its fields, from what is known and what must be brought.
    fn object(
        &mut self,
        position: &mut Position,
        ty: &Name,
        sets: &[Conditional<'d>],
    ) -> Result<Selection, Refusal> {
        let collected = self.collected(ty, sets)?;
        self.bring_missing(position, ty, &collected.groups)?;
        let mut selection = self.selection(&collected);
        selection.weight = cost::of_type(self.graph, ty);
        for (key, group) in &collected.groups {
            let field = match group.is_typename() {
                true => self.typename(key, group, ty),
                false => self.field(position, ty, key, group)?,
            };
            selection.fields.push(field);
        }
        Ok(selection)
    }

    /// Joins the calls that bring every field which nothing known carries and which has no resolver of its own.
    fn bring_missing(
        &mut self,
        position: &mut Position,
        ty: &Name,
        groups: &Groups<'d>,
    ) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        for group in groups.values().filter(|group| !group.is_typename()) {
            if self.provider(position, group).is_none() && !has_own_resolver(self.graph, ty, group)
            {
                missing.push(group);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let known = self.known(position);
        let reached = reachable(self.graph, ty, &known);
        let covered = self.coverage(&reached, &missing);
        let calls = choose(&reached, &covered, &mut self.budget, self.total_budget);
        for call in calls {
            let mut condition = Any::never();
            for (need, group) in missing.iter().enumerate() {
                if call.members.iter().any(|member| covered[*member][need]) {
                    condition.or_any(&group.wanted());
                }
            }
            if condition.0.is_empty() {
                condition = groups_condition(&missing);
            }
            self.join_entity(position, &call, &condition)?;
        }
        let is_brought = |need: usize| covered.iter().any(|candidate| candidate[need]);
        let left = missing
            .iter()
            .enumerate()
            .filter(|(need, _)| !is_brought(*need));
        let left: Vec<&Group<'d>> = left.map(|(_, group)| *group).collect();
        match left.is_empty() {
            true => Ok(()),
            false => self.bring_from_twins(position, ty, &left),
        }
    }

    /// Which candidate brings which missing field: the whole of it where any candidate does, else a part.
    fn coverage(
        &mut self,
        reached: &[candidates::Candidate],
        missing: &[&Group<'d>],
    ) -> Vec<Vec<bool>> {
        let mut covered = vec![vec![false; missing.len()]; reached.len()];
        for (need, group) in missing.iter().enumerate() {
            let views: Vec<Option<ViewId>> = reached
                .iter()
                .map(|c| c.view_with(self.graph, &group.field.name))
                .collect();
            let whole: Vec<bool> = views
                .iter()
                .map(|view| view.is_some_and(|view| self.covers(view, group)))
                .collect();
            let any_whole = whole.contains(&true);
            for (index, view) in views.iter().enumerate() {
                covered[index][need] = if any_whole {
                    whole[index]
                } else {
                    view.is_some()
                };
            }
        }
        covered
    }

    /// One field of an object.
    fn field(
        &mut self,
        position: &mut Position,
        ty: &str,
        key: &str,
        group: &Group<'d>,
    ) -> Result<OutField, Refusal> {
        match self.provider(position, group) {
            Some(provider) => self.read_field(position, provider, key, group),
            None if has_own_resolver(self.graph, ty, group) => {
                self.resolve_field(position, ty, key, group)
            }
            None => match self.partial_provider(position, group) {
                Some(provider) => self.read_field(position, provider, key, group),
                None => Err(unanswerable(ty, &group.field.name)),
            },
        }
    }

    /// A field that a known reply carries.
    fn read_field(
        &mut self,
        position: &Position,
        provider: Provider,
        key: &str,
        group: &Group<'d>,
    ) -> Result<OutField, Refusal> {
        let (step, object) = match provider {
            Provider::Own => (position.step, position.object),
            Provider::Join(joined) => (joined.step, joined.object),
        };
        let resolver = self.graph.resolver(self.steps[step].resolver);
        let args = self.arguments_of_view(step, object, group.field);
        let name = &group.field.name;
        let demanded = match provider {
            Provider::Own => group.access.clone(),
            Provider::Join(joined) => access::both(&group.access, &self.steps[joined.step].access),
        };
        let when = &group.condition.given(&demanded);
        let read = self.steps[step].read(self.graph, resolver, object, name, args, when);
        let Some((slot, value)) = read else {
            return Err(unanswerable(
                &self.steps[step].objects[object].ty,
                &group.field.name,
            ));
        };
        let mut path = match provider {
            Provider::Own => position.path.clone(),
            Provider::Join(_) => Vec::new(),
        };
        path.push(LayoutSlot {
            layout: object as u32,
            slot,
        });
        let access = self.field_access(&position.condition, group, &demanded);
        let below = Below {
            step,
            path,
            condition: position.condition.and(&group.condition.given(&demanded)),
        };
        self.widen_provider(provider, &below.condition);
        let ty = self.out_type(group.field.ty(), &value, group, below)?;
        let from = match provider {
            Provider::Own => Origin::Slot(slot),
            Provider::Join(joined) => Origin::Joined {
                join: joined.slot,
                step: joined.step,
                slot,
            },
        };
        Ok(self.out_field(key, group, from, ty, access))
    }

    /// A field with a call of its own.
    fn resolve_field(
        &mut self,
        position: &mut Position,
        ty: &str,
        key: &str,
        group: &Group<'d>,
    ) -> Result<OutField, Refusal> {
        let resolver = self.field_resolver(position, ty, group)?;
        let arguments = self.arguments(group.field);
        let condition = position.condition.and(&group.wanted());
        let (join, step) = self.join(position, resolver, arguments, &[], &condition)?;
        let demanded = access::both(&group.access, &self.steps[step].access);
        let access = self.field_access(&position.condition, group, &demanded);
        let value = self.steps[step].value.clone();
        let below = Below {
            step,
            path: Vec::new(),
            condition: condition.given(&demanded),
        };
        let ty = self.out_type(group.field.ty(), &value, group, below)?;
        Ok(self.out_field(key, group, Origin::Join { join, step }, ty, access))
    }

    /// The field's resolver whose inputs are nearest; among equals one that covers the selection.
    fn field_resolver(
        &mut self,
        position: &Position,
        ty: &str,
        group: &Group<'d>,
    ) -> Result<&'d Resolver, Refusal> {
        let known = self.known(position);
        let mut best: Option<((usize, bool), &'d Resolver)> = None;
        for id in own_resolvers(self.graph, ty, &group.field.name) {
            let resolver = self.graph.resolver(id);
            let far = resolver
                .inputs
                .iter()
                .filter(|input| !known.iter().any(|k| has_path(self.graph, k.view, input)))
                .count();
            let cost = (far, !self.covers_value(resolver, group));
            if best.as_ref().is_none_or(|(known, _)| cost < *known) {
                best = Some((cost, resolver));
            }
        }
        best.map(|(_, resolver)| resolver)
            .ok_or_else(|| unanswerable(ty, &group.field.name))
    }

    /// Joins an entity's call to the object, once.
    fn join_entity(
        &mut self,
        position: &mut Position,
        call: &Call,
        condition: &Any,
    ) -> Result<(), Refusal> {
        if call.view.is_none() {
            return Ok(());
        }
        let resolver = self.graph.resolver(call.resolver);
        let condition = position.condition.and(condition);
        let (slot, step) =
            self.join(position, resolver, Vec::new(), &call.requiring, &condition)?;
        let ty = self.type_at(position);
        let DraftValue::Objects(objects) = &self.steps[step].value else {
            return Ok(());
        };
        let of = |object: &&ObjectIndex| &self.steps[step].objects[**object].ty;
        let same = |object: &&ObjectIndex| *of(object) == ty;
        let stands_in = |object: &&ObjectIndex| is_one_of(self.graph, &ty, of(object));
        let found = objects.iter().find(same);
        let found = found.or_else(|| objects.iter().find(stands_in));
        if let Some(object) = found.copied()
            && !position.joins.iter().any(|j| j.step == step)
        {
            position.joins.push(Joined { slot, step, object });
        }
        Ok(())
    }

    fn type_at(&self, position: &Position) -> Name {
        self.steps[position.step].objects[position.object]
            .ty
            .clone()
    }

    /// A step joined to the object: the one that is there already, or a new one. For the fields
    /// `requiring` more than the key, it sends what they require.
    fn join(
        &mut self,
        position: &mut Position,
        resolver: &'d Resolver,
        arguments: Vec<Arg>,
        requiring: &[Name],
        condition: &Any,
    ) -> Result<(u32, usize), Refusal> {
        let memo = (
            position.step,
            position.object,
            resolver.id,
            format!("{arguments:?}{requiring:?}"),
        );
        if let Some(known) = self.joined.get(&memo).copied() {
            self.widen(known.1, condition);
            return Ok(known);
        }
        let access = self.input_access(position, resolver);
        let condition = condition.given(&access);
        let inputs = self.inputs(position, resolver, &condition)?;
        let representation = self.representation(position, resolver, requiring, &condition)?;
        let join = self.steps[position.step].slot(position.object);
        let parents = Parents {
            access,
            draft: Some(DraftParents {
                step: position.step,
                path: position.path.clone(),
                object: position.object,
                join,
            }),
            inputs,
            requiring: requiring.to_vec(),
            representation,
        };
        let step = self.add_step(resolver, arguments, parents, &condition);
        self.joined.insert(memo, (join, step));
        Ok((join, step))
    }

    /// What is sent of the entity beside its key, planned like any selection of a client's.
    fn representation(
        &mut self,
        position: &mut Position,
        resolver: &'d Resolver,
        requiring: &[Name],
        condition: &Any,
    ) -> Result<Option<Selection>, Refusal> {
        let ty = self.type_at(position);
        let graph = self.graph;
        let fields = entity_view(graph, resolver, &ty).map(|view| &graph.view(view).fields);
        let required = requiring
            .iter()
            .filter_map(|name| fields?.get(name)?.requires.as_deref());
        let sent = resolver.sends.as_deref().into_iter().chain(required);
        let sets: Vec<Conditional<'d>> = sent.map(|set| (All::new(), set)).collect();
        if sets.is_empty() {
            return Ok(None);
        }
        let narrower = position.condition.and(condition);
        let outer = std::mem::replace(&mut position.condition, narrower);
        let selection = self.object(position, &ty, &sets);
        position.condition = outer;
        selection.map(Some)
    }

    /// What the fields demand that a call is keyed by, or reads of its parent in another way.
    fn input_access(&self, position: &Position, resolver: &Resolver) -> All {
        let ty = &self.steps[position.step].objects[position.object].ty;
        let paths = resolver.inputs.iter();
        let demanded = paths.map(|path| access::of_path(self.graph, ty, path));
        demanded.fold(All::new(), |all, path| access::both(&all, &path))
    }

    /// A step that gets another user runs under that user's condition too, and so do the steps that bring its inputs.
    fn widen(&mut self, step: usize, condition: &Any) {
        let before = self.steps[step].condition.clone();
        let condition = &condition.given(&self.steps[step].access);
        self.steps[step].condition.or_any(condition);
        if self.steps[step].condition == before {
            return;
        }
        let draft = &self.steps[step];
        let mut givers = joined_steps(&draft.inputs);
        givers.extend(draft.representation.iter().flat_map(steps_of));
        if let Some(parents) = &draft.parents {
            givers.extend(self.steps_joined_as_input(parents, &draft.inputs));
        }
        for giver in givers {
            self.widen(giver, condition);
        }
    }

    /// The way from the object to each of the resolver's inputs; calls that bring them are joined.
    fn inputs(
        &mut self,
        position: &mut Position,
        resolver: &'d Resolver,
        condition: &Any,
    ) -> Result<Vec<Vec<Hop>>, Refusal> {
        let mut all = Vec::new();
        for path in &resolver.inputs {
            if self.input_provider(position, path).is_none() {
                self.bring_input(position, path, condition)?;
            }
            let hops = match self.input_provider(position, path) {
                Some(provider) => {
                    self.widen_provider(provider, condition);
                    self.read_input(position, provider, path)
                }
                None => self.field_as_input(position, path, condition)?,
            };
            all.push(hops.ok_or_else(|| unanswerable("", &path[0]))?);
        }
        Ok(all)
    }

    fn widen_provider(&mut self, provider: Provider, condition: &Any) {
        if let Provider::Join(joined) = provider {
            self.widen(joined.step, condition);
        }
    }

    /// Joins the nearest calls that bring one input.
    fn bring_input(
        &mut self,
        position: &mut Position,
        path: &[Name],
        condition: &Any,
    ) -> Result<(), Refusal> {
        let ty = self.steps[position.step].objects[position.object]
            .ty
            .clone();
        let reached = reachable(self.graph, &ty, &self.known(position));
        let wanted = path.to_vec();
        let nearest = reached
            .iter()
            .position(|candidate| candidate.brings_input(self.graph, &wanted));
        let Some(nearest) = nearest else {
            return Err(unanswerable(&ty, &path[0]));
        };
        for call in calls(&reached, &[nearest]) {
            self.join_entity(position, &call, condition)?;
        }
        Ok(())
    }

    /// An input that is a field with a call of its own.
    fn field_as_input(
        &mut self,
        position: &mut Position,
        path: &[Name],
        condition: &Any,
    ) -> Result<Option<Vec<Hop>>, Refusal> {
        let ty = self.steps[position.step].objects[position.object]
            .ty
            .clone();
        let Some(id) = own_resolvers(self.graph, &ty, &path[0]).first().copied() else {
            return Ok(None);
        };
        let condition = position.condition.and(condition);
        let resolver = self.graph.resolver(id);
        let (slot, _) = self.join(position, resolver, Vec::new(), &[], &condition)?;
        Ok(Some(vec![Hop::Slot(slot)]))
    }

    fn input_provider(&self, position: &Position, path: &[Name]) -> Option<Provider> {
        let known = |step: usize, object: ObjectIndex| match self.steps[step].objects[object].kind {
            ObjectKind::View(view) => has_path(self.graph, view, path),
            _ => false,
        };
        if known(position.step, position.object) {
            return Some(Provider::Own);
        }
        let mut joins = position.joins.iter();
        let join = joins.find(|join| known(join.step, join.object))?;
        Some(Provider::Join(*join))
    }

    fn read_input(
        &mut self,
        position: &Position,
        provider: Provider,
        path: &[Name],
    ) -> Option<Vec<Hop>> {
        let (mut hops, step, mut object) = match provider {
            Provider::Own => (Vec::new(), position.step, position.object),
            Provider::Join(joined) => (
                vec![Hop::Join {
                    slot: joined.slot,
                    step: joined.step,
                }],
                joined.step,
                joined.object,
            ),
        };
        let resolver = self.graph.resolver(self.steps[step].resolver);
        for name in path {
            let none = Vec::new();
            let always = &Any::always();
            let step = &mut self.steps[step];
            let (slot, value) = step.read(self.graph, resolver, object, name, none, always)?;
            hops.push(Hop::Slot(slot));
            if let DraftValue::Objects(objects) = value {
                object = objects[0];
            }
        }
        Some(hops)
    }

    /// Adds a step; its value's objects are those that its reply begins with.
    fn add_step(
        &mut self,
        resolver: &'d Resolver,
        args: Vec<Arg>,
        parents: Parents,
        condition: &Any,
    ) -> usize {
        let Parents {
            mut access,
            draft: parents,
            inputs,
            requiring,
            representation,
        } = parents;
        let mut givers = joined_steps(&inputs);
        givers.extend(representation.iter().flat_map(steps_of));
        if let Some(parents) = &parents {
            givers.extend(self.steps_joined_as_input(parents, &inputs));
        }
        for giver in &givers {
            access = access::both(&access, &self.steps[*giver].access);
        }
        let mut after: Vec<usize> = self.barrier.clone();
        after.extend(parents.iter().map(|parents| parents.step));
        after.extend(givers);
        after.sort_unstable();
        after.dedup();
        let depth = after
            .iter()
            .map(|step| self.steps[*step].depth)
            .max()
            .unwrap_or(0)
            + 1;
        let single = resolver
            .batch
            .as_ref()
            .and_then(|_| single_twin(self.graph, resolver));
        let mut step = DraftStep {
            resolver: resolver.id,
            single: single.map(|single| single.id),
            args,
            below: Vec::new(),
            wanted: HashMap::new(),
            included: HashMap::new(),
            parents,
            inputs,
            requiring,
            representation,
            after,
            condition: condition.given(&access),
            access,
            depth,
            objects: Vec::new(),
            value: DraftValue::Leaf,
            item: None,
            by: Vec::new(),
            aligned: Vec::new(),
        };
        begin_value(self.graph, resolver, &mut step);
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Inputs that are fields with a call of their own stand in a join slot of the parent.
    fn steps_joined_as_input(&self, parents: &DraftParents, inputs: &[Vec<Hop>]) -> Vec<usize> {
        let at = |slot: u32| {
            self.steps.iter().position(|step| {
                step.parents.as_ref().is_some_and(|p| {
                    p.step == parents.step && p.object == parents.object && p.join == slot
                })
            })
        };
        inputs
            .iter()
            .filter_map(|hops| match hops.first() {
                Some(Hop::Slot(slot)) => at(*slot),
                _ => None,
            })
            .collect()
    }

    /// What is known of the object, for reachability.
    fn known(&self, position: &Position) -> Vec<Known> {
        let base = self.steps[position.step].depth;
        let own = (position.step, position.object);
        std::iter::once(own)
            .chain(position.joins.iter().map(|join| (join.step, join.object)))
            .filter_map(
                |(step, object)| match self.steps[step].objects[object].kind {
                    ObjectKind::View(view) => Some(Known {
                        view,
                        depth: self.steps[step].depth - base,
                    }),
                    _ => None,
                },
            )
            .collect()
    }

    /// The nearest of what is known that carries the whole of a field.
    fn provider(&mut self, position: &Position, group: &Group<'d>) -> Option<Provider> {
        let mut providers = vec![(Provider::Own, position.step, position.object)];
        for join in &position.joins {
            providers.push((Provider::Join(*join), join.step, join.object));
        }
        providers.sort_by_key(|(_, step, _)| self.steps[*step].depth);
        for (provider, step, object) in providers {
            let resolver = self.graph.resolver(self.steps[step].resolver);
            let kind = self.steps[step].objects[object].kind;
            let whole = match kind {
                ObjectKind::View(view) => {
                    self.is_met(step, view, &group.field.name) && self.covers(view, group)
                }
                _ => carries(self.graph, resolver, kind, &group.field.name),
            };
            if whole {
                return Some(provider);
            }
        }
        None
    }

    /// Something known that carries the field, if not all that is selected below it.
    fn partial_provider(&self, position: &Position, group: &Group<'d>) -> Option<Provider> {
        let carries = |step: usize, object: ObjectIndex| {
            let resolver = self.graph.resolver(self.steps[step].resolver);
            let kind = self.steps[step].objects[object].kind;
            let name = &group.field.name;
            let is_met = match kind {
                ObjectKind::View(view) => self.is_met(step, view, name),
                _ => true,
            };
            is_met && carries(self.graph, resolver, kind, name)
        };
        if carries(position.step, position.object) {
            return Some(Provider::Own);
        }
        let mut joins = position.joins.iter();
        let join = joins.find(|join| carries(join.step, join.object))?;
        Some(Provider::Join(*join))
    }

    /// Whether a step sends what a field of its view requires.
    fn is_met(&self, step: usize, view: ViewId, field: &Name) -> bool {
        let known = self.graph.view(view).fields.get(field);
        known.is_none_or(|known| known.requires.is_none())
            || self.steps[step].requiring.contains(field)
    }

    /// Whether a view carries a field and, below it, everything that no further call could bring.
    fn covers(&mut self, view: ViewId, group: &Group<'d>) -> bool {
        self.budget.spend(1);
        let graph = self.graph;
        let Some(field) = graph.view(view).fields.get(&group.field.name) else {
            return false;
        };
        let Some(child) = field.view else {
            return true;
        };
        if !self.budget.allows_search(self.total_budget) {
            return true;
        }
        object_views(graph, child)
            .into_iter()
            .all(|(ty, view)| self.covers_object(&ty, view, &group.below))
    }

    fn covers_object(&mut self, ty: &Name, view: ViewId, sets: &[Conditional<'d>]) -> bool {
        let groups = self.collector.collect(ty, sets, &mut self.budget).groups;
        let known = [Known { view, depth: 0 }];
        let mut reached = None;
        groups
            .values()
            .filter(|group| !group.is_typename())
            .all(|group| {
                if self.covers(view, group) || has_own_resolver(self.graph, ty, group) {
                    return true;
                }
                let reached = reached.get_or_insert_with(|| reachable(self.graph, ty, &known));
                reached
                    .iter()
                    .filter_map(|candidate| candidate.view())
                    .any(|view| self.graph.view(view).fields.contains_key(&group.field.name))
            })
    }

    /// The response type of a field, with what is written of its objects.
    fn out_type(
        &mut self,
        ty: &Type,
        value: &DraftValue,
        group: &Group<'d>,
        below: Below,
    ) -> Result<OutType, Refusal> {
        let kind = match ty {
            Type::List(item) | Type::NonNullList(item) => {
                OutKind::List(Box::new(self.out_type(item, value, group, below)?))
            }
            Type::Named(name) | Type::NonNullNamed(name) => match value {
                DraftValue::Leaf => OutKind::Leaf(self.leaves.out(self.graph.api(), name)),
                DraftValue::Objects(objects) => {
                    OutKind::Object(self.out_objects(objects, group, below)?)
                }
            },
        };
        Ok(OutType {
            nullable: !ty.is_non_null(),
            kind,
        })
    }

    fn out_objects(
        &mut self,
        objects: &[ObjectIndex],
        group: &Group<'d>,
        below: Below,
    ) -> Result<Vec<(u32, Selection)>, Refusal> {
        let sets = strip_known(&group.condition, &group.below);
        let mut selections = Vec::new();
        for object in objects {
            let ty = self.steps[below.step].objects[*object].ty.clone();
            let (access, condition) = self.type_access(&below.condition, group, &ty);
            let mut position = Position {
                step: below.step,
                object: *object,
                path: below.path.clone(),
                joins: Vec::new(),
                condition,
            };
            let told_apart = self.told_apart(&mut position, &ty, &sets, group)?;
            let mut selection = match told_apart {
                Some(selection) => selection,
                None => self.object(&mut position, &ty, &sets)?,
            };
            selection.access = access;
            selections.push((*object as u32, selection));
        }
        Ok(selections)
    }

    fn typename(&mut self, key: &str, group: &Group<'d>, ty: &str) -> OutField {
        let out = OutType {
            nullable: false,
            kind: OutKind::Leaf(crate::model::OutLeaf::Plain),
        };
        let from = Origin::Const(format!("\"{ty}\"").into());
        self.out_field(key, group, from, out, None)
    }

    fn price(&self, group: &Group<'d>, from: &Origin) -> Option<Box<Price>> {
        if matches!(from, Origin::Const(_) | Origin::Introspection) {
            return None;
        }
        let pricing = Pricing {
            supergraph: self.graph,
            variables: self.collector.variables,
        };
        let mutation = self.mutation && matches!(from, Origin::Root { .. });
        pricing.field(&group.parent, group.field, mutation)
    }

    fn out_field(
        &mut self,
        key: &str,
        group: &Group<'d>,
        from: Origin,
        ty: OutType,
        access: Option<ConditionId>,
    ) -> OutField {
        OutField {
            name: Arc::from(key),
            key: format!(",\"{key}\":").into(),
            location: self.location(group),
            coordinate: self.coordinate(group),
            condition: self.condition(group.condition.clone()),
            price: self.price(group, &from),
            access,
            from,
            ty,
        }
    }

    pub(crate) fn location(&self, group: &Group<'d>) -> Option<(u32, u32)> {
        let span = group.field.location()?;
        let place = span.line_column(&self.collector.document.sources)?;
        Some((place.line as u32, place.column as u32))
    }

    pub(crate) fn coordinate(&self, group: &Group<'d>) -> Box<str> {
        format!("{}.{}", group.parent, group.field.name).into()
    }

    /// The id of a condition; `None` where it always holds.
    pub(crate) fn condition(&mut self, any: Any) -> Option<ConditionId> {
        let condition = self.demands.condition(any)?;
        let known = self.conditions.iter().position(|known| *known == condition);
        let index = known.unwrap_or_else(|| {
            self.conditions.push(condition);
            self.conditions.len() - 1
        });
        Some(index as u32)
    }

    /// The arguments that go upstream with a field of a reply; most sources take none.
    fn arguments_of_view(&self, step: usize, object: ObjectIndex, field: &Field) -> Vec<Arg> {
        let ObjectKind::View(view) = self.steps[step].objects[object].kind else {
            return Vec::new();
        };
        let known = self.graph.view(view).fields.get(&field.name);
        let Some(known) = known.filter(|known| !known.args.is_empty()) else {
            return Vec::new();
        };
        let mut args = self.arguments(field);
        args.retain(|arg| known.args.iter().any(|it| it.name == arg.name.as_str()));
        args
    }

    fn arguments(&self, field: &Field) -> Vec<Arg> {
        let schema: &Schema = self.graph.api();
        let arguments = field.definition.arguments.iter();
        arguments
            .filter_map(|definition| {
                let default = default_value(schema, definition);
                let given = field.arguments.iter().find(|a| a.name == definition.name);
                let value = match given {
                    Some(argument) => coerce_literal(
                        schema,
                        &definition.ty,
                        &argument.value,
                        self.collector.variables,
                        0,
                    ),
                    None => crate::model::ArgValue::Const(default.clone()?),
                };
                Some(Arg {
                    name: definition.name.to_string(),
                    value,
                    default,
                    ty: definition.ty.as_ref().clone(),
                })
            })
            .collect()
    }
}

/// Where the objects below a field stand.
struct Below {
    step: usize,
    path: Vec<LayoutSlot>,
    condition: Any,
}

/// What a step begins with of its parents; nothing where it has none.
#[derive(Default)]
struct Parents {
    /// What the fields demand that the inputs are.
    access: All,
    draft: Option<DraftParents>,
    inputs: Vec<Vec<Hop>>,
    requiring: Vec<Name>,
    representation: Option<Selection>,
}

/// Every step that a selection reads from, at any depth.
fn steps_of(selection: &Selection) -> Vec<usize> {
    let mut steps = Vec::new();
    let mut open = vec![selection];
    while let Some(selection) = open.pop() {
        for field in &selection.fields {
            match field.from {
                Origin::Joined { step, .. } | Origin::Join { step, .. } => steps.push(step),
                Origin::Const(_) | Origin::Slot(_) | Origin::Root { .. } => {}
                Origin::Introspection => {}
            }
            if let (_, OutKind::Object(selections)) = field.ty.innermost() {
                open.extend(selections.iter().map(|(_, selection)| selection));
            }
        }
    }
    steps
}

/// The steps whose items the inputs are read from.
fn joined_steps(inputs: &[Vec<Hop>]) -> Vec<usize> {
    let hops = inputs.iter().flatten();
    hops.filter_map(|hop| match hop {
        Hop::Join { step, .. } => Some(*step),
        Hop::Slot(_) => None,
    })
    .collect()
}

fn begin_value(graph: &Supergraph, resolver: &Resolver, step: &mut DraftStep) {
    let keyed = resolver.batch.as_ref().filter(|batch| !batch.by.is_empty());
    let whole = resolver.reply.value.read == compose::model::Read::Path(Vec::new());
    if let Some(connection) = &resolver.reply.connection {
        let root = step.add(&connection.ty, ObjectKind::Connection);
        step.value = DraftValue::Objects(vec![root]);
        return;
    }
    let as_items = resolver.batch.is_some() && (!whole || resolver.reply.value.view.is_none());
    if as_items && keyed.is_some() {
        step.item = Some(step.add(&apollo_compiler::name!("Item"), ObjectKind::Item));
    }
    if let Some(view) = resolver.reply.value.view {
        step.value = step.composite(graph, view);
    }
    if let Some(batch) = keyed {
        let items = match (&step.item, &step.value) {
            (Some(item), _) => vec![*item],
            (None, DraftValue::Objects(objects)) => objects.clone(),
            (None, DraftValue::Leaf) => Vec::new(),
        };
        for by in &batch.by {
            let mut slot = 0;
            for item in &items {
                slot = step.slot(*item);
                step.objects[*item].extra.push((by.clone(), slot));
            }
            step.by.push(slot);
        }
    }
    if let Some(item) = step.item {
        step.slot(item);
    }
}

/// The object types a view's value can have, each with its own view.
fn object_views(graph: &Supergraph, view: ViewId) -> Vec<(Name, ViewId)> {
    let known = graph.view(view);
    match known.variants.is_empty() {
        true => vec![(known.ty.clone(), view)],
        false => known
            .variants
            .iter()
            .map(|v| (v.ty.clone(), v.view))
            .collect(),
    }
}

/// Terms that hold whenever the field is there need not be checked again below it.
fn strip_known<'d>(condition: &Any, sets: &[Conditional<'d>]) -> Vec<Conditional<'d>> {
    let known = condition.certain();
    sets.iter()
        .map(|(all, set)| {
            let rest: All = all
                .iter()
                .filter(|term| !known.contains(term))
                .copied()
                .collect();
            (rest, *set)
        })
        .collect()
}

fn groups_condition(groups: &[&Group<'_>]) -> Any {
    let mut condition = Any::never();
    for group in groups {
        condition.or_any(&group.condition);
    }
    condition
}

fn field_def<'g>(graph: &'g Supergraph, ty: &str, field: &str) -> Result<&'g FieldDef, Refusal> {
    graph
        .type_def(ty)
        .and_then(|def| def.fields.get(field))
        .ok_or_else(|| unanswerable(ty, field))
}

/// The field's own resolvers, on the type or on an interface that it implements.
fn own_resolvers(graph: &Supergraph, ty: &str, field: &str) -> Vec<ResolverId> {
    let own = resolvers_on(graph, ty, field);
    if !own.is_empty() {
        return own.to_vec();
    }
    let Some(ExtendedType::Object(object)) = graph.api().types.get(ty) else {
        return Vec::new();
    };
    let interfaces = object.implements_interfaces.iter();
    interfaces
        .flat_map(|interface| resolvers_on(graph, interface.as_str(), field))
        .copied()
        .collect()
}

fn resolvers_on<'g>(graph: &'g Supergraph, ty: &str, field: &str) -> &'g [ResolverId] {
    let field = graph.type_def(ty).and_then(|def| def.fields.get(field));
    field
        .map(|field| field.resolvers.as_slice())
        .unwrap_or_default()
}

fn has_own_resolver(graph: &Supergraph, ty: &str, group: &Group<'_>) -> bool {
    !own_resolvers(graph, ty, &group.field.name).is_empty()
}

fn unanswerable(ty: &str, field: &str) -> Refusal {
    Refusal::new(
        Code::InternalError,
        format!("No source can answer \"{ty}.{field}\" here."),
    )
}

fn too_costly() -> Refusal {
    Refusal::new(
        Code::PlanningTooLong,
        "The operation takes too much work to plan: select less at once.",
    )
}
