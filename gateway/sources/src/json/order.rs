//! In which order objects of one kind spell their properties.
//!
//! A service writes the objects of a list alike. Owns the memory of what came
//! after what, so that a name, also one that nobody asked for, is compared
//! once, with the one that came here before. Decides nothing: a name that it
//! does not know is looked up.

use std::ops::Range;

use plan::shape::Props;

/// A reply that spells more names than this is looked up from there on.
const REMEMBERED: usize = 64;

/// The orders of all kinds of objects of one reply.
#[derive(Debug, Default)]
pub(super) struct Orders(Vec<Order>);

/// One kind of object, by what is read of it.
#[derive(Debug)]
struct Order {
    /// The address of its properties, which stay where they are while a reply is read.
    kind: usize,
    seen: Vec<Seen>,
}

/// A name that came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Where it stood in the text.
    pub(super) name: Range<usize>,
    /// Which of the properties it is; `None` where nobody asked for it.
    pub(super) index: Option<usize>,
}

impl Orders {
    /// The number of the order of these properties.
    #[inline]
    pub(super) fn of(&mut self, props: &Props) -> usize {
        let kind = std::ptr::from_ref(props) as usize;
        match self.0.iter().position(|order| order.kind == kind) {
            Some(number) => number,
            None => self.begin(kind),
        }
    }

    fn begin(&mut self, kind: usize) -> usize {
        self.0.push(Order {
            kind,
            seen: Vec::new(),
        });
        self.0.len() - 1
    }

    /// What came at this place.
    #[inline]
    pub(super) fn seen(&self, order: usize, place: usize) -> Option<&Seen> {
        self.0[order].seen.get(place)
    }

    /// The place of the first name after this one, and then of any, that `is` the one.
    pub(super) fn find(
        &self,
        order: usize,
        place: usize,
        is: impl Fn(&Seen) -> bool,
    ) -> Option<usize> {
        let seen = &self.0[order].seen;
        let (before, after) = seen.split_at(place.min(seen.len()));
        let later = after.iter().position(&is).map(|found| place + found);
        later.or_else(|| before.iter().position(&is))
    }

    /// Remembers a name at a place.
    pub(super) fn remember(&mut self, order: usize, place: usize, name: Seen) {
        let seen = &mut self.0[order].seen;
        if seen.len() < REMEMBERED {
            seen.insert(place.min(seen.len()), name);
        }
    }
}
