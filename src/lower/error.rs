//! Why a checked script cannot be compiled.

use crate::span::Span;
use std::fmt;

/// A construct that the compiler cannot lower, with its place in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerError {
    /// Where in the script.
    pub span: Span,
    /// What, in words.
    pub what: String,
    /// What to do instead.
    pub help: Option<String>,
}

impl LowerError {
    pub(super) fn new(span: Span, what: impl Into<String>) -> Self {
        LowerError {
            span,
            what: what.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for LowerError {}
