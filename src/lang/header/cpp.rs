//! The preprocessor: `#include`, `#if`, macros of both kinds.

use super::{Asked, cond, text};
use std::collections::{HashMap, HashSet};

/// Deepest `#include`.
const MAX_DEPTH: usize = 100;
/// Most text that headers may expand to.
const MAX_TEXT: usize = 32 << 20;
/// Most tokens that one piece of text may expand to.
const MAX_TOKENS: usize = 1 << 20;

/// What a compiler for this kind of machine defines.
const PREDEFINED: &str = "__x86_64__ 1
__x86_64 1
__amd64__ 1
__LP64__ 1
_LP64 1
__linux__ 1
__linux 1
__unix__ 1
__GNUC__ 4
__GNUC_MINOR__ 2
__clang__ 1
__STDC__ 1
__STDC_VERSION__ 201710L
__CHAR_BIT__ 8
__SIZEOF_INT__ 4
__SIZEOF_LONG__ 8
__SIZEOF_POINTER__ 8
__ORDER_LITTLE_ENDIAN__ 1234
__ORDER_BIG_ENDIAN__ 4321
__BYTE_ORDER__ 1234
__LITTLE_ENDIAN__ 1
__SIZE_TYPE__ unsigned long
__PTRDIFF_TYPE__ long
__WCHAR_TYPE__ int
__INT_MAX__ 2147483647
__LONG_MAX__ 9223372036854775807L
__extension__
__inline inline
__inline__ inline
__const const
__volatile__ volatile
__signed__ signed
__restrict";

struct Macro {
    /// Of a macro with arguments: their names; the last may be `...`.
    params: Option<Vec<String>>,
    body: Vec<String>,
}

pub(super) struct Cpp<'r> {
    open: &'r mut dyn FnMut(Asked<'_>) -> Option<(String, String)>,
    macros: HashMap<String, Macro>,
    once: HashSet<String>,
    /// Tokens of declarations seen since the last directive.
    waiting: Vec<String>,
    out: String,
    depth: usize,
}

impl<'r> Cpp<'r> {
    pub(super) fn new(open: &'r mut dyn FnMut(Asked<'_>) -> Option<(String, String)>) -> Self {
        let mut cpp = Cpp {
            open,
            macros: HashMap::new(),
            once: HashSet::new(),
            waiting: Vec::new(),
            out: String::new(),
            depth: 0,
        };
        PREDEFINED.lines().for_each(|line| cpp.define(line));
        cpp
    }

    /// Reads a header; whether it was there.
    pub(super) fn include(&mut self, asked: Asked<'_>) -> bool {
        if self.depth >= MAX_DEPTH || self.out.len() > MAX_TEXT {
            return true;
        }
        let Some((path, source)) = (self.open)(asked) else {
            return false;
        };
        if self.once.contains(&path) {
            return true;
        }
        self.depth += 1;
        self.file(&path, &source);
        self.depth -= 1;
        true
    }

    /// The declarations of all headers.
    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.out
    }

    /// The text that stands for a name, if it has a value.
    pub(super) fn constant(&self, name: &str) -> Option<String> {
        let found = self.macros.get(name)?;
        if found.params.is_some()
            || PREDEFINED
                .lines()
                .any(|l| l.split(' ').next() == Some(name))
        {
            return None;
        }
        let tokens = self.expand(&found.body, &[name.to_string()])?;
        if let [only] = tokens.as_slice()
            && only.starts_with('"')
        {
            return Some(only.clone());
        }
        let value = cond::value(&tokens, false)?;
        Some(if value < 0 {
            format!("({value})")
        } else {
            value.to_string()
        })
    }

    fn file(&mut self, path: &str, source: &str) {
        // Of each open `#if`: whether its lines are read, and whether one of its branches was.
        let mut open: Vec<(bool, bool)> = Vec::new();
        for line in text::lines(source) {
            let live = open.last().is_none_or(|(live, _)| *live);
            let Some(directive) = line.trim_start().strip_prefix('#') else {
                if live {
                    self.waiting.append(&mut text::tokens(&line));
                }
                continue;
            };
            self.flush();
            let directive = directive.trim_start();
            let len = directive
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(directive.len());
            let (word, rest) = directive.split_at(len);
            match word {
                "if" | "ifdef" | "ifndef" => {
                    let yes = live
                        && match word {
                            "if" => self.condition(rest),
                            _ => self.macros.contains_key(rest.trim()) == (word == "ifdef"),
                        };
                    open.push((yes, yes || !live));
                }
                "elif" => {
                    let yes = open.last().is_some_and(|(_, done)| !done) && self.condition(rest);
                    if let Some(last) = open.last_mut() {
                        *last = (yes, last.1 || yes);
                    }
                }
                "else" => {
                    if let Some(last) = open.last_mut() {
                        *last = (!last.1, true);
                    }
                }
                "endif" => {
                    open.pop();
                }
                _ if !live => {}
                "define" => self.define(rest.trim_start()),
                "undef" => {
                    self.macros.remove(rest.trim());
                }
                "include" | "include_next" => {
                    let rest = rest.trim();
                    let name = rest.get(1..).and_then(|r| r.split(['>', '"']).next());
                    if let Some(name) = name {
                        self.include(Asked {
                            name,
                            quoted: rest.starts_with('"'),
                            from: path,
                        });
                    }
                }
                "pragma" if rest.trim() == "once" => {
                    self.once.insert(path.to_string());
                }
                _ => {}
            }
        }
        self.flush();
    }

    fn condition(&self, text: &str) -> bool {
        let mut tokens = Vec::new();
        let mut rest = text::tokens(text).into_iter().peekable();
        while let Some(token) = rest.next() {
            if token != "defined" {
                tokens.push(token);
                continue;
            }
            let paren = rest.next_if(|t| t == "(").is_some();
            let name = rest.next().unwrap_or_default();
            if paren {
                rest.next_if(|t| t == ")");
            }
            let yes = self.macros.contains_key(&name);
            tokens.push(i32::from(yes).to_string());
        }
        let expanded = self.expand(&tokens, &[]).unwrap_or_default();
        cond::value(&expanded, true).is_some_and(|v| v != 0)
    }

    /// `NAME text`, `NAME(a, b) text`.
    fn define(&mut self, text: &str) {
        let len = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let (name, mut rest) = text.split_at(len);
        let mut params = None;
        if let Some(list) = rest.strip_prefix('(') {
            let Some((list, body)) = list.split_once(')') else {
                return;
            };
            let names = list.split(',').map(|p| p.trim().to_string());
            params = Some(names.filter(|p| !p.is_empty()).collect());
            rest = body;
        }
        let body = text::tokens(rest);
        self.macros.insert(name.to_string(), Macro { params, body });
    }

    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return;
        }
        let expanded = self.expand(&waiting, &[]).unwrap_or(waiting);
        self.out.push_str(&expanded.join(" "));
        self.out.push('\n');
    }

    /// The tokens with macros replaced, but for those in `hidden`; nothing if that grows too large.
    fn expand(&self, tokens: &[String], hidden: &[String]) -> Option<Vec<String>> {
        if hidden.len() > MAX_DEPTH {
            return None;
        }
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let found = self.macros.get(token).filter(|_| !hidden.contains(token));
            let replaced = match found {
                None => None,
                Some(Macro { params: None, body }) => Some(body.clone()),
                Some(Macro {
                    params: Some(params),
                    body,
                }) => match arguments(&tokens[at..]) {
                    Some((args, used)) => {
                        at += used;
                        let mut expanded = Vec::new();
                        for arg in &args {
                            expanded.push(self.expand(arg, hidden)?);
                        }
                        Some(substitute(params, body, &args, &expanded))
                    }
                    None => None,
                },
            };
            match replaced {
                Some(body) => {
                    let mut inner = hidden.to_vec();
                    inner.push(token.clone());
                    out.append(&mut self.expand(&joined(body), &inner)?);
                }
                None => out.push(token.clone()),
            }
            if out.len() > MAX_TOKENS {
                return None;
            }
        }
        Some(out)
    }
}

