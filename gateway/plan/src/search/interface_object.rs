//! Objects of an interface that their subgraph sees as one object type: `@interfaceObject`.
//!
//! Owns the call that tells which object each of them is, where the selection depends on it.

use apollo_compiler::Name;
use apollo_compiler::executable::Selection as Selected;
use apollo_compiler::executable::SelectionSet;
use compose::model::CompositeKind;
use compose::model::Resolver;
use hashbrown::HashSet;

use super::Below;
use super::Position;
use super::Search;
use crate::collect::Conditional;
use crate::collect::Group;
use crate::model::Origin;
use crate::model::OutKind;
use crate::model::OutType;
use crate::model::Selection;
use crate::refusal::Refusal;
use crate::search::candidates::entity_resolvers;
use crate::search::candidates::has_path;
use crate::search::candidates::reachable;
use crate::search::draft::DraftValue;
use crate::search::draft::ObjectKind;

impl<'d> Search<'d> {
    /// An object that is only known as one of an interface, as who knows its type writes it; none
    /// where nothing that is selected depends on it.
    pub(super) fn told_apart(
        &mut self,
        position: &mut Position,
        ty: &Name,
        sets: &[Conditional<'d>],
        group: &Group<'d>,
    ) -> Result<Option<Selection>, Refusal> {
        let def = self.graph.type_def(ty);
        if def.is_none_or(|def| def.kind != CompositeKind::Interface)
            || !self.depends_on_type(position, ty, sets)
        {
            return Ok(None);
        }
        let Some(resolver) = self.teller(position, ty) else {
            return Ok(None);
        };
        let condition = position.condition.clone();
        let (join, step) = self.join(position, resolver, Vec::new(), &[], &condition)?;
        let DraftValue::Objects(objects) = self.steps[step].value.clone() else {
            return Ok(None);
        };
        let below = Below {
            step,
            path: Vec::new(),
            condition,
        };
        let kind = OutKind::Object(self.out_objects(&objects, group, below)?);
        let out = OutType {
            nullable: !group.field.ty().is_non_null(),
            kind,
        };
        let key = group.field.response_name().as_str();
        let mut itself = self.out_field(key, group, Origin::Join { join, step }, out, None);
        itself.condition = None;
        itself.price = None;
        Ok(Some(Selection {
            fields: vec![itself],
            is_another: true,
            ..Selection::default()
        }))
    }

    /// Whether something is selected that only some of the interface's objects have, or that no
    /// subgraph gives which sees it as one object type.
    fn depends_on_type(
        &mut self,
        position: &Position,
        ty: &Name,
        sets: &[Conditional<'d>],
    ) -> bool {
        let mut seen = HashSet::new();
        if sets
            .iter()
            .any(|(_, set)| self.names_types(set, ty, &mut seen))
        {
            return true;
        }
        let collected = self.collector.collect(ty, sets, &mut self.budget);
        let reached = reachable(self.graph, ty, &self.known(position));
        collected.groups.values().any(|group| {
            let name = &group.field.name;
            let reached = || {
                reached
                    .iter()
                    .any(|it| it.view_with(self.graph, name).is_some())
            };
            self.provider(position, group).is_none() && !reached()
        })
    }

    /// Whether a selection asks for the type's name, or for fields of one type. Each fragment is looked at once.
    fn names_types(&self, set: &'d SelectionSet, ty: &Name, seen: &mut HashSet<&'d str>) -> bool {
        set.selections.iter().any(|selection| match selection {
            Selected::Field(field) => field.name == "__typename",
            Selected::InlineFragment(inline) => {
                inline.type_condition.as_ref().is_some_and(|it| it != ty)
                    || self.names_types(&inline.selection_set, ty, seen)
            }
            Selected::FragmentSpread(spread) => {
                let fragments = &self.collector.document.fragments;
                let fragment = fragments.get(&spread.fragment_name);
                seen.insert(&spread.fragment_name)
                    && fragment.is_some_and(|fragment| {
                        fragment.type_condition() != ty
                            || self.names_types(&fragment.selection_set, ty, seen)
                    })
            }
        })
    }

    /// A call by a key that is known, which says of each object which type it has.
    fn teller(&self, position: &Position, ty: &Name) -> Option<&'d Resolver> {
        let ObjectKind::View(view) = self.steps[position.step].objects[position.object].kind else {
            return None;
        };
        let graph = self.graph;
        let mut resolvers = entity_resolvers(graph, ty);
        resolvers.find(|resolver| {
            let value = resolver.reply.value.view.map(|view| graph.view(view));
            let tells = value.is_some_and(|value| value.ty == *ty && !value.variants.is_empty());
            let mut inputs = resolver.inputs.iter();
            tells && inputs.all(|input| has_path(graph, view, input))
        })
    }
}
