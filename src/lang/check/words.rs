//! Types in words, for messages.

use crate::spec::{Agg, StructDef, Type};

/// `an integer (int32)`, `a string`, …
pub(super) fn a(ty: &Type, structs: &[StructDef]) -> String {
    match ty {
        Type::Void => "nothing".to_string(),
        Type::Bool => "a boolean".to_string(),
        Type::Int { .. } => format!("an integer ({})", name(ty, structs)),
        Type::Enum { name, .. } => format!("a value of `enum {name}`"),
        Type::Str { .. } => "a string".to_string(),
        Type::Buf { .. } => "a buffer".to_string(),
        Type::Ptr(_) => format!("a pointer ({})", name(ty, structs)),
        Type::Array(..) => format!("an array ({})", name(ty, structs)),
        Type::Struct(_) => format!("a `{}`", name(ty, structs)),
        Type::Tuple(_) => format!("a tuple {}", name(ty, structs)),
        Type::Record(_) => format!("a record {}", name(ty, structs)),
        Type::Stack { .. } => "a stack".to_string(),
        Type::Sym { .. } => "a symbol".to_string(),
        Type::Inet => "an IP address".to_string(),
        Type::Mac => "a hardware address".to_string(),
        Type::Hash => "a hash".to_string(),
        Type::Strftime { .. } => "a formatted time".to_string(),
        Type::Username => "a user's name".to_string(),
        Type::Errno => "an error's text".to_string(),
        Type::Named { .. } => "a name looked up when printed".to_string(),
        Type::CgroupPath { .. } => "a cgroup's path".to_string(),
        Type::Agg(agg) => format!("an aggregation ({}())", agg_name(agg)),
    }
}

/// The type as it is written.
pub(super) fn name(ty: &Type, structs: &[StructDef]) -> String {
    let list = |types: &[Type]| {
        let names: Vec<String> = types.iter().map(|t| name(t, structs)).collect();
        names.join(", ")
    };
    match ty {
        Type::Void => "void".to_string(),
        Type::Bool => "bool".to_string(),
        Type::Int { bits, signed } => format!("{}int{bits}", if *signed { "" } else { "u" }),
        Type::Enum { name, .. } => format!("enum {name}"),
        Type::Str { size } => format!("string[{size}]"),
        Type::Buf { size } => format!("buffer[{size}]"),
        Type::Ptr(inner) => format!("{}*", name(inner, structs)),
        Type::Array(elem, len) => format!("{}[{len}]", name(elem, structs)),
        Type::Struct(id) => structs
            .get(id.0 as usize)
            .map_or("struct".to_string(), |s| s.name.clone()),
        Type::Tuple(elems) => format!("({})", list(elems)),
        Type::Record(elems) => {
            let names: Vec<String> = elems
                .iter()
                .map(|(n, t)| format!("{n}={}", name(t, structs)))
                .collect();
            format!("({})", names.join(", "))
        }
        Type::Stack { user: true, .. } => "ustack_t".to_string(),
        Type::Stack { user: false, .. } => "kstack_t".to_string(),
        Type::Sym { user: true } => "usym_t".to_string(),
        Type::Sym { user: false } => "ksym_t".to_string(),
        Type::Inet => "inet".to_string(),
        Type::Mac => "macaddr_t".to_string(),
        Type::Hash => "hash256_t".to_string(),
        Type::Strftime { .. } => "timestamp".to_string(),
        Type::Username => "username".to_string(),
        Type::Errno => "strerror_t".to_string(),
        Type::Named { .. } => "name_t".to_string(),
        Type::CgroupPath { .. } => "cgroup_path_t".to_string(),
        Type::Agg(agg) => format!("{}_t", agg_name(agg)),
    }
}

/// The type as bpftrace writes it.
pub(super) fn plain(ty: &Type, structs: &[StructDef]) -> String {
    let sign = |signed: bool| if signed { "" } else { "u" };
    match ty {
        Type::Void => "void".to_string(),
        Type::Ptr(inner) => format!("{} *", plain(inner, structs)),
        Type::Array(elem, len) => format!("{}[{len}]", plain(elem, structs)),
        Type::Tuple(elems) => {
            let names: Vec<String> = elems.iter().map(|t| plain(t, structs)).collect();
            format!("({})", names.join(","))
        }
        Type::Record(fields) => {
            let names: Vec<String> = fields
                .iter()
                .map(|(n, t)| format!(".{n} = {}", plain(t, structs)))
                .collect();
            format!("record {{ {} }}", names.join(", "))
        }
        Type::Buf { size } => format!("buffer[{}]", size + 4),
        Type::Inet => "inet[24]".to_string(),
        Type::Stack {
            user, mode, depth, ..
        } => {
            let mode = crate::lang::config::STACK_MODES
                .get(usize::from(*mode))
                .unwrap_or(&"");
            format!("{}stack_{mode}_{depth}", if *user { "u" } else { "k" })
        }
        Type::Agg(
            Agg::Sum { signed }
            | Agg::Avg { signed }
            | Agg::Min { signed }
            | Agg::Max { signed }
            | Agg::Stats { signed },
        ) => format!("{}{}", sign(*signed), name(ty, structs)),
        _ => name(ty, structs),
    }
}

/// The kind of a type, as bpftrace's `typeinfo` names it.
pub(super) fn kind(ty: &Type) -> String {
    match ty {
        Type::Int { .. } | Type::Enum { .. } => "int".to_string(),
        Type::Str { .. } => "string".to_string(),
        Type::Buf { .. } => "buffer".to_string(),
        Type::Ptr(_) => "pointer".to_string(),
        Type::Array(..) => "array".to_string(),
        Type::Struct(_) => "c_type".to_string(),
        Type::Tuple(_) => "tuple".to_string(),
        Type::Record(_) => "record".to_string(),
        Type::Stack { user: true, .. } => "ustack".to_string(),
        Type::Stack { user: false, .. } => "kstack".to_string(),
        _ => name(ty, &[]),
    }
}

/// The function that makes the aggregation.
pub(super) fn agg_name(agg: &Agg) -> &'static str {
    match agg {
        Agg::Count => "count",
        Agg::Sum { .. } => "sum",
        Agg::Avg { .. } => "avg",
        Agg::Min { .. } => "min",
        Agg::Max { .. } => "max",
        Agg::Stats { .. } => "stats",
        Agg::Hist { .. } => "hist",
        Agg::Lhist { .. } => "lhist",
        Agg::Tseries { .. } => "tseries",
    }
}

/// The integer that an aggregation reads as, if it reads as one.
pub(super) fn agg_number(agg: &Agg) -> Option<Type> {
    match agg {
        Agg::Count => Some(Type::I64),
        Agg::Sum { signed } | Agg::Avg { signed } | Agg::Min { signed } | Agg::Max { signed } => {
            Some(Type::Int {
                bits: 64,
                signed: *signed,
            })
        }
        _ => None,
    }
}
