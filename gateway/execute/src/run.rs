//! Running a plan: each step as soon as what it waits for has arrived.
//!
//! Owns the order of calls. One task drives all of a request's calls; nothing
//! is locked, and dropping the future cancels what is in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use compose::model::BatchOrder;
use compose::model::Expr;
use compose::model::Resolver;
use compose::model::Target;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use plan::code::Code;
use plan::model::Hop;
use plan::model::OutLeaf;
use plan::model::Plan;
use plan::model::Prepared;
use plan::model::Single;
use plan::model::Step;
use plan::model::Variables;
use plan::shape::ReplyShape;
use plan::source::BoxFuture;
use plan::source::Context;
use plan::source::Fetch;
use plan::source::Reply;
use plan::source::Row;
use plan::source::SourceError;
use plan::source::Sources;
use plan::tape::Tape;
use serde_json::Map;
use serde_json::Value as Json;

use crate::assign::Assignment;
use crate::assign::align;
use crate::assign::assign;
use crate::count::count;
use crate::parents;
use crate::parents::Rows;
use crate::response::FieldError;
use crate::response::Response;
use crate::store::Store;
use crate::write::Representations;
use crate::write::write;

/// Everything that a plan's steps have brought: what is left is to write it down.
pub struct Arrived<'r>(Run<'r>);

impl Arrived<'_> {
    /// What the answer has cost in points: see [`Plan::cost`] for what it may cost.
    pub fn cost(&self) -> u64 {
        count(self.0.plan, self.0.variables, &self.0.store)
    }

    /// Writes the response.
    pub fn respond(self) -> Response {
        self.0.respond()
    }
}

/// Runs a plan and writes its response.
pub async fn execute(
    plan: &Plan,
    variables: &Variables,
    sources: &dyn Sources,
    context: &Context,
) -> Response {
    arrive(plan, variables, sources, context).await.respond()
}

/// Runs a plan's steps, each as soon as what it waits for is there.
pub async fn arrive<'r>(
    plan: &'r Plan,
    variables: &'r Variables,
    sources: &'r dyn Sources,
    context: &'r Context,
) -> Arrived<'r> {
    let mut run = Run::new(plan, variables, sources, context);
    let ready: Vec<usize> = (0..run.waiting.len())
        .filter(|s| run.waiting[*s] == 0)
        .collect();
    run.all_steps(ready).await;
    Arrived(run)
}

/// Runs a plan's steps but the one that has brought this already: each as soon as what it waits for is there.
pub(crate) async fn arrive_after<'r>(
    brought: (&'r Step, Tape),
    plan: &'r Plan,
    variables: &'r Variables,
    sources: &'r dyn Sources,
    context: &'r Context,
) -> Arrived<'r> {
    let mut run = Run::new(plan, variables, sources, context);
    let (step, tape) = brought;
    let rows = Rows {
        rows: vec![Row::new()],
        ..Rows::default()
    };
    let reply = vec![(0, Reply::one(1, Ok(vec![tape])))];
    assign(&mut run.store, plan, step, &rows, reply, Assignment::Whole);
    let ready = run.finish(step.id);
    run.all_steps(ready).await;
    Arrived(run)
}

struct Run<'r> {
    plan: &'r Plan,
    variables: &'r Variables,
    sources: &'r dyn Sources,
    context: &'r Context,
    store: Store,
    /// For each step, how many of the steps before it are not finished.
    waiting: Vec<usize>,
    finished: Vec<bool>,
    /// For each step that has calls in flight, what they are for.
    pending: Vec<Option<Pending>>,
    calls: FuturesUnordered<BoxFuture<'r, Answered>>,
}

/// A step with calls in flight.
struct Pending {
    rows: Rows,
    how: Assignment,
    /// Calls not yet answered.
    open: usize,
    /// The first row of each call, and what came back.
    replies: Vec<(usize, Reply)>,
}

/// One fetch that was answered.
struct Answered {
    step: usize,
    first_row: usize,
    reply: Reply,
}

/// Which of a step's two calls is made: the one for many parents, or the one for one.
struct Chosen<'r> {
    resolver: &'r Resolver,
    inputs: &'r [Vec<Hop>],
    shape: &'r ReplyShape,
    prepared: &'r Prepared,
}

/// The arguments of a step's calls.
#[derive(Clone)]
struct Arguments {
    /// Of the field that it answers.
    own: Map<String, Json>,
    /// Of fields that it reads.
    below: Vec<Option<Json>>,
}

impl<'r> Run<'r> {
    fn new(
        plan: &'r Plan,
        variables: &'r Variables,
        sources: &'r dyn Sources,
        context: &'r Context,
    ) -> Self {
        Self {
            plan,
            variables,
            sources,
            context,
            store: Store::new(plan.steps().len()),
            waiting: plan.steps().iter().map(|step| step.after.len()).collect(),
            finished: vec![false; plan.steps().len()],
            pending: std::iter::repeat_with(|| None)
                .take(plan.steps().len())
                .collect(),
            calls: FuturesUnordered::new(),
        }
    }

