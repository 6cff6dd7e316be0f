//! What an operation may be: each limit with its default, its mode and its code.
//!
//! Owns the list of limits and their comparison with what was measured. A
//! document is measured once; its measures are kept with the plan and
//! compared with each caller's limits, so that one cached plan serves clients
//! who may do different things. Knows nothing of who the clients are.

mod measures;
mod merging;
mod scan;

use crate::code::Code;
use crate::refusal::Refusal;

pub use measures::Measures;
pub(crate) use measures::Walk;
pub(crate) use merging::check as check_merging;
pub(crate) use scan::scan;

/// Brackets of a document that stand open at once, whatever the limits say: parsing is recursive.
pub(crate) const MOST_NESTING: u64 = 200;
/// Selection sets inside of each other, through fragments too, whatever the limits say.
pub(crate) const MOST_LEVELS: u64 = 200;
/// Operations of one document, whatever the limits say: each is validated with all fragments.
pub(crate) const MOST_OPERATIONS: u64 = 100;
/// Validation errors that are answered, whatever the limits say.
const MOST_ERRORS: u64 = 1_000;
/// Steps of a search that no limit ends.
const MOST_PLANNING: u64 = 10_000_000;

/// Items of a list of which nobody says how long it is.
const LIST_SIZE: u64 = 10;

/// What happens where a limit is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing.
    Off,
    /// It is told to the operator.
    Measure,
    /// The operation is refused.
    Enforce,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// What is still allowed.
    pub max: u64,
    /// What happens above it.
    pub mode: Mode,
}

impl Limit {
    /// A limit that refuses.
    pub const fn enforce(max: u64) -> Self {
        Self {
            max,
            mode: Mode::Enforce,
        }
    }

    /// No limit.
    pub const OFF: Self = Self {
        max: u64::MAX,
        mode: Mode::Off,
    };

    /// Whether so much is worth a word.
    pub fn is_exceeded_by(self, found: u64) -> bool {
        found > self.max && self.mode != Mode::Off
    }

    /// What is allowed where only refusals count.
    fn enforced(self) -> u64 {
        match self.mode {
            Mode::Enforce => self.max,
            Mode::Off | Mode::Measure => u64::MAX,
        }
    }
}

/// What is measured of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Kind {
    /// Characters of the document.
    Characters,
    /// Lexical tokens; white space, commas and comments are none.
    Tokens,
    /// Brackets of any kind that stand open at once.
    Nesting,
    /// Operations of the document.
    Operations,
    /// Fields inside of each other, through fragments too; introspection apart.
    Depth,
    /// Fields under `__schema` and `__type` inside of each other.
    IntrospectionDepth,
    /// Response keys at the root.
    RootFields,
    /// Aliases, each where it is written.
    Aliases,
    /// Directives, each where it is written.
    Directives,
    /// Declared variables.
    Variables,
    /// Lists and input objects inside of each other, in literals and in variables.
    InputNesting,
}

impl Kind {
    /// Every kind, in the order in which they are checked.
    pub const ALL: [Kind; 11] = [
        Kind::Characters,
        Kind::Tokens,
        Kind::Nesting,
        Kind::Operations,
        Kind::Depth,
        Kind::IntrospectionDepth,
        Kind::RootFields,
        Kind::Aliases,
        Kind::Directives,
        Kind::Variables,
        Kind::InputNesting,
    ];

    /// The key in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Characters => "characters",
            Kind::Tokens => "tokens",
            Kind::Nesting => "nesting",
            Kind::Operations => "operations",
            Kind::Depth => "depth",
            Kind::IntrospectionDepth => "introspection_depth",
            Kind::RootFields => "root_fields",
            Kind::Aliases => "aliases",
            Kind::Directives => "directives",
            Kind::Variables => "variables",
            Kind::InputNesting => "input_nesting",
        }
    }

    /// The code of a refusal.
    pub fn code(self) -> Code {
        match self {
            Kind::Characters => Code::DocumentTooLarge,
            Kind::Tokens => Code::TooManyTokens,
            Kind::Nesting => Code::DocumentTooNested,
            Kind::Operations => Code::TooManyOperations,
            Kind::Depth => Code::OperationTooDeep,
            Kind::IntrospectionDepth => Code::IntrospectionTooDeep,
            Kind::RootFields => Code::TooManyRootFields,
            Kind::Aliases => Code::TooManyAliases,
            Kind::Directives => Code::TooManyDirectives,
            Kind::Variables => Code::TooManyVariables,
            Kind::InputNesting => Code::InputTooNested,
        }
    }

    /// `has 31 aliases`
    fn describe(self, found: u64) -> String {
        match self {
            Kind::Characters => format!("The document has {found} characters"),
            Kind::Tokens => format!("The document has {found} tokens or more"),
            Kind::Nesting => format!("The document has {found} brackets or more open at once"),
            Kind::Operations => format!("The document has {found} operations"),
            Kind::Depth => format!("The operation is {found} fields deep"),
            Kind::IntrospectionDepth => format!("The introspection is {found} fields deep"),
            Kind::RootFields => format!("The operation has {found} root fields"),
            Kind::Aliases => format!("The operation has {found} aliases"),
            Kind::Directives => format!("The operation has {found} directives"),
            Kind::Variables => format!("The operation has {found} variables"),
            Kind::InputNesting => {
                format!("An input has {found} lists and objects inside of each other")
            }
        }
    }
}