/// The arguments of a macro's call, and how many tokens they take with their parentheses.
fn arguments(tokens: &[String]) -> Option<(Vec<Vec<String>>, usize)> {
    if tokens.first().map(String::as_str) != Some("(") {
        return None;
    }
    let mut args = vec![Vec::new()];
    let mut open = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" if at == 0 => continue,
            ")" if open == 0 => return Some((args, at + 1)),
            "," if open == 0 => {
                args.push(Vec::new());
                continue;
            }
            "(" => open += 1,
            ")" => open -= 1,
            _ => {}
        }
        if let Some(last) = args.last_mut() {
            last.push(token.clone());
        }
    }
    None
}

/// A body with arguments in the place of parameters: as written beside `##`, else expanded.
fn substitute(
    params: &[String],
    body: &[String],
    args: &[Vec<String>],
    expanded: &[Vec<String>],
) -> Vec<String> {
    let mut out = Vec::new();
    for (at, token) in body.iter().enumerate() {
        let beside = body.get(at + 1).is_some_and(|t| t == "##") || at > 0 && body[at - 1] == "##";
        let list = if beside { args } else { expanded };
        // `...` is called __VA_ARGS__, `rest...` by its name.
        let called = |p: &String| match p.strip_suffix("...") {
            Some("") => token == "__VA_ARGS__",
            Some(rest) => token == rest.trim_end(),
            None => p == token,
        };
        match params.iter().position(called) {
            Some(i) if params[i].ends_with("...") => {
                out.extend(list[i.min(list.len())..].join(&",".to_string()));
            }
            Some(i) => out.extend(list.get(i).into_iter().flatten().cloned()),
            None => out.push(token.clone()),
        }
    }
    out
}

/// `a ## b` as `ab`.
fn joined(tokens: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut glue = false;
    for token in tokens {
        if token == "##" {
            glue = true;
        } else if let (true, Some(last)) = (std::mem::take(&mut glue), out.last_mut()) {
            last.push_str(&token);
        } else {
            out.push(token);
        }
    }
    out
}
