//! Lists that are read page by page.
//!
//! Owns where a page begins, how large it is, whether there is more, and when
//! enough was read, for every style; cursors of connections; and building a
//! connection around the nodes. Knows nothing of protocols: a protocol tells
//! the [`Facts`] of a reply and sends what is [`Ask`]ed.

pub(crate) mod connection;
mod cursor;
pub(crate) mod link;

use compose::model::Expr;
use compose::model::Page;
use compose::model::PageStyle;
use serde_json::Value as Json;

use crate::render;
use crate::render::RenderError;
use crate::render::Scope;

use cursor::Cursor;

/// What a paged reply says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Items on this page.
    pub(crate) items: usize,
    /// The next cursor; an empty one is none.
    pub(crate) next: Option<String>,
    /// Whether it says that there is more.
    pub(crate) has_more: Option<bool>,
    /// The total that it states.
    pub(crate) total: Option<u64>,
}

/// What is asked of upstream for one page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ask {
    /// The value of [`Page::size`].
    pub(crate) size: Option<u64>,
    /// The value of [`Page::at`].
    pub(crate) at: Option<Json>,
}

impl Ask {
    /// The parameters of the page by their upstream names.
    pub(crate) fn parameters<'a>(&self, rule: &'a Page) -> impl Iterator<Item = (&'a str, Json)> {
        let size = rule.size.as_deref().zip(self.size.map(Json::from));
        let at = position_parameter(rule).zip(self.at.clone());
        size.into_iter().chain(at)
    }
}

/// The parameter that says where a page begins. The next link of a reply names it where the mapping does not: `page` is what nearly all call it.
pub(crate) fn position_parameter(rule: &Page) -> Option<&str> {
    let usual = (rule.style == PageStyle::LinkHeader).then_some("page");
    rule.at.as_deref().or(usual)
}

/// For what a list is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Purpose<'a> {
    /// A batch: every item is needed, since a missing one would be taken for none.
    Batch {
        /// So many items are enough: those of a single parent, whose list is cut to it.
        limit: Option<&'a Expr>,
    },
    /// A plain list.
    List,
    /// A connection; whether it must tell if there is a next page.
    Connection {
        /// `hasNextPage` is selected.
        tells_next: bool,
    },
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    Start,
    Cursor(String),
    Offset(u64),
    /// The first page is number 1.
    Number(u64),
}

impl Position {
    /// The value for upstream; the start needs none.
    fn ask(&self) -> Option<Json> {
        match self {
            Position::Start | Position::Offset(0) => None,
            Position::Cursor(cursor) => Some(cursor.as_str().into()),
            Position::Offset(at) | Position::Number(at) => Some((*at).into()),
        }
    }
}

/// A page that was read.
#[derive(Debug, Clone)]
struct Read {
    position: Position,
    items: u64,
    next: Option<Position>,
}

/// The state of reading one list.
pub(crate) struct Reading<'a> {
    rule: &'a Page,
    purpose: Purpose<'a>,
    /// How many items the client wants.
    wanted: Option<u64>,
    /// Items of the first page that stand before the client's start.
    skip: u64,
    size: Option<u64>,
    position: Position,
    pages: Vec<Read>,
    got: u64,
    more: bool,
    total: Option<u64>,
}

/// How reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Another page is needed.
    ReadOn,
    /// Enough was read, or all there is.
    Done,
    /// There is more than may be read.
    RanOut,
}

impl<'a> Reading<'a> {
    /// Before the first page.
    pub(crate) fn begin(
        rule: &'a Page,
        purpose: Purpose<'a>,
        scope: &Scope<'_>,
    ) -> Result<Self, RenderError> {
        let wanted = wanted(rule, purpose, scope)?;
        let (position, skip) = start(rule, purpose, scope)?;
        let mut reading = Self {
            rule,
            purpose,
            wanted,
            skip,
            size: None,
            position,
            pages: Vec::new(),
            got: 0,
            more: false,
            total: None,
        };
        match (rule.style, reading.position.clone()) {
            (PageStyle::PageNumber, Position::Offset(offset)) => reading.begin_at_item(offset),
            _ => reading.size = reading.next_size(),
        }
        Ok(reading)
    }

    /// Page numbers that begin in the middle of a page: the smallest page that covers what is wanted, else full pages from the one that holds the first item.
    fn begin_at_item(&mut self, offset: u64) {
        let max = u64::from(self.rule.max_size).max(1);
        let wanted = self.wanted.unwrap_or(max).clamp(1, max);
        let covers = |size: &u64| offset / size == (offset + wanted - 1) / size;
        let size = (wanted..=max).find(covers).unwrap_or(max);
        self.size = Some(size);
        self.skip = offset % size;
        self.position = match offset / size {
            0 => Position::Start,
            page => Position::Number(page + 1),
        };
    }

