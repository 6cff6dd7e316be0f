//! How long what an operation reads may be kept, and for whom.
//!
//! Owns working `@cacheControl` out for each step and for the whole plan, when
//! it is made: of everything that is selected the least time counts, and
//! private where anything is. Root fields and composite values of which the
//! schema says nothing may not be kept; leaves go with their object.
//! <https://www.apollographql.com/docs/apollo-server/performance/caching>

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use compose::Supergraph;
use compose::model::CacheHint;
use compose::model::CompositeKind;
use compose::model::FieldDef;

use crate::model::Origin;
use crate::model::OutField;
use crate::model::OutKind;
use crate::model::Plan;
use crate::model::Selection;
use crate::model::Step;
use crate::search::draft::DraftStep;

/// What the schema says about keeping some data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CachePolicy {
    /// Seconds: the least of everything that says some.
    pub max_age: Option<u32>,
    /// Whether the schema says nothing of a part of it.
    pub silent: bool,
    /// Only for the caller who asked.
    pub private: bool,
}

impl CachePolicy {
    /// Nobody may keep it, whatever a service says.
    pub const NEVER: Self = Self {
        max_age: Some(0),
        silent: false,
        private: false,
    };

    /// Seconds for which the schema allows to keep it.
    pub fn allowed(&self) -> Option<u32> {
        self.max_age.filter(|age| *age > 0 && !self.silent)
    }

    /// Both together: the stricter word counts.
    fn and(&mut self, other: Self) {
        self.max_age = match (self.max_age, other.max_age) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.silent |= other.silent;
        self.private |= other.private;
    }

    fn said(hint: CacheHint) -> Self {
        Self {
            max_age: hint.max_age,
            silent: false,
            private: hint.private,
        }
    }
}

/// What hints say of everything that a step reads, for whatever reason. Silence is judged later, on what is shown.
pub(crate) fn of_step(graph: &Supergraph, draft: &DraftStep) -> CachePolicy {
    let mut policy = CachePolicy::default();
    for object in &draft.objects {
        let Some(ty) = graph.type_def(&object.ty) else {
            continue;
        };
        let fields = object
            .fields
            .keys()
            .filter_map(|key| ty.fields.get(&key.name)?.cache);
        fields.for_each(|hint| policy.and(CachePolicy::said(hint)));
    }
    policy
}

impl Plan {
    /// What the schema says about keeping the whole answer.
    pub fn cache(&self) -> CachePolicy {
        self.cache
    }

    /// Whether the schema lets any of its steps' replies be kept.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether the last good reply may stand for one that fails, in any step.
    pub fn may_be_stale(&self) -> bool {
        self.may_be_stale
    }

    /// Works the policies out for a finished plan.
    pub(crate) fn with_cache_policy(mut self) -> Self {
        let mut walk = Walk {
            graph: &self.supergraph,
            steps: self.steps.iter().map(|step| step.cache).collect(),
            whole: CachePolicy::default(),
        };
        walk.selection(&self.output, None, CachePolicy::default());
        let (steps, mut whole) = (walk.steps, walk.whole);
        for (step, policy) in self.steps.iter_mut().zip(steps) {
            step.cache = policy;
            whole.and(policy);
        }
        self.cache = whole;
        self.keeps = self.steps.iter().any(|it| it.cache.allowed().is_some());
        self.may_be_stale = self
            .steps
            .iter()
            .any(|it| is_offered_stale(&self.supergraph, it));
        self
    }
}

fn is_offered_stale(graph: &Supergraph, step: &Step) -> bool {
    let alone = step.single.as_ref().map(|single| single.resolver);
    let mut resolvers = std::iter::once(step.resolver).chain(alone);
    resolvers.any(|id| graph.resolver(id).policy.stale_if_error.is_some())
}

struct Walk<'w> {
    graph: &'w Supergraph,
    steps: Vec<CachePolicy>,
    whole: CachePolicy,
}

