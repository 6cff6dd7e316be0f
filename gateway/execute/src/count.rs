//! What an answer has cost.
//!
//! Owns the count of the values that have arrived, with the weights of the
//! plan. One walk over what the response selects; only made where someone asks.

use plan::cost::Milli;
use plan::cost::points;
use plan::model::ConditionId;
use plan::model::Origin;
use plan::model::OutField;
use plan::model::OutKind;
use plan::model::OutType;
use plan::model::Plan;
use plan::model::Selection;
use plan::model::Variables;
use plan::tape::Tape;
use plan::tape::Value;

use crate::store::Item;
use crate::store::Store;

/// The cost of everything that the response selects and that is not null, in points.
pub(crate) fn count(plan: &Plan, variables: &Variables, store: &Store) -> u64 {
    let conditions = plan.conditions().iter();
    let count = Count {
        plan,
        variables,
        store,
        holds: conditions.map(|it| it.holds(variables)).collect(),
    };
    points(count.selection(None, plan.output()))
}

struct Count<'c> {
    plan: &'c Plan,
    variables: &'c Variables,
    store: &'c Store,
    /// Which of the plan's conditions hold.
    holds: Vec<bool>,
}

/// A value on a tape.
#[derive(Clone, Copy)]
struct At<'c> {
    tape: &'c Tape,
    value: Value,
}

impl<'c> Count<'c> {
    fn selection(&self, object: Option<(At<'c>, u32)>, selection: &Selection) -> Milli {
        let fields = selection.fields.iter();
        fields
            .filter(|field| self.is_included(field.condition))
            .map(|field| self.field(object, field))
            .fold(0, Milli::saturating_add)
    }

    fn is_included(&self, condition: Option<ConditionId>) -> bool {
        condition.is_none_or(|id| self.holds[id as usize])
    }

    fn field(&self, object: Option<(At<'c>, u32)>, field: &OutField) -> Milli {
        if field.price.is_none() && !is_composite(&field.ty) {
            return 0;
        }
        let price = field.price.as_ref();
        let once = price.map_or(0, |price| {
            price.once(self.plan.supergraph(), self.variables)
        });
        let values = match (&field.from, object) {
            (Origin::Root { step }, _) => {
                self.joined(*step, self.store.steps[*step].root, None, field)
            }
            (Origin::Slot(slot), Some((at, first))) => {
                let value = at.tape.get(first + slot);
                self.value(At { value, ..at }, &field.ty, field)
            }
            (Origin::Joined { join, step, slot }, Some((at, first))) => {
                self.joined(*step, at.tape.get(first + join), Some(*slot), field)
            }
            (Origin::Join { join, step }, Some((at, first))) => {
                self.joined(*step, at.tape.get(first + join), None, field)
            }
            _ => 0,
        };
        once.saturating_add(values)
    }

    /// What another step has brought: the value itself, or one slot of it.
    fn joined(&self, step: usize, value: Value, slot: Option<u32>, field: &OutField) -> Milli {
        let data = &self.store.steps[step];
        match value {
            Value::Join(item) => {
                let at = self.item(step, data.item(item));
                match (slot, at.value) {
                    (None, _) => self.value(at, &field.ty, field),
                    (Some(slot), Value::Object { at: first, .. }) => {
                        let value = at.tape.get(first + slot);
                        self.value(At { value, ..at }, &field.ty, field)
                    }
                    _ => 0,
                }
            }
            Value::JoinList { at, len } => {
                let OutKind::List(ty) = &field.ty.kind else {
                    return 0;
                };
                let items = data.items[at as usize..(at + len) as usize].iter();
                items
                    .map(|item| self.value(self.item(step, *item), ty, field))
                    .fold(0, Milli::saturating_add)
            }
            _ => 0,
        }
    }

    fn item(&self, step: usize, item: Item) -> At<'c> {
        At {
            tape: self.store.steps[step].tape(item.tape),
            value: item.value,
        }
    }

    fn value(&self, at: At<'c>, ty: &OutType, field: &OutField) -> Milli {
        let each = field.price.as_ref().and_then(|price| price.each);
        match (&ty.kind, at.value) {
            (_, Value::Null | Value::Absent | Value::Error(_) | Value::Failed(_)) => 0,
            (OutKind::Leaf(_), _) => each.unwrap_or(0),
            (OutKind::List(item), Value::List { at: first, len }) => {
                let values = at.tape.slots(first, len).iter();
                values
                    .map(|value| At {
                        value: *value,
                        ..at
                    })
                    .map(|at| self.value(at, item, field))
                    .fold(0, Milli::saturating_add)
            }
            (OutKind::Object(selections), Value::Object { at: first, layout }) => {
                let selection = selections.iter().find(|(known, _)| *known == layout);
                selection.map_or(0, |(_, selection)| {
                    if let (true, [itself]) = (selection.is_another, &selection.fields[..]) {
                        return self.field(Some((at, first)), itself);
                    }
                    let below = self.selection(Some((at, first)), selection);
                    each.unwrap_or(selection.weight).saturating_add(below)
                })
            }
            _ => 0,
        }
    }
}

fn is_composite(ty: &OutType) -> bool {
    match &ty.kind {
        OutKind::Leaf(_) => false,
        OutKind::List(item) => is_composite(item),
        OutKind::Object(_) => true,
    }
}
