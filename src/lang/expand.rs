//! Imports put in, macros put in place of their calls.

use super::ast::*;
use super::diag::Diagnostic;
use super::parser::parse;
use super::visit::{Child, Node, children_mut, each_mut, stmt_mut, type_mut};
use crate::span::Span;
use std::collections::HashMap;

/// Functions of the standard library that are macros.
const STDLIB: &str = "
macro assert(condition, message) { if (!(condition)) { errorf(\"assert failed: %s\", message); exit(1); } }
macro is_err(ptr) { (uint64)ptr >= (uint64)-4095 }
macro ppid() { (uint32)curtask.real_parent.pid }
macro ppid(task) { (uint32)task.real_parent.pid }
macro pcomm() { curtask.real_parent.comm }
macro pcomm(task) { task.real_parent.comm }
macro leader_tid() { (uint32)curtask.group_leader.pid }
macro leader_tid(task) { (uint32)task.group_leader.pid }
macro leader_comm() { curtask.group_leader.comm }
macro leader_comm(task) { task.group_leader.comm }
";

/// Deepest tree after expansion.
const MAX_DEPTH: usize = 300;
/// Most expressions after expansion.
const MAX_EXPRS: usize = 400_000;

fn no_definition(name: &str) -> String {
    format!("Call to {name}() has arguments that do not match any definition.")
}

/// The macro's tag and the name as written, of a variable within an expanded macro.
pub(super) fn own_name(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("__")?;
    for (at, _) in rest.match_indices('_') {
        let tail = &rest[at + 1..];
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && tail.as_bytes().get(digits) == Some(&b'_') {
            let end = 2 + at + 1 + digits + 1;
            return Some((&name[..end], &name[end..]));
        }
    }
    None
}

/// `macro name`.
fn head(mac: &Macro) -> Span {
    Span::new(mac.span.start, mac.name.span.end)
}

/// The script with the texts of its imports (path as written, text) merged in and all macro calls replaced.
/// Expressions are numbered anew. What has been expanded can be expanded again without effect.
///
/// # Errors
/// Missing or faulty imports; macro calls that do not fit, recursion, bodies that reach out of their macro.
pub fn expand(mut script: Script, imports: &[(String, String)]) -> Result<Script, Vec<Diagnostic>> {
    let mut diags = Vec::new();
    merge_imports(&mut script, imports, &mut diags);
    let mut macros: HashMap<String, Vec<Macro>> = HashMap::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut script.items) {
        let Item::Macro(mac) = item else {
            items.push(item);
            continue;
        };
        let same = macros.entry(mac.name.text.clone()).or_default();
        if same.iter().any(|m| signature(m) == signature(&mac)) {
            diags.push(
                Diagnostic::error(
                    mac.name.span,
                    format!("macro `{}` is defined twice", mac.name.text),
                )
                .said_at(
                    Span::new(mac.span.start, mac.name.span.end),
                    format!("Redefinition of macro: {}", mac.name.text),
                ),
            );
        }
        jumps(&mac.body, false, &mut diags);
        same.push(mac);
    }
    let stdlib = parse(STDLIB).map(|s| s.items).unwrap_or_default();
    for item in stdlib {
        if let Item::Macro(mac) = item {
            let same = macros.entry(mac.name.text.clone()).or_default();
            if !same.iter().any(|m| m.params.len() == mac.params.len()) {
                same.push(mac);
            }
        }
    }
    let mut ex = Expander {
        macros,
        diags,
        active: Vec::new(),
        fresh: 0,
        exprs: 0,
        depth: 0,
    };
    for item in &mut items {
        if let Item::Probe(probe) = item {
            if let Some(predicate) = &mut probe.predicate {
                ex.expr(predicate);
            }
            ex.block(&mut probe.body);
        }
    }
    if !ex.diags.is_empty() {
        return Err(ex.diags);
    }
    let mut next = 0;
    let mut number = |node: Node<'_>| {
        if let Node::Expr(e) = node {
            e.id = ExprId(next);
            next += 1;
        }
    };
    for item in &mut items {
        if let Item::Probe(probe) = item {
            if let Some(predicate) = &mut probe.predicate {
                each_mut(Child::Expr(predicate), &mut number);
            }
            each_mut(Child::Block(&mut probe.body), &mut number);
        }
    }
    script.items = items;
    script.exprs = next;
    Ok(script)
}

/// Parameters by kind.
fn signature(mac: &Macro) -> Vec<u8> {
    mac.params
        .iter()
        .map(|p| match p {
            MacroParam::Var(_) => 0,
            MacroParam::Map(_) => 1,
            MacroParam::Expr(_) => 2,
        })
        .collect()
}

/// Merges the texts of its imports (path as written, text) into the script.
///
/// # Errors
/// Missing or faulty imports.
pub fn import(script: &mut Script, imports: &[(String, String)]) -> Result<(), Vec<Diagnostic>> {
    let mut diags = Vec::new();
    merge_imports(script, imports, &mut diags);
    if diags.is_empty() { Ok(()) } else { Err(diags) }
}

fn merge_imports(script: &mut Script, imports: &[(String, String)], diags: &mut Vec<Diagnostic>) {
    let mut done: Vec<String> = Vec::new();
    let mut waiting = std::mem::take(&mut script.imports);
    let mut items = Vec::new();
    let mut defs = Vec::new();
    waiting.reverse();
    while let Some((path, span)) = waiting.pop() {
        if done.contains(&path) {
            continue;
        }
        done.push(path.clone());
        if path.ends_with(".c") {
            diags.push(Diagnostic::error(
                span,
                format!("import of C code (`{path}`) is not supported"),
            ));
            continue;
        }
        let texts: Vec<&String> = imports
            .iter()
            .filter(|(p, _)| *p == path)
            .map(|(_, t)| t)
            .collect();
        if texts.is_empty() {
            diags.push(Diagnostic::error(
                span,
                format!("import `{path}` was not read"),
            ));
        }
        for text in texts {
            match parse(text) {
                Ok(mut other) => {
                    if !other.config.is_empty() {
                        diags.push(Diagnostic::error(
                            span,
                            format!(
                                "import `{path}` has a config block; only the script itself may"
                            ),
                        ));
                    }
                    place(&mut other, span);
                    for (inner, _) in other.imports.into_iter().rev() {
                        waiting.push((inner, span));
                    }
                    defs.append(&mut other.defs);
                    items.append(&mut other.items);
                }
                Err(found) => {
                    for diag in found {
                        let (line, col) = diag.span.line_col(text);
                        diags.push(Diagnostic::error(
                            span,
                            format!("{path}:{line}:{col}: {}", diag.message),
                        ));
                    }
                }
            }
        }
    }
    defs.append(&mut script.defs);
    script.defs = defs;
    items.append(&mut script.items);
    script.items = items;
}

/// Gives all of an imported script the place of its import.
fn place(script: &mut Script, span: Span) {
    let mut set = |node: Node<'_>| match node {
        Node::Expr(e) => e.span = span,
        Node::Span(s) => *s = span,
    };
    for item in &mut script.items {
        match item {
            Item::Probe(probe) => {
                probe.span = span;
                probe.points.iter_mut().for_each(|p| p.span = span);
                if let Some(predicate) = &mut probe.predicate {
                    each_mut(Child::Expr(predicate), &mut set);
                }
                each_mut(Child::Block(&mut probe.body), &mut set);
            }
            Item::Macro(mac) => {
                mac.span = span;
                mac.name.span = span;
                each_mut(Child::Block(&mut mac.body), &mut set);
            }
            Item::Map(decl) => {
                decl.span = span;
                decl.name.span = span;
                decl.kind.span = span;
            }
        }
    }
}

