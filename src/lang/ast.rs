//! The tree that the parser makes of a script: everything that was written, nothing that was inferred.

use crate::span::Span;

/// Names one expression; side tables (types, resolutions) are indexed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The text, without `$` or `@`.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// C definitions of the preamble, `#define`s resolved away.
    pub defs: Vec<CDef>,
    /// `config = { name = value }`.
    pub config: Vec<(Name, ConfigValue, Span)>,
    /// Types that C headers define; no part of the text.
    pub header_defs: Vec<CDef>,
    /// `import "path"`.
    pub imports: Vec<(String, Span)>,
    /// Probes, map declarations and macros in script order.
    pub items: Vec<Item>,
    /// Number of [`ExprId`]s given out.
    pub exprs: u32,
}

/// Value in a config block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigValue {
    /// Number, or `true`/`false` as 1/0.
    Int(i64),
    /// Word or quoted string.
    Str(String),
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A probe with its action block.
    Probe(Probe),
    /// `let @name = hash(100);`
    Map(MapDecl),
    /// `macro name(args) { … }`
    Macro(Macro),
}

/// `points /predicate/ { body }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Comma-separated attach points.
    pub points: Vec<AttachPoint>,
    /// Between slashes.
    pub predicate: Option<Expr>,
    /// In braces.
    pub body: Block,
    /// From the first attach point to the closing brace.
    pub span: Span,
}

/// `provider:part:part…`, positional parameters already put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPoint {
    /// Provider as written, e.g. `usdt`, `U`, `BEGIN`.
    pub provider: String,
    /// What stands between the colons, quotes removed.
    pub parts: Vec<String>,
    /// Its place.
    pub span: Span,
}

/// `let @name = kind(max_entries);`
#[derive(Clone, Debug, PartialEq)]
pub struct MapDecl {
    /// Map name.
    pub name: Name,
    /// `hash`, `lruhash`, `percpuhash`, `percpulruhash`.
    pub kind: Name,
    /// Most keys.
    pub max_entries: u64,
    /// Its place.
    pub span: Span,
}

/// `macro name(params) { body }`
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    /// Its name.
    pub name: Name,
    /// Parameters.
    pub params: Vec<MacroParam>,
    /// Its body.
    pub body: Block,
    /// Its place.
    pub span: Span,
}

/// A macro's parameter, by what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacroParam {
    /// `$x`: a scratch variable.
    Var(Name),
    /// `@x`: a map.
    Map(Name),
    /// `x`: any expression.
    Expr(Name),
}

impl MacroParam {
    /// Its name, without sigil.
    pub fn name(&self) -> &Name {
        match self {
            MacroParam::Var(name) | MacroParam::Map(name) | MacroParam::Expr(name) => name,
        }
    }
}

/// `{ stmts; value }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Statements.
    pub stmts: Vec<Stmt>,
    /// Last expression without a semicolon, when the block stands as an expression.
    pub value: Option<Box<Expr>>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Its place.
    pub span: Span,
}

/// Kinds of statements.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// An expression for its effects.
    Expr(Expr),
    /// `_ = expr`.
    Discard(Expr),
    /// `target = value`, or `target op= value` with `op`. Target is a `Var` or `Map` expression.
    Assign {
        #[expect(missing_docs)]
        target: Expr,
        #[expect(missing_docs)]
        op: Option<BinOp>,
        #[expect(missing_docs)]
        value: Expr,
    },
    /// `let $x: type = value`.
    Let {
        /// `Var` expression.
        var: Expr,
        #[expect(missing_docs)]
        ty: Option<TypeExpr>,
        #[expect(missing_docs)]
        value: Option<Expr>,
    },
    /// `if (cond) { } else { }`; `else if` is an else block of one `If`.
    If {
        #[expect(missing_docs)]
        cond: Expr,
        #[expect(missing_docs)]
        then: Block,
        #[expect(missing_docs)]
        els: Option<Block>,
    },
    /// `while (cond) { }`.
    While {
        #[expect(missing_docs)]
        cond: Expr,
        #[expect(missing_docs)]
        body: Block,
    },
    /// `for ($kv : @map) { }`.
    ForMap {
        /// `Var` expression.
        var: Expr,
        /// `Map` expression without key.
        map: Expr,
        #[expect(missing_docs)]
        body: Block,
    },
    /// `for ($i : start..end) { }`.
    ForRange {
        /// `Var` expression.
        var: Expr,
        #[expect(missing_docs)]
        start: Expr,
        #[expect(missing_docs)]
        end: Expr,
        #[expect(missing_docs)]
        body: Block,
    },
    /// `unroll(count) { }`.
    Unroll {
        #[expect(missing_docs)]
        count: Expr,
        #[expect(missing_docs)]
        body: Block,
    },
    /// `{ }`.
    Block(Block),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `return` with or without a value.
    Return(Option<Expr>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its number.
    pub id: ExprId,
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// Kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// Integer literal: its magnitude.
    Int(u64),
    /// `true`, `false`.
    Bool(bool),
    /// String literal, escapes resolved.
    Str(Vec<u8>),
    /// `$1`….
    Param(u32),
    /// `$#`.
    ParamCount,
    /// `$name`.
    Var(String),
    /// `@name` or `@name[key, …]`; several keys are a tuple.
    Map {
        /// Without `@`; empty for the anonymous map.
        name: String,
        /// The key, if there is one.
        key: Option<Box<Expr>>,
    },
    /// A bare word: builtin, macro without arguments, enumerator, stack mode…
    Ident(String),
    /// `name(args)`.
    Call {
        #[expect(missing_docs)]
        name: Name,
        #[expect(missing_docs)]
        args: Vec<Arg>,
    },
    /// `base.name` or `base->name`.
    Member {
        #[expect(missing_docs)]
        base: Box<Expr>,
        #[expect(missing_docs)]
        name: Name,
    },
    /// `base.0`.
    TupleItem {
        #[expect(missing_docs)]
        base: Box<Expr>,
        #[expect(missing_docs)]
        index: u32,
    },
    /// `base[index]`.
    Index {
        #[expect(missing_docs)]
        base: Box<Expr>,
        #[expect(missing_docs)]
        index: Box<Expr>,
    },
    /// Prefix operator.
    Unary {
        #[expect(missing_docs)]
        op: UnOp,
        #[expect(missing_docs)]
        expr: Box<Expr>,
    },
    /// `++x`, `x++`, `--x`, `x--`; the operand is a `Var` or `Map`.
    Step {
        /// +1 or -1.
        by: i8,
        /// The value is the new one.
        prefix: bool,
        #[expect(missing_docs)]
        expr: Box<Expr>,
    },
    /// Infix operator.
    Binary {
        #[expect(missing_docs)]
        op: BinOp,
        #[expect(missing_docs)]
        left: Box<Expr>,
        #[expect(missing_docs)]
        right: Box<Expr>,
    },
    /// `cond ? then : els`.
    Ternary {
        #[expect(missing_docs)]
        cond: Box<Expr>,
        #[expect(missing_docs)]
        then: Box<Expr>,
        #[expect(missing_docs)]
        els: Box<Expr>,
    },
    /// `(type)expr`.
    Cast {
        #[expect(missing_docs)]
        ty: TypeExpr,
        #[expect(missing_docs)]
        expr: Box<Expr>,
    },
    /// `(a, b)`, `(a,)`, `()`.
    Tuple(Vec<Expr>),
    /// `(name=a, name=b)`.
    Record(Vec<(Name, Expr)>),
    /// A block that yields a value.
    Block(Block),
    /// `if` as an expression is an `If` statement; a comptime or condition expression is resolved by the checker.
    /// `sizeof(type)`, `offsetof(type, field)`, `typeof(type)`: type in expression position.
    Type(TypeExpr),
}

