//! `page:`: how a list is read page by page.

use super::Lowering;
use super::input::Input;
use super::origin::Destination;
use super::scope::{Scope, Slot};
use crate::diagnostic::Diagnostic;
use crate::mapping::Spot;
use crate::model::{Expr, Page, PageStyle, Read, SourceId, UpstreamPath};

const DEFAULT_MAX_SIZE: u32 = 100;

impl<'a> Lowering<'a> {
    /// Lowers `page:`. The arguments that say how many items are wanted, and after which, steer
    /// the paging and are not sent as they are; in a batch they concern each parent and not the call.
    pub(super) fn page(
        &mut self,
        input: &Input<'_>,
        scope: &mut Scope<'a>,
        batched: bool,
    ) -> Option<Page> {
        let page = input.nested("page")?;
        let style = self.page_style(&page)?;
        let text = |name: &str| page.text(name).map(str::to_owned);
        let (size, at) = (text("size"), text("at"));
        let (first, after) = match batched {
            true => (None, None),
            false => (
                self.paging_argument(scope, "first", size.as_deref()),
                self.paging_argument(scope, "after", at.as_deref()),
            ),
        };
        Some(Page {
            style,
            size,
            at,
            next: self.reply_path(scope.source, &page, "next"),
            has_more: self.reply_path(scope.source, &page, "hasMore"),
            total: self.reply_path(scope.source, &page, "total"),
            max_size: self.count(&page, "maxSize").unwrap_or(DEFAULT_MAX_SIZE),
            follow: self.count(&page, "follow"),
            first,
            after,
        })
    }

    fn page_style(&mut self, page: &Input<'_>) -> Option<PageStyle> {
        let (style, needs): (_, &[&str]) = match page.word("style")? {
            "CURSOR" => (PageStyle::Cursor, &["at", "next"]),
            "OFFSET" => (PageStyle::Offset, &["at"]),
            "PAGE_NUMBER" => (PageStyle::PageNumber, &["at"]),
            "LINK_HEADER" => (PageStyle::LinkHeader, &[]),
            _ => return None,
        };
        for name in needs.iter().filter(|name| !page.has(name)) {
            let what = match *name {
                "at" => "the parameter that says where a page begins",
                _ => "the property of a reply that holds the next cursor",
            };
            self.push(
                Diagnostic::error(
                    "INVALID_VALUE",
                    format!("this style needs `{name}`: {what}"),
                )
                .at(page.at_value("style"))
                .help(format!("add {name}: \"…\"")),
            );
        }
        Some(style)
    }

    /// A path in a whole reply.
    fn reply_path(
        &mut self,
        source: SourceId,
        page: &Input<'_>,
        name: &str,
    ) -> Option<UpstreamPath> {
        let mapping = self.mapping(page, name)?;
        match self.read_of_reply(page.document, source, &mapping)? {
            Read::Path(path) => Some(path),
            _ => {
                self.refuse(page, name, "this is one property of the reply");
                None
            }
        }
    }

    /// The argument of a usual name, else the one that upstream knows by the name of the parameter.
    fn paging_argument(
        &mut self,
        scope: &mut Scope<'a>,
        usual: &str,
        parameter: Option<&str>,
    ) -> Option<Expr> {
        let named = scope.argument(usual).or_else(|| {
            let (document, source) = (scope.document, scope.source);
            scope.arguments.iter().find(|it| {
                let sent = self.sent_name(document, source, &it.name, &it.directives, None);
                Some(sent.as_str()) == parameter
            })
        })?;
        scope.used.insert(named.name.to_string());
        let path = vec![named.name.to_string()];
        let spot = Spot::Whole(named.name.location());
        let slot = Slot::untyped(Destination::Gateway);
        Some(self.whole_argument(scope, path, named, &slot, &spot))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    #[test]
    fn arguments_steer_the_paging_and_are_not_sent_as_they_are() {
        let shown = printed(
            "type Query { a(first: Int, after: String, tag: ID): [Int!] @rest(GET: \"/a\", page: { style: CURSOR, size: \"limit\", at: \"cursor\", next: \"$response.meta.next\", maxSize: 50 }) }",
        );
        assert_eq!(
            shown,
            "Query.a\n  \
             call    shop: GET /a?tag=$args.tag as string\n  \
             page    Cursor at most 50, size limit, at cursor, next meta.next, first $args.first, after $args.after\n  \
             reply   [Int!]\n"
        );
        let shown = printed(
            "type Query { a(pageNo: Int, perPage: Int): [Int!] @rest(GET: \"/a\", page: { style: PAGE_NUMBER, size: \"per_page\", at: \"page_no\" }) }",
        );
        assert!(
            shown.contains("first $args.perPage, after $args.pageNo"),
            "{shown}"
        );
    }

    #[test]
    fn only_lists_and_connections_have_pages() {
        let said = said("type Query { a: Int @rest(GET: \"/a\", page: { style: LINK_HEADER }) }");
        assert!(
            said.contains("`Int` is neither a list nor a connection"),
            "{said}"
        );
    }

    #[test]
    fn a_style_has_what_it_needs() {
        let said =
            said("type Query { a: [Int!] @rest(GET: \"/a\", page: { style: CURSOR, at: \"c\" }) }");
        assert!(said.contains("this style needs `next`"), "{said}");
        assert!(
            said.starts_with("error[INVALID_VALUE] shop.graphql:2:56\n"),
            "{said}"
        );
    }
}
