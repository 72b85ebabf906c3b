//! Structural rules of the IR.

use std::fmt;

use super::inst::{Func, Op, Program, Term, VReg};
use crate::asm::{AluOp, Size};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Name of the function.
    pub func: String,
    /// Block and instruction, where there is one.
    pub place: Option<(u32, u32)>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.func)?;
        if let Some((block, inst)) = self.place {
            write!(f, " · b{block}:{inst}")?;
        }
        write!(f, " · {}", self.what)
    }
}

impl std::error::Error for VerifyError {}

/// Checks that a program keeps the rules that passes and code generation rely on.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    if program.funcs.is_empty() {
        return Err(VerifyError {
            func: "program".to_owned(),
            place: None,
            what: "no function".to_owned(),
        });
    }
    for (index, func) in program.funcs.iter().enumerate() {
        let check = Checker {
            func,
            funcs: program.funcs.len(),
            entry: index == 0,
        };
        check.shape().map_err(|(place, what)| VerifyError {
            func: func.name.clone(),
            place,
            what,
        })?;
        if let Some(reg) = maybe_unset(func) {
            return Err(VerifyError {
                func: func.name.clone(),
                place: None,
                what: format!("v{} is read where it may not have been written", reg.0),
            });
        }
    }
    Ok(())
}

type Fault = (Option<(u32, u32)>, String);

struct Checker<'a> {
    func: &'a Func,
    funcs: usize,
    entry: bool,
}

impl Checker<'_> {
    fn shape(&self) -> Result<(), Fault> {
        if self.func.blocks.is_empty() {
            return Err((None, "no block".to_owned()));
        }
        for (b, block) in self.func.blocks.iter().enumerate() {
            for (i, inst) in block.insts.iter().enumerate() {
                self.op(b, &inst.op)
                    .map_err(|what| (Some((b as u32, i as u32)), what))?;
            }
            let place = Some((b as u32, block.insts.len() as u32));
            self.term(&block.term).map_err(|what| (place, what))?;
        }
        Ok(())
    }

    fn reg(&self, reg: VReg) -> Result<(), String> {
        if reg.0 < self.func.vregs {
            Ok(())
        } else {
            Err(format!("no register v{}", reg.0))
        }
    }

    fn op(&self, block: usize, op: &Op) -> Result<(), String> {
        let mut bad = op.dst().map_or(Ok(()), |dst| self.reg(dst));
        op.each_use(|reg| {
            if bad.is_ok() {
                bad = self.reg(reg);
            }
        });
        bad?;
        match *op {
            Op::Alu { op: AluOp::Mov, .. } => Err("move as arithmetic".to_owned()),
            Op::Ext { from: Size::DW, .. } => Err("extension from 8 bytes".to_owned()),
            Op::Slot { slot, .. } if slot.0 as usize >= self.func.slots.len() => {
                Err(format!("no slot s{}", slot.0))
            }
            Op::FuncAddr { func, .. } if func.0 as usize >= self.funcs => {
                Err(format!("no function f{}", func.0))
            }
            Op::Call { ref args, .. } if args.len() > 5 => {
                Err(format!("{} arguments, 5 allowed", args.len()))
            }
            Op::Arg { index, .. } if index >= 5 || self.entry || block != 0 => {
                Err(format!("argument {index} read here"))
            }
            Op::Endian { bits, .. } if !matches!(bits, 16 | 32 | 64) => {
                Err(format!("byte order of {bits} bits"))
            }
            Op::Atomic { size, .. } if !matches!(size, Size::W | Size::DW) => {
                Err(format!("atomic on {} bytes", size.bytes()))
            }
            _ => Ok(()),
        }
    }

    fn term(&self, term: &Term) -> Result<(), String> {
        let mut bad = Ok(());
        term.each_use(|reg| {
            if bad.is_ok() {
                bad = self.reg(reg);
            }
        });
        bad?;
        for to in term.targets() {
            if to.0 as usize >= self.func.blocks.len() {
                return Err(format!("no block b{}", to.0));
            }
        }
        Ok(())
    }
}

/// A register that some path from the entry reads without writing it first.
fn maybe_unset(func: &Func) -> Option<VReg> {
    let blocks = func.blocks.len();
    let vregs = func.vregs as usize;
    let mut preds: Vec<Vec<u32>> = vec![Vec::new(); blocks];
    let reachable = func.reverse_post_order();
    let mut exposed: Vec<Vec<u32>> = vec![Vec::new(); vregs];
    let mut defs: Vec<Vec<u32>> = vec![Vec::new(); vregs];
    for id in &reachable {
        let block = &func.blocks[id.0 as usize];
        for to in block.term.targets() {
            preds[to.0 as usize].push(id.0);
        }
        let mut read = |reg: VReg, defs: &Vec<Vec<u32>>| {
            if defs[reg.0 as usize].last() != Some(&id.0) {
                exposed[reg.0 as usize].push(id.0);
            }
        };
        for inst in &block.insts {
            inst.op.each_use(|reg| read(reg, &defs));
            if let Some(dst) = inst.op.dst() {
                defs[dst.0 as usize].push(id.0);
            }
        }
        block.term.each_use(|reg| read(reg, &defs));
    }
    let mut defined = vec![u32::MAX; blocks];
    let mut entered = vec![u32::MAX; blocks];
    let mut stack = Vec::<u32>::new();
    for var in 0..vregs as u32 {
        for &block in &defs[var as usize] {
            defined[block as usize] = var;
        }
        stack.extend(&exposed[var as usize]);
        while let Some(block) = stack.pop() {
            if entered[block as usize] == var {
                continue;
            }
            entered[block as usize] = var;
            if block == 0 {
                return Some(VReg(var));
            }
            let before = preds[block as usize].iter();
            stack.extend(before.filter(|&&p| defined[p as usize] != var));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        asm::{AluOp, Cond},
        ir::{BlockId, FuncBuilder, Opnd, SlotId},
    };

    fn fault(build: impl FnOnce(&mut FuncBuilder)) -> String {
        let mut b = FuncBuilder::new("f");
        build(&mut b);
        let program = Program {
            funcs: vec![b.finish()],
        };
        verify(&program).map_or_else(|e| e.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn broken_rules_are_named() {
        assert_eq!(
            fault(|b| {
                let dst = b.vreg();
                let slot = SlotId(3);
                b.push(Op::Slot { dst, slot, off: 0 });
            }),
            "f · b0:0 · no slot s3"
        );
        assert_eq!(
            fault(|b| b.end(Term::Goto(BlockId(7)))),
            "f · b0:0 · no block b7"
        );
        assert_eq!(
            fault(|b| {
                b.call(5, &[Opnd::Imm(0); 6]);
            }),
            "f · b0:0 · 6 arguments, 5 allowed"
        );
    }

    #[test]
    fn a_register_must_be_written_on_every_path() {
        let diamond = |both: bool| {
            fault(move |b| {
                let (then, els, join) = (b.block(), b.block(), b.block());
                let (asked, dst) = (b.mov(1), b.vreg());
                b.branch(Cond::Eq, asked, 0, then, els);
                for side in [then, els] {
                    b.switch_to(side);
                    if both || side == then {
                        b.push(Op::Mov {
                            dst,
                            src: Opnd::Imm(2),
                        });
                    }
                    b.end(Term::Goto(join));
                }
                b.switch_to(join);
                b.alu(AluOp::Add, dst, 1);
            })
        };
        assert_eq!(diamond(true), "fine");
        assert_eq!(
            diamond(false),
            "f · v1 is read where it may not have been written"
        );
    }
}
