//! Strings and bytes at run time: length, search, comparison, joining, elements by a computed index.

use super::{
    call::args_of,
    helper,
    program::{Lower, Restart},
    record::Addr,
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::{BlockId, Op, Opnd, Term, VReg},
    lang::{ast::Expr, checked::Res},
    spec::{FaultKind, Type},
};

/// Turns of a search that the verifier may walk one by one, outside of other loops.
const WALKED: u32 = 4;

impl Lower<'_> {
    /// `for (i = 0; i < count; i++) body(i)`: `body` may jump to its second argument for the next turn. What comes
    /// after the loop is current afterwards, and its block is given to `body` too.
    pub(super) fn counted(
        &mut self,
        count: u32,
        body: impl FnOnce(&mut Self, VReg, BlockId, BlockId) -> Result<(), Restart>,
    ) -> Result<VReg, Restart> {
        // A counter that starts at a number the verifier knows makes it walk each turn.
        let inside = !self.loops.is_empty();
        let hidden = self.target.features.may_goto && (inside || count > WALKED);
        let i = if hidden {
            let zero = self.unknown_zero();
            self.f.mov(zero)
        } else {
            self.f.mov(0)
        };
        let (head, go, next, done) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f.end(Term::Goto(head));
        self.f.switch_to(head);
        if hidden {
            let inside = self.f.block();
            self.f.end(Term::MayGoto {
                go: inside,
                stop: done,
            });
            self.f.switch_to(inside);
        }
        self.f.branch(Cond::Lt, i, i64::from(count), go, done);
        self.f.switch_to(go);
        body(self, i, next, done)?;
        self.f.end(Term::Goto(next));
        self.f.switch_to(next);
        self.add_assign(i, 1);
        self.f.end(Term::Goto(head));
        self.f.switch_to(done);
        self.forget_settled(i);
        Ok(i)
    }

    /// A 0 of which the verifier knows only that it is a number: a word of a map that is never written.
    pub(super) fn unknown_zero(&mut self) -> Opnd {
        if let Some(base) = self.scratch {
            return self.f.load(Size::DW, base, super::record::ZERO).into();
        }
        let (map, at) = (self.shared.zero(), self.f.vreg());
        self.f.push(Op::MapValue {
            dst: at,
            map,
            off: 0,
        });
        self.f.load(Size::DW, at, 0).into()
    }

    /// Makes the verifier forget what it knows of a number.
    pub(super) fn forget(&mut self, reg: VReg) {
        let zero = self.unknown_zero();
        self.f.push(Op::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: reg,
            a: reg.into(),
            b: zero,
        });
    }

    /// Where things are settled: what a loop found is a number like any other.
    fn forget_settled(&mut self, reg: VReg) {
        if self.plan.settled {
            self.forget(reg);
        }
    }

    /// Byte `i` after `base`; the caller has compared `i` with the size.
    fn byte(&mut self, base: Addr, i: VReg) -> VReg {
        let at = self.f.alu(AluOp::Add, base.base, i);
        self.load_at(
            Addr {
                base: at,
                off: base.off,
            },
            Size::B,
            false,
        )
    }

    /// An argument that is a run of bytes, in BPF memory, with its size. Pointers are read from the process: strings
    /// up to their NUL, or `want` bytes.
    fn bytes_of(&mut self, expr: &Expr, want: Option<u32>) -> Result<(Addr, u32), Restart> {
        let ty = self.checked.ty(expr).clone();
        let value = self.value(expr)?;
        match (&ty, value) {
            (_, Val::Lit(mut s)) => {
                s.push(0);
                let size = u32::try_from(s.len()).unwrap_or(u32::MAX);
                let to = self.alloc(size)?;
                self.store_bytes(to, &s);
                Ok((to, size))
            }
            (Type::Ptr(_), Val::Num(ptr) | Val::User(ptr)) => {
                let size = want.unwrap_or(self.checked.config.max_strlen).max(1);
                let to = self.alloc(size)?;
                self.zero(to, size)?;
                let dst = self.addr_reg(to);
                let helper = match want {
                    Some(_) => helper::PROBE_READ_USER,
                    None => helper::PROBE_READ_USER_STR,
                };
                let args = vec![dst.into(), Opnd::Imm(i64::from(size)), ptr];
                self.call_read(helper, args);
                Ok((to, size))
            }
            (Type::Buf { size }, value) => {
                let addr = self.in_memory(value, &ty)?;
                Ok((addr.plus(4), *size))
            }
            (_, value) => {
                let size = ty.size(&self.checked.structs);
                let addr = self.in_memory(value, &ty)?;
                Ok((addr, size))
            }
        }
    }

    /// `strlen(s)`.
    pub(super) fn strlen(&mut self, arg: &Expr) -> Result<Opnd, Restart> {
        if let Some(Res::Str(s)) = self.checked.res.get(&arg.id) {
            let len = s.iter().position(|b| *b == 0).unwrap_or(s.len());
            return Ok(Opnd::Imm(i64::try_from(len).unwrap_or(0)));
        }
        let (addr, size) = self.bytes_of(arg, None)?;
        let len = self.counted(size, |l, i, next, done| {
            let b = l.byte(addr, i);
            l.f.branch(Cond::Ne, b, 0, next, done);
            Ok(())
        })?;
        Ok(len.into())
    }

    /// `strstr(hay, needle)`: index, or -2 (ENOENT) as the kernel's `bpf_strstr` has it.
    pub(super) fn strstr(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        let args = args_of(expr);
        let [hay, needle] = args[..] else {
            return self.fail(expr, "two strings are needed");
        };
        let (h, hs) = self.bytes_of(hay, None)?;
        let (n, ns) = self.bytes_of(needle, None)?;
        if u64::from(hs) * u64::from(ns) > 64 && !self.target.features.may_goto {
            return self.fail(
                expr,
                "searching strings of this size needs a kernel with may_goto (6.9)",
            );
        }
        let found = self.f.mov(-2);
        self.counted(hs, |l, i, next, done| {
            let (hit, miss) = (l.f.block(), l.f.block());
            l.counted(ns, |l, j, next, _| {
                let (more, inside, compare) = (l.f.block(), l.f.block(), l.f.block());
                let want = l.byte(n, j);
                l.f.branch(Cond::Eq, want, 0, hit, more);
                l.f.switch_to(more);
                let at = l.f.alu(AluOp::Add, i, j);
                l.f.branch(Cond::Lt, at, i64::from(hs), inside, miss);
                l.f.switch_to(inside);
                let got = l.byte(h, at);
                l.f.end(Term::Goto(compare));
                l.f.switch_to(compare);
                l.f.branch(Cond::Eq, got, want, next, miss);
                Ok(())
            })?;
            // The needle ended without a NUL: all of it was there.
            l.f.end(Term::Goto(hit));
            l.f.switch_to(hit);
            l.f.set(found, i);
            l.f.end(Term::Goto(done));
            l.f.switch_to(miss);
            // The verifier may have given up the bounds of `i` in the loop inside.
            let bounded = l.f.block();
            l.f.branch(Cond::Lt, i, i64::from(hs), bounded, done);
            l.f.switch_to(bounded);
            let b = l.byte(h, i);
            l.f.branch(Cond::Ne, b, 0, next, done);
            Ok(())
        })?;
        self.forget_settled(found);
        Ok(found.into())
    }

    /// Difference of the first bytes that differ among `count`, or 0; stops behind a NUL where `strings`.
    fn differ(&mut self, a: Addr, b: Addr, count: u32, strings: bool) -> Result<VReg, Restart> {
        let dst = self.f.mov(0);
        self.counted(count, |l, i, next, done| {
            let (x, y) = (l.byte(a, i), l.byte(b, i));
            let (same, other) = (l.f.block(), l.f.block());
            l.f.branch(Cond::Eq, x, y, same, other);
            l.f.switch_to(other);
            let delta = l.f.alu(AluOp::Sub, x, y);
            l.f.set(dst, delta);
            l.f.end(Term::Goto(done));
            l.f.switch_to(same);
            if strings {
                l.f.branch(Cond::Eq, x, 0, done, next);
            } else {
                l.f.end(Term::Goto(next));
            }
            Ok(())
        })?;
        self.forget_settled(dst);
        Ok(dst)
    }

    /// Jumps by whether two strings of at most `size` bytes are the same; the current block is closed afterwards.
    pub(super) fn same_strings(
        &mut self,
        a: Addr,
        b: Addr,
        size: u32,
        same: BlockId,
        differ: BlockId,
    ) -> Result<(), Restart> {
        let delta = self.differ(a, b, size, true)?;
        self.f.branch(Cond::Eq, delta, 0, same, differ);
        Ok(())
    }

    /// Jumps by whether `size` bytes are the same; the current block is closed afterwards.
    pub(super) fn same_bytes(
        &mut self,
        a: Addr,
        b: Addr,
        size: u32,
        same: BlockId,
        differ: BlockId,
    ) -> Result<(), Restart> {
        let delta = self.differ(a, b, size, false)?;
        self.f.branch(Cond::Eq, delta, 0, same, differ);
        Ok(())
    }

    /// `strncmp(a, b, n)` of two strings in memory: 0 or 1.
    pub(super) fn strncmp_bytes(&mut self, a: Addr, b: Addr, n: u32) -> Result<Opnd, Restart> {
        let delta = self.differ(a, b, n, true)?;
        Ok(self.flag(Cond::Ne, delta))
    }

    /// `memcmp(a, b, n)`.
    pub(super) fn memcmp(&mut self, expr: &Expr) -> Result<Opnd, Restart> {
        let args = args_of(expr);
        let [left, right, count] = args[..] else {
            return self.fail(expr, "memcmp() takes two values and a length");
        };
        let count = self.num(count)?;
        let want = match count {
            Opnd::Imm(n) => u32::try_from(n).unwrap_or(0),
            Opnd::Reg(_) => self.checked.config.max_strlen,
        };
        let (a, sa) = self.bytes_of(left, Some(want))?;
        let (b, sb) = self.bytes_of(right, Some(want))?;
        let most = want.min(sa).min(sb);
        if let Opnd::Imm(_) = count {
            return Ok(self.differ(a, b, most, false)?.into());
        }
        let dst = self.f.mov(0);
        let limit = self.f.mov(count);
        self.counted(most, |l, i, next, done| {
            let (go, other) = (l.f.block(), l.f.block());
            l.f.branch(Cond::Lt, i, limit, go, done);
            l.f.switch_to(go);
            let (x, y) = (l.byte(a, i), l.byte(b, i));
            l.f.branch(Cond::Eq, x, y, next, other);
            l.f.switch_to(other);
            let delta = l.f.alu(AluOp::Sub, x, y);
            l.f.set(dst, delta);
            l.f.end(Term::Goto(done));
            Ok(())
        })?;
        Ok(dst.into())
    }

    /// `str_concat(a, b)` into memory of `size` bytes.
    pub(super) fn concat(&mut self, expr: &Expr, to: Addr, size: u32) -> Result<(), Restart> {
        let args = args_of(expr);
        let [left, right] = args[..] else {
            return self.fail(expr, "str_concat() takes two strings");
        };
        let (a, sa) = self.bytes_of(left, None)?;
        let (b, sb) = self.bytes_of(right, None)?;
        self.zero(to, size)?;
        let first = sa.min(size);
        let (dst, src) = (self.addr_reg(to), self.addr_reg(a));
        let args = [dst.into(), Opnd::Imm(i64::from(first)), src.into()];
        let ret = self.f.call(helper::PROBE_READ_KERNEL_STR, &args);
        let (copied, fits, on) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Sgt, ret, 0, copied, on);
        self.f.switch_to(copied);
        self.f.branch(Cond::Gt, ret, i64::from(first), on, fits);
        self.f.switch_to(fits);
        let room = sb.min(size + 1 - first);
        let end = self.f.alu(AluOp::Add, dst, ret);
        let end = self.f.alu(AluOp::Add, end, -1);
        let src = self.addr_reg(b);
        self.f.push(Op::Call {
            dst: None,
            helper: helper::PROBE_READ_KERNEL_STR,
            args: vec![end.into(), Opnd::Imm(i64::from(room)), src.into()],
        });
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// Element `index` of `len` elements in memory; zeros where it is outside.
    pub(super) fn element_at(
        &mut self,
        base: Addr,
        index: Opnd,
        len: u32,
        elem: &Type,
    ) -> Result<Val, Restart> {
        let size = elem.size(&self.checked.structs);
        let i = self.f.mov(index);
        let (inside, outside, on) = (self.f.block(), self.f.block(), self.f.block());
        let own = if is_number(elem) {
            None
        } else {
            Some(self.alloc(size)?)
        };
        let dst = self.f.vreg();
        self.f.branch(Cond::Lt, i, i64::from(len), inside, outside);
        self.f.switch_to(inside);
        let off = match size {
            1 => i,
            _ => self.f.alu(AluOp::Mul, i, i64::from(size)),
        };
        // The product may have been computed before the comparison: the verifier wants it compared too.
        let bounded = self.f.block();
        let last = i64::from(size) * i64::from(len.saturating_sub(1));
        self.f.branch(Cond::Le, off, last, bounded, outside);
        self.f.switch_to(bounded);
        let at = self.f.alu(AluOp::Add, base.base, off);
        if self.on_stack.contains(&base.base) {
            self.on_stack.insert(at);
        }
        let from = Addr {
            base: at,
            off: base.off,
        };
        match own {
            None => {
                let (size, signed) = shape(elem);
                let v = self.load_at(from, size, signed);
                self.f.set(dst, v);
            }
            Some(own) => self.copy(from, own, size),
        }
        self.f.end(Term::Goto(on));
        self.f.switch_to(outside);
        if let Some(span) = self.f.span() {
            self.count_fault(FaultKind::Bounds, span, Opnd::Imm(0));
        }
        match own {
            None => self.f.set(dst, 0),
            Some(own) => self.zero(own, size)?,
        }
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(match own {
            None => Val::Num(dst.into()),
            Some(own) => Val::Mem(own),
        })
    }
}