/// The limits of one kind of client. The default is the safe one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationLimits {
    limits: [Limit; Kind::ALL.len()],
    /// Validation errors that are answered; where it is not enforced, up to 1,000.
    pub errors: Limit,
    /// Steps of the planner's search, after which it takes the best plan so far; where it is not enforced, 10,000,000.
    pub planning: Limit,
    /// Items that a list counts as where nothing says how long it is.
    pub list_size: u64,
}

impl Default for OperationLimits {
    fn default() -> Self {
        let max = |kind| match kind {
            Kind::Characters => 15_000,
            Kind::Tokens => 2_000,
            Kind::Nesting => 64,
            Kind::Operations => 20,
            Kind::Depth => 15,
            Kind::IntrospectionDepth => 20,
            Kind::RootFields => 20,
            Kind::Aliases => 30,
            Kind::Directives => 50,
            Kind::Variables => 100,
            Kind::InputNesting => 16,
        };
        Self {
            limits: Kind::ALL.map(|kind| Limit::enforce(max(kind))),
            errors: Limit::enforce(20),
            planning: Limit::enforce(100_000),
            list_size: LIST_SIZE,
        }
    }
}

/// One limit that something exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Which.
    pub kind: Kind,
    /// What was found.
    pub found: u64,
    /// What is allowed, and what follows.
    pub limit: Limit,
}

impl Excess {
    /// What the client reads.
    pub fn refusal(&self) -> Refusal {
        let allowed = self.limit.max;
        let found = self.kind.describe(self.found);
        let message = format!("{found}, and at most {allowed} are allowed.");
        let mut refusal = Refusal::new(self.kind.code(), message);
        refusal.details = vec![("found", self.found), ("limit", allowed)];
        refusal
    }
}

impl OperationLimits {
    /// No limit at all, but for what no parser survives.
    pub fn off() -> Self {
        Self {
            limits: [Limit::OFF; Kind::ALL.len()],
            errors: Limit::OFF,
            planning: Limit::OFF,
            list_size: LIST_SIZE,
        }
    }

    /// One limit.
    pub fn get(&self, kind: Kind) -> Limit {
        self.limits[kind as usize]
    }

    /// The same with another limit.
    #[must_use]
    pub fn with(mut self, kind: Kind, limit: Limit) -> Self {
        self.limits[kind as usize] = limit;
        self
    }

    /// The limits that a document exceeds, whether they are enforced or measured.
    pub fn exceeded<'l>(&'l self, measures: &'l Measures) -> impl Iterator<Item = Excess> + 'l {
        Kind::ALL
            .into_iter()
            .filter_map(|kind| self.excess(kind, measures.get(kind)))
    }

    /// Whether so much of one kind is worth a word.
    pub fn excess(&self, kind: Kind, found: u64) -> Option<Excess> {
        let limit = self.get(kind);
        limit
            .is_exceeded_by(found)
            .then_some(Excess { kind, found, limit })
    }

    /// Refuses what exceeds an enforced limit.
    pub fn check(&self, measures: &Measures) -> Result<(), Refusal> {
        let mut exceeded = self.exceeded(measures);
        match exceeded.find(|excess| excess.limit.mode == Mode::Enforce) {
            Some(excess) => Err(excess.refusal()),
            None => Ok(()),
        }
    }

    pub(crate) fn most_errors(&self) -> usize {
        self.errors.enforced().min(MOST_ERRORS) as usize
    }

    pub(crate) fn planning_steps(&self) -> usize {
        self.planning.enforced().min(MOST_PLANNING) as usize
    }
}

/// A document that no limit of the operator's stops, and that would still take too much.
pub(crate) fn too_large(message: String) -> Refusal {
    Refusal::new(Code::OperationTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_a_limit_passes_and_one_more_does_not() {
        let limits = OperationLimits::default();
        for kind in Kind::ALL {
            let mut measures = Measures::default();
            let max = limits.get(kind).max;
            measures.set(kind, max);
            assert!(limits.check(&measures).is_ok(), "{kind:?}");
            measures.set(kind, max + 1);
            let refusal = limits.check(&measures).unwrap_err();
            assert_eq!(refusal.code, kind.code());
            let message = &refusal.errors[0].message;
            assert!(message.contains(&(max + 1).to_string()), "{message}");
            assert!(message.contains(&format!("at most {max} are allowed")));
        }
    }

    #[test]
    fn a_limit_that_is_off_or_measured_refuses_nothing() {
        let mut measures = Measures::default();
        measures.set(Kind::Depth, 99);
        let limits = |mode| OperationLimits::default().with(Kind::Depth, Limit { max: 5, mode });
        for (mode, told) in [(Mode::Off, 0), (Mode::Measure, 1)] {
            assert!(limits(mode).check(&measures).is_ok());
            assert_eq!(limits(mode).exceeded(&measures).count(), told);
        }
    }

    #[test]
    fn each_kind_stands_at_its_own_place_and_has_its_own_code() {
        let mut codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code().as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
