//! What a run showed, beside what the file expects.
//!
//! Owns comparing, telling, and rewriting the expected blocks.

use serde_json::Value as Json;

use super::calls;
use super::diff::diff;
use super::document::Block;
use super::document::Spec;
use super::document::collapse;
use super::json::pretty;

/// Everything that one run showed.
pub(crate) struct Report<'s> {
    spec: &'s Spec,
    differences: Vec<Difference<'s>>,
    /// What no block can hold: a call that nobody expected.
    problems: Vec<String>,
    /// Everything that a client was shown.
    shown: String,
}

/// A block that differs.
struct Difference<'s> {
    block: &'s Block,
    /// The block's text, written as the actual text is.
    expected: String,
    /// What would stand there.
    actual: String,
}

impl<'s> Report<'s> {
    pub(crate) fn new(spec: &'s Spec) -> Self {
        Self {
            spec,
            differences: Vec::new(),
            problems: Vec::new(),
            shown: String::new(),
        }
    }

    /// Keeps what a client was shown.
    pub(crate) fn saw(&mut self, text: String) {
        self.shown = text;
    }

    /// Whether a client was shown this text.
    pub(crate) fn showed(&self, text: &str) -> bool {
        self.shown.contains(text)
    }

    /// A failure that is not a difference.
    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Compares a block with what came, where the file has it.
    pub(crate) fn compare(&mut self, name: &str, actual: &str) {
        if let Some(block) = self.spec.block(name) {
            self.compare_block(block, actual);
        }
    }

    /// Compares one block with what came.
    pub(crate) fn compare_block(&mut self, block: &'s Block, actual: &str) {
        let actual = lines(actual);
        if block.text.trim_end() != actual.trim_end() {
            let expected = block.text.clone();
            self.differences.push(Difference {
                block,
                expected,
                actual,
            });
        }
    }

    /// Compares JSON: the order of members counts, white space does not.
    pub(crate) fn compare_json(&mut self, block: &'s Block, actual: &Json) {
        let expected: Json = serde_json::from_str(&block.text)
            .unwrap_or_else(|bad| panic!("{}: {bad}", block.info()));
        let (expected, actual) = (lines(&pretty(&expected)), lines(&pretty(actual)));
        if expected != actual {
            self.differences.push(Difference {
                block,
                expected,
                actual,
            });
        }
    }

    /// Compares the calls, in the order in which they arrived.
    pub(crate) fn compare_calls(&mut self, actual: &[String]) {
        let Some(block) = self.spec.block("calls") else {
            return;
        };
        if !calls::agree(&block.text, actual) {
            let expected = block.text.clone();
            let actual = lines(&actual.join("\n"));
            self.differences.push(Difference {
                block,
                expected,
                actual,
            });
        }
    }

    /// The file with the blocks that differ rewritten.
    pub(crate) fn updated(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut differences: Vec<_> = self.differences.iter().collect();
        differences.sort_by_key(|it| std::cmp::Reverse(it.block.range.start));
        for it in differences {
            text.replace_range(it.block.range.clone(), &collapse(&it.actual));
        }
        text
    }

    /// Passes, or panics with everything that differs.
    pub(crate) fn finish(self, file: &str) {
        if self.differences.is_empty() && self.problems.is_empty() {
            return;
        }
        let differences = self.differences.iter().map(|it| {
            let diff = diff(&collapse(&it.expected), &collapse(&it.actual));
            format!("```{}\n{diff}", it.block.info())
        });
        let problems = self.problems.iter().map(|problem| format!("{problem}\n"));
        let all: Vec<String> = problems.chain(differences).collect();
        panic!("{file}: {}\n\n{}", self.spec.title, all.join("\n"));
    }
}

fn lines(text: &str) -> String {
    match text.trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}
