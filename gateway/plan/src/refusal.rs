//! Why an operation is not run.
//!
//! Owns the request errors of planning: they are the client's to read, and no
//! data is formed beside them.

use crate::code::Code;

/// An operation that is refused before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of every error.
    pub code: Code,
    /// At least one.
    pub errors: Vec<RequestError>,
    /// Figures that every error's extensions carry: what was found, what is allowed.
    pub details: Vec<(&'static str, u64)>,
}

/// One request error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// What is wrong and, where possible, what to do.
    pub message: String,
    /// Line and column in the document, one-based.
    pub locations: Vec<(usize, usize)>,
}

impl Refusal {
    /// A refusal for one reason without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            errors: vec![RequestError {
                message: message.into(),
                locations: Vec::new(),
            }],
            details: Vec::new(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {}", self.code.as_str(), error.message)?;
            for (line, column) in &error.locations {
                write!(f, " ({line}:{column})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
