//! Builtins that are values: task, time, registers, strings and the rest.

use super::{
    helper,
    program::{Lower, Restart, VarHome},
    record::{Addr, Blob},
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, Cond, EndianOp, Size},
    ir::{Op, Opnd, Term},
    lang::{
        ast::{Arg, Expr, ExprKind},
        checked::{Point, Res},
    },
    spec::{Arch, Type},
};

/// The value arguments of a call.
pub(super) fn args_of(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Call { args, .. } => args
            .iter()
            .filter_map(|a| if let Arg::Expr(e) = a { Some(e) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}

/// Where a stack's value keeps its depth, if the script asks for that anywhere.
const STACK_DEPTH: u32 = 12;

impl Lower<'_> {
    /// The first argument, which the checker has made sure of.
    fn first<'e>(&self, expr: &Expr, args: &[&'e Expr]) -> Result<&'e Expr, Restart> {
        match args.first() {
            Some(arg) => Ok(arg),
            None => self.fail(expr, "an argument is missing"),
        }
    }

    /// A builtin or a call as a value.
    pub(super) fn builtin(&mut self, expr: &Expr, name: &str) -> Result<Val, Restart> {
        let args = args_of(expr);
        let number = |l: &mut Self, id: u32| l.f.call(id, &[]);
        let n: Opnd = match name {
            "pid" | "tid" => {
                let both = number(self, helper::GET_CURRENT_PID_TGID);
                if name == "pid" {
                    self.f.alu(AluOp::Rsh, both, 32).into()
                } else {
                    self.fit(both.into(), &Type::U32)
                }
            }
            "uid" | "gid" => {
                let both = number(self, helper::GET_CURRENT_UID_GID);
                if name == "gid" {
                    self.f.alu(AluOp::Rsh, both, 32).into()
                } else {
                    self.fit(both.into(), &Type::U32)
                }
            }
            "username" => {
                let both = number(self, helper::GET_CURRENT_UID_GID);
                self.fit(both.into(), &Type::U32)
            }
            "usermode" => {
                // The privilege level of x86-64's code segment, the exception level of aarch64's state.
                let (word, bits, user) = match self.target.arch {
                    Arch::X86_64 => ("cs", 3, Cond::Ne),
                    Arch::Aarch64 => ("pstate", 15, Cond::Eq),
                };
                let Some((_, off)) = self.abi.names.iter().find(|(name, _)| *name == word) else {
                    return self.fail(expr, format!("there is no register `{word}`"));
                };
                let ctx = self.ctx();
                let state = self.f.load(Size::DW, ctx, off.cast_signed());
                let level = self.f.alu(AluOp::And, state, bits);
                self.flag(user, level)
            }
            "cpu" => number(self, helper::GET_SMP_PROCESSOR_ID).into(),
            "rand" => number(self, helper::GET_PRANDOM_U32).into(),
            "cgroup" => number(self, helper::GET_CURRENT_CGROUP_ID).into(),
            "curtask" => {
                let task = number(self, helper::GET_CURRENT_TASK);
                self.mark_kernel(task).into()
            }
            "ctx" => Opnd::Imm(0),
            "numaid" => number(self, helper::GET_NUMA_NODE_ID).into(),
            "jiffies" => number(self, helper::JIFFIES64).into(),
            "ncpus" => Opnd::Imm(i64::from(self.target.cpus)),
            "cpid" => Opnd::Imm(i64::from(self.target.cpid.unwrap_or(0))),
            "has_cpid" => Opnd::Imm(i64::from(self.target.cpid.is_some())),
            "nsecs" => {
                let clock = match args.first().map(|a| &a.kind) {
                    Some(ExprKind::Ident(word)) => word.as_str(),
                    _ => "boot",
                };
                let id = match clock {
                    "boot" => helper::KTIME_GET_BOOT_NS,
                    "monotonic" => helper::KTIME_GET_NS,
                    "coarse" => helper::KTIME_GET_COARSE_NS,
                    "tai" | "sw_tai" if self.target.features.ktime_tai => helper::KTIME_GET_TAI_NS,
                    "tai" | "sw_tai" => {
                        return self.fail(expr, "this kernel has no bpf_ktime_get_tai_ns (6.1)");
                    }
                    other => {
                        return self.fail(expr, format!("nsecs({other}) is not supported yet"));
                    }
                };
                number(self, id).into()
            }
            "elapsed" => {
                let now = number(self, helper::KTIME_GET_BOOT_NS);
                let start = self.f.vreg();
                let map = self.shared.start_time();
                self.f.push(Op::MapValue {
                    dst: start,
                    map,
                    off: 0,
                });
                let then = self.f.load(Size::DW, start, 0);
                self.f.alu(AluOp::Sub, now, then).into()
            }
            "retval" if matches!(self.point.point, Point::Trampoline { .. }) => {
                self.trampoline_result(expr)?
            }
            "retval" => {
                let ctx = self.ctx();
                let v = self.f.load(Size::DW, ctx, self.abi.ret.cast_signed());
                let ty = self.checked.ty(expr).clone();
                self.fit(v.into(), &ty)
            }
            "reg" => {
                let Some(Val::Lit(word)) = args.first().map(|a| self.value(a)).transpose()? else {
                    return self.fail(expr, "reg() takes the name of a register");
                };
                let word = String::from_utf8_lossy(&word).into_owned();
                match self.abi.names.iter().find(|(name, _)| *name == word) {
                    Some((_, off)) => {
                        let ctx = self.ctx();
                        self.f.load(Size::DW, ctx, off.cast_signed()).into()
                    }
                    None => return self.fail(expr, format!("there is no register `{word}`")),
                }
            }
            "uptr" => self.num(self.first(expr, &args)?)?,
            "bswap" => {
                let arg = self.first(expr, &args)?;
                let (size, _) = shape(self.checked.ty(arg));
                let v = self.num(arg)?;
                if size == Size::B {
                    self.fit(v, &Type::U8)
                } else {
                    let dst = self.f.vreg();
                    let bits = u8::try_from(size.bytes() * 8).unwrap_or(64);
                    self.f.push(Op::Endian {
                        op: EndianOp::ToBe,
                        bits,
                        dst,
                        src: v,
                    });
                    dst.into()
                }
            }
            "strftime" => match args.get(1) {
                Some(value) => self.num(value)?,
                None => return self.fail(expr, "strftime() takes a format and a time"),
            },
            "strerror" | "signal_name" | "syscall_name" | "cgroup_path" | "btc" => {
                self.num(self.first(expr, &args)?)?
            }
            "date" => match self.num(self.first(expr, &args)?)? {
                Opnd::Imm(n) => Opnd::Imm(n.wrapping_mul(1_000_000_000)),
                n => self.f.alu(AluOp::Mul, n, 1_000_000_000).into(),
            },
            "delete" | "has_key" => {
                let map = self.first(expr, &args)?;
                let (key, map) = match (&map.kind, args.get(1)) {
                    (_, Some(key)) => (Some(*key), map),
                    (ExprKind::Map { key: Some(key), .. }, None) => (Some(&**key), map),
                    _ => (None, map),
                };
                let result = if name == "delete" {
                    self.delete(map, key)?
                } else {
                    self.has_key(map, key)?
                };
                return Ok(result);
            }
            "strncmp" => return self.strncmp(expr, &args),
            "strlen" => self.strlen(self.first(expr, &args)?)?,
            "strstr" => self.strstr(expr)?,
            "strcontains" => {
                let at = self.strstr(expr)?;
                // What is negative becomes 0, an index 1.
                let sign = self.f.alu(AluOp::Rsh, at, 63);
                self.f.alu(AluOp::Xor, sign, 1).into()
            }
            "memcmp" => self.memcmp(expr)?,
            "len" => return self.len(expr, &args),
            "find" => return self.find(expr, &args),
            "kptr" => {
                let ptr = self.num(self.first(expr, &args)?)?;
                // A register of its own: the pointer may be used without the mark elsewhere.
                let marked = self.f.mov(ptr);
                self.mark_kernel(marked).into()
            }
            "signal" => {
                let arg = self.first(expr, &args)?;
                let sig = match self.value(arg)? {
                    Val::Num(n) => n,
                    Val::Lit(name) => match signal_number(&String::from_utf8_lossy(&name)) {
                        Some(n) => Opnd::Imm(n),
                        None => return self.fail(arg, "there is no signal of that name"),
                    },
                    _ => return self.fail(arg, "signal() takes a number or a name"),
                };
                let ret = self.f.call(helper::SEND_SIGNAL, &[sig]);
                ret.into()
            }
            "signal_thread" => {
                let sig = self.num(self.first(expr, &args)?)?;
                self.f.call(helper::SEND_SIGNAL_THREAD, &[sig]).into()
            }
            "probe" => return Ok(Val::Lit(self.point.name.clone().into_bytes())),
            "probetype" => {
                let kind = self.point.name.split(':').next().unwrap_or("").to_owned();
                return Ok(Val::Lit(kind.into_bytes()));
            }
            _ => {
                let ty = self.checked.ty(expr).clone();
                if ty == Type::Void {
                    self.call_statement(expr, name)?;
                    return Ok(Val::Num(Opnd::Imm(0)));
                }
                if is_number(&ty) {
                    return self.fail(expr, format!("`{name}` is not supported yet"));
                }
                let addr = self.alloc(ty.size(&self.checked.structs))?;
                if self.store_direct(expr, &ty, addr)? {
                    return Ok(Val::Mem(addr));
                }
                return self.fail(expr, format!("`{name}` is not supported yet"));
            }
        };
        Ok(Val::Num(n))
    }

    /// Where the characters of `str(p[, n])` come from: pointer, bytes to read at most (with NUL), and that as a bound.
    pub(super) fn str_source(
        &mut self,
        expr: &Expr,
        size: u32,
    ) -> Result<(Opnd, Opnd, u32), Restart> {
        let args = args_of(expr);
        let ptr = self.num(self.first(expr, &args)?)?;
        let least = u32::from(matches!(
            self.checked.res.get(&expr.id),
            Some(Res::Builtin("str"))
        ));
        let (max, bound) = self.length(args.get(1).copied(), least, size)?;
        Ok((ptr, max, bound))
    }

    /// Whether a call of `str` is given a literal.
    pub(super) fn is_literal_str(&self, expr: &Expr) -> bool {
        let args = args_of(expr);
        let first = args.first().and_then(|arg| self.checked.res.get(&arg.id));
        matches!(first, Some(Res::Str(_)))
    }

    /// A length argument, at least `least` (0 or 1) and at most `size`, and that bound.
    fn length(
        &mut self,
        len: Option<&Expr>,
        least: u32,
        size: u32,
    ) -> Result<(Opnd, u32), Restart> {
        let bound = size.max(1);
        let max = match len {
            None => Opnd::Imm(i64::from(bound)),
            Some(n) => match self.num(n)? {
                Opnd::Imm(n) => Opnd::Imm(n.clamp(i64::from(least), i64::from(bound))),
                Opnd::Reg(n) => {
                    let len = self.f.mov(i64::from(least));
                    let (some, big, fine, on) = (
                        self.f.block(),
                        self.f.block(),
                        self.f.block(),
                        self.f.block(),
                    );
                    self.f.branch(Cond::Eq, n, 0, on, some);
                    self.f.switch_to(some);
                    // What is compared is what is used: the verifier may not know that a copy is as small.
                    let less = self.f.alu(AluOp::Sub, n, 1);
                    self.f.branch(Cond::Ge, less, i64::from(bound), big, fine);
                    self.f.switch_to(big);
                    self.f.set(len, i64::from(bound));
                    self.f.end(Term::Goto(on));
                    self.f.switch_to(fine);
                    let short = self.f.vreg();
                    self.f.push(Op::Ext {
                        dst: short,
                        src: less.into(),
                        from: Size::W,
                        signed: false,
                    });
                    let exact = self.f.alu(AluOp::Add, short, 1);
                    self.f.set(len, exact);
                    self.f.end(Term::Goto(on));
                    self.f.switch_to(on);
                    len.into()
                }
            },
        };
        Ok((max, bound))
    }

    /// A string (or buffer) expression read right into the record; `None` where its value is something else.
    pub(super) fn string_blob(&mut self, expr: &Expr, size: u32) -> Result<Option<Blob>, Restart> {
        self.at(expr.span, |l| l.string_blob_at(expr, size))
    }

    fn string_blob_at(&mut self, expr: &Expr, size: u32) -> Result<Option<Blob>, Restart> {
        match self.checked.res.get(&expr.id) {
            Some(Res::Builtin("str")) => {
                if matches!(
                    args_of(expr).first().map(|a| self.checked.res.get(&a.id)),
                    Some(Some(Res::Str(_)))
                ) {
                    return Ok(None);
                }
                let (ptr, max, bound) = self.str_source(expr, size)?;
                self.read_blob(helper::PROBE_READ_USER_STR, max, bound, ptr)
                    .map(Some)
            }
            Some(Res::Builtin("buf")) => {
                let args = args_of(expr);
                let data = self.first(expr, &args)?;
                let Type::Buf { size } = *self.checked.ty(expr) else {
                    return Ok(None);
                };
                if matches!(self.checked.res.get(&data.id), Some(Res::Str(_))) {
                    return Ok(None);
                }
                let (max, _) = self.length(args.get(1).copied(), 0, size)?;
                match self.value(data)? {
                    Val::Num(ptr) | Val::User(ptr) => self
                        .read_blob(helper::PROBE_READ_USER, max, size, ptr)
                        .map(Some),
                    Val::Mem(addr) => {
                        let ptr = self.addr_reg(addr);
                        self.read_blob(helper::PROBE_READ_KERNEL, max, size, ptr.into())
                            .map(Some)
                    }
                    Val::Lit(_) | Val::Blob(_) => Ok(None),
                }
            }
            Some(Res::Var(var)) => Ok(match self.vars.get(var).copied() {
                Some(VarHome::Blob(at, max)) => Some(Blob { at: at.into(), max }),
                _ => None,
            }),
            _ => Ok(None),
        }
    }

    /// Evaluates calls that write their result to memory themselves; `false` where there is no such way.
    pub(super) fn store_direct(
        &mut self,
        expr: &Expr,
        ty: &Type,
        to: Addr,
    ) -> Result<bool, Restart> {
        self.at(expr.span, |l| l.store_direct_at(expr, ty, to))
    }

    fn store_direct_at(&mut self, expr: &Expr, ty: &Type, to: Addr) -> Result<bool, Restart> {
        let structs = &self.checked.structs;
        let size = ty.size(structs);
        if let ExprKind::Unary {
            op: crate::lang::ast::UnOp::Deref,
            expr: inner,
        } = &expr.kind
            && is_number(ty)
            && ty == self.checked.ty(expr)
        {
            let ptr = self.num(inner)?;
            let dst = self.addr_reg(to);
            let args = vec![dst.into(), Opnd::Imm(i64::from(size)), ptr];
            self.call_read(helper::PROBE_READ_USER, args);
            return Ok(true);
        }
        let Some(Res::Builtin(name)) = self.checked.res.get(&expr.id).cloned() else {
            return Ok(false);
        };
        let args = args_of(expr);
        match (name, ty) {
            ("comm", Type::Str { size }) if *size >= 16 => {
                if !args.is_empty() {
                    return self.fail(expr, "comm() of another process is not supported yet");
                }
                if *size > 16 {
                    self.zero(to, *size)?;
                }
                let dst = self.addr_reg(to);
                let args = vec![dst.into(), Opnd::Imm(16)];
                self.f.push(Op::Call {
                    dst: None,
                    helper: helper::GET_CURRENT_COMM,
                    args,
                });
                Ok(true)
            }
            ("str", Type::Str { size }) => {
                if let Some(arg) = args.first()
                    && let Some(Res::Str(s)) = self.checked.res.get(&arg.id)
                {
                    let mut s = s.clone();
                    if let Some(n) = args.get(1) {
                        match self.num(n)? {
                            Opnd::Imm(n) => s.truncate(usize::try_from(n - 1).unwrap_or(0)),
                            Opnd::Reg(_) => return self.literal_cut(s, *size, n, to),
                        }
                    }
                    self.store_val(Val::Lit(s), ty, ty, to)?;
                    return Ok(true);
                }
                let own = match self.checked.ty(expr) {
                    Type::Str { size: own } => (*own).min(*size),
                    _ => *size,
                };
                self.zero(to, *size)?;
                let (ptr, max, _) = self.str_source(expr, own)?;
                let dst = self.addr_reg(to);
                let args = vec![dst.into(), max, ptr];
                self.call_read(helper::PROBE_READ_USER_STR, args);
                Ok(true)
            }
            ("buf", Type::Buf { size }) => {
                let size = *size;
                let data = self.first(expr, &args)?;
                if !is_number(self.checked.ty(data)) {
                    return self.buf_of_bytes(data, args.get(1).copied(), size, to);
                }
                self.zero(to, size + 4)?;
                let (ptr, max, _) = self.str_source(expr, size)?;
                self.store_at(to, Size::W, max);
                let dst = self.addr_reg(to.plus(4));
                let args = vec![dst.into(), max, ptr];
                self.call_read(helper::PROBE_READ_USER, args);
                Ok(true)
            }
            ("str_concat", Type::Str { size }) => {
                self.concat(expr, to, *size)?;
                Ok(true)
            }
            ("ksym", Type::Sym { .. }) => {
                let addr = self.num(self.first(expr, &args)?)?;
                self.store_at(to, Size::DW, addr);
                self.store_at(to.plus(8), Size::DW, Opnd::Imm(0));
                Ok(true)
            }
            ("path", Type::Str { size }) => {
                let size = *size;
                self.zero(to, size)?;
                self.path(self.first(expr, &args)?, to, size)?;
                Ok(true)
            }
            ("func", Type::Sym { user: false }) => {
                let addr = self.traced_function(expr)?;
                self.store_at(to, Size::DW, addr);
                self.store_at(to.plus(8), Size::DW, Opnd::Imm(0));
                Ok(true)
            }
            ("usym" | "func" | "uaddr", Type::Sym { .. }) => {
                let addr: Opnd = match args.first() {
                    Some(arg) => self.num(arg)?,
                    // At its return the function is not where the thread stands.
                    None if matches!(
                        self.point.point,
                        crate::lang::checked::Point::Uprobe { ret: true, .. }
                    ) =>
                    {
                        let ctx = self.ctx();
                        self.f.call(helper::GET_FUNC_IP, &[ctx.into()]).into()
                    }
                    None => {
                        let ctx = self.ctx();
                        self.f.load(Size::DW, ctx, self.abi.ip.cast_signed()).into()
                    }
                };
                self.store_at(to, Size::DW, addr);
                let both = self.f.call(helper::GET_CURRENT_PID_TGID, &[]);
                let pid = self.f.alu(AluOp::Rsh, both, 32);
                self.store_at(to.plus(8), Size::W, pid.into());
                let index = i64::try_from(self.index).unwrap_or(0);
                self.store_at(to.plus(12), Size::W, Opnd::Imm(index));
                Ok(true)
            }
            ("dw_ustack", Type::Stack { depth, .. }) => {
                let (id, depth) = self.walked_stack(expr, *depth)?;
                self.store_at(to, Size::W, id);
                let both = self.f.call(helper::GET_CURRENT_PID_TGID, &[]);
                let pid = self.f.alu(AluOp::Rsh, both, 32);
                self.store_at(to.plus(4), Size::W, pid.into());
                let index = i64::try_from(self.index).unwrap_or(0);
                self.store_at(to.plus(8), Size::W, Opnd::Imm(index));
                self.store_at(to.plus(STACK_DEPTH), Size::W, depth);
                Ok(true)
            }
            ("ustack" | "kstack", Type::Stack { user, .. }) => {
                let (ctx, map) = (self.ctx(), self.f.vreg());
                let index = self.shared.stacks(self.checked.config.max_map_keys);
                self.f.push(Op::Map {
                    dst: map,
                    map: index,
                });
                let flags = if *user { helper::USER_STACK } else { 0 };
                let id = self.f.call(
                    helper::GET_STACKID,
                    &[ctx.into(), map.into(), Opnd::Imm(flags)],
                );
                self.store_at(to, Size::W, id.into());
                let both = self.f.call(helper::GET_CURRENT_PID_TGID, &[]);
                let pid = self.f.alu(AluOp::Rsh, both, 32);
                self.store_at(to.plus(4), Size::W, pid.into());
                let index = i64::try_from(self.index).unwrap_or(0);
                self.store_at(to.plus(8), Size::W, Opnd::Imm(index));
                let depth = match self.usage.stack_depths {
                    true => self.depth(ty)?,
                    false => Opnd::Imm(0),
                };
                self.store_at(to.plus(STACK_DEPTH), Size::W, depth);
                Ok(true)
            }
            ("macaddr", Type::Mac) => {
                match self.value(self.first(expr, &args)?)? {
                    Val::Num(ptr) | Val::User(ptr) => {
                        let dst = self.addr_reg(to);
                        let args = vec![dst.into(), Opnd::Imm(6), ptr];
                        self.call_read(helper::PROBE_READ_USER, args);
                    }
                    Val::Mem(addr) => self.copy(addr, to, 6),
                    Val::Lit(mut s) => {
                        s.resize(6, 0);
                        self.store_bytes(to, &s);
                    }
                    _ => return self.fail(expr, "macaddr() takes an address"),
                }
                Ok(true)
            }
            ("hash256", Type::Hash) => {
                match self.value(self.first(expr, &args)?)? {
                    Val::Num(ptr) | Val::User(ptr) => {
                        let dst = self.addr_reg(to);
                        let args = vec![dst.into(), Opnd::Imm(32), ptr];
                        self.call_read(helper::PROBE_READ_USER, args);
                    }
                    _ => return self.fail(expr, "hash256() takes an address"),
                }
                Ok(true)
            }
            ("ntop", Type::Inet) => {
                let (family, addr) = match args.as_slice() {
                    [addr] => (None, *addr),
                    [family, addr, ..] => (Some(*family), *addr),
                    [] => return self.fail(expr, "ntop() takes an address"),
                };
                self.zero(to, 24)?;
                let addr_size = self.checked.ty(addr).size(&self.checked.structs);
                let family = match family {
                    Some(f) => self.num(f)?,
                    None if addr_size == 16 => Opnd::Imm(10),
                    None => Opnd::Imm(2),
                };
                self.store_at(to, Size::DW, family);
                match self.value(addr)? {
                    Val::Num(n) => self.store_at(to.plus(8), Size::W, n),
                    Val::Mem(from) => self.copy(from, to.plus(8), addr_size.min(16)),
                    Val::Lit(mut s) => {
                        s.resize(addr_size.min(16) as usize, 0);
                        self.store_bytes(to.plus(8), &s);
                    }
                    Val::User(ptr) => {
                        let dst = self.addr_reg(to.plus(8));
                        let args = vec![dst.into(), Opnd::Imm(i64::from(addr_size.min(16))), ptr];
                        self.call_read(helper::PROBE_READ_USER, args);
                    }
                    _ => return self.fail(expr, "ntop() takes an address"),
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// `str("text", n)`: the text's first `n - 1` bytes.
    fn literal_cut(
        &mut self,
        mut text: Vec<u8>,
        size: u32,
        n: &Expr,
        to: Addr,
    ) -> Result<bool, Restart> {
        text.resize(size as usize, 0);
        let from = self.alloc(size)?;
        self.store_bytes(from, &text);
        self.zero(to, size)?;
        let (len, _) = self.length(Some(n), 1, size)?;
        let (dst, src) = (self.addr_reg(to), self.addr_reg(from));
        self.f.push(Op::Call {
            dst: None,
            helper: helper::PROBE_READ_KERNEL_STR,
            args: vec![dst.into(), len, src.into()],
        });
        Ok(true)
    }

    /// `buf()` of bytes that are in BPF memory: length, then the bytes.
    fn buf_of_bytes(
        &mut self,
        data: &Expr,
        len: Option<&Expr>,
        size: u32,
        to: Addr,
    ) -> Result<bool, Restart> {
        let ty = self.checked.ty(data).clone();
        let have = ty.size(&self.checked.structs);
        let val = self.value(data)?;
        self.zero(to, size + 4)?;
        let most = match &val {
            Val::Lit(s) => u32::try_from(s.len()).unwrap_or(0),
            _ => have,
        };
        let most = most.min(size);
        let len = match len {
            None => Opnd::Imm(i64::from(most)),
            Some(_) => self.length(len, 0, size)?.0,
        };
        self.store_at(to, Size::W, len);
        match val {
            Val::Lit(s) => {
                let s = s.get(..most as usize).unwrap_or_default().to_vec();
                self.store_bytes(to.plus(4), &s);
            }
            Val::User(ptr) | Val::Num(ptr) => {
                let dst = self.addr_reg(to.plus(4));
                let args = vec![dst.into(), Opnd::Imm(i64::from(most)), ptr];
                self.call_read(helper::PROBE_READ_USER, args);
            }
            val => {
                let from = self.in_memory(val, &ty)?;
                self.copy(from, to.plus(4), most);
            }
        }
        Ok(true)
    }

    /// `find(@m, key, $v)`: whether there is one, and its value.
    fn find(&mut self, expr: &Expr, args: &[&Expr]) -> Result<Val, Restart> {
        let [map, key, var] = args else {
            return self.fail(expr, "find() takes a map, a key and a variable");
        };
        self.find_entry(expr, map, key, var)
    }

    /// `len(@m)`: number of elements. `len(stack)`: number of frames.
    fn len(&mut self, expr: &Expr, args: &[&Expr]) -> Result<Val, Restart> {
        let arg = self.first(expr, args)?;
        match (&arg.kind, self.checked.res.get(&arg.id)) {
            (ExprKind::Map { key: None, .. }, Some(Res::Map(map)))
                if !matches!(self.checked.ty(arg), Type::Stack { .. }) =>
            {
                let map = *map;
                self.count_elements(expr, map)
            }
            (_, Some(Res::Builtin("ustack" | "kstack"))) => {
                let ty = self.checked.ty(arg).clone();
                self.depth(&ty).map(Val::Num)
            }
            _ => {
                let ty = self.checked.ty(arg).clone();
                let val = self.value(arg)?;
                let addr = self.in_memory(val, &ty)?;
                let depth = self.load_at(addr.plus(STACK_DEPTH), Size::W, false);
                Ok(Val::Num(depth.into()))
            }
        }
    }

    /// Frames of the stack here, as many as its type takes.
    fn depth(&mut self, ty: &Type) -> Result<Opnd, Restart> {
        let Type::Stack { user, depth, .. } = *ty else {
            return Ok(Opnd::Imm(0));
        };
        // Frames are 8 bytes each; an error is less than none.
        let bytes = depth.min(127) * 8;
        if bytes == 0 {
            return Ok(Opnd::Imm(0));
        }
        let buf = self.alloc(bytes)?;
        let (ctx, dst) = (self.ctx(), self.addr_reg(buf));
        let flags = if user { helper::USER_STACK } else { 0 };
        let args = [
            ctx.into(),
            dst.into(),
            Opnd::Imm(i64::from(bytes)),
            Opnd::Imm(flags),
        ];
        let ret = self.f.call(helper::GET_STACK, &args);
        let none = self.f.alu(AluOp::Arsh, ret, 63);
        let mask = self.f.alu(AluOp::Xor, none, -1);
        let bytes = self.f.alu(AluOp::And, ret, mask);
        Ok(self.f.alu(AluOp::Rsh, bytes, 3).into())
    }

    /// `strncmp(a, b, n)`: 0 when the first `n` bytes are the same, 1 when not.
    fn strncmp(&mut self, expr: &Expr, args: &[&Expr]) -> Result<Val, Restart> {
        let [a, b, n] = args else {
            return self.fail(expr, "strncmp() takes two strings and a length");
        };
        let Opnd::Imm(n) = self.num(n)? else {
            return self.fail(
                expr,
                "the length of strncmp() must be known when the script is compiled",
            );
        };
        let (ta, tb) = (self.checked.ty(a).clone(), self.checked.ty(b).clone());
        let (Type::Str { size: sa }, Type::Str { size: sb }) = (&ta, &tb) else {
            return self.fail(expr, "strncmp() takes two strings");
        };
        let n = u32::try_from(n).unwrap_or(0).min(*sa).min(*sb);
        let (va, vb) = (self.value(a)?, self.value(b)?);
        let (va, lit) = match (va, vb) {
            (Val::Lit(x), Val::Lit(y)) => {
                let cut = |s: Vec<u8>| {
                    let end = s.iter().position(|b| *b == 0).unwrap_or(s.len());
                    s[..end.min(n as usize)].to_vec()
                };
                return Ok(Val::Num(Opnd::Imm(i64::from(cut(x) != cut(y)))));
            }
            (Val::Lit(x), other) => ((other, &tb), Some(x)),
            (other, Val::Lit(y)) => ((other, &ta), Some(y)),
            (x, y) => {
                let (x, y) = (self.in_memory(x, &ta)?, self.in_memory(y, &tb)?);
                return Ok(Val::Num(self.strncmp_bytes(x, y, n)?));
            }
        };
        let dst = self.f.mov(0);
        let (differ, done) = (self.f.block(), self.f.block());
        let mut want = lit.unwrap_or_default();
        want.push(0);
        want.truncate(n as usize);
        let addr = self.in_memory(va.0, va.1)?;
        self.differ_unless(addr, &want, differ);
        Ok(self.close_strncmp(dst, differ, done))
    }

    fn close_strncmp(
        &mut self,
        dst: crate::ir::VReg,
        differ: crate::ir::BlockId,
        done: crate::ir::BlockId,
    ) -> Val {
        self.f.end(Term::Goto(done));
        self.f.switch_to(differ);
        self.f.set(dst, 1);
        self.f.end(Term::Goto(done));
        self.f.switch_to(done);
        Val::Num(dst.into())
    }
}

/// Number of a signal by name, with or without `SIG` (`include/uapi/asm-generic/signal.h`).
fn signal_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|n| *n == short)
        .and_then(|i| i64::try_from(i + 1).ok())
}
