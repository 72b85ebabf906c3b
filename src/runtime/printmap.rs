//! A map as `print(@map)` shows it, and as it is shown when the script ends.

use std::cmp::Ordering;

use super::{
    aggregate::{Total, combine, order},
    clock::Clock,
    compile::UserMap,
    json,
    maps::Entry,
    record::{Raw, u64_at},
    value::{self, Env},
};
use crate::spec::{StructDef, Type};

/// An entry with its aggregation put together.
struct Row {
    key: Vec<u8>,
    value: Vec<u8>,
    total: Option<Total>,
}

impl Row {
    fn new(map: &UserMap, (key, mut cpus): Entry, clock: &Clock) -> Row {
        let mut total = match &map.value {
            Type::Agg(agg) => Some(combine(agg, &cpus)),
            _ => None,
        };
        if let Some(Total::Series { points, .. }) = &mut total {
            for (at, _) in points {
                *at = u64::try_from(clock.wall(1, *at)).unwrap_or(*at);
            }
        }
        let value = if cpus.is_empty() {
            Vec::new()
        } else {
            cpus.swap_remove(0)
        };
        Row { key, value, total }
    }

    /// What entries are sorted by; none for values that have no order of size.
    fn weight(&self, ty: &Type) -> i128 {
        match &self.total {
            Some(total) => total.weight(),
            None => match ty {
                Type::Ptr(_) | Type::Bool | Type::Int { .. } | Type::Enum { .. } => {
                    value::number(ty, Raw::fixed(&self.value))
                        .map_or(0, |(n, signed)| order(n, signed))
                }
                _ => 0,
            },
        }
    }
}

/// Bytes after the value of a map without key that say whether it was ever set (array maps only).
pub(super) fn presence(value: &Type, structs: &[StructDef]) -> usize {
    value.size(structs).next_multiple_of(8) as usize
}

/// Entries that are there: an array's only one is if a CPU has set its flag.
fn present(map: &UserMap, array: bool, entries: Vec<Entry>, structs: &[StructDef]) -> Vec<Entry> {
    if !array {
        return entries;
    }
    let flag = presence(&map.value, structs);
    let is_set = |cpu: &Vec<u8>| u64_at(cpu, flag).is_some_and(|set| set != 0);
    let kept = entries.into_iter().take(1);
    let set = kept.map(|(key, cpus)| (key, cpus.into_iter().filter(is_set).collect::<Vec<_>>()));
    set.filter(|(_, cpus)| !cpus.is_empty()).collect()
}

/// How to print.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) json: bool,
    pub(super) top: u64,
    pub(super) div: u64,
    /// The map is an array with one entry.
    pub(super) array: bool,
    /// Asked for by the script: then a number never set prints as 0.
    pub(super) asked: bool,
}

/// Appends the map.
pub(super) fn map(
    out: &mut Vec<u8>,
    env: &mut Env<'_>,
    map: &UserMap,
    entries: Vec<Entry>,
    how: How,
) {
    let entries = present(map, how.array, entries, env.structs);
    let mut rows: Vec<Row> = entries
        .into_iter()
        .map(|e| Row::new(map, e, &env.common.clock))
        .collect();
    if rows.is_empty() {
        let zero = matches!(&map.value, Type::Int { .. })
            || matches!(&map.value, Type::Agg(a) if value::is_single(a));
        if map.key.is_some() || !how.asked || !zero {
            return;
        }
        let size = map.value.size(env.structs) as usize;
        let entry = (Vec::new(), vec![vec![0; size]]);
        rows.push(Row::new(map, entry, &env.common.clock));
    }
    if let Some(key) = &map.key {
        rows.sort_by(|a, b| {
            let by_weight = a.weight(&map.value).cmp(&b.weight(&map.value));
            by_weight.then_with(|| compare(key, &a.key, &b.key, env.structs))
        });
    }
    if let Ok(top @ 1..) = usize::try_from(how.top) {
        rows.drain(..rows.len().saturating_sub(top));
    }
    if how.json {
        json::line(out, json::map_kind(&map.value), |out| {
            out.push(b'{');
            json::string(out, map.name.as_bytes());
            out.extend_from_slice(b": ");
            if map.key.is_some() {
                out.push(b'{');
            }
            for (i, row) in rows.into_iter().enumerate() {
                out.extend_from_slice(if i > 0 { b", " } else { b"" });
                if let Some(key) = &map.key {
                    env.json_key(out, key, Raw::fixed(&row.key));
                    out.extend_from_slice(b": ");
                }
                row_json(out, env, map, row, how.div);
            }
            out.extend_from_slice(if map.key.is_some() { b"}}" } else { b"}" });
        });
        return;
    }
    for row in rows {
        out.extend_from_slice(map.name.as_bytes());
        if let Some(key) = &map.key {
            out.push(b'[');
            env.key(out, key, Raw::fixed(&row.key));
            out.push(b']');
        }
        row_text(out, env, map, row, how.div);
    }
}