    /// The size to ask for, where one is known.
    fn next_size(&self) -> Option<u64> {
        let max = u64::from(self.rule.max_size).max(1);
        let all = matches!(self.purpose, Purpose::Batch { .. }) || self.rule.follow.is_some();
        match self.wanted {
            Some(wanted) => {
                let missing = wanted
                    .saturating_sub(self.got)
                    .saturating_add(self.look_ahead());
                let read: u64 = self.pages.iter().map(|page| page.items).sum();
                let before = self.skip.saturating_sub(read);
                Some(missing.saturating_add(before).clamp(1, max))
            }
            None if all => Some(max),
            None => None,
        }
    }

    /// One item more than wanted tells whether there is a next page, where nothing else does.
    fn look_ahead(&self) -> u64 {
        let silent = self.rule.has_more.is_none() && self.rule.total.is_none();
        let tells = self.purpose == Purpose::Connection { tells_next: true };
        u64::from(tells && silent && self.rule.style == PageStyle::Offset)
    }

    /// What is asked for the next page.
    pub(crate) fn ask(&self) -> Ask {
        Ask {
            size: self.size,
            at: self.position.ask(),
        }
    }

    /// Takes what a page says of itself.
    pub(crate) fn took(&mut self, facts: &Facts) -> Progress {
        let items = facts.items as u64;
        let before: u64 = self.pages.iter().map(|page| page.items).sum();
        self.got = (before + items).saturating_sub(self.skip);
        self.total = facts.total.or(self.total);
        self.more = self.has_more(facts, items);
        let next = self
            .after(facts, items)
            .filter(|next| *next != self.position);
        self.pages.push(Read {
            position: self.position.clone(),
            items,
            next: next.clone(),
        });
        self.progress(next)
    }

    fn progress(&mut self, next: Option<Position>) -> Progress {
        let enough = self.wanted.is_some_and(|wanted| self.got >= wanted);
        if !self.more || enough {
            return Progress::Done;
        }
        let may = self.pages.len() <= self.rule.follow.unwrap_or(0) as usize;
        match next {
            Some(next) if may => {
                self.position = next;
                if self.rule.style != PageStyle::PageNumber {
                    self.size = self.next_size();
                }
                Progress::ReadOn
            }
            _ => Progress::RanOut,
        }
    }

    fn has_more(&self, facts: &Facts, items: u64) -> bool {
        if let Some(has_more) = facts.has_more {
            return has_more;
        }
        match self.rule.style {
            PageStyle::Cursor | PageStyle::LinkHeader => facts.next.is_some(),
            PageStyle::Offset | PageStyle::PageNumber => match (facts.total, self.size) {
                _ if items == 0 => false,
                (Some(total), _) => self.offset_of_page() + items < total,
                // A page that is not full is the last; without a size nobody knows what full is.
                (None, Some(size)) if self.rule.size.is_some() => items >= size,
                (None, _) => true,
            },
        }
    }

    /// The place of this page's first item in the whole list.
    fn offset_of_page(&self) -> u64 {
        offset_of(&self.position, self.size)
    }

    fn after(&self, facts: &Facts, items: u64) -> Option<Position> {
        match (self.rule.style, &self.position) {
            (PageStyle::Cursor | PageStyle::LinkHeader, _) => {
                facts.next.clone().map(Position::Cursor)
            }
            (PageStyle::Offset, position) => Some(Position::Offset(
                offset_of(position, None).saturating_add(items),
            )),
            (PageStyle::PageNumber, Position::Number(page)) => {
                Some(Position::Number(page.saturating_add(1)))
            }
            (PageStyle::PageNumber, _) => Some(Position::Number(2)),
        }
    }

    /// What was read, once nothing more is.
    pub(crate) fn finish(self) -> ListRead {
        let begun = self.pages.first().map(|page| page.position.clone());
        let kept = self.wanted.map_or(self.got, |wanted| wanted.min(self.got));
        ListRead {
            skip: self.skip,
            kept,
            has_next: self.more || self.got > kept,
            has_previous: self.skip > 0 || begun.is_some_and(|begun| begun.ask().is_some()),
            total: self.total,
            size: self.size,
            pages: self.pages,
        }
    }
}

