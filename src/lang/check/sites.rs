//! Where a builtin may stand, and what `argN` is at all places that a probe is attached to.

use super::{Checker, said};
use crate::lang::{
    ast::{Expr, Name},
    builtin::{Row, Where},
    checked::{Point, Res},
    diag::{Diagnostic, Severity},
};
use crate::spec::{Arch, ArgLoc, Type};

impl Checker<'_> {
    /// Whether all attach points of this probe have what the row needs.
    pub(super) fn place(&mut self, row: &Row, name: &Name) {
        let fits = |p: &Point| match row.place {
            Where::Anywhere => true,
            Where::Arguments => matches!(
                p,
                Point::Usdt { .. }
                    | Point::Uprobe { ret: false, .. }
                    | Point::Kprobe { ret: false, .. }
                    | Point::RawTracepoint(_)
                    | Point::Trampoline { .. }
            ),
            Where::Return => matches!(
                p,
                Point::Uprobe { ret: true, .. }
                    | Point::Kprobe { ret: true, .. }
                    | Point::Trampoline { ret: true, .. }
            ),
            Where::User => matches!(p, Point::Usdt { .. } | Point::Uprobe { .. }),
            Where::Function => matches!(
                p,
                Point::Usdt { .. }
                    | Point::Uprobe { .. }
                    | Point::Kprobe { .. }
                    | Point::Trampoline { .. }
            ),
            Where::Iterator => matches!(p, Point::Iter { .. }),
            Where::Objects => matches!(p, Point::Iter { .. } | Point::Trampoline { .. }),
            Where::Process if p.is_kernel() => true,
            Where::Registers | Where::Process => matches!(
                p,
                Point::Usdt { .. }
                    | Point::Uprobe { .. }
                    | Point::Kprobe { .. }
                    | Point::Profile(_)
                    | Point::Software(..)
                    | Point::Hardware(..)
                    | Point::Watch(..)
            ),
        };
        let own = |p: &Point| {
            row.name == "usermode" && matches!(p, Point::Begin | Point::End | Point::Interval(_))
        };
        let Some(bad) = self
            .points
            .iter()
            .find(|p| !fits(&p.point) && !own(&p.point))
        else {
            return;
        };
        let only = match row.place {
            Where::Anywhere => return,
            Where::Arguments if matches!(bad.point, Point::Tracepoint(_)) => {
                "arguments of a tracepoint have names: `args.NAME`"
            }
            Where::Arguments => {
                "`uprobe`, `usdt`, `kprobe`, `fentry` and `rawtracepoint` have arguments"
            }
            Where::Return if matches!(bad.point, Point::Tracepoint(_)) => "try `args.ret`",
            Where::Return => "only `uretprobe`, `kretprobe` and `fexit` have a return value",
            Where::User => "it belongs to `uprobe`, `uretprobe` and `usdt`",
            Where::Function => {
                "it belongs to `uprobe`, `uretprobe`, `usdt`, `kprobe`, `kretprobe`, `fentry` and `fexit`"
            }
            Where::Iterator => "it belongs to `iter`",
            Where::Objects => "it belongs to `fentry`, `fexit` and `iter`",
            Where::Registers => {
                "it belongs to `uprobe`, `uretprobe`, `usdt`, `kprobe`, `profile`, `software`, `hardware` and `watchpoint`"
            }
            Where::Process => "it belongs to probes that run in a process",
        };
        let diag = Diagnostic::error(
            name.span,
            format!("`{}` has no meaning in `{}`", name.text, bad.name),
        )
        .said_at(self.call, said::place(row, &name.text, &bad.name));
        self.say(diag.help(only));
    }

    /// `argN` at all sites of this probe.
    pub(super) fn argument(&mut self, e: &Expr, index: u32) -> Type {
        self.resolve(e, Res::Arg(index));
        let registers = match self.target.arch {
            Arch::X86_64 => 6,
            Arch::Aarch64 => 8,
        };
        let mut unsigned = false;
        for point in self.points {
            match &point.point {
                Point::Uprobe { .. } if index >= registers && !self.by_name.contains(&e.id) => {
                    self.say(
                        Diagnostic::error(e.span, format!("`arg{index}` is not in a register"))
                            .help(format!(
                                "functions have `arg0` to `arg{}` there",
                                registers - 1
                            ))
                            .said(format!(
                                "{} doesn't support arg{index}",
                                self.target.arch.name()
                            )),
                    );
                    return Type::I64;
                }
                Point::Usdt { binary, probe } => {
                    let found = self
                        .target
                        .binaries
                        .get(*binary)
                        .and_then(|b| b.usdt.get(*probe));
                    let Some(found) = found else { continue };
                    for site in &found.sites {
                        let Some(arg) = site.args.get(index as usize) else {
                            let count = site.args.len();
                            let has = match count {
                                0 => "no arguments".to_string(),
                                1 => "one argument, `arg0`".to_string(),
                                n => format!("{n} arguments, `arg0` to `arg{}`", n - 1),
                            };
                            let text = format!("`{}:{}` has {has}", found.provider, found.name);
                            self.say(Diagnostic {
                                severity: Severity::Warning,
                                ..Diagnostic::error(e.span, text)
                                    .label("one that is not there is 0")
                            });
                            return Type::I64;
                        };
                        let why = match &arg.loc {
                            ArgLoc::Unreadable(why) => why.clone(),
                            _ if arg.float => "it is a floating-point number".to_string(),
                            _ => continue,
                        };
                        self.say(
                            Diagnostic::error(
                                e.span,
                                format!(
                                    "`arg{index}` of `{}:{}` cannot be read",
                                    found.provider, found.name
                                ),
                            )
                            .label(format!("operand `{}`: {why}", arg.text)),
                        );
                        return Type::I64;
                    }
                }
                Point::Uprobe { .. } => unsigned = true,
                _ => {}
            }
        }
        if unsigned { Type::U64 } else { Type::I64 }
    }
}
