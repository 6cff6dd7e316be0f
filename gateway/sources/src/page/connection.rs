//! Relay connections around a list of nodes:
//! <https://relay.dev/graphql/connections.htm>.
//!
//! Owns laying edges, cursors and page information out on the tape. Knows
//! nothing of how the nodes were read.

use plan::shape::ConnectionShape;
use plan::shape::EdgesShape;
use plan::shape::Layout;
use plan::shape::PageInfoShape;
use plan::shape::ReplyShape;
use plan::tape::Tape;
use plan::tape::Value;

use super::ListRead;

/// Cuts a tape's list to what the client gets, and builds the connection where one is asked for.
pub(crate) fn finish(tape: &mut Tape, shape: &ReplyShape, read: &ListRead) {
    let Value::List { at, len } = tape.root else {
        return;
    };
    let skip = u32::try_from(read.skip).unwrap_or(u32::MAX).min(len);
    let kept = u32::try_from(read.kept).unwrap_or(u32::MAX).min(len - skip);
    let nodes = Nodes {
        at: at + skip,
        len: kept,
    };
    tape.root = match &shape.connection {
        None => nodes.list(),
        Some(connection) => {
            let mut building = Building {
                tape,
                layouts: &shape.layouts,
                read,
                nodes,
            };
            building.connection(connection)
        }
    };
}

#[derive(Clone, Copy)]
struct Nodes {
    at: u32,
    len: u32,
}

impl Nodes {
    fn list(self) -> Value {
        Value::List {
            at: self.at,
            len: self.len,
        }
    }
}

struct Building<'a> {
    tape: &'a mut Tape,
    layouts: &'a [Layout],
    read: &'a ListRead,
    nodes: Nodes,
}

impl Building<'_> {
    fn connection(&mut self, shape: &ConnectionShape) -> Value {
        let at = self.object(shape.layout);
        if let Some(slot) = shape.nodes {
            self.tape.set(at + slot, self.nodes.list());
        }
        if let Some(edges) = &shape.edges {
            let list = self.edges(edges);
            self.tape.set(at + edges.slot, list);
        }
        if let Some(info) = &shape.page_info {
            let object = self.page_info(info);
            self.tape.set(at + info.slot, object);
        }
        if let Some(slot) = shape.total {
            self.tape.set(at + slot, total(self.read.total));
        }
        Value::Object {
            at,
            layout: shape.layout,
        }
    }

    fn object(&mut self, layout: u32) -> u32 {
        let slots = self
            .layouts
            .get(layout as usize)
            .map_or(0, |layout| layout.slots);
        self.tape.reserve(slots)
    }

    fn edges(&mut self, shape: &EdgesShape) -> Value {
        let edges: Vec<Value> = (0..self.nodes.len)
            .map(|index| self.edge(shape, index))
            .collect();
        self.tape.list(&edges)
    }

    fn edge(&mut self, shape: &EdgesShape, index: u32) -> Value {
        let at = self.object(shape.layout);
        if let Some(slot) = shape.node {
            let node = self.tape.get(self.nodes.at + index);
            self.tape.set(at + slot, node);
        }
        if let Some(slot) = shape.cursor {
            let cursor = self.cursor(index);
            self.tape.set(at + slot, cursor);
        }
        Value::Object {
            at,
            layout: shape.layout,
        }
    }

    fn cursor(&mut self, index: u32) -> Value {
        let cursor = self.read.cursor(u64::from(index));
        self.tape.own(&cursor)
    }

    fn page_info(&mut self, shape: &PageInfoShape) -> Value {
        let at = self.object(shape.layout);
        let last = self.nodes.len.checked_sub(1);
        let first = last.map(|_| 0);
        if let Some(slot) = shape.has_next {
            self.tape.set(at + slot, Value::Bool(self.read.has_next));
        }
        if let Some(slot) = shape.has_previous {
            self.tape
                .set(at + slot, Value::Bool(self.read.has_previous));
        }
        for (slot, index) in [(shape.start, first), (shape.end, last)] {
            if let Some(slot) = slot {
                let cursor = index.map_or(Value::Null, |index| self.cursor(index));
                self.tape.set(at + slot, cursor);
            }
        }
        Value::Object {
            at,
            layout: shape.layout,
        }
    }
}

fn total(total: Option<u64>) -> Value {
    match total.map(i64::try_from) {
        Some(Ok(total)) => Value::Int(total),
        _ => Value::Null,
    }
}
