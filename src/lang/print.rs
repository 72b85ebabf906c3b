//! The tree as script text again; parsing it gives the same tree.

use super::ast::*;
use super::parser::{INFIX, PREFIX};
use std::fmt::Write;

/// The script in bpftrace's syntax.
pub fn print(script: &Script) -> String {
    let mut p = Printer {
        out: String::new(),
        indent: 0,
    };
    for def in &script.defs {
        p.def(def);
    }
    if !script.config.is_empty() {
        p.line("config = {");
        for (name, value, _) in &script.config {
            let value = match value {
                ConfigValue::Int(n) => n.to_string(),
                ConfigValue::Str(s) => string(s.as_bytes()),
            };
            p.line(&format!("  {} = {value};", name.text));
        }
        p.line("}");
    }
    for (path, _) in &script.imports {
        p.line(&format!("import {};", string(path.as_bytes())));
    }
    for item in &script.items {
        p.item(item);
    }
    p.out
}

/// One expression as text.
pub fn print_expr(expr: &Expr) -> String {
    let mut p = Printer {
        out: String::new(),
        indent: 0,
    };
    p.expr(expr, 0);
    p.out
}

/// A type as text.
pub fn print_type(ty: &TypeExpr) -> String {
    let mut p = Printer {
        out: String::new(),
        indent: 0,
    };
    p.ty(ty);
    p.out
}

