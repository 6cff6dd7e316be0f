//! The front door: one operation in, one plan out.

use std::sync::Arc;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Name;
use apollo_compiler::executable::Operation;
use apollo_compiler::executable::OperationType;
use compose::Supergraph;
use compose::model::Resolver;
use compose::model::Target;

use crate::cache::CachePolicy;
use crate::code::Code;
use crate::collect::Collector;
use crate::cost::Program;
use crate::document::Document;
use crate::input::coerce_literal;
use crate::limits::OperationLimits;
use crate::model::ArgValue;
use crate::model::OutLeaf;
use crate::model::Plan;
use crate::model::VariableDef;
use crate::queued;
use crate::refusal::Refusal;
use crate::search::Search;
use crate::search::leaf::Leaves;

/// Plans one operation of a document.
pub fn plan(
    supergraph: &Arc<Supergraph>,
    document: &Document,
    operation_name: Option<&str>,
    limits: &OperationLimits,
) -> Result<Plan, Refusal> {
    let operation = document.operation(operation_name)?;
    let mutation = operation.operation_type == OperationType::Mutation;
    let variables = variables(supergraph, operation);
    let index = |name: &str| index_of(&variables, name);
    let collector = Collector {
        document: &document.valid,
        supergraph,
        variables: &index,
    };
    let mut search = Search::new(collector, variables.len(), limits.planning_steps());
    let sets = [(Vec::new(), &operation.selection_set)];
    let output = search.root(operation.object_type(), &sets, mutation)?;
    let steps = search.finish();
    let demands = search.finish_demands();
    let conditions = search.conditions;
    let queued = queued::of(supergraph, &steps);
    let asks_here = queued::asks_here(supergraph, &steps);
    Ok(Plan {
        supergraph: supergraph.clone(),
        mutation,
        subscription: operation.operation_type == OperationType::Subscription,
        operation_name: operation.name.as_ref().map(|name| name.to_string()),
        introspection: introspection(&document.valid, operation)?,
        variables,
        conditions,
        demands,
        steps,
        output,
        measures: document.measures,
        cost: Program::default(),
        cache: CachePolicy::default(),
        keeps: false,
        may_be_stale: false,
        queued,
        asks_here,
    }
    .priced(limits.list_size)
    .with_cache_policy())
}

fn variables(supergraph: &Supergraph, operation: &Operation) -> Vec<VariableDef> {
    let schema = supergraph.api();
    let define = |variable: &apollo_compiler::ast::VariableDefinition| {
        let literal = variable.default_value.as_ref();
        let coerced =
            literal.map(|value| coerce_literal(schema, &variable.ty, value, &|_| None, 0));
        VariableDef {
            name: variable.name.to_string(),
            ty: variable.ty.as_ref().clone(),
            default: match coerced {
                Some(ArgValue::Const(value)) => Some(value),
                _ => None,
            },
        }
    };
    operation.variables.iter().map(|v| define(v)).collect()
}

fn index_of(variables: &[VariableDef], name: &str) -> Option<u32> {
    let index = variables
        .iter()
        .position(|variable| variable.name == name)?;
    Some(index as u32)
}

/// The document, cut down to what introspection needs, where the operation introspects.
fn introspection(
    document: &apollo_compiler::validation::Valid<ExecutableDocument>,
    operation: &Operation,
) -> Result<Option<apollo_compiler::validation::Valid<ExecutableDocument>>, Refusal> {
    let introspects = operation
        .root_fields(document)
        .any(|field| field.name == "__schema" || field.name == "__type");
    if !introspects {
        return Ok(None);
    }
    apollo_compiler::introspection::check_max_depth(document, operation)
        .map_err(|bad| Refusal::new(Code::IntrospectionTooDeep, bad.message().to_string()))?;
    Ok(Some(document.clone()))
}

impl Plan {
    /// How one input of a resolver is written, so that an enum on a tape can be spelled out.
    pub fn input_leaf(&self, resolver: &Resolver, path: &[Name]) -> OutLeaf {
        let ty = match &resolver.target {
            Target::Root { ty, .. } | Target::Field { ty, .. } | Target::Entity { ty, .. } => ty,
        };
        let mut ty = ty.as_str();
        for name in path {
            let field = self
                .supergraph
                .type_def(ty)
                .and_then(|def| def.fields.get(name));
            match field {
                Some(field) => ty = field.ty.inner_named_type().as_str(),
                None => return OutLeaf::Plain,
            }
        }
        Leaves::default().out(self.supergraph.api(), ty)
    }
}
