//! C headers: what `#include` brings into a script.
//!
//! [`read`] runs the preprocessor over the headers, cuts the result into declarations and keeps those that define types.
//! What is not understood is skipped: it is missed only by a script that uses it. Constants come from `#define`s whose
//! text has a value.

mod cond;
mod cpp;
mod text;

/// The value of a script's `#if`: `has` says whether a name is defined, `text` what it stands for.
pub(super) fn condition(
    line: &str,
    has: &dyn Fn(&str) -> bool,
    text: &dyn Fn(&str) -> Option<String>,
) -> Option<i64> {
    let mut left = text::tokens(line).into_iter().peekable();
    let mut out = Vec::new();
    while let Some(token) = left.next() {
        if token == "defined" {
            let bracket = left.next_if(|t| t == "(").is_some();
            out.push(i64::from(has(&left.next()?)).to_string());
            if bracket {
                left.next_if(|t| t == ")")?;
            }
        } else if text::is_name(&token) && has(&token) {
            out.extend(text::tokens(&text(&token)?));
        } else {
            out.push(token);
        }
    }
    cond::value(&out, true)
}

use super::{
    ast::CDef,
    builtin,
    preproc::{KERNEL_HEADERS, KNOWN_HEADERS},
    token::KEYWORDS,
};
use std::collections::HashMap;

/// What the headers of a script define.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers {
    /// Types, in order.
    pub defs: Vec<CDef>,
    /// `#define`s of the names that the script writes: the text that stands for them.
    pub constants: HashMap<String, String>,
}

/// A header that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Its name as written.
    pub name: &'a str,
    /// `"name"`: looked for beside the asking file first.
    pub quoted: bool,
    /// The asking file; empty for the script.
    pub from: &'a str,
}

/// The names of all headers that the script's own lines include, with whether they stand in quotes.
pub fn included(script: &str) -> Vec<(String, bool)> {
    script
        .lines()
        .filter_map(|line| {
            let rest = line.trim_start().strip_prefix('#')?.trim_start();
            let rest = rest.strip_prefix("include")?.trim();
            let quoted = rest.starts_with('"');
            let name = rest.get(1..)?.split(['>', '"']).next()?;
            Some((name.to_string(), quoted))
        })
        .collect()
}

/// Reads headers. `open` yields path and text of one, or nothing.
///
/// # Errors
/// The first of the script's own headers that `open` does not have.
pub fn read(
    script: &str,
    asked: &[(String, bool)],
    open: &mut dyn FnMut(Asked<'_>) -> Option<(String, String)>,
) -> Result<Headers, String> {
    let mut cpp = cpp::Cpp::new(open);
    for (name, quoted) in asked {
        let found = cpp.include(Asked {
            name,
            quoted: *quoted,
            from: "",
        });
        // What the kernel's headers define the kernel itself describes.
        let of_kernel = KERNEL_HEADERS.iter().any(|dir| name.starts_with(dir));
        if !found && !of_kernel && !KNOWN_HEADERS.contains(&name.as_str()) {
            return Err(name.clone());
        }
    }
    let mut constants = HashMap::new();
    for word in text::words(script) {
        let taken = builtin::is_name(word)
            || KEYWORDS.contains(&word)
            || super::parser::TYPE_NAMES.contains(&word)
            || matches!(word, "true" | "false" | "bool");
        if !taken
            && !constants.contains_key(word)
            && let Some(value) = cpp.constant(word)
        {
            constants.insert(word.to_string(), value);
        }
    }
    let defs = super::parser::c_defs(&cpp.finish());
    Ok(Headers { defs, constants })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "#ifndef A_H\n#define A_H\n#include \"b.h\"\n#if defined(__x86_64__) && SIZE >= 4\n\
        struct s { WORD a; char name[SIZE * 2]; struct inner { int x : 3, y; } in; };\n#else\nstruct s { int no; };\n#endif\n\
        extern int f(struct s *, const char *) __attribute__((nothrow));\n\
        static inline int g(void) { struct t { int a; } v; return v.a; }\n\
        enum color { RED, GREEN = FLAG(2), };\ntypedef struct { short v; } wrapped_t;\nint table[] = { 1, 2 };\n#endif\n";
    const B: &str = "#define SIZE 8 /* bytes */\n#define WORD unsigned \\\n  long\n#define FLAG(n) (1 << (n))\n\
        #define LIMIT (SIZE * FLAG(3) - 1)\n#define TEXT \"hi\"\n#define CALL f(1)\n";

    fn headers(script: &str) -> Result<Headers, String> {
        read(script, &included(script), &mut |asked| match asked.name {
            "a.h" => Some(("/a.h".to_string(), A.to_string())),
            "b.h" => Some(("/b.h".to_string(), B.to_string())),
            _ => None,
        })
    }

    #[test]
    fn types_and_constants() {
        let found = headers("#include <a.h>\n#include \"a.h\"\nbegin { LIMIT TEXT CALL }").unwrap();
        let names: Vec<String> = found
            .defs
            .iter()
            .map(|def| match def {
                CDef::Struct(def) => def.name.clone(),
                CDef::Enum { tag, .. } => tag.clone(),
                CDef::Typedef { name, .. } => name.text.clone(),
            })
            .collect();
        assert_eq!(names, ["s", "color", "wrapped_t"]);
        assert_eq!(found.constants["LIMIT"], "63");
        assert_eq!(found.constants["TEXT"], "\"hi\"");
        assert!(!found.constants.contains_key("CALL"));
    }

    #[test]
    fn headers_that_are_not_there() {
        assert_eq!(headers("#include <nope.h>\n"), Err("nope.h".to_string()));
        assert!(headers("#include <stdbool.h>\n").is_ok());
    }
}
