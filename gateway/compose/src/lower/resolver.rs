//! One directive to one [`Resolver`].

use super::Lowering;
use super::batch::Items;
use super::input::Input;
use super::origin::Origin;
use super::scope::Scope;
use super::site::{On, Site};
use super::source::Spoken;
use super::subgraph;
use crate::diagnostic::Place;
use crate::model::{Resolver, ResolverId, SourceId, Target};

impl<'a> Lowering<'a> {
    /// Lowers a resolver; what is wrong is reported and the resolver left out.
    pub(super) fn resolver(&mut self, site: &Site<'a>) {
        let input = Input::of(site.document, site.directive);
        let protocol = Spoken::of(&site.directive.name);
        let source = match site.is_key() {
            true => self.serving(site.document),
            false => self.source_for(&input, protocol),
        };
        let Some(source) = source else {
            return;
        };
        let mut scope = site.scope(source);
        let batched = self.is_batched(&input);
        let page = self.page(&input, &mut scope, batched);
        let limit = self.batch_limit(&input, &mut scope);
        let lowered = match protocol {
            Spoken::Rest => self.rest(&input, &mut scope),
            Spoken::Grpc => self.grpc(&input, &mut scope),
            Spoken::Graphql if site.is_key() => self.entities(site, &mut scope),
            Spoken::Graphql => self.graphql(site, &input, &mut scope),
        };
        let lowered = match site.on.is_subscription() {
            true => lowered.and_then(|lowered| self.as_events(&input, lowered)),
            false => lowered,
        };
        let Some(lowered) = lowered else {
            return;
        };
        let queued = site.queue();
        let queue = queued.and_then(|queued| self.queue(site, &queued, &input, &mut scope));
        self.check_unused(&scope);
        let target = self.target(site, &scope);
        let reply = match queued {
            Some(queued) => self.accepted(site, &queued, source, &lowered),
            None => self.reply(site, &input, source, &lowered, scope.is_batch()),
        };
        let (Some(target), Some(reply)) = (target, reply) else {
            return;
        };
        let items = Items {
            contract: reply.item,
            value: &reply.rule.value,
            to_many: reply.to_many,
        };
        let batch = match site.is_key() {
            true => Some(subgraph::batch()),
            false => self.batch(site, &input, &scope, &items, limit),
        };
        let policy = self.policy(site, &input, source, &lowered.call);
        self.lowered.origins.push(Origin {
            subgraph: site.document.subgraph,
            directive: site.directive.clone(),
            field: site.on.field().cloned(),
            call: lowered.call,
            sent: scope.sent,
            reply: lowered.reply,
            result: reply.result,
        });
        self.lowered.resolvers.push(Resolver {
            id: ResolverId(self.lowered.resolvers.len() as u32),
            subgraph: site.document.subgraph,
            source,
            target,
            inputs: scope.inputs.into_iter().map(|input| input.path).collect(),
            sends: scope.sends,
            request: lowered.request,
            batch,
            reply: reply.rule,
            page,
            policy,
            queue: queue.map(Box::new),
            place: site.place().to_string(),
        });
    }

    fn target(&mut self, site: &Site<'_>, scope: &Scope<'a>) -> Option<Target> {
        Some(match site.on {
            On::Root {
                ty,
                field,
                mutation,
            } => Target::Root {
                ty: ty.clone(),
                field: field.name.clone(),
                mutation,
            },
            On::Field { ty, field } => Target::Field {
                ty: ty.clone(),
                field: field.name.clone(),
            },
            On::Entity { ty } => Target::Entity {
                ty: ty.clone(),
                key: match site.is_key() {
                    true => self.key_of(site, ty)?.fields,
                    false => self.entity_key(site, scope, ty)?,
                },
            },
        })
    }
}

impl<'a> Site<'a> {
    /// Where the directive stands.
    pub(super) fn place(&self) -> Place {
        self.document.places.directive(self.directive)
    }

    /// What the site's expressions may read.
    fn scope(&self, source: SourceId) -> Scope<'a> {
        let arguments = self.on.field().map_or(&[][..], |field| &field.arguments);
        Scope {
            arguments,
            parent: self.on.parent(),
            ..Scope::outer(self.document, source, &self.on.name())
        }
    }
}