fn offset_of(position: &Position, size: Option<u64>) -> u64 {
    match position {
        Position::Start | Position::Cursor(_) => 0,
        Position::Offset(offset) => *offset,
        Position::Number(page) => page.saturating_sub(1).saturating_mul(size.unwrap_or(0)),
    }
}

fn wanted(
    rule: &Page,
    purpose: Purpose<'_>,
    scope: &Scope<'_>,
) -> Result<Option<u64>, RenderError> {
    let first = match purpose {
        Purpose::Batch { limit } => limit,
        Purpose::List | Purpose::Connection { .. } => rule.first.as_ref(),
    };
    let Some(first) = first else {
        return Ok(None);
    };
    match render::value(first, scope)? {
        Json::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| {
            RenderError("The number of items asked for must not be negative.".to_owned())
        }),
    }
}

/// Where the client begins, and how many items of that page stand before it.
fn start(
    rule: &Page,
    purpose: Purpose<'_>,
    scope: &Scope<'_>,
) -> Result<(Position, u64), RenderError> {
    let after = match &rule.after {
        Some(after) => render::value(after, scope)?,
        None => Json::Null,
    };
    if after.is_null() {
        return Ok((Position::Start, 0));
    }
    let is_cursor = matches!(rule.style, PageStyle::Cursor | PageStyle::LinkHeader);
    match purpose {
        Purpose::Connection { .. } => {
            let cursor = after
                .as_str()
                .and_then(Cursor::decode)
                .filter(|it| it.is_for(is_cursor));
            match cursor.ok_or_else(|| not_a_position("cursor"))? {
                Cursor::Offset(offset) => Ok((Position::Offset(offset), 0)),
                Cursor::Page { page, skip } if page.is_empty() => Ok((Position::Start, skip)),
                Cursor::Page { page, skip } => Ok((Position::Cursor(page), skip)),
            }
        }
        Purpose::Batch { .. } | Purpose::List => Ok((position(rule.style, &after)?, 0)),
    }
}

/// The client names upstream's own position.
fn position(style: PageStyle, value: &Json) -> Result<Position, RenderError> {
    match style {
        PageStyle::Cursor | PageStyle::LinkHeader => match render::text::of(value)? {
            Some(text) if !text.is_empty() => Ok(Position::Cursor(text.into_owned())),
            _ => Ok(Position::Start),
        },
        PageStyle::Offset => match value.as_u64() {
            Some(offset) => Ok(Position::Offset(offset)),
            None => Err(not_a_position("offset")),
        },
        PageStyle::PageNumber => match value.as_u64() {
            Some(page) => Ok(Position::Number(page)),
            None => Err(not_a_position("page number")),
        },
    }
}

fn not_a_position(what: &str) -> RenderError {
    RenderError(format!("The {what} is not one of this list."))
}

/// What was read of a list.
#[derive(Debug, Clone)]
pub(crate) struct ListRead {
    /// Items before the client's first one.
    pub(crate) skip: u64,
    /// Items from there that the client gets.
    pub(crate) kept: u64,
    /// Whether there is more behind them.
    pub(crate) has_next: bool,
    /// Whether there is more before them.
    pub(crate) has_previous: bool,
    /// The total that upstream states.
    pub(crate) total: Option<u64>,
    size: Option<u64>,
    pages: Vec<Read>,
}

impl ListRead {
    /// The cursor behind the item at this place among those kept.
    pub(crate) fn cursor(&self, index: u64) -> String {
        let mut place = self.skip.saturating_add(index);
        for page in &self.pages {
            if place < page.items {
                return page.cursor(place, self.size).encode();
            }
            place -= page.items;
        }
        Cursor::Offset(place).encode()
    }
}

impl Read {
    fn cursor(&self, place: u64, size: Option<u64>) -> Cursor {
        match (&self.position, &self.next) {
            // The next page begins exactly behind the last item of this one.
            (_, Some(Position::Cursor(next))) if place + 1 == self.items => Cursor::Page {
                page: next.clone(),
                skip: 0,
            },
            (Position::Cursor(page), _) => Cursor::Page {
                page: page.clone(),
                skip: place + 1,
            },
            (Position::Start, next)
                if !matches!(next, Some(Position::Offset(_) | Position::Number(_))) =>
            {
                Cursor::Page {
                    page: String::new(),
                    skip: place + 1,
                }
            }
            (position, _) => Cursor::Offset(offset_of(position, size).saturating_add(place + 1)),
        }
    }
}

#[cfg(test)]
mod tests;
