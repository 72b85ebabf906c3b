//! What the checker hands to lowering: the script with every name resolved and every expression typed.

use super::ast::{Block, Expr, ExprId, Script};
use crate::span::Span;
use crate::spec::{Interval, StructDef, Type};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A scratch variable of one probe, after scoping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarId(pub u32);

/// A map of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapId(pub u32);

/// What a name, builtin or call is.
#[derive(Clone, Debug, PartialEq)]
pub enum Res {
    /// A scratch variable.
    Var(VarId),
    /// A map.
    Map(MapId),
    /// A builtin or function, by its row's name in `lang::builtin`.
    Builtin(&'static str),
    /// Known at compile time: number (already in the expression's type), from a literal, enumerator, parameter, `sizeof`…
    Int(i64),
    /// Known at compile time: string.
    Str(Vec<u8>),
    /// Known at compile time: fields of a record, in its type's order.
    Record(Vec<Res>),
    /// Member of a struct: byte offset, type and bit-field (first bit, width).
    Member {
        #[expect(missing_docs)]
        offset: u32,
        #[expect(missing_docs)]
        ty: Type,
        #[expect(missing_docs)]
        bits: Option<(u8, u8)>,
    },
    /// Element of a tuple or record.
    Item(u32),
    /// `argN`.
    Arg(u32),
    /// `args.NAME` of a tracepoint: each attach point has its own place for it.
    Trace(String),
}

/// A map with its types.
#[derive(Clone, Debug, PartialEq)]
pub struct MapInfo {
    /// Name without `@`.
    pub name: String,
    /// Key type, `None` without keys.
    pub key: Option<Type>,
    /// Value type; an aggregation for `count()` and its like.
    pub value: Type,
    /// Declared kind (`hash`, `lruhash`, …), if declared.
    pub kind: Option<String>,
    /// Most keys.
    pub max_entries: u32,
    /// First use.
    pub span: Span,
}

/// Where a probe's program gets attached, resolved against the target as far as the language goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// `begin`.
    Begin,
    /// `end`.
    End,
    /// `self:signal:…`.
    Signal(i32),
    /// `test:` and `bench:` with name; `true` for bench.
    Manual(String, bool),
    /// `interval`.
    Interval(Interval),
    /// `profile`.
    Profile(Interval),
    /// `software`, by perf config and period.
    Software(u64, u64),
    /// `usdt`: indices into `Target::binaries` and that binary's `usdt`.
    Usdt {
        #[expect(missing_docs)]
        binary: usize,
        #[expect(missing_docs)]
        probe: usize,
    },
    /// `uprobe`/`uretprobe`: index into `Target::binaries`, function name, file offset.
    Uprobe {
        #[expect(missing_docs)]
        binary: usize,
        #[expect(missing_docs)]
        function: String,
        #[expect(missing_docs)]
        offset: u64,
        #[expect(missing_docs)]
        ret: bool,
    },
    /// `watchpoint`: address, length, mode bits.
    Watch(u64, u64, u32),
    /// `hardware`, by perf config and period.
    Hardware(u64, u64),
    /// `tracepoint`: index into `Target::kernel.tracepoints`.
    Tracepoint(usize),
    /// `rawtracepoint`, by the event's name.
    RawTracepoint(String),
    /// `fentry`/`fexit`.
    Trampoline {
        #[expect(missing_docs)]
        function: String,
        #[expect(missing_docs)]
        ret: bool,
    },
    /// `iter`, with where it is pinned.
    Iter {
        #[expect(missing_docs)]
        kind: String,
        #[expect(missing_docs)]
        pin: Option<String>,
    },
    /// `kprobe`/`kretprobe`.
    Kprobe {
        #[expect(missing_docs)]
        function: String,
        #[expect(missing_docs)]
        offset: u64,
        #[expect(missing_docs)]
        ret: bool,
    },
}

impl Point {
    /// Whether the program runs on what the kernel does, for any process.
    pub fn is_kernel(&self) -> bool {
        matches!(
            self,
            Point::Tracepoint(_)
                | Point::RawTracepoint(_)
                | Point::Trampoline { .. }
                | Point::Iter { .. }
                | Point::Kprobe { .. }
        )
    }
}

/// One attach point of one probe, wildcards expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedPoint {
    /// What `probe` yields: the full name in the new spelling, e.g. `usdt:/bin/x:net:inbound_message`.
    pub name: String,
    /// What it is.
    pub point: Point,
    /// Where it stands in the script.
    pub span: Span,
}

/// A probe ready for lowering.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedProbe {
    /// Its attach points.
    pub points: Vec<CheckedPoint>,
    /// Predicate.
    pub predicate: Option<Expr>,
    /// Body, macros expanded.
    pub body: Block,
    /// Its place.
    pub span: Span,
}

/// Settings after config block and environment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after bpftrace's config variables")]
pub struct Config {
    pub max_strlen: u32,
    pub max_map_keys: u32,
    pub max_cat_bytes: u32,
    pub max_probes: u32,
    pub on_stack_limit: u32,
    pub perf_rb_pages: Option<u32>,
    pub stack_mode: u8,
    pub str_trunc_trailer: String,
    pub print_maps_on_exit: bool,
    pub missing_probes: MissingProbes,
    /// Empty where the script names none: programs are loaded under both licences then, MIT and GPL.
    pub license: String,
    pub log_size: u32,
    pub max_bpf_progs: u32,
    pub cpp_demangle: bool,
    pub show_debug_info: bool,
    pub lazy_symbolication: bool,
    /// 0 refused, 1 with a warning, 2 allowed.
    pub unstable_typeinfo: u8,
    /// As `unstable_typeinfo`.
    pub unstable_tseries: u8,
    /// `unstable_dw_ustack`: likewise.
    pub unstable_dw_ustack: u8,
    /// Bytes that cannot be read are zeros, not missing.
    pub unreadable_is_zeros: bool,
}

/// `missing_probes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs)]
pub enum MissingProbes {
    #[default]
    Error,
    Warn,
    Ignore,
}

/// The checker's result. All tables are indexed by [`ExprId`] of the expanded tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The script after macro expansion (config, structs and macros consumed; kept for printing).
    pub script: Script,
    /// Probes in script order.
    pub probes: Vec<CheckedProbe>,
    /// Maps by [`MapId`].
    pub maps: Vec<MapInfo>,
    /// Types of variables by [`VarId`].
    pub vars: Vec<Type>,
    /// Structs by `StructId`.
    pub structs: Vec<StructDef>,
    /// Types of expressions.
    pub types: Vec<Type>,
    /// Resolutions of names.
    pub res: HashMap<ExprId, Res>,
    /// Settings.
    pub config: Config,
}

impl Checked {
    /// The type of an expression.
    pub fn ty(&self, expr: &Expr) -> &Type {
        static VOID: Type = Type::Void;
        self.types.get(expr.id.0 as usize).unwrap_or(&VOID)
    }
}