/// Appends one entry, as `print(@map[key])` does: the value alone.
pub(super) fn entry(
    out: &mut Vec<u8>,
    env: &mut Env<'_>,
    map: &UserMap,
    cpus: Option<Vec<Vec<u8>>>,
    json: bool,
) {
    let size = map.value.size(env.structs) as usize;
    let row = Row::new(
        map,
        (Vec::new(), cpus.unwrap_or_else(|| vec![vec![0; size]])),
        &env.common.clock,
    );
    if json {
        json::line(out, "value", |out| row_json(out, env, map, row, 1));
        return;
    }
    match row.total {
        Some(total) => total.text(out, 1),
        None => env.text(out, &map.value, Raw::fixed(&row.value)),
    }
    out.push(b'\n');
}

fn row_text(out: &mut Vec<u8>, env: &mut Env<'_>, map: &UserMap, row: Row, div: u64) {
    match row.total.map(|t| t.divided(div)) {
        Some(total) if total.is_chart() => {
            out.extend_from_slice(b":\n");
            total.text(out, 1);
        }
        Some(total) => {
            out.extend_from_slice(b": ");
            total.text(out, 1);
        }
        None => {
            out.extend_from_slice(b": ");
            let value = divided(&map.value, &row.value, div);
            env.text(out, &map.value, Raw::fixed(&value));
        }
    }
    out.push(b'\n');
}

fn row_json(out: &mut Vec<u8>, env: &mut Env<'_>, map: &UserMap, row: Row, div: u64) {
    match row.total.map(|t| t.divided(div)) {
        Some(total) => json::total(out, &total),
        None => {
            let value = divided(&map.value, &row.value, div);
            env.json(out, &map.value, Raw::fixed(&value));
        }
    }
}

/// An integer divided, in its own width; other values as they are.
fn divided(ty: &Type, bytes: &[u8], div: u64) -> Vec<u8> {
    let Type::Int { bits, signed } = ty else {
        return bytes.to_vec();
    };
    let (size, by) = (usize::from(*bits) / 8, i128::from(div.max(1)));
    let n = value::number(ty, Raw::fixed(bytes)).map_or(0, |(n, _)| order(n, *signed)) / by;
    // Division makes it no wider; the low bytes are all of it.
    let wide = (n as u64).to_ne_bytes();
    let at = if cfg!(target_endian = "big") {
        8 - size.min(8)
    } else {
        0
    };
    wide.get(at..at + size).unwrap_or(&wide).to_vec()
}

/// Order of two keys: numbers as numbers, tuples by their elements, all else by bytes.
fn compare(ty: &Type, a: &[u8], b: &[u8], structs: &[StructDef]) -> Ordering {
    match ty {
        Type::Tuple(elems) => {
            let parts = elems.iter().zip(ty.offsets(structs));
            let mut orders = parts.map(|(ty, at)| {
                let size = ty.size(structs);
                let (a, b) = (Raw::fixed(a).part(at, size), Raw::fixed(b).part(at, size));
                compare(ty, a.bytes, b.bytes, structs)
            });
            orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }
        _ => {
            let n =
                |bytes| value::number(ty, Raw::fixed(bytes)).map(|(n, signed)| order(n, signed));
            n(a).cmp(&n(b)).then_with(|| a.cmp(b))
        }
    }
}
