//! What composition has to say to the people who write subgraph files.
//!
//! Owns the diagnostic, its rendering with the source line underlined, and the
//! collection of all of them in one run. Knows nothing of what is checked.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The graph does not start.
    Error,
    /// The graph starts; someone should look.
    Warning,
    /// The graph starts as it is meant to, most likely: what subgraphs say differs, and this became of it.
    Hint,
}

/// A place in a file that a team wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the configuration names it.
    pub file: String,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
    /// How many characters are underlined, at least one.
    pub len: usize,
    /// The line's text; empty where it is too long to be shown.
    pub source: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable code: `UNKNOWN_SOURCE`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a few words beside the underline.
    pub message: String,
    /// Where; none for findings about the graph as a whole.
    pub place: Option<Place>,
    /// Other places concerned, each with a word about it.
    pub related: Vec<(Place, String)>,
    /// The place in the contract: `users.openapi.yaml#/paths/...`.
    pub contract: Option<String>,
    /// Lines that explain: a query, a failing path.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Nobody reads more findings of one severity, and a generated file can hold a million.
pub(crate) const MOST: usize = 1_000;

/// Everything found in one run; of each severity the first thousand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            place: None,
            related: Vec::new(),
            contract: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// A hint.
    pub fn hint(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Hint,
            ..Self::error(code, message)
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the place in the contract.
    #[must_use]
    pub fn contract(mut self, place: impl Into<String>) -> Self {
        self.contract = Some(place.into());
        self
    }

    /// Adds a line that explains.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Names another place concerned.
    #[must_use]
    pub fn related(mut self, place: Place, word: impl Into<String>) -> Self {
        self.related.push((place, word.into()));
        self
    }
}

impl Diagnostics {
    /// Adds a finding, unless the same stands there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let alike = self
            .0
            .iter()
            .filter(|it| it.severity == diagnostic.severity);
        if alike.count() < MOST && !self.0.contains(&diagnostic) {
            self.0.push(diagnostic);
        }
    }

    /// Adds findings, as [`Diagnostics::push`] does.
    pub fn extend(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        found.into_iter().for_each(|it| self.push(it));
    }

    /// Those that are at least so bad.
    #[must_use]
    pub fn from(&self, severity: Severity) -> Self {
        let kept = self.0.iter().filter(|it| it.severity <= severity);
        Self(kept.cloned().collect())
    }

    /// Whether anything keeps the graph from starting.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Every code, for tests.
    pub fn codes(&self) -> Vec<&'static str> {
        self.0.iter().map(|d| d.code).collect()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        };
        match &self.place {
            Some(place) => {
                writeln!(f, "{severity}[{}] {place}", self.code)?;
                underline(f, place, &self.message, &self.notes)?;
            }
            None => {
                writeln!(f, "{severity}[{}] {}", self.code, self.message)?;
                for line in self.notes.iter().flat_map(|note| note.lines()) {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        for (place, word) in &self.related {
            writeln!(f, "  at {place}")?;
            underline(f, place, word, &[])?;
        }
        if let Some(contract) = &self.contract {
            writeln!(f, "  contract: {contract}")?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The line, the underlined word with the message, and the notes below the word.
fn underline(
    f: &mut fmt::Formatter<'_>,
    place: &Place,
    message: &str,
    notes: &[String],
) -> fmt::Result {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let notes = notes.iter().flat_map(|note| note.lines());
    if place.source.is_empty() {
        // Too long a line to show.
        writeln!(f, "  {number} | {message}")?;
        return notes
            .into_iter()
            .try_for_each(|note| writeln!(f, "  {margin} | {note}"));
    }
    let before = place.source.chars().take(place.column.saturating_sub(1));
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(place.len.max(1));
    writeln!(f, "  {number} | {}", place.source)?;
    writeln!(f, "  {margin} | {indent}{carets} {message}")?;
    notes
        .into_iter()
        .try_for_each(|note| writeln!(f, "  {margin} | {indent}{note}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_errors_are_never_crowded_out() {
        let mut diagnostics = Diagnostics::default();
        for number in 0..2 * MOST {
            diagnostics.push(Diagnostic::warning("W", number.to_string()));
            diagnostics.push(Diagnostic::warning("W", "same"));
        }
        assert!(!diagnostics.has_errors() && diagnostics.0.len() == MOST);
        diagnostics.push(Diagnostic::error("E", "late"));
        diagnostics.push(Diagnostic::hint("H", "by the way"));
        assert!(diagnostics.has_errors());
        assert_eq!(diagnostics.0.len(), MOST + 2);
        assert_eq!(diagnostics.from(Severity::Warning).0.len(), MOST + 1);
        assert_eq!(diagnostics.from(Severity::Error).codes(), ["E"]);
    }

    #[test]
    fn a_diagnostic_underlines_the_place_and_offers_help() {
        let diagnostic = Diagnostic::error("UNKNOWN_SOURCE", "no source of this name")
            .at(Place {
                file: "users.graphql".into(),
                line: 3,
                column: 29,
                len: 6,
                source: "  user: User @rest(source: \"usres\")".into(),
            })
            .help("did you mean \"users\"?");
        assert_eq!(
            diagnostic.to_string(),
            "error[UNKNOWN_SOURCE] users.graphql:3:29\n\
             \x20 3 |   user: User @rest(source: \"usres\")\n\
             \x20   |                             ^^^^^^ no source of this name\n\
             \x20 help: did you mean \"users\"?\n"
        );
    }
}