/// Refuses what would jump out of a macro: it could not be seen where the macro is called.
fn jumps(block: &Block, looped: bool, diags: &mut Vec<Diagnostic>) {
    for stmt in &block.stmts {
        let word = match &stmt.kind {
            StmtKind::If { then, els, .. } => {
                jumps(then, looped, diags);
                if let Some(els) = els {
                    jumps(els, looped, diags);
                }
                continue;
            }
            StmtKind::While { body, .. }
            | StmtKind::ForMap { body, .. }
            | StmtKind::ForRange { body, .. } => {
                jumps(body, true, diags);
                continue;
            }
            StmtKind::Unroll { body, .. } | StmtKind::Block(body) => {
                jumps(body, looped, diags);
                continue;
            }
            StmtKind::Break if !looped => "break",
            StmtKind::Continue if !looped => "continue",
            StmtKind::Return(_) => "return",
            _ => continue,
        };
        diags.push(
            Diagnostic::error(stmt.span, format!("`{word}` jumps out of a macro"))
                .said(format!("'{word}' statement is not allowed in a macro")),
        );
    }
}

/// What a parameter stands for in one call.
enum Binding {
    Var(String),
    Map(String),
    Expr(Expr),
}

struct Expander {
    macros: HashMap<String, Vec<Macro>>,
    diags: Vec<Diagnostic>,
    /// Macros whose bodies are being expanded.
    active: Vec<String>,
    fresh: usize,
    exprs: usize,
    depth: usize,
}

