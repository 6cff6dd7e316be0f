//! Which labels of `@override` are active for a request.
//!
//! Owns each label's share of the requests, by its own word or the operator's, and the decision,
//! which is the same wherever a request with this correlation id is planned. What a label moves
//! is composition's.

use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;

use compose::labels::OverrideLabel;
use compose::model::LabelId;

/// The shares of a graph's labels.
pub(crate) struct Overrides(Vec<(String, f64)>);

impl Overrides {
    /// What the operator says goes before what a label says of itself. Without either it is never active.
    pub(crate) fn new(labels: &[OverrideLabel], said: &BTreeMap<String, f64>) -> Self {
        for name in said.keys() {
            if labels.iter().all(|label| label.name != *name) {
                tracing::warn!("override_labels.{name}: no @override of the graph has this label");
            }
        }
        let share = |label: &OverrideLabel| {
            let said = said.get(&label.name).copied();
            said.or(label.share).unwrap_or_default()
        };
        let shares = labels
            .iter()
            .map(|label| (label.name.clone(), share(label)));
        Self(shares.collect())
    }

    /// Whether a request is among those for which the label is active.
    pub(crate) fn is_active(&self, label: LabelId, correlation_id: &str) -> bool {
        let Some((name, share)) = self.0.get(label.index()) else {
            return false;
        };
        // A label is decided for itself: who is among the 5 % of one is not therefore among those of another.
        let mut hasher = DefaultHasher::new();
        (name, correlation_id).hash(&mut hasher);
        let place = hasher.finish() as f64 / 2_f64.powi(64);
        place < *share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &str = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@override"])
        type Query {
            a: Int @override(from: "old", label: "percent(20)")
            b: Int @override(from: "old", label: "percent(100)")
            c: Int @override(from: "old", label: "new")
            d: Int @override(from: "old", label: "newer")
        }"#;

    fn overrides(said: &[(&str, f64)]) -> Overrides {
        let file = |name: &str, sdl: &str| compose::SubgraphFile {
            name: name.to_owned(),
            file: name.to_owned(),
            sdl: sdl.to_owned(),
            url: Some("http://service".into()),
            ..compose::SubgraphFile::default()
        };
        let old = file("old", "type Query { a: Int b: Int c: Int d: Int }");
        let files = compose::SchemaFiles {
            subgraphs: vec![old, file("new", LABELS)],
            ..compose::SchemaFiles::default()
        };
        let graph = compose::compose(&files).expect("a graph");
        let said = said
            .iter()
            .map(|(name, share)| ((*name).to_owned(), *share));
        Overrides::new(graph.labels(), &said.collect())
    }

    /// For how many of ten thousand requests each label is active.
    fn shares(overrides: &Overrides) -> [usize; 4] {
        [0, 1, 2, 3].map(|label| {
            let ids = (0..10_000).map(|id| format!("request-{id}"));
            ids.filter(|id| overrides.is_active(LabelId(label), id))
                .count()
        })
    }

    #[test]
    fn a_label_is_active_for_its_share_of_the_requests() {
        let [a, b, c, d] = shares(&overrides(&[("new", 0.5)]));
        assert!((1_850..2_150).contains(&a), "{a}");
        assert!((4_850..5_150).contains(&c), "{c}");
        assert_eq!((b, d), (10_000, 0));
    }

    #[test]
    fn what_the_operator_says_goes_before_what_a_label_says_of_itself() {
        let said = [("percent(20)", 0.0), ("percent(100)", 0.0), ("newer", 1.0)];
        assert_eq!(shares(&overrides(&said)), [0, 0, 0, 10_000]);
    }

    #[test]
    fn a_request_decides_alike_wherever_it_is_planned_and_each_label_for_itself() {
        let (one, another) = (overrides(&[("new", 0.2)]), overrides(&[("new", 0.2)]));
        let mut both = 0;
        for id in (0..10_000).map(|id| format!("request-{id}")) {
            let [a, c] = [0, 2].map(|label| one.is_active(LabelId(label), &id));
            assert_eq!(c, another.is_active(LabelId(2), &id));
            both += usize::from(a && c);
        }
        assert!((300..500).contains(&both), "{both}");
    }
}
