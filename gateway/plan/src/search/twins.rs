//! Fields of one root field that several subgraphs answer a part of, each of the same objects.
//!
//! Owns the further calls to other subgraphs' root field of the same name, and how their objects
//! are joined to the first one's: by their place, since nothing of them need be a key.

use apollo_compiler::Name;
use compose::model::Resolver;
use compose::model::Target;
use compose::model::ViewId;

use super::Joined;
use super::Parents;
use super::Position;
use super::Search;
use super::field_def;
use super::object_views;
use crate::collect::Group;
use crate::condition::Any;
use crate::model::Arg;
use crate::model::LayoutSlot;
use crate::refusal::Refusal;
use crate::search::draft::Aligned;
use crate::search::draft::DraftParents;
use crate::search::draft::DraftValue;
use crate::search::draft::FieldKey;
use crate::search::draft::ObjectIndex;

/// One field on the way from a root field's value to an object.
struct Stage {
    /// The object type that has it.
    ty: Name,
    field: FieldKey,
}

impl<'d> Search<'d> {
    /// Joins what other subgraphs answer at the same place, for fields that nothing else brings.
    pub(super) fn bring_from_twins(
        &mut self,
        position: &mut Position,
        ty: &Name,
        groups: &[&Group<'d>],
    ) -> Result<(), Refusal> {
        let Some(way) = self.way_to(position) else {
            return Ok(());
        };
        let twins = self.twin_resolvers(position.step)?;
        for group in groups {
            if self.provider(position, group).is_some() {
                continue;
            }
            let mut best: Option<(bool, &'d Resolver)> = None;
            for twin in &twins {
                let Some(view) = self.view_at(twin, &way, ty) else {
                    continue;
                };
                let has = self.graph.view(view).fields.contains_key(&group.field.name);
                let whole = has && self.covers(view, group);
                if has && best.as_ref().is_none_or(|(known, _)| whole && !known) {
                    best = Some((whole, twin));
                }
            }
            if let Some((_, twin)) = best {
                let condition = position.condition.and(&group.wanted());
                self.join_twin(position, ty, twin, &way, &condition);
            }
        }
        Ok(())
    }

    /// The way from the value of a root field of Query; none for objects that a further call brought.
    fn way_to(&self, position: &Position) -> Option<Vec<Stage>> {
        let step = &self.steps[position.step];
        if step.parents.is_some() || self.mutation {
            return None;
        }
        let stage = |at: &LayoutSlot| {
            let object = &step.objects[at.layout as usize];
            let mut fields = object.fields.iter();
            let (field, _) = fields.find(|(_, (slot, _))| *slot == at.slot)?;
            Some(Stage {
                ty: object.ty.clone(),
                field: field.clone(),
            })
        };
        position.path.iter().map(stage).collect()
    }

    /// Who else answers the step's root field.
    fn twin_resolvers(&self, step: usize) -> Result<Vec<&'d Resolver>, Refusal> {
        let own = self.graph.resolver(self.steps[step].resolver);
        let Target::Root { ty, field, .. } = &own.target else {
            return Ok(Vec::new());
        };
        let all = field_def(self.graph, ty, field)?.resolvers.iter();
        let others = all.map(|id| self.graph.resolver(*id));
        Ok(others.filter(|other| other.id != own.id).collect())
    }

    /// What a twin's reply knows of the objects at the end of a way.
    fn view_at(&self, twin: &Resolver, way: &[Stage], ty: &Name) -> Option<ViewId> {
        let mut view = twin.reply.value.view?;
        for stage in way {
            let object = self.view_of(view, &stage.ty)?;
            view = self
                .graph
                .view(object)
                .fields
                .get(&stage.field.name)?
                .view?;
        }
        self.view_of(view, ty)
    }

    fn view_of(&self, view: ViewId, ty: &Name) -> Option<ViewId> {
        let mut views = object_views(self.graph, view).into_iter();
        views.find(|(of, _)| of == ty).map(|(_, view)| view)
    }

    fn join_twin(
        &mut self,
        position: &mut Position,
        ty: &Name,
        twin: &'d Resolver,
        way: &[Stage],
        condition: &Any,
    ) {
        let arguments = self.steps[position.step].args.clone();
        let memo = (usize::MAX, 0, twin.id, format!("{arguments:?}"));
        let step = match self.joined.get(&memo).copied() {
            Some((_, step)) => {
                self.widen(step, condition);
                step
            }
            None => {
                let step = self.add_step(twin, arguments, Parents::default(), condition);
                self.joined.insert(memo, (0, step));
                step
            }
        };
        let Some((path, object)) = self.walk(position.step, step, way, ty) else {
            return;
        };
        if position
            .joins
            .iter()
            .any(|it| (it.step, it.object) == (step, object))
        {
            return;
        }
        let slot = self.steps[position.step].slot(position.object);
        self.steps[step].aligned.push(Aligned {
            with: DraftParents {
                step: position.step,
                path: position.path.clone(),
                object: position.object,
                join: slot,
            },
            path,
            object,
        });
        position.joins.push(Joined { slot, step, object });
    }

    /// Reads the same way in a twin's reply, down to the object.
    fn walk(
        &mut self,
        from: usize,
        step: usize,
        way: &[Stage],
        ty: &Name,
    ) -> Option<(Vec<LayoutSlot>, ObjectIndex)> {
        let resolver = self.graph.resolver(self.steps[step].resolver);
        let mut path = Vec::new();
        let mut value = self.steps[step].value.clone();
        for stage in way {
            let object = self.object_of(step, &value, &stage.ty)?;
            let given = stage.field.args.iter();
            let args: Vec<Arg> = given
                .map(|arg| self.steps[from].below[*arg as usize].clone())
                .collect();
            let name = &stage.field.name;
            let always = &Any::always();
            let twin = &mut self.steps[step];
            let (slot, below) = twin.read(self.graph, resolver, object, name, args, always)?;
            path.push(LayoutSlot {
                layout: object as u32,
                slot,
            });
            value = below;
        }
        let object = self.object_of(step, &value, ty)?;
        Some((path, object))
    }

    fn object_of(&self, step: usize, value: &DraftValue, ty: &Name) -> Option<ObjectIndex> {
        let DraftValue::Objects(objects) = value else {
            return None;
        };
        let mut objects = objects.iter().copied();
        objects.find(|object| self.steps[step].objects[*object].ty == *ty)
    }
}
