//! C declarations of headers: those that define types are kept, all others are passed over.

use super::Parser;
use crate::lang::{ast::CDef, token::Tok};

/// The type definitions in preprocessed C text. What is not understood is left out.
pub(in crate::lang) fn c_defs(source: &str) -> Vec<CDef> {
    let mut parser = Parser::new(source);
    parser.lenient = true;
    let mut defs = Vec::new();
    while parser.peek().tok != Tok::Eof {
        let start = parser.at;
        let defines = ["struct", "union", "enum", "typedef"]
            .iter()
            .any(|word| parser.is_word(word));
        let mut found = Vec::new();
        if defines && parser.cdef(&mut found).is_ok() {
            defs.append(&mut found);
        } else {
            parser.at = start;
            parser.nesting = 0;
            parser.skip_declaration();
        }
        parser.diags.clear();
        parser.lexer.diags.clear();
        // What is read is not looked at again.
        parser.tokens.drain(..parser.at);
        parser.at = 0;
    }
    defs
}

impl Parser<'_> {
    /// Goes on behind the next `;`, or behind a function's body.
    fn skip_declaration(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.next().tok {
                Tok::Eof => return,
                Tok::Sym("{" | "(" | "[") => depth += 1,
                Tok::Sym("}") if depth <= 1 => return,
                Tok::Sym("}" | ")" | "]") => depth = depth.saturating_sub(1),
                Tok::Sym(";") if depth == 0 => return,
                _ => {}
            }
        }
    }
}