    async fn all_steps(&mut self, ready: Vec<usize>) {
        self.start_all(ready);
        while let Some(answered) = self.calls.next().await {
            if let Some(done) = self.take(answered) {
                let ready = self.finish(done);
                self.start_all(ready);
            }
        }
    }

    /// Starts steps; those that need no call are finished at once, which may make others ready.
    fn start_all(&mut self, ready: Vec<usize>) {
        let mut ready = VecDeque::from(ready);
        while let Some(step) = ready.pop_front() {
            if !self.start(&self.plan.steps()[step]) {
                ready.extend(self.finish(step));
            }
        }
    }

    /// Marks a step as finished and returns the steps that only waited for it.
    fn finish(&mut self, done: usize) -> Vec<usize> {
        self.finished[done] = true;
        self.align(done);
        let steps = self.plan.steps().iter();
        let after: Vec<usize> = steps
            .filter(|step| step.after.contains(&done))
            .map(|step| step.id)
            .collect();
        for step in &after {
            self.waiting[*step] -= 1;
        }
        after
            .into_iter()
            .filter(|step| self.waiting[*step] == 0)
            .collect()
    }

    /// Joins by their place the objects of steps of which this is the last to finish.
    fn align(&mut self, done: usize) {
        for step in self.plan.steps() {
            for aligned in &step.aligned {
                let both = [step.id, aligned.with.step];
                if both.contains(&done) && both.iter().all(|it| self.finished[*it]) {
                    align(&mut self.store, step.id, aligned);
                }
            }
        }
    }

    /// Sends a step's calls; false where there is nothing to send.
    fn start(&mut self, step: &'r Step) -> bool {
        let conditions = self.plan.conditions();
        let skipped = step
            .condition
            .is_some_and(|id| !conditions[id as usize].holds(self.variables));
        if skipped {
            return false;
        }
        let batch = self.choice(step, false);
        let mut rows = self.rows(step, &batch);
        let chosen = match &step.single {
            Some(_) if rows.rows.len() == 1 => self.choice(step, true),
            _ => batch,
        };
        let args = Arguments {
            own: step.arguments(self.variables),
            below: step.arguments_below(self.variables),
        };
        let how = assignment(&chosen, &args.own);
        if rows.rows.is_empty() {
            assign(&mut self.store, self.plan, step, &rows, Vec::new(), how);
            return false;
        }
        if step.single.is_some() && rows.rows.len() == 1 {
            self.single_row(step, &chosen, &mut rows);
        }
        self.send(step, chosen, rows, args, how);
        true
    }