/// A string literal with its quotes and escapes.
pub fn string(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            for c in text.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    c if (c as u32) < 32 || c as u32 == 127 => {
                        let _ = write!(out, "\\{:03o}", c as u32);
                    }
                    c => out.push(c),
                }
            }
        }
        Err(_) => {
            for b in bytes {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
    out.push('"');
    out
}

struct Printer {
    out: String,
    indent: usize,
}

/// Binding strengths beyond [`INFIX`].
const TERNARY: u8 = 0;
const UNARY: u8 = 11;
const POSTFIX: u8 = 12;

impl Printer {
    fn line(&mut self, text: &str) {
        self.start();
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn start(&mut self) {
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    // --- C definitions ----------------------------------------------------------------------------------------

    fn def(&mut self, def: &CDef) {
        match def {
            CDef::Struct(def) => {
                self.c_struct(def);
                self.put(";\n");
            }
            CDef::Enum { tag, values, .. } => {
                self.put("enum ");
                self.put(tag);
                self.put(" {\n");
                for (name, value) in values {
                    self.put("  ");
                    self.put(&name.text);
                    if let Some(value) = value {
                        self.put(" = ");
                        self.expr(value, 0);
                    }
                    self.put(",\n");
                }
                self.put("};\n");
            }
            CDef::Typedef { name, ty } => {
                self.put("typedef ");
                self.declaration(ty, &name.text);
                self.put(";\n");
            }
        }
    }

    fn c_struct(&mut self, def: &CStruct) {
        self.put(if def.tag == Tag::Union {
            "union "
        } else {
            "struct "
        });
        if !def.name.is_empty() {
            self.put(&def.name);
            self.put(" ");
        }
        self.put("{\n");
        self.indent += 1;
        for member in &def.members {
            self.start();
            self.declaration(&member.ty, &member.name);
            if let Some(bits) = member.bits {
                let _ = write!(self.out, " : {bits}");
            }
            match member.align {
                None => {}
                Some(1) => self.put(" __attribute__((packed))"),
                Some(n) => self.put(&format!(" __attribute__((aligned({n})))")),
            }
            self.put(";\n");
        }
        self.indent -= 1;
        self.start();
        self.put("}");
        if def.packed {
            self.put(" __attribute__((packed))");
        }
        if def.align > 0 {
            self.put(&format!(" __attribute__((aligned({})))", def.align));
        }
    }

    /// `type name` with C's inside-out declarators.
    fn declaration(&mut self, ty: &CType, name: &str) {
        let mut declarator = name.to_string();
        let mut ty = ty;
        loop {
            match ty {
                CType::Pointer(inner) => {
                    declarator = format!("*{declarator}");
                    if matches!(**inner, CType::Array(..) | CType::Function) {
                        declarator = format!("({declarator})");
                    }
                    ty = inner;
                }
                CType::Array(inner, size) => {
                    let size = size.as_ref().map_or(String::new(), |e| print_expr(e));
                    declarator = format!("{declarator}[{size}]");
                    ty = inner;
                }
                CType::Function => {
                    let _ = write!(self.out, "void {declarator}()");
                    return;
                }
                CType::Base(base) => {
                    self.ty(base);
                    break;
                }
                CType::Inline(def) => {
                    self.c_struct(def);
                    break;
                }
            }
        }
        if !declarator.is_empty() {
            self.put(" ");
            self.put(&declarator);
        }
    }

    fn ty(&mut self, ty: &TypeExpr) {
        match &ty.kind {
            TypeExprKind::Named(name) => self.put(name),
            TypeExprKind::Tagged(tag, name) => {
                self.put(match tag {
                    Tag::Struct => "struct ",
                    Tag::Union => "union ",
                    Tag::Enum => "enum ",
                });
                self.put(name);
            }
            TypeExprKind::Pointer(inner) => {
                self.ty(inner);
                self.put("*");
            }
            TypeExprKind::Array(inner, size) => {
                self.ty(inner);
                self.put("[");
                if let Some(size) = size {
                    self.expr(size, 0);
                }
                self.put("]");
            }
            TypeExprKind::Tuple(elems) => {
                self.put("(");
                for (i, elem) in elems.iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    self.ty(elem);
                }
                if elems.len() == 1 {
                    self.put(",");
                }
                self.put(")");
            }
            TypeExprKind::Typeof(expr) => {
                self.put("typeof(");
                self.type_context_expr(expr);
                self.put(")");
            }
        }
    }

    /// An expression where a bare name would be a type.
    fn type_context_expr(&mut self, expr: &Expr) {
        let mut base = expr;
        while let ExprKind::Index { base: inner, .. } = &base.kind {
            base = inner;
        }
        if matches!(base.kind, ExprKind::Ident(_)) {
            self.put("(");
            self.expr(expr, 0);
            self.put(")");
        } else {
            self.expr(expr, 0);
        }
    }

    // --- items ------------------------------------------------------------------------------------------------

    fn item(&mut self, item: &Item) {
        match item {
            Item::Map(decl) => self.line(&format!(
                "let @{} = {}({});",
                decl.name.text, decl.kind.text, decl.max_entries
            )),
            Item::Macro(mac) => {
                let params: Vec<String> = mac
                    .params
                    .iter()
                    .map(|p| match p {
                        MacroParam::Var(n) => format!("${}", n.text),
                        MacroParam::Map(n) => format!("@{}", n.text),
                        MacroParam::Expr(n) => n.text.clone(),
                    })
                    .collect();
                self.put(&format!("macro {}({}) ", mac.name.text, params.join(", ")));
                self.block(&mac.body);
                self.put("\n");
            }
            Item::Probe(probe) => {
                let points: Vec<String> = probe.points.iter().map(point).collect();
                self.put(&points.join(",\n"));
                if let Some(predicate) = &probe.predicate {
                    self.put("\n/ ");
                    self.expr(predicate, 0);
                    self.put(" /");
                }
                self.put(" ");
                self.block(&probe.body);
                self.put("\n");
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.put("{\n");
        self.indent += 1;
        for stmt in &block.stmts {
            self.start();
            self.stmt(stmt);
            self.put("\n");
        }
        if let Some(value) = &block.value {
            self.start();
            self.stmt_expr(value);
            self.put("\n");
        }
        self.indent -= 1;
        self.start();
        self.put("}");
    }

    /// An expression at a statement's start, where `{` would open a plain block.
    fn stmt_expr(&mut self, expr: &Expr) {
        let at = self.out.len();
        self.expr(expr, 0);
        if self.out[at..].starts_with('{') {
            self.out.insert(at, '(');
            self.put(")");
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(expr) => {
                self.stmt_expr(expr);
                self.put(";");
            }
            StmtKind::Discard(expr) => {
                self.put("_ = ");
                self.expr(expr, 0);
                self.put(";");
            }
            StmtKind::Assign { target, op, value } => {
                self.expr(target, 0);
                let op = op.map_or("", symbol);
                self.put(&format!(" {op}= "));
                self.expr(value, 0);
                self.put(";");
            }
            StmtKind::Let { var, ty, value } => {
                self.put("let ");
                self.expr(var, 0);
                if let Some(ty) = ty {
                    self.put(": ");
                    self.ty(ty);
                }
                if let Some(value) = value {
                    self.put(" = ");
                    self.expr(value, 0);
                }
                self.put(";");
            }
            StmtKind::If { cond, then, els } => {
                self.head("if", cond);
                self.block(then);
                if let Some(els) = els {
                    self.put(" else ");
                    match els.stmts.as_slice() {
                        [only] if matches!(only.kind, StmtKind::If { .. }) => self.stmt(only),
                        _ => self.block(els),
                    }
                }
            }
            StmtKind::While { cond, body } => {
                self.head("while", cond);
                self.block(body);
            }
            StmtKind::ForMap { var, map, body } => {
                self.put("for (");
                self.expr(var, 0);
                self.put(" : ");
                self.expr(map, 0);
                self.put(") ");
                self.block(body);
            }
            StmtKind::ForRange {
                var,
                start,
                end,
                body,
            } => {
                self.put("for (");
                self.expr(var, 0);
                self.put(" : ");
                self.expr(start, 0);
                self.put("..");
                self.expr(end, 0);
                self.put(") ");
                self.block(body);
            }
            StmtKind::Unroll { count, body } => {
                self.head("unroll", count);
                self.block(body);
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Break => self.put("break;"),
            StmtKind::Continue => self.put("continue;"),
            StmtKind::Return(None) => self.put("return;"),
            StmtKind::Return(Some(expr)) => {
                self.put("return ");
                self.expr(expr, 0);
                self.put(";");
            }
        }
    }

    fn head(&mut self, word: &str, expr: &Expr) {
        self.put(word);
        self.put(" (");
        self.expr(expr, 0);
        self.put(") ");
    }

    // --- expressions ------------------------------------------------------------------------------------------

    /// In parentheses if it binds weaker than `least`.
    fn expr(&mut self, expr: &Expr, least: u8) {
        let power = power(expr);
        if power < least {
            self.put("(");
        }
        self.bare(expr);
        if power < least {
            self.put(")");
        }
    }

    fn list(&mut self, exprs: &[Expr]) {
        for (i, expr) in exprs.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            self.expr(expr, 0);
        }
    }

    fn bare(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Int(n) => self.put(&n.to_string()),
            ExprKind::Bool(b) => self.put(if *b { "true" } else { "false" }),
            ExprKind::Str(bytes) => self.put(&string(bytes)),
            ExprKind::Param(n) => self.put(&format!("${n}")),
            ExprKind::ParamCount => self.put("$#"),
            ExprKind::Var(name) => self.put(&format!("${name}")),
            ExprKind::Map { name, key } => {
                self.put(&format!("@{name}"));
                if let Some(key) = key {
                    self.put("[");
                    match &key.kind {
                        ExprKind::Tuple(keys) if keys.len() > 1 => self.list(keys),
                        _ => self.expr(key, 0),
                    }
                    self.put("]");
                }
            }
            ExprKind::Ident(name) => self.put(name),
            ExprKind::Call { name, args } if name.text == OR_ELSE => {
                self.put("(");
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.put(" ?: ");
                    }
                    if let Arg::Expr(expr) = arg {
                        self.expr(expr, 1);
                    }
                }
                self.put(")");
            }
            ExprKind::Call { name, args } => {
                self.put(&name.text);
                self.put("(");
                let types = matches!(name.text.as_str(), "sizeof" | "offsetof" | "typeinfo");
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    match arg {
                        Arg::Expr(expr) if types && i == 0 => self.type_context_expr(expr),
                        Arg::Expr(expr) => self.expr(expr, 0),
                        Arg::Type(ty) => self.ty(ty),
                    }
                }
                self.put(")");
            }
            ExprKind::Member { base, name } => {
                self.expr(base, POSTFIX);
                self.put(".");
                self.put(&name.text);
            }
            ExprKind::TupleItem { base, index } => {
                self.expr(base, POSTFIX);
                self.put(&format!(".{index}"));
            }
            ExprKind::Index { base, index } => {
                // `@a[1]` would read as a key.
                let map = matches!(base.kind, ExprKind::Map { key: None, .. });
                self.expr(base, if map { u8::MAX } else { POSTFIX });
                self.put("[");
                self.expr(index, 0);
                self.put("]");
            }
            ExprKind::Unary { op, expr } => {
                self.put(PREFIX.iter().find(|(_, o)| o == op).map_or("", |(s, _)| s));
                let tight = matches!(
                    expr.kind,
                    ExprKind::Unary { .. } | ExprKind::Step { prefix: true, .. }
                );
                self.expr(expr, if tight { u8::MAX } else { UNARY });
            }
            ExprKind::Step { by, prefix, expr } => {
                let symbol = if *by > 0 { "++" } else { "--" };
                if *prefix {
                    self.put(symbol);
                }
                self.expr(expr, POSTFIX);
                if !*prefix {
                    self.put(symbol);
                }
            }
            ExprKind::Binary { op, left, right } => {
                let power = power(expr);
                self.expr(left, power);
                self.put(&format!(" {} ", symbol(*op)));
                self.expr(right, power + 1);
            }
            ExprKind::Ternary { cond, then, els } => {
                self.expr(cond, 1);
                self.put(" ? ");
                self.expr(then, 0);
                self.put(" : ");
                self.expr(els, 0);
            }
            ExprKind::Cast { ty, expr } => {
                self.put("(");
                self.ty(ty);
                self.put(")");
                let tight = matches!(
                    expr.kind,
                    ExprKind::Unary { .. }
                        | ExprKind::Step { prefix: true, .. }
                        | ExprKind::Block(_)
                );
                self.expr(expr, if tight { u8::MAX } else { UNARY });
            }
            ExprKind::Tuple(elems) => {
                self.put("(");
                self.list(elems);
                self.put(if elems.len() == 1 { ",)" } else { ")" });
            }
            ExprKind::Record(fields) => {
                self.put("(");
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    self.put(&name.text);
                    self.put("=");
                    self.expr(value, 0);
                }
                self.put(")");
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Type(ty) => match ty.kind {
                TypeExprKind::Typeof(_) => self.ty(ty),
                _ => {
                    self.put("typeof(");
                    self.ty(ty);
                    self.put(")");
                }
            },
        }
    }
}

fn power(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Ternary { .. } => TERNARY,
        ExprKind::Binary { op, .. } => INFIX
            .iter()
            .find(|(_, o, _)| o == op)
            .map_or(1, |(_, _, p)| *p),
        ExprKind::Unary { .. } | ExprKind::Cast { .. } | ExprKind::Step { .. } => UNARY,
        ExprKind::Block(_) => POSTFIX,
        _ => POSTFIX,
    }
}

/// The operator as written.
pub fn symbol(op: BinOp) -> &'static str {
    INFIX
        .iter()
        .find(|(_, o, _)| *o == op)
        .map_or("", |(s, ..)| s)
}

/// An attach point, parts quoted where they need it.
pub fn point(point: &AttachPoint) -> String {
    let mut out = point.provider.clone();
    for part in &point.parts {
        out.push(':');
        let plain = part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_./*?+-$#@!%~[]".contains(&b));
        if plain && !part.contains("//") {
            out.push_str(part);
        } else {
            out.push_str(&string(part.as_bytes()));
        }
    }
    out
}
