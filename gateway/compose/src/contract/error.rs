//! What is wrong with a contract, where, and what to do about it.

use std::fmt;

/// A mistake in a contract, or something in it that is not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractError {
    /// The contract's file, by the name under which it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The column, counted from 1.
    pub column: Option<u32>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl ContractError {
    pub(super) fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        ContractError {
            file: file.into(),
            line: None,
            column: None,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, position: Option<Position>) -> Self {
        self.line = position.map(|p| p.line);
        self.column = position.map(|p| p.column);
        self
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, "{number}:")?;
        }
        write!(f, " {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ContractError {}

/// A place in a text, both numbers counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    pub(super) fn new(line: usize, column: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: clamp(line),
            column: clamp(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_its_place_and_its_help() {
        let error = ContractError::new("a.yaml", "no such thing")
            .at(Some(Position::new(3, 7)))
            .help("write it");
        assert_eq!(
            error.to_string(),
            "a.yaml:3:7: no such thing\n  help: write it"
        );
        let bare = ContractError::new("a.yaml", "no such thing");
        assert_eq!(bare.to_string(), "a.yaml: no such thing");
    }
}