impl Walk<'_> {
    fn selection(&mut self, selection: &Selection, step: Option<usize>, parent: CachePolicy) {
        for field in &selection.fields {
            self.field(field, step, parent);
        }
    }

    fn field(&mut self, field: &OutField, parent_step: Option<usize>, parent: CachePolicy) {
        let step = match field.from {
            Origin::Root { step } | Origin::Join { step, .. } | Origin::Joined { step, .. } => {
                Some(step)
            }
            Origin::Slot(_) => parent_step,
            // Not data: the same for everybody as long as the graph is.
            Origin::Const(_) => return,
            Origin::Introspection => None,
        };
        let (_, kind) = field.ty.innermost();
        let inherits = parent_step.is_some() && matches!(kind, OutKind::Leaf(_));
        let known = self.known(&field.coordinate);
        let mut policy = self.declared(known, inherits, parent);
        if let OutKind::Object(objects) = kind
            && known.is_some_and(|field| self.is_open(field))
        {
            let selections = objects.iter().map(|(_, selection)| selection);
            selections.for_each(|selection| policy.and(self.of_object(selection)));
        }
        self.whole.and(policy);
        if let Some(step) = step {
            self.steps[step].and(policy);
        }
        if let OutKind::Object(objects) = kind {
            for (_, selection) in objects {
                self.selection(selection, step, policy);
            }
        }
    }

    fn known(&self, coordinate: &str) -> Option<&FieldDef> {
        let (ty, field) = coordinate.split_once('.')?;
        self.graph.type_def(ty)?.fields.get(field)
    }

    /// Whether the objects behind a field may say more: its type is abstract, and it says no time itself.
    fn is_open(&self, field: &FieldDef) -> bool {
        let said = field.cache.and_then(|hint| hint.max_age).is_some();
        let ty = self.graph.type_def(field.ty.inner_named_type());
        !said && ty.is_some_and(|ty| ty.kind != CompositeKind::Object)
    }

    /// What is known of a field by its own hint, its type's, or its parent's.
    fn declared(
        &self,
        known: Option<&FieldDef>,
        inherits: bool,
        parent: CachePolicy,
    ) -> CachePolicy {
        let own = known.and_then(|field| field.cache);
        let ty = known.and_then(|field| self.graph.type_def(field.ty.inner_named_type()));
        let ty = ty.and_then(|ty| ty.cache);
        let private = [own, ty].into_iter().flatten().any(|hint| hint.private);
        let inherits = inherits || [own, ty].into_iter().flatten().any(|hint| hint.inherit);
        let said = own.and_then(|hint| hint.max_age);
        match said.or(ty.and_then(|hint| hint.max_age)) {
            Some(age) => CachePolicy {
                max_age: Some(age),
                silent: false,
                private,
            },
            None if inherits => CachePolicy {
                private: private || parent.private,
                ..parent
            },
            None => CachePolicy {
                max_age: None,
                silent: true,
                private,
            },
        }
    }

    fn of_object(&self, selection: &Selection) -> CachePolicy {
        let coordinate = selection.fields.first().map(|field| &*field.coordinate);
        let ty = coordinate.and_then(|it| Some(it.split_once('.')?.0));
        let hint = ty.and_then(|ty| self.graph.type_def(ty)?.cache);
        hint.map(CachePolicy::said).unwrap_or_default()
    }
}

/// How fresh the replies were that made an answer.
#[derive(Debug)]
pub struct Caching {
    age: AtomicU64,
    left: AtomicU64,
    private: AtomicBool,
    /// Something was used that nobody may keep.
    spent: AtomicBool,
}

/// How fresh an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Seconds since the oldest part left its service.
    pub age: u64,
    /// Seconds for which all of it is good.
    pub left: u64,
    /// Only for the caller who asked.
    pub private: bool,
}

impl Default for Caching {
    /// Nothing was used yet.
    fn default() -> Self {
        Self {
            age: AtomicU64::new(0),
            left: AtomicU64::new(u64::MAX),
            private: AtomicBool::new(false),
            spent: AtomicBool::new(false),
        }
    }
}

impl Caching {
    /// A reply was used that is this old, and good for this time yet.
    pub fn used(&self, age: Duration, left: Duration, private: bool) {
        self.age.fetch_max(age.as_secs(), Ordering::Relaxed);
        self.left.fetch_min(left.as_secs(), Ordering::Relaxed);
        self.private.fetch_or(private, Ordering::Relaxed);
    }

    /// A reply was used that nobody may keep.
    pub fn used_up(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }

    /// How fresh an answer is that the schema lets be kept for `allowed` seconds; none where it may not be kept.
    pub fn freshness(&self, policy: CachePolicy) -> Option<Freshness> {
        let allowed = u64::from(policy.allowed()?);
        if self.spent.load(Ordering::Relaxed) {
            return None;
        }
        Some(Freshness {
            age: self.age.load(Ordering::Relaxed),
            left: self.left.load(Ordering::Relaxed).min(allowed),
            private: policy.private || self.private.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests;