/// An argument of a call: an expression, or a type where the function takes one.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A value.
    Expr(Expr),
    /// A type.
    Type(TypeExpr),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeExpr {
    /// What it is.
    pub kind: TypeExprKind,
    /// Its place.
    pub span: Span,
}

/// Kinds of written types.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeExprKind {
    /// `uint64`, `string`, `int`, a typedef…; C's several words are joined by one blank (`unsigned long`).
    Named(String),
    /// `struct x`, `union x`, `enum x`.
    Tagged(Tag, String),
    /// `T*`.
    Pointer(Box<TypeExpr>),
    /// `T[n]`, `T[]`; for `string`, `buffer`, `inet` the size parameter.
    Array(Box<TypeExpr>, Option<Box<Expr>>),
    /// `(T, U)`.
    Tuple(Vec<TypeExpr>),
    /// `typeof(expr)`.
    Typeof(Box<Expr>),
}

/// Keyword of a tagged type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs)]
pub enum Tag {
    Struct,
    Union,
    Enum,
}

/// What `a ?: b` calls.
pub const OR_ELSE: &str = "?:";

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnOp {
    /// `-`
    Neg,
    /// `!`
    Not,
    /// `~`
    BitNot,
    /// `*`
    Deref,
    /// `&`
    AddrOf,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the operators of C")]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    LogAnd,
    LogOr,
}

/// A C definition of the preamble.
#[derive(Clone, Debug, PartialEq)]
pub enum CDef {
    /// `struct` or `union` with its members.
    Struct(CStruct),
    /// `enum tag { A, B = 4 }`.
    Enum {
        /// Empty for an anonymous one.
        tag: String,
        /// Enumerators with their constant expressions.
        values: Vec<(Name, Option<Expr>)>,
        /// Its place.
        span: Span,
    },
    /// `typedef type name`.
    Typedef {
        #[expect(missing_docs)]
        name: Name,
        #[expect(missing_docs)]
        ty: CType,
    },
}

impl CDef {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            CDef::Struct(def) => def.span,
            CDef::Enum { span, .. } => *span,
            CDef::Typedef { name, .. } => name.span,
        }
    }
}

/// `struct tag { members } __attribute__((packed))`.
#[derive(Clone, Debug, PartialEq)]
pub struct CStruct {
    /// Struct or Union.
    pub tag: Tag,
    /// Its tag; empty for an anonymous one.
    pub name: String,
    /// Members.
    pub members: Vec<CMember>,
    /// `packed`.
    pub packed: bool,
    /// `aligned(n)`; 0 without.
    pub align: u32,
    /// Its place.
    pub span: Span,
}

/// A member of a C struct.
#[derive(Clone, Debug, PartialEq)]
pub struct CMember {
    /// Empty for an anonymous struct, union or padding bit-field.
    pub name: String,
    /// Its type.
    pub ty: CType,
    /// Width of a bit-field.
    pub bits: Option<u8>,
    /// What its attributes say: 1 for `packed`, or at least that of `aligned(n)`.
    pub align: Option<u32>,
    /// Its place.
    pub span: Span,
}

/// A C type, inside out already resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum CType {
    /// A base type, typedef or tagged type.
    Base(TypeExpr),
    /// A struct or union defined in place.
    Inline(Box<CStruct>),
    /// `*`.
    Pointer(Box<CType>),
    /// `[n]`.
    Array(Box<CType>, Option<Box<Expr>>),
    /// A function: only ever behind a pointer.
    Function,
}
