//! The body of a REST request.

use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;

use super::Lowering;
use super::origin::Destination;
use super::rest::{Rest, input_object};
use super::scope::{Scope, Slot};
use crate::contract::TypeId;
use crate::contract::openapi::Encoding as ContentEncoding;
use crate::mapping::Spot;
use crate::model::{BodyEncoding, Expr};

impl<'a> Lowering<'a> {
    pub(super) fn explicit_body(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Option<Option<Expr>> {
        if !rest.input.has("body") {
            return Some(None);
        }
        let mapping = self.request_mapping(rest.input, "body")?;
        let slot = Slot::new(Destination::Body(Vec::new()), rest.body_type());
        self.expression(scope, &mapping, &slot).map(Some)
    }

    pub(super) fn default_body(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Option<Expr> {
        let unused = scope.unused();
        let slot = Slot::new(Destination::Body(Vec::new()), rest.body_type());
        if let [one] = unused.as_slice()
            && input_object(scope.document, &one.ty).is_some()
        {
            scope.used.insert(one.name.to_string());
            let spot = Spot::Whole(one.name.location());
            return Some(self.whole_argument(scope, vec![one.name.to_string()], one, &slot, &spot));
        }
        let entries: Vec<_> = unused
            .into_iter()
            .map(|argument| self.body_property(scope, argument, slot.wants))
            .collect();
        (!entries.is_empty()).then_some(Expr::Object(entries))
    }

    fn body_property(
        &mut self,
        scope: &mut Scope<'a>,
        argument: &Node<InputValueDefinition>,
        body: Option<TypeId>,
    ) -> (String, Expr) {
        let (document, directives) = (scope.document, &argument.directives);
        let name = self.sent_name(document, scope.source, &argument.name, directives, body);
        let upstream = &self.lowered.upstreams[scope.source.index()];
        let wants = body.and_then(|body| Some(upstream.property(body, &name)?.1.ty));
        let slot = Slot::new(Destination::Body(vec![name.clone()]), wants);
        scope.used.insert(argument.name.to_string());
        let path = vec![argument.name.to_string()];
        let spot = Spot::Whole(argument.name.location());
        (
            name,
            self.whole_argument(scope, path, argument, &slot, &spot),
        )
    }
}

impl Rest<'_, '_> {
    fn body_type(&self) -> Option<TypeId> {
        let encoding = match self.encoding {
            BodyEncoding::Json => ContentEncoding::Json,
            BodyEncoding::Form => ContentEncoding::Form,
            BodyEncoding::Multipart => ContentEncoding::Multipart,
            BodyEncoding::Text => ContentEncoding::Text,
        };
        Some(self.operation?.body.as_ref()?.encoded(encoding)?.ty)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::call;

    #[test]
    fn a_body_is_the_single_input_object_else_an_object_of_the_arguments() {
        assert_eq!(
            call(
                "type Mutation { a(id: ID!, input: I!): Int @rest(PATCH: \"/a/{id}\") } input I { unitPrice: Float! }"
            ),
            "PATCH /a/{$args.id as string} body $args.input as {unit_price}"
        );
        assert_eq!(
            call("type Mutation { a(name: String, userId: ID): Int @rest(POST: \"/a\") }"),
            "POST /a body { name: $args.name, user_id: $args.userId as string }"
        );
        assert_eq!(
            call("type Mutation { a(id: ID!): Int @rest(POST: \"/a/{id}/go\") }"),
            "POST /a/{$args.id as string}/go"
        );
        assert_eq!(
            call(
                "type Mutation { a(b: Int): Int @rest(POST: \"/a\", body: { x: \"$args.b\", kind: \"'gift'\", y: [1, true] }) }"
            ),
            "POST /a body { x: $args.b, kind: \"gift\", y: [1, true] }"
        );
    }
}