impl Expander {
    fn child(&mut self, child: Child<'_>) {
        match child {
            Child::Expr(e) => self.expr(e),
            Child::Block(b) => self.block(b),
            Child::Type(t) => type_mut(t, &mut |c| self.child(c)),
        }
    }

    fn block(&mut self, block: &mut Block) {
        for stmt in &mut block.stmts {
            stmt_mut(stmt, &mut |c| self.child(c));
            // A macro called for its effects becomes a plain block.
            if let StmtKind::Expr(e) = &mut stmt.kind
                && let ExprKind::Block(inner) = &mut e.kind
                && inner.value.is_none()
            {
                stmt.kind = StmtKind::Block(std::mem::take(inner));
            }
        }
        if let Some(value) = &mut block.value {
            self.expr(value);
        }
    }

    fn expr(&mut self, e: &mut Expr) {
        self.exprs += 1;
        if self.depth > MAX_DEPTH || self.exprs > MAX_EXPRS {
            if self.diags.is_empty() {
                self.diags.push(Diagnostic::error(
                    e.span,
                    "macros expand to more than can be compiled",
                ));
            }
            return;
        }
        self.depth += 1;
        children_mut(&mut e.kind, &mut |c| self.child(c));
        if let ExprKind::Call { name, args } = &mut e.kind
            && name.text == OR_ELSE
        {
            let args = std::mem::take(args);
            self.fresh += 1;
            e.kind = or_else(args, e.span, self.fresh);
        }
        let call = match &e.kind {
            ExprKind::Call { name, args } if self.macros.contains_key(&name.text) => {
                Some((name.clone(), args.clone()))
            }
            ExprKind::Ident(text) if self.macros.contains_key(text) => Some((
                Name {
                    text: text.clone(),
                    span: e.span,
                },
                Vec::new(),
            )),
            _ => None,
        };
        if let Some((name, args)) = call {
            self.call(e, &name, args);
        }
        self.depth -= 1;
    }

