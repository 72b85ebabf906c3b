//! Keys that end with a string: short ones have a map of their own ([`crate::spec::ShortKeys`]).

use super::{
    helper,
    map::{Key, KeyedMap},
    program::{Lower, Restart},
    record::Addr,
    usage::{each_expr_of, has_loops},
    value::Val,
};
use crate::{
    asm::{Cond, Size},
    ir::{Op, Opnd, Term},
    lang::{
        ast::{Arg, Expr, ExprKind},
        checked::{Checked, MapId, MapInfo, Res},
    },
    spec::{SHORT_STRING, ShortKeys, Type},
};
use std::collections::BTreeSet;

/// Functions that take a map by its name and do not walk it in the kernel.
const BY_KEY: &[&str] = &["print", "clear", "zero", "delete", "has_key", "find"];

/// For each map of the script that has another one for short keys: where in a key its string begins.
///
/// Maps that the script walks have none, nor those of a declared kind and size. Nor those that a probe with loops uses:
/// a key that may be in either of two maps parts the verifier's way once more in each turn.
pub(super) fn maps(checked: &Checked) -> Vec<Option<u32>> {
    let walked = walked(checked);
    let string = |(index, info): (usize, &MapInfo)| {
        if info.kind.is_some() || walked.contains(&index) {
            return None;
        }
        let long = |ty: &Type| matches!(ty, Type::Str { size } if *size > 2 * SHORT_STRING);
        match info.key.as_ref()? {
            ty @ Type::Str { .. } => long(ty).then_some(0),
            ty @ Type::Tuple(parts) => {
                let (last, rest) = parts.split_last()?;
                let ends = long(last) && !rest.iter().any(long);
                let offset = ty.offsets(&checked.structs).last().copied();
                offset.filter(|_| ends)
            }
            _ => None,
        }
    };
    checked.maps.iter().enumerate().map(string).collect()
}

/// Maps that are named as a whole where not only their entries are meant, or in a probe with loops.
fn walked(checked: &Checked) -> BTreeSet<usize> {
    let (mut named, mut harmless) = (Vec::new(), BTreeSet::new());
    for probe in &checked.probes {
        let loops = has_loops(&probe.body);
        each_expr_of(
            probe,
            &mut |expr| match (&expr.kind, checked.res.get(&expr.id)) {
                (ExprKind::Map { key, .. }, Some(Res::Map(map))) if loops || key.is_none() => {
                    let id = (!loops).then_some(expr.id);
                    named.push((id, map.0 as usize));
                }
                (ExprKind::Call { name, args, .. }, _) if BY_KEY.contains(&name.text.as_str()) => {
                    if let Some(Arg::Expr(first)) = args.first() {
                        harmless.insert(first.id);
                    }
                }
                _ => {}
            },
        );
    }
    named.retain(|(id, _)| id.is_none_or(|id| !harmless.contains(&id)));
    named.into_iter().map(|(_, map)| map).collect()
}

