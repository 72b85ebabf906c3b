//! Calls that print or act in user space: each becomes an action of the record.

use super::{
    call::args_of,
    helper,
    program::{Lower, Restart},
    record::{Addr, Blob},
    shared::is_cell,
    value::{Val, is_number, shape},
};
use crate::{
    asm::{AluOp, Size},
    ir::Opnd,
    lang::{
        ast::{Expr, ExprKind},
        checked::Res,
    },
    spec::{Action, FaultKind, Field, Type},
};

/// Strings up to this size stand in the group itself, zero-padded.
const INLINE_MAX: u32 = 32;

/// An argument, evaluated as far as it must be before the group is open.
enum Ready {
    Number(Opnd, Type),
    Blob(Blob, Type),
    Bytes(Vec<u8>),
    Memory(Addr, Type),
    /// Written straight to its place in the group.
    Later(Type),
}

impl Lower<'_> {
    /// A call that stands as a statement.
    pub(super) fn call_statement(&mut self, expr: &Expr, name: &str) -> Result<(), Restart> {
        let args = args_of(expr);
        match name {
            "printf" | "errorf" | "warnf" => {
                let (format, args) = self.format_args(expr, &args)?;
                let place = self.text.place(expr.span);
                let (stream, format) = match name {
                    "printf" => (0, format),
                    "warnf" => (1, format!("{place}: WARNING: {format}")),
                    _ => (2, format!("{place}: ERROR: {format}")),
                };
                self.action(Action::Printf {
                    format,
                    args,
                    stream,
                });
                Ok(())
            }
            "cat" | "system" => {
                let (format, args) = self.format_args(expr, &args)?;
                let cat = name == "cat";
                self.action(if cat {
                    Action::Cat { format, args }
                } else {
                    Action::System { format, args }
                });
                Ok(())
            }
            "print" => self.print(expr, &args),
            "clear" | "zero" => {
                let Some(map) = args.first() else {
                    return self.fail(expr, "a map is missing");
                };
                let map = self.map_of(map)?.0 as usize;
                self.open_group(0)?;
                self.action(if name == "clear" {
                    Action::Clear(map)
                } else {
                    Action::Zero(map)
                });
                Ok(())
            }
            "time" => {
                let format = match args.first().map(|a| self.value(a)).transpose()? {
                    Some(Val::Lit(s)) => String::from_utf8_lossy(&s).into_owned(),
                    None => "%H:%M:%S\n".into(),
                    Some(_) => return self.fail(expr, "the format of time() must be a literal"),
                };
                self.open_group(0)?;
                self.action(Action::Time(format));
                Ok(())
            }
            "join" => self.join(expr, &args),
            "exit" => {
                let code = match args.first() {
                    Some(code) => {
                        let fields = self.fields(&[*code])?;
                        fields.into_iter().next()
                    }
                    None => None,
                };
                self.open_group(0)?;
                self.action(Action::Exit(code));
                self.finish()
            }
            _ => self.builtin_effect(expr, name),
        }
    }

    /// A call whose value nobody wants.
    fn builtin_effect(&mut self, expr: &Expr, name: &str) -> Result<(), Restart> {
        if *self.checked.ty(expr) == Type::Void
            && !matches!(name, "delete" | "signal" | "signal_thread")
        {
            return self.fail(expr, format!("`{name}()` is not supported yet"));
        }
        self.builtin(expr, name).map(drop)
    }

    fn format_args(
        &mut self,
        expr: &Expr,
        args: &[&Expr],
    ) -> Result<(String, Vec<Field>), Restart> {
        let Some((format, rest)) = args.split_first() else {
            return self.fail(expr, "a format is missing");
        };
        let Val::Lit(format) = self.value(format)? else {
            return self.fail(expr, "the format must be a literal");
        };
        let fields = self.fields(rest)?;
        Ok((String::from_utf8_lossy(&format).into_owned(), fields))
    }

    /// Evaluates arguments and writes them into the open group.
    fn fields(&mut self, args: &[&Expr]) -> Result<Vec<Field>, Restart> {
        let mut ready = Vec::with_capacity(args.len());
        for arg in args {
            let r = self.at(arg.span, |l| l.ready(arg))?;
            ready.push(r);
        }
        let total: u32 = ready.iter().map(|r| self.field_size(r)).sum();
        self.open_group(total)?;
        let mut fields = Vec::with_capacity(args.len());
        for (arg, r) in args.iter().zip(ready) {
            let size = self.field_size(&r);
            let old = self.f.set_span(Some(arg.span));
            fields.push(match r {
                Ready::Blob(blob, ty) => self.blob_field(blob, ty)?,
                Ready::Number(n, ty) => {
                    let (to, at) = self.group_bytes(size)?;
                    self.store_at(to, shape(&ty).0, n);
                    Field {
                        ty,
                        at,
                        blob: false,
                    }
                }
                Ready::Bytes(bytes) => {
                    let (to, at) = self.group_bytes(size)?;
                    self.store_bytes(to, &bytes);
                    Field {
                        ty: Type::Str { size },
                        at,
                        blob: false,
                    }
                }
                Ready::Memory(from, ty) => {
                    let (to, at) = self.group_bytes(size)?;
                    self.copy(from, to, size);
                    Field {
                        ty,
                        at,
                        blob: false,
                    }
                }
                Ready::Later(ty) => {
                    let (to, at) = self.group_bytes(size)?;
                    self.store_into(arg, &ty, to)?;
                    Field {
                        ty,
                        at,
                        blob: false,
                    }
                }
            });
            self.f.set_span(old);
        }
        Ok(fields)
    }

    fn field_size(&self, ready: &Ready) -> u32 {
        match ready {
            Ready::Blob(..) => 4,
            Ready::Bytes(bytes) => u32::try_from(bytes.len()).unwrap_or(0),
            Ready::Number(_, ty) => shape(ty).0.bytes(),
            Ready::Memory(_, ty) | Ready::Later(ty) => ty.size(&self.checked.structs),
        }
    }

    /// What an argument comes to before it is written.
    fn ready(&mut self, arg: &Expr) -> Result<Ready, Restart> {
        let ty = self.checked.ty(arg).clone();
        match &ty {
            Type::Str { size } => {
                let size = *size;
                if let Some(blob) = self.string_blob(arg, size)? {
                    return Ok(Ready::Blob(blob, ty));
                }
                let direct = matches!(self.checked.res.get(&arg.id), Some(Res::Builtin("comm")))
                    || (matches!(arg.kind, ExprKind::Ternary { .. }) && size <= INLINE_MAX);
                if direct {
                    return Ok(Ready::Later(ty));
                }
                match self.value(arg)? {
                    Val::Lit(mut s) => {
                        s.push(0);
                        Ok(Ready::Bytes(s))
                    }
                    Val::Mem(addr) if size <= INLINE_MAX => Ok(Ready::Memory(addr, ty)),
                    Val::Mem(addr) => {
                        let src = self.addr_reg(addr);
                        let max = Opnd::Imm(i64::from(size));
                        let blob =
                            self.read_blob(helper::PROBE_READ_KERNEL_STR, max, size, src.into())?;
                        Ok(Ready::Blob(blob, ty))
                    }
                    Val::User(addr) => {
                        let max = Opnd::Imm(i64::from(size));
                        let blob = self.read_blob(helper::PROBE_READ_USER_STR, max, size, addr)?;
                        let whole = matches!(
                            self.checked.res.get(&arg.id),
                            Some(Res::Member { .. } | Res::Item(_))
                        );
                        // An array that is full of text is not a text that was cut.
                        let size = size + u32::from(whole);
                        Ok(Ready::Blob(blob, Type::Str { size }))
                    }
                    Val::Blob(blob) => Ok(Ready::Blob(blob, ty)),
                    Val::Num(_) => self.fail(arg, "this is not a string"),
                }
            }
            Type::Buf { size } => {
                if let Some(blob) = self.string_blob(arg, *size)? {
                    return Ok(Ready::Blob(blob, ty));
                }
                // Its length stands before it.
                match self.value(arg)? {
                    Val::Mem(addr) => Ok(Ready::Memory(addr, ty)),
                    _ => self.fail(arg, "this buffer cannot be printed"),
                }
            }
            Type::Agg(_) => {
                let n = self.num(arg)?;
                Ok(Ready::Number(n, Type::I64))
            }
            _ if is_number(&ty) => {
                if matches!(
                    arg.kind,
                    ExprKind::Unary {
                        op: crate::lang::ast::UnOp::Deref,
                        ..
                    }
                ) {
                    return Ok(Ready::Later(ty));
                }
                let n = self.num(arg)?;
                // A variable may change before the group is written: `printf("%d %d", $x, ++$x)`.
                Ok(Ready::Number(n, ty))
            }
            _ => {
                let size = ty.size(&self.checked.structs);
                match self.value(arg)? {
                    Val::Mem(addr) if size <= 256 => Ok(Ready::Memory(addr, ty)),
                    Val::Mem(addr) => self.memory_blob(addr, ty),
                    Val::User(addr) => {
                        let max = Opnd::Imm(i64::from(size));
                        let blob = self.read_blob(helper::PROBE_READ_USER, max, size, addr)?;
                        Ok(Ready::Blob(blob, ty))
                    }
                    val @ Val::Lit(_) => {
                        let addr = self.in_memory(val, &ty)?;
                        Ok(Ready::Memory(addr, ty))
                    }
                    _ => self.fail(arg, "this value cannot be printed"),
                }
            }
        }
    }

    fn memory_blob(&mut self, addr: Addr, ty: Type) -> Result<Ready, Restart> {
        let size = ty.size(&self.checked.structs);
        let src = self.addr_reg(addr);
        let max = Opnd::Imm(i64::from(size));
        let blob = self.read_blob(helper::PROBE_READ_KERNEL, max, size, src.into())?;
        Ok(Ready::Blob(blob, ty))
    }

    fn print(&mut self, expr: &Expr, args: &[&Expr]) -> Result<(), Restart> {
        let Some(first) = args.first() else {
            return self.fail(expr, "there is nothing to print");
        };
        if let (ExprKind::Map { key, .. }, Some(Res::Map(map))) =
            (&first.kind, self.checked.res.get(&first.id))
        {
            let (map, info) = (*map, &self.checked.maps[map.0 as usize]);
            let whole = key.is_none() && (info.key.is_some() || matches!(info.value, Type::Agg(_)));
            if whole || (key.is_none() && is_cell(info.key.as_ref(), &info.value)) {
                let number = |l: &mut Self, i: usize| -> Result<u64, Restart> {
                    match args.get(i).map(|a| l.num(a)).transpose()? {
                        None => Ok(0),
                        Some(Opnd::Imm(n)) => Ok(n.cast_unsigned()),
                        Some(_) => {
                            l.fail(args[i], "this must be known when the script is compiled")
                        }
                    }
                };
                let (top, div) = (number(self, 1)?, number(self, 2)?);
                self.open_group(0)?;
                self.action(Action::PrintMap {
                    map: map.0 as usize,
                    top,
                    div,
                });
                return Ok(());
            }
            if let (Type::Agg(_), Some(key), Some(key_ty)) = (&info.value, key, info.key.clone()) {
                let addr = self.alloc(key_ty.size(&self.checked.structs).max(1))?;
                self.store_into(key, &key_ty, addr)?;
                if self.target.helper_errors {
                    let key = self.key_at(map, addr);
                    let found = self.lookup(key);
                    self.at(first.span, |l| l.check_found(FaultKind::Share, found));
                }
                let ready = if key_ty.size(&self.checked.structs) <= 64 {
                    Ready::Memory(addr, key_ty)
                } else {
                    self.memory_blob(addr, key_ty)?
                };
                let size = self.field_size(&ready);
                self.open_group(size)?;
                let field = match ready {
                    Ready::Blob(blob, ty) => self.blob_field(blob, ty)?,
                    Ready::Memory(from, ty) => {
                        let (to, at) = self.group_bytes(size)?;
                        self.copy(from, to, size);
                        Field {
                            ty,
                            at,
                            blob: false,
                        }
                    }
                    _ => return self.fail(expr, "this key cannot be printed"),
                };
                self.action(Action::PrintEntry {
                    map: map.0 as usize,
                    key: field,
                });
                return Ok(());
            }
        }
        let fields = self.fields(&[*first])?;
        for field in fields {
            self.action(Action::PrintValue(field));
        }
        Ok(())
    }

    /// `join(argv[, sep])`: up to 16 strings of the array.
    fn join(&mut self, expr: &Expr, args: &[&Expr]) -> Result<(), Restart> {
        const MOST: i64 = 16;
        let Some(array) = args.first() else {
            return self.fail(expr, "join() takes an array of strings");
        };
        let separator = match args.get(1).map(|a| self.value(a)).transpose()? {
            None => " ".to_owned(),
            Some(Val::Lit(s)) => String::from_utf8_lossy(&s).into_owned(),
            Some(_) => return self.fail(expr, "the separator of join() must be a literal"),
        };
        let base = self.num(array)?;
        let size = self.checked.config.max_strlen.min(1024);
        let mut blobs = Vec::new();
        // The array ends at its first null pointer: what comes behind it is read as null, too.
        let mut going = None;
        for i in 0..MOST {
            let at = if i == 0 {
                base
            } else {
                self.f.alu(AluOp::Add, base, 8 * i).into()
            };
            let mut ptr = self.read_user(at, Size::DW, false)?;
            if let Some(mask) = going {
                ptr = self.f.alu(AluOp::And, ptr, mask);
            }
            let negated = self.f.alu(AluOp::Sub, 0, ptr);
            let either = self.f.alu(AluOp::Or, ptr, negated);
            going = Some(self.f.alu(AluOp::Arsh, either, 63));
            let max = Opnd::Imm(i64::from(size));
            blobs.push(self.read_blob(helper::PROBE_READ_USER_STR, max, size, ptr.into())?);
        }
        self.open_group(4 * u32::try_from(MOST).unwrap_or(0))?;
        let mut parts = Vec::new();
        for blob in blobs {
            parts.push(self.blob_field(blob, Type::Str { size })?);
        }
        self.action(Action::Join { parts, separator });
        Ok(())
    }
}