    fn call(&mut self, e: &mut Expr, name: &Name, args: Vec<Arg>) {
        let args: Vec<Expr> = args
            .into_iter()
            .map(|arg| match arg {
                Arg::Expr(e) => e,
                Arg::Type(ty) => Expr {
                    id: ExprId(0),
                    span: ty.span,
                    kind: ExprKind::Type(ty),
                },
            })
            .collect();
        let candidates = self.macros.get(&name.text).map_or(&[][..], Vec::as_slice);
        let same_count: Vec<&Macro> = candidates
            .iter()
            .filter(|m| m.params.len() == args.len())
            .collect();
        let Some(first) = same_count.first() else {
            // A builtin of that name with other arguments is meant.
            if super::builtin::row(&name.text).is_some() {
                return;
            }
            let takes = candidates.first().map_or(0, |m| m.params.len());
            let head = candidates.first().map_or(e.span, head);
            self.diags.push(
                Diagnostic::error(
                    e.span,
                    format!(
                        "macro `{}` takes {takes} arguments, {} given",
                        name.text,
                        args.len()
                    ),
                )
                .said(no_definition(&name.text))
                .said_more(
                    head,
                    format!(
                        "The closest definition of {}() has a different number of arguments. Expected: {takes} but got {}",
                        name.text,
                        args.len()
                    ),
                ),
            );
            return;
        };
        let fitting = same_count.iter().find(|m| {
            m.params
                .iter()
                .zip(&args)
                .all(|(p, a)| misfit(p, a).is_none())
        });
        let Some(mac) = fitting.map(|m| (*m).clone()) else {
            let bad = first.params.iter().zip(&args);
            let diag = bad
                .filter_map(|(p, a)| misfit(p, a).map(|what| (p, a, what)))
                .map(|(p, a, what)| {
                    let (sort, sigil) = match p {
                        MacroParam::Var(_) => ("variable", "$"),
                        MacroParam::Map(_) => ("map", "@"),
                        MacroParam::Expr(_) => ("expression", ""),
                    };
                    let param = p.name();
                    let got = match &a.kind {
                        ExprKind::Var(_) => "a variable",
                        ExprKind::Map { key: None, .. } => "a map",
                        _ => "an expression",
                    };
                    Diagnostic::error(a.span, format!("macro `{}` wants {what} here", name.text))
                        .said_at(e.span, no_definition(&name.text))
                        .said_more(
                            a.span,
                            format!(
                                "Mismatched arg. {}() expects a {sort} for arg {sigil}{} but got {got}.",
                                name.text, param.text
                            ),
                        )
                        .said_more(
                            param.span,
                            "This is the argument in the closest definition.",
                        )
                })
                .next();
            self.diags.extend(diag);
            return;
        };
        if self.active.contains(&name.text) {
            let mut chain = self.active.clone();
            chain.push(name.text.clone());
            self.diags.push(
                Diagnostic::error(name.span, format!("macro `{}` calls itself", name.text))
                    .label(chain.join(" → "))
                    .said_at(
                        e.span,
                        format!(
                            "Recursive macro call detected. Call chain: {}",
                            chain.join(" > ")
                        ),
                    ),
            );
            return;
        }
        let mut bindings = HashMap::new();
        for (param, arg) in mac.params.iter().zip(args) {
            match (param, arg) {
                (
                    MacroParam::Var(p),
                    Expr {
                        kind: ExprKind::Var(v),
                        ..
                    },
                ) => {
                    bindings.insert(format!("${}", p.text), Binding::Var(v));
                }
                (
                    MacroParam::Map(p),
                    Expr {
                        kind: ExprKind::Map { name, .. },
                        ..
                    },
                ) => {
                    bindings.insert(format!("@{}", p.text), Binding::Map(name));
                }
                (MacroParam::Expr(p), arg) => {
                    bindings.insert(p.text.clone(), Binding::Expr(value_of(arg)));
                }
                _ => {}
            }
        }
        self.fresh += 1;
        let mut put = Putting {
            mac: &mac,
            bindings,
            tag: format!("__{}_{}_", mac.name.text, self.fresh),
            call: e.span,
            diags: Vec::new(),
            budget: MAX_EXPRS.saturating_sub(self.exprs),
        };
        let mut body = mac.body.clone();
        put.block(&mut body);
        let mut found = put.diags;
        self.diags.append(&mut found);
        let span = e.span;
        match body.value.take() {
            Some(value) if body.stmts.is_empty() => *e = *value,
            value => {
                body.value = value;
                e.kind = ExprKind::Block(body);
            }
        }
        if e.span == Span::default() {
            e.span = span;
        }
        self.active.push(name.text.clone());
        self.expr(e);
        self.active.pop();
    }
}