    fn choice(&self, step: &'r Step, alone: bool) -> Chosen<'r> {
        let graph = self.plan.supergraph();
        match &step.single {
            Some(single) if alone => self.alternative(single),
            _ => Chosen {
                resolver: graph.resolver(step.resolver),
                inputs: &step.inputs,
                shape: &step.shape,
                prepared: &step.prepared,
            },
        }
    }

    fn alternative(&self, call: &'r Single) -> Chosen<'r> {
        Chosen {
            resolver: self.plan.supergraph().resolver(call.resolver),
            inputs: &call.inputs,
            shape: &call.shape,
            prepared: &call.prepared,
        }
    }

    fn rows(&self, step: &'r Step, chosen: &Chosen<'_>) -> Rows {
        let Some(at) = &step.parents else {
            return Rows {
                rows: vec![Row::new()],
                ..Rows::default()
            };
        };
        let found = parents::find(&self.store, at);
        let whole = needs_whole_key(chosen.resolver);
        let types = input_types(self.plan, chosen.resolver);
        let Some(selection) = &step.representation else {
            return parents::gather(&self.store, at.step, found, chosen.inputs, &types, whole);
        };
        let mut writer = Representations::new(self.plan, self.variables, &self.store);
        let mut represent = |parent| writer.of(step, at.step, parent, selection);
        let inputs = (chosen.inputs, &types[..]);
        let bare = step.without.is_some();
        parents::gather_represented(&self.store, at.step, found, inputs, bare, &mut represent)
    }

    /// The call for one parent may want its inputs in another order.
    fn single_row(&self, step: &Step, chosen: &Chosen<'_>, rows: &mut Rows) {
        let Some(at) = &step.parents else {
            return;
        };
        let of_row = rows.parents.iter().find(|(_, row)| row.is_some());
        let Some((parent, _)) = of_row else {
            return;
        };
        let types = input_types(self.plan, chosen.resolver);
        let one = vec![*parent];
        let single = parents::gather(&self.store, at.step, one, chosen.inputs, &types, false);
        rows.rows = single.rows;
    }

    fn send(
        &mut self,
        step: &'r Step,
        chosen: Chosen<'r>,
        mut rows: Rows,
        args: Arguments,
        how: Assignment,
    ) {
        let all = std::mem::take(&mut rows.rows);
        // The rows' number is needed again when replies are assigned; their values are not.
        rows.rows = vec![Row::new(); all.len()];
        let mut pending = Pending {
            rows,
            how,
            open: 0,
            replies: Vec::new(),
        };
        if let Some(without) = &step.without {
            let mut all = all;
            let bare = all.split_off(pending.rows.bare.first);
            let fewer = self.alternative(&without.call);
            for (chosen, rows, first) in [(chosen, all, 0), (fewer, bare, pending.rows.bare.first)]
            {
                if !rows.is_empty() {
                    self.call(step, &chosen, args.clone(), rows, first);
                    pending.open += 1;
                }
            }
        } else if chosen.resolver.batch.is_some() || step.parents.is_none() {
            self.call(step, &chosen, args, all, 0);
            pending.open = 1;
        } else {
            let accepted = chosen
                .resolver
                .policy
                .fanout
                .map_or(usize::MAX, |n| n as usize);
            let asked = all.len();
            for (index, row) in all.into_iter().take(accepted).enumerate() {
                self.call(step, &chosen, args.clone(), vec![row], index);
                pending.open += 1;
            }
            if asked > accepted {
                let refused = self.too_many(&chosen, asked, accepted);
                pending.replies.push((accepted, refused));
            }
        }
        self.pending[step.id] = Some(pending);
    }

    fn call(
        &mut self,
        step: &'r Step,
        chosen: &Chosen<'r>,
        args: Arguments,
        rows: Vec<Row>,
        first_row: usize,
    ) {
        let source = self.sources.source(chosen.resolver.source);
        let answer = source.fetch(Fetch {
            step,
            shape: chosen.shape,
            prepared: chosen.prepared,
            resolver: chosen.resolver,
            args: args.own,
            below: args.below,
            rows,
            context: self.context,
        });
        let id = step.id;
        self.calls.push(Box::pin(async move {
            Answered {
                step: id,
                first_row,
                reply: answer.await,
            }
        }));
    }

    fn too_many(&self, chosen: &Chosen<'_>, asked: usize, accepted: usize) -> Reply {
        let source = self.plan.supergraph().source(chosen.resolver.source);
        let service = Arc::from(source.name.as_str());
        let message = format!(
            "The field would need {asked} calls, and at most {accepted} are accepted at once."
        );
        let error = SourceError::new(Code::FanoutExceeded, &service, message);
        Reply::one(asked - accepted, Err(error))
    }

    /// Keeps one answer; when it was the step's last, joins them all and names the step.
    fn take(&mut self, answered: Answered) -> Option<usize> {
        let pending = self.pending[answered.step].as_mut()?;
        pending.replies.push((answered.first_row, answered.reply));
        pending.open -= 1;
        if pending.open > 0 {
            return None;
        }
        let Pending {
            rows,
            how,
            mut replies,
            ..
        } = self.pending[answered.step].take()?;
        replies.sort_by_key(|(first, _)| *first);
        let step = &self.plan.steps()[answered.step];
        assign(&mut self.store, self.plan, step, &rows, replies, how);
        Some(answered.step)
    }

    fn respond(self) -> Response {
        let (introspection, refused) = match self.plan.introspect(self.variables) {
            Ok(known) => (known, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let (body, has_data, mut errors) =
            write(self.plan, self.variables, &self.store, &introspection);
        if let Some(refusal) = refused {
            errors.push(FieldError::new(refusal.code, refusal.to_string()));
        }
        Response {
            body,
            errors,
            correlation_id: self.context.correlation_id.clone(),
            has_data,
        }
    }
}

/// An entity without its whole key is null; so is a batch's member. A field with a call of its own may be asked with a null.
fn needs_whole_key(resolver: &Resolver) -> bool {
    resolver.batch.is_some() || matches!(resolver.target, Target::Entity { .. })
}

/// How each input's leaf is written, so that an enum on a tape can be spelled out.
fn input_types(plan: &Plan, resolver: &Resolver) -> Vec<OutLeaf> {
    let types = resolver
        .inputs
        .iter()
        .map(|path| plan.input_leaf(resolver, path));
    types.collect()
}

fn assignment(chosen: &Chosen<'_>, args: &Map<String, Json>) -> Assignment {
    match &chosen.resolver.batch {
        None => Assignment::Whole,
        Some(batch) if batch.order == BatchOrder::Positional => Assignment::Positional,
        Some(batch) => Assignment::Keyed {
            to_many: batch.to_many,
            limit: batch.limit.as_ref().and_then(|limit| length(limit, args)),
        },
    }
}

/// The number that a batch's `limit` stands for.
fn length(limit: &Expr, args: &Map<String, Json>) -> Option<usize> {
    let value = match limit {
        Expr::Const(value) => value,
        Expr::Arg { path, .. } => {
            let (first, rest) = path.split_first()?;
            rest.iter()
                .try_fold(args.get(first)?, |value, name| value.get(name))?
        }
        Expr::FirstOf(options) => return options.iter().find_map(|option| length(option, args)),
        _ => return None,
    };
    value.as_u64().map(|length| length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_first_option_that_is_a_number() {
        let (null, three) = (Expr::Const(Json::Null), Expr::Const(Json::from(3)));
        assert_eq!(length(&three, &Map::new()), Some(3));
        assert_eq!(
            length(&Expr::FirstOf(vec![null, three]), &Map::new()),
            Some(3)
        );
    }
}
