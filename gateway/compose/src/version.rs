//! A graph's version: one number for everything that was composed.
//!
//! Owns a hash that is the same on every machine and in every release of the compiler.

use crate::files::{GivenHeader, GivenValue, SchemaFiles, SubgraphFile};
use crate::model::{LabelId, ResponseRule};

/// The version of what these files compose to.
pub(crate) fn of(files: &SchemaFiles) -> u64 {
    let mut hash = Fnv::default();
    for subgraph in &files.subgraphs {
        hash_subgraph(&mut hash, subgraph);
    }
    hash.pairs(
        files
            .files
            .iter()
            .map(|(path, text)| (path.as_bytes(), &text[..])),
    );
    hash.pairs(
        files
            .reflected
            .iter()
            .map(|(source, set)| (source.as_bytes(), &set[..])),
    );
    hash.pairs(
        files
            .config
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    );
    hash.duration(files.request_timeout);
    hash_headers(&mut hash, &files.headers.all);
    for (source, given) in &files.headers.sources {
        hash.text(source.as_bytes());
        hash_headers(&mut hash, given);
    }
    for (name, contract) in &files.contracts {
        hash.text(name.as_bytes());
        for tags in [&contract.include, &contract.exclude] {
            hash.number(tags.len() as u64);
            tags.iter().for_each(|tag| hash.text(tag.as_bytes()));
        }
    }
    hash_answers(&mut hash, &files.headers.all_answers);
    for (source, rules) in &files.headers.answers {
        hash.text(source.as_bytes());
        hash_answers(&mut hash, rules);
    }
    hash.0
}

/// The version of a graph while some of its labels are active.
pub(crate) fn of_labels(graph: u64, active: &[LabelId]) -> u64 {
    let mut hash = Fnv::default();
    hash.number(graph);
    active.iter().for_each(|label| hash.number(label.0.into()));
    hash.number(active.len() as u64);
    hash.0
}

/// The version of a contract of a graph.
pub(crate) fn of_contract(graph: u64, name: &str) -> u64 {
    let mut hash = Fnv::default();
    hash.number(graph);
    hash.text(name.as_bytes());
    hash.0
}

fn hash_answers(hash: &mut Fnv, rules: &[ResponseRule]) {
    hash.number(rules.len() as u64);
    for rule in rules {
        hash.text(rule.name.as_bytes());
        hash.number(rule.merge as u64);
    }
}

fn hash_headers(hash: &mut Fnv, given: &[GivenHeader]) {
    hash.number(given.len() as u64);
    for header in given {
        hash.text(header.name.as_bytes());
        let (kind, text) = match &header.value {
            GivenValue::Client(name) => (0, Some(name.as_str())),
            GivenValue::Text(text) => (1, Some(text.as_str())),
            GivenValue::Nothing => (2, None),
        };
        hash.number(kind);
        hash.optional(text);
    }
}

fn hash_subgraph(hash: &mut Fnv, subgraph: &SubgraphFile) {
    hash.text(subgraph.name.as_bytes());
    hash.text(subgraph.file.as_bytes());
    hash.text(subgraph.sdl.as_bytes());
    hash.optional(subgraph.url.as_deref());
    for (name, value) in &subgraph.env {
        hash.text(name.as_bytes());
        hash.optional(value.as_deref());
    }
    for (name, source) in &subgraph.sources {
        hash.text(name.as_bytes());
        hash.optional(source.url.as_deref());
        hash.duration(source.timeout);
        hash.duration(source.min_deadline);
    }
    hash.number(subgraph.env.len() as u64);
}

/// FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>. Nobody gains by a collision:
/// whoever can write the files can write the graph.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// The length goes first, so that "ab", "c" and "a", "bc" differ.
    fn text(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes(bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or("").as_bytes());
    }

    fn duration(&mut self, duration: Option<std::time::Duration>) {
        self.optional(duration.map(|it| it.as_nanos().to_string()).as_deref());
    }

    fn pairs<'a>(&mut self, pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) {
        self.number(pairs.len() as u64);
        for (key, value) in pairs {
            self.text(key);
            self.text(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::testing::files;

    #[test]
    fn everything_that_is_read_makes_the_version() {
        let base = files(&["type Query { a: Int }"]);
        let mut versions = vec![of(&base)];
        let mut changed = |change: &dyn Fn(&mut SchemaFiles)| {
            let mut files = base.clone();
            change(&mut files);
            versions.push(of(&files));
        };
        changed(&|files| files.subgraphs[0].sdl.push(' '));
        changed(&|files| files.subgraphs[0].name.push('x'));
        changed(&|files| files.subgraphs[0].url = Some(String::new()));
        changed(&|files| drop(files.subgraphs[0].env.insert("A".into(), None)));
        changed(&|files| {
            drop(
                files.subgraphs[0]
                    .env
                    .insert("A".into(), Some(String::new())),
            )
        });
        changed(&|files| drop(files.files.insert("a".into(), vec![1])));
        changed(&|files| drop(files.reflected.insert("a".into(), vec![1])));
        changed(&|files| drop(files.config.insert("a".into(), "b".into())));
        changed(&|files| {
            let name = "x-a".to_owned();
            let value = GivenValue::Nothing;
            files.headers.all.push(GivenHeader { name, value });
        });
        changed(&|files| files.request_timeout = Some(std::time::Duration::from_secs(1)));
        changed(&|files| drop(files.contracts.insert("a".into(), Default::default())));
        changed(&|files| files.subgraphs.clear());
        let all = versions.len();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), all);
        assert_eq!(of(&base), of(&base.clone()));
    }
}