/// `{ let $v = a; $v ? $v : b }` for `a ?: b`: the condition is evaluated once.
fn or_else(args: Vec<Arg>, span: Span, fresh: usize) -> ExprKind {
    let make = |kind| Expr {
        id: ExprId(0),
        kind,
        span,
    };
    let var = || make(ExprKind::Var(format!("__or_{fresh}")));
    let mut values = args.into_iter().filter_map(|arg| match arg {
        Arg::Expr(e) => Some(e),
        Arg::Type(_) => None,
    });
    let (first, second) = (values.next(), values.next());
    let chosen = ExprKind::Ternary {
        cond: Box::new(var()),
        then: Box::new(var()),
        els: Box::new(second.unwrap_or_else(|| make(ExprKind::Int(0)))),
    };
    ExprKind::Block(Block {
        stmts: vec![Stmt {
            kind: StmtKind::Let {
                var: var(),
                ty: None,
                value: first,
            },
            span,
        }],
        value: Some(Box::new(make(chosen))),
        span,
    })
}

/// What a parameter wants, if the argument is not that.
fn misfit(param: &MacroParam, arg: &Expr) -> Option<&'static str> {
    match (param, &arg.kind) {
        (MacroParam::Var(_), ExprKind::Var(_))
        | (MacroParam::Map(_), ExprKind::Map { key: None, .. })
        | (MacroParam::Expr(_), _) => None,
        (MacroParam::Var(_), _) => Some("a variable (`$x`)"),
        (MacroParam::Map(_), _) => Some("a map (`@x`)"),
    }
}

/// An argument for an expression: of a map its value.
fn value_of(arg: Expr) -> Expr {
    if !matches!(arg.kind, ExprKind::Map { key: None, .. }) {
        return arg;
    }
    let span = arg.span;
    let block = Block {
        value: Some(Box::new(arg)),
        span,
        ..Block::default()
    };
    Expr {
        id: ExprId(0),
        kind: ExprKind::Block(block),
        span,
    }
}

/// Puts arguments into a copy of a macro's body.
struct Putting<'a> {
    mac: &'a Macro,
    bindings: HashMap<String, Binding>,
    /// Before the names of the body's own variables.
    tag: String,
    call: Span,
    diags: Vec<Diagnostic>,
    budget: usize,
}