impl Lower<'_> {
    /// A whole key in memory.
    pub(super) fn key_at(&mut self, map: MapId, addr: Addr) -> Key {
        let at = self.addr_reg(addr);
        let Some((short, keys)) = self.shared.short[map.0 as usize] else {
            return Key::whole(map, at);
        };
        // A string is padded with zeros.
        let last = self.load_at(addr.plus(keys.string + SHORT_STRING - 2), Size::B, false);
        let (cut, long) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Eq, last, 0, cut, long);
        self.choose(map, short, at, (cut, long), |_| Ok(()))
            .unwrap_or(Key::whole(map, at))
    }

    /// Evaluates a key that ends with a string, to `addr`. A short string is written without the zeros that pad it.
    pub(super) fn key_with_string(
        &mut self,
        map: MapId,
        (short, keys): (u32, ShortKeys),
        key: &Expr,
        ty: &Type,
        addr: Addr,
    ) -> Result<Key, Restart> {
        let parts = match (&key.kind, ty) {
            (_, Type::Str { .. }) => Some((&[][..], key, &[][..])),
            (ExprKind::Tuple(items), Type::Tuple(types))
                if !self.checked.res.contains_key(&key.id) =>
            {
                items
                    .split_last()
                    .map(|(last, rest)| (rest, last, &types[..rest.len()]))
            }
            _ => None,
        };
        let Some((rest, string, types)) = parts else {
            self.store_into(key, ty, addr)?;
            return Ok(self.key_at(map, addr));
        };
        if !types.is_empty() {
            self.clear_padding(ty, addr);
        }
        for ((item, ty), off) in rest
            .iter()
            .zip(types)
            .zip(ty.offsets(&self.checked.structs))
        {
            self.store_into(item, ty, addr.plus(off))?;
        }
        self.at(string.span, |l| {
            l.string_of_key(map, short, string, addr, keys)
        })
    }

    fn string_of_key(
        &mut self,
        map: MapId,
        short: u32,
        string: &Expr,
        addr: Addr,
        keys: ShortKeys,
    ) -> Result<Key, Restart> {
        let (at, to) = (self.addr_reg(addr), addr.plus(keys.string));
        let size = match &self.info(map).key {
            Some(Type::Tuple(parts)) => parts.last().map_or(0, |ty| ty.size(&self.checked.structs)),
            Some(ty) => ty.size(&self.checked.structs),
            None => 0,
        };
        let ty = Type::Str { size };
        let own = self
            .checked
            .ty(string)
            .size(&self.checked.structs)
            .min(size);
        let (helper, max, from) = match self.checked.res.get(&string.id).cloned() {
            Some(Res::Str(text)) => {
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                if text.len() + 2 <= SHORT_STRING as usize {
                    let mut bytes = text.to_vec();
                    bytes.resize(SHORT_STRING as usize, 0);
                    self.store_bytes(to, &bytes);
                    let map = KeyedMap::Known(short);
                    return Ok(Key { at, map });
                }
                self.store_into(string, &ty, to)?;
                return Ok(Key::whole(map, at));
            }
            Some(Res::Builtin("str")) if !self.is_literal_str(string) => {
                let (from, max, _) = self.str_source(string, own)?;
                (helper::PROBE_READ_USER_STR, max, from)
            }
            Some(Res::Var(_)) => match self.value(string)? {
                Val::Mem(from) => {
                    let from = self.addr_reg(from).into();
                    let own = Opnd::Imm(i64::from(own));
                    (helper::PROBE_READ_KERNEL_STR, own, from)
                }
                other => {
                    let from = self.checked.ty(string).clone();
                    self.store_val(other, &from, &ty, to)?;
                    return Ok(self.key_at(map, addr));
                }
            },
            _ => (0, Opnd::Imm(0), Opnd::Imm(0)),
        };
        let Opnd::Imm(most) = max else {
            self.zero(to, size)?;
            let dst = self.addr_reg(to);
            self.call_read(helper, vec![dst.into(), max, from]);
            return Ok(self.key_at(map, addr));
        };
        if most == 0 {
            self.store_into(string, &ty, to)?;
            return Ok(self.key_at(map, addr));
        }
        // Most are short: what is behind the first bytes is looked at only where these are full.
        self.store_bytes(to, &[0; SHORT_STRING as usize]);
        let dst = self.addr_reg(to);
        let first = Opnd::Imm(most.min(i64::from(SHORT_STRING)));
        let len = self.call_read(helper, vec![dst.into(), first, from]);
        let (cut, long) = (self.f.block(), self.f.block());
        self.f
            .branch(Cond::Slt, len, i64::from(SHORT_STRING), cut, long);
        self.choose(map, short, at, (cut, long), |l| {
            l.zero(to, size)?;
            let dst = l.addr_reg(to);
            l.call_read(helper, vec![dst.into(), max, from]);
            Ok(())
        })
    }

    /// The key with its map, which two blocks decide on; `long` does what a long key needs besides.
    fn choose(
        &mut self,
        map: MapId,
        short: u32,
        at: crate::ir::VReg,
        (cut, long): (crate::ir::BlockId, crate::ir::BlockId),
        then: impl FnOnce(&mut Self) -> Result<(), Restart>,
    ) -> Result<Key, Restart> {
        let (chosen, on) = (self.f.vreg(), self.f.block());
        self.f.switch_to(long);
        then(self)?;
        self.f.push(Op::Map {
            dst: chosen,
            map: map.0,
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(cut);
        self.f.push(Op::Map {
            dst: chosen,
            map: short,
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        let map = KeyedMap::Chosen(chosen);
        Ok(Key { at, map })
    }
}