impl Putting<'_> {
    fn child(&mut self, child: Child<'_>) {
        match child {
            Child::Expr(e) => self.expr(e),
            Child::Block(b) => self.block(b),
            Child::Type(t) => self.ty(t),
        }
    }

    fn block(&mut self, block: &mut Block) {
        for stmt in &mut block.stmts {
            stmt_mut(stmt, &mut |c| self.child(c));
        }
        if let Some(value) = &mut block.value {
            self.expr(value);
        }
    }

    fn ty(&mut self, ty: &mut TypeExpr) {
        if let TypeExprKind::Named(name) = &ty.kind
            && let Some(Binding::Expr(arg)) = self.bindings.get(name)
        {
            match &arg.kind {
                ExprKind::Type(given) => *ty = given.clone(),
                _ => ty.kind = TypeExprKind::Typeof(Box::new(arg.clone())),
            }
            return;
        }
        type_mut(ty, &mut |c| self.child(c));
    }

    fn expr(&mut self, e: &mut Expr) {
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        match &mut e.kind {
            ExprKind::Var(name) => {
                *name = match self.bindings.get(&format!("${name}")) {
                    Some(Binding::Var(given)) => given.clone(),
                    _ => format!("{}{name}", self.tag),
                };
            }
            ExprKind::Map { name, key } => {
                match self.bindings.get(&format!("@{name}")) {
                    Some(Binding::Map(given)) => *name = given.clone(),
                    _ => self.diags.push(
                        Diagnostic::error(
                            e.span,
                            format!(
                                "macro `{}` uses `@{name}`, which is not passed to it",
                                self.mac.name.text
                            ),
                        )
                        .help(format!(
                            "take it as a parameter: `macro {}(@{name})`",
                            self.mac.name.text
                        ))
                        .said(format!(
                            "Unhygienic access to map: @{name}. Maps must be passed into the macro as arguments."
                        )),
                    ),
                }
                if let Some(key) = key {
                    self.expr(key);
                }
            }
            ExprKind::Ident(name) => {
                if let Some(Binding::Expr(arg)) = self.bindings.get(name) {
                    *e = arg.clone();
                    return;
                }
            }
            kind => children_mut(kind, &mut |c| self.child(c)),
        }
        // Bodies of the standard library have no place in the script.
        if self.mac.name.span.end as usize <= STDLIB.len()
            && STDLIB.contains(&format!("macro {}(", self.mac.name.text))
        {
            e.span = self.call;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::print;

    fn body(source: &str) -> String {
        let script = expand(parse(source).unwrap(), &[]).unwrap();
        let text = print(&script);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn errors(source: &str, imports: &[(String, String)]) -> Vec<String> {
        expand(parse(source).unwrap(), imports)
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|d| d.message)
            .collect()
    }

    #[test]
    fn calls_become_bodies() {
        let macros = "macro one { 1 } macro inc(x) { x + one } macro both($a, @b) { $a += 1; @b += $a; let $t = 2; $t }
            macro cast(t, v) { (t*)v }";
        assert_eq!(
            body(&format!("{macros} begin {{ $x = inc(inc(2)) * one(); }}")),
            "begin { $x = (2 + 1 + 1) * 1; }"
        );
        assert_eq!(
            body(&format!("{macros} begin {{ $y = both($q, @m) }}")),
            "begin { $y = { $q += 1; @m += $q; let $__both_1_t = 2; $__both_1_t }; }"
        );
        assert_eq!(
            body(&format!(
                "{macros} begin {{ $p = cast(typeof(uint8), -1); $r = cast($p, 1) }}"
            )),
            "begin { $p = (uint8*)(-1); $r = (typeof($p)*)1; }"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(
            errors("macro a() { b() } macro b() { a() } begin { a() }", &[]),
            ["macro `a` calls itself"]
        );
        assert_eq!(
            errors("macro a() { @x++ } begin { a() }", &[]),
            ["macro `a` uses `@x`, which is not passed to it"]
        );
        assert_eq!(
            errors("macro a($x) { $x } begin { a(1) }", &[]),
            ["macro `a` wants a variable (`$x`) here"]
        );
        assert_eq!(
            errors("macro a($x) { $x } begin { a() }", &[]),
            ["macro `a` takes 1 arguments, 0 given"]
        );
        assert_eq!(
            errors("macro a(x) { x } macro a(y) { y } begin { }", &[]),
            ["macro `a` is defined twice"]
        );
    }

    #[test]
    fn expansion_is_bounded() {
        let mut source = String::from("macro m0(x) { x + x }");
        for i in 1..40 {
            source += &format!(" macro m{i}(x) {{ m{}(x) + m{}(x) }}", i - 1, i - 1);
        }
        let found = errors(&(source + " begin { $x = m39(1) }"), &[]);
        assert_eq!(found, ["macros expand to more than can be compiled"]);
    }

    #[test]
    fn imports_are_merged() {
        let lib = (
            "lib.bt".to_string(),
            "import \"b.bt\"; macro two { 2 } begin { exit() }".to_string(),
        );
        let b = ("b.bt".to_string(), "struct s { int x; }".to_string());
        let script = parse("import \"lib.bt\"; import \"lib.bt\"; end { print(two) }").unwrap();
        let script = expand(script, &[lib, b]).unwrap();
        assert_eq!((script.items.len(), script.defs.len()), (2, 1));
        let bad = ("c.bt".to_string(), "begin {\n 1 + }".to_string());
        assert_eq!(
            errors("import \"c.bt\"; end { }", &[bad]),
            ["c.bt:2:6: expected an expression, found `}`"]
        );
        assert_eq!(
            errors("import \"d.bt\"; end { }", &[]),
            ["import `d.bt` was not read"]
        );
    }
}
