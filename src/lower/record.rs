//! Builds the record of one probe hit (format: `spec::event`): where the next bytes go, and which action group is open.
//!
//! The position is `dyn + stat` bytes from the record's start. As long as only fixed sizes were appended it is a
//! constant; a string adds its length to the register `dyn`. Where control flow with output inside begins or ends the
//! position is parked in the scratch buffer (`park`), so that the verifier sees one state there and not one a path.

use super::{
    helper,
    program::{Lower, Restart},
};
use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::{Op, Opnd, VReg},
    spec::{Action, BLOB_TAG, Field, Group, RECORD_HEADER, STAMP, Type},
};

/// Largest record: what a per-CPU scratch value of 32 KiB can hold beside its header.
pub(super) const RECORD_MAX: u32 = 28 * 1024;

/// Blobs that may be longer than this are read in pieces, and may be sent in several chunks.
const LONG: u32 = 6 * 1024;

/// Where a record on the stack begins in its slot, behind its time: the arguments behind its header and the first tag are
/// then aligned to 8 bytes, and need not be stored in halves.
pub(super) const STACK_START: u32 = 4 + STAMP;

/// Offset in the scratch value of the parked position; the busy flag is at 0.
const PARKED: i16 = 8;

/// Offset in the scratch value of a `u64` that is always 0.
pub(super) const ZERO: i16 = 24;

/// A place in BPF memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addr {
    pub(super) base: VReg,
    pub(super) off: i32,
}

impl Addr {
    pub(super) fn plus(self, off: u32) -> Addr {
        Addr {
            base: self.base,
            off: self.off + off.cast_signed(),
        }
    }
}

/// Where the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// This program has no output.
    None,
    /// On the stack, in that slot.
    Stack(crate::ir::SlotId),
    /// In the scratch buffer that `base` points to, from that offset.
    Scratch { base: VReg, start: u32 },
}

/// The next free byte of the record.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// Register part.
    dynamic: Option<VReg>,
    /// What the register part is at most.
    dynamic_max: u32,
    /// Constant part.
    stat: u32,
    /// record start + `dynamic`, once computed.
    ptr: Option<VReg>,
    /// Parked in memory; the other fields say nothing.
    parked: bool,
    /// Open group: id, position (constant part) of its tag, bytes of arguments so far.
    open: Option<(usize, u32)>,
}

impl Cursor {
    pub(super) fn start() -> Self {
        Cursor {
            dynamic: None,
            dynamic_max: 0,
            stat: RECORD_HEADER,
            ptr: None,
            parked: false,
            open: None,
        }
    }

    /// Says whether the position is in memory.
    pub(super) fn set_parked(&mut self, parked: bool) {
        self.parked = parked;
    }

    /// Constant part of the position.
    pub(super) fn stat(&self) -> u32 {
        self.stat
    }

    /// What the position is at most.
    pub(super) fn most(&self) -> u32 {
        self.dynamic_max + self.stat
    }

    /// Nothing was appended, for certain.
    pub(super) fn is_empty(&self) -> bool {
        !self.parked && self.dynamic.is_none() && self.stat == RECORD_HEADER
    }
}

/// A blob in the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob {
    /// Offset of its tag from the record's start.
    pub(super) at: Opnd,
    /// Most bytes it can hold, NUL included.
    pub(super) max: u32,
}

/// Whether a helper reads up to a NUL and returns the length.
pub(super) fn reads_string(helper: u32) -> bool {
    matches!(
        helper,
        helper::PROBE_READ_USER_STR | helper::PROBE_READ_KERNEL_STR
    )
}

impl Lower<'_> {
    /// Address of record byte `dyn + stat`.
    pub(super) fn record_addr(&mut self, stat: u32) -> Result<Addr, Restart> {
        match self.home {
            Home::None => Err(Restart::NeedRecord),
            Home::Stack(slot) => {
                let base = self.slot_base(slot);
                Ok(Addr {
                    base,
                    off: (STACK_START + stat).cast_signed(),
                })
            }
            Home::Scratch { base, start } => {
                let Some(dynamic) = self.cursor.dynamic else {
                    return Ok(Addr {
                        base,
                        off: (start + stat).cast_signed(),
                    });
                };
                let ptr = match self.cursor.ptr {
                    Some(ptr) => ptr,
                    None => self.f.alu(AluOp::Add, base, dynamic),
                };
                self.cursor.ptr = Some(ptr);
                Ok(Addr {
                    base: ptr,
                    off: (start + stat).cast_signed(),
                })
            }
        }
    }

    /// Makes sure that `need` more bytes fit, and that the verifier knows it.
    pub(super) fn reserve(&mut self, need: u32) -> Result<(), Restart> {
        let Home::Scratch { .. } = self.home else {
            if self.home == Home::None || self.cursor.stat + need > self.plan.record_size {
                return Err(if self.home == Home::None {
                    Restart::NeedRecord
                } else {
                    Restart::NeedScratch
                });
            }
            return Ok(());
        };
        if self.cursor.parked {
            let Home::Scratch { base, .. } = self.home else {
                return Ok(());
            };
            let v = self.f.load(Size::W, base, PARKED);
            self.cursor = Cursor {
                dynamic: Some(v),
                dynamic_max: u32::MAX / 2,
                stat: 0,
                ptr: None,
                parked: false,
                open: None,
            };
        }
        let end = self.cursor.dynamic_max + self.cursor.stat + need;
        if end <= self.plan.record_max {
            self.seen_max = self.seen_max.max(end);
            return Ok(());
        }
        self.seen_max = self.plan.record_max;
        if need > self.plan.record_max - RECORD_HEADER {
            return Err(Restart::TooBig(need));
        }
        if !self.plan.chunked {
            return Err(Restart::NeedChunks);
        }
        // Full: send what there is as a chunk, and go on in an empty buffer; there a group needs its tag again.
        let need = need + 4;
        self.close_group();
        let pos = self.position();
        let (flush, on) = (self.f.block(), self.f.block());
        let var = self.f.vreg();
        self.f.set(var, pos);
        self.f.branch(
            Cond::Gt,
            var,
            i64::from(self.plan.record_max - need),
            flush,
            on,
        );
        self.f.switch_to(flush);
        let send = self.f.block();
        // Never true; tells the verifier that the position is in bounds.
        self.f.branch(
            Cond::Gt,
            var,
            i64::from(self.plan.record_max),
            self.release_block,
            send,
        );
        self.f.switch_to(send);
        self.send_chunk(var.into(), None, false)?;
        self.f.set(var, i64::from(RECORD_HEADER));
        self.f.end(crate::ir::Term::Goto(on));
        self.f.switch_to(on);
        self.go_on_at(var, self.plan.record_max - need);
        Ok(())
    }

    /// The position is in `var` now, and at most `max`.
    pub(super) fn go_on_at(&mut self, var: VReg, max: u32) {
        self.cursor = Cursor {
            dynamic: Some(var),
            dynamic_max: max,
            stat: 0,
            ptr: None,
            parked: false,
            open: None,
        };
        self.seen_max = self.seen_max.max(max);
    }

    /// The buffer may be used to its end.
    pub(super) fn full_record(&mut self) {
        self.seen_max = self.plan.record_max;
    }

    /// The position as one operand.
    pub(super) fn position(&mut self) -> Opnd {
        let stat = i64::from(self.cursor.stat);
        match self.cursor.dynamic {
            None => Opnd::Imm(stat),
            Some(v) if stat == 0 => Opnd::Reg(v),
            Some(v) => Opnd::Reg(self.f.alu(AluOp::Add, v, stat)),
        }
    }

    /// Parks the position in memory, ahead of control flow that appends on some path only.
    pub(super) fn park(&mut self) -> Result<(), Restart> {
        let Home::Scratch { base, .. } = self.home else {
            return Err(if self.home == Home::None {
                Restart::NeedRecord
            } else {
                Restart::NeedScratch
            });
        };
        if !self.cursor.parked {
            self.close_group();
            let pos = self.position();
            self.f.store(Size::W, base, PARKED, pos);
            self.cursor.parked = true;
            self.cursor.ptr = None;
        }
        Ok(())
    }

    /// Ends the open group. Before control flow parts: what happens on one path only is a group of its own.
    pub(super) fn close_group(&mut self) {
        if let Some((id, tag)) = self.cursor.open.take() {
            self.shared.groups[id].size = self.cursor.stat - tag - 4;
        }
    }

    /// Appends `size` argument bytes to the open group (opening one): their address and offset in the group.
    pub(super) fn group_bytes(&mut self, size: u32) -> Result<(Addr, u32), Restart> {
        self.open_group(size)?;
        let Some((_, tag)) = self.cursor.open else {
            return Err(Restart::NeedRecord);
        };
        let at = self.cursor.stat - tag - 4;
        let addr = self.record_addr(self.cursor.stat)?;
        self.cursor.stat += size;
        self.seen_max = self
            .seen_max
            .max(self.cursor.dynamic_max + self.cursor.stat);
        Ok((addr, at))
    }

    /// Makes sure that a group is open and has room for `size` more bytes.
    pub(super) fn open_group(&mut self, size: u32) -> Result<(), Restart> {
        // A group that is open needs no other tag: what was reserved for all of its arguments must do for each.
        let tag = if self.cursor.open.is_some() { 0 } else { 4 };
        self.reserve(size + tag)?;
        if self.cursor.open.is_none() {
            let id = self.shared.groups.len();
            self.shared.groups.push(Group {
                size: 0,
                actions: Vec::new(),
            });
            let addr = self.record_addr(self.cursor.stat)?;
            self.store_at(addr, Size::W, Opnd::Imm(i64::try_from(id).unwrap_or(0)));
            self.cursor.open = Some((id, self.cursor.stat));
            self.cursor.stat += 4;
            self.seen_max = self
                .seen_max
                .max(self.cursor.dynamic_max + self.cursor.stat);
        }
        Ok(())
    }

    /// Adds an action to the open group; all its arguments were written by `group_bytes`.
    pub(super) fn action(&mut self, action: Action) {
        if let Some((id, _)) = self.cursor.open {
            self.shared.groups[id].actions.push(action);
        }
    }

    /// Writes a `u32` blob reference into the open group.
    pub(super) fn blob_field(&mut self, blob: Blob, ty: Type) -> Result<Field, Restart> {
        let (addr, at) = self.group_bytes(4)?;
        self.store_at(addr, Size::W, blob.at);
        Ok(Field { ty, at, blob: true })
    }

    /// Appends a blob that `helper(dst, max, source)` fills, returning its length or an error.
    pub(super) fn read_blob(
        &mut self,
        helper: u32,
        max: Opnd,
        cap: u32,
        source: Opnd,
    ) -> Result<Blob, Restart> {
        let Home::Scratch { .. } = self.home else {
            return Err(if self.home == Home::None {
                Restart::NeedRecord
            } else {
                Restart::NeedScratch
            });
        };
        self.close_group();
        if cap > LONG {
            return self.read_long(helper, max, cap, source);
        }
        self.reserve(cap + 4)?;
        let tag = self.record_addr(self.cursor.stat)?;
        let dst = self.addr_reg(tag.plus(4));
        let at = self.position();
        let at = self.in_hit(at)?;
        let ret = self.call_read(helper, vec![dst.into(), max, source]);
        let len = self.f.vreg();
        if reads_string(helper) {
            // The length with its NUL; where nothing can be read there is none.
            self.f.set(len, ret);
            let (bad, on) = (self.f.block(), self.f.block());
            self.f.branch(Cond::Sgt, ret, 0, on, bad);
            self.f.switch_to(bad);
            self.f.set(len, 0);
            self.f.end(crate::ir::Term::Goto(on));
            self.f.switch_to(on);
        } else if !self.checked.config.unreadable_is_zeros {
            self.f.set(len, max);
            let (bad, on) = (self.f.block(), self.f.block());
            self.f.branch(Cond::Eq, ret, 0, on, bad);
            self.f.switch_to(bad);
            self.f.set(len, 0);
            self.f.end(crate::ir::Term::Goto(on));
            self.f.switch_to(on);
        } else {
            // What cannot be read is zeros (kernel/trace/bpf_trace.c: bpf_probe_read_user_common).
            self.f.set(len, max);
        }
        let next = match self.cursor.dynamic {
            None => len,
            Some(v) => self.f.alu(AluOp::Add, v, len),
        };
        self.store_tag(tag, len);
        self.cursor.dynamic = Some(next);
        self.cursor.dynamic_max += cap;
        self.cursor.stat += 4;
        self.cursor.ptr = None;
        self.seen_max = self
            .seen_max
            .max(self.cursor.dynamic_max + self.cursor.stat);
        Ok(Blob { at, max: cap })
    }

    /// Writes the tag of a blob of `len` bytes.
    pub(super) fn store_tag(&mut self, tag: Addr, len: VReg) {
        let word = self.f.vreg();
        self.f.push(Op::Alu {
            op: AluOp::Or,
            width: Width::W32,
            dst: word,
            a: len.into(),
            b: Opnd::Imm(i64::from(BLOB_TAG.cast_signed())),
        });
        self.store_at(tag, Size::W, word.into());
    }

    /// Address of a blob's content.
    pub(super) fn blob_addr(&mut self, blob: Blob) -> Result<Addr, Restart> {
        let Home::Scratch { base, start } = self.home else {
            return Err(Restart::NeedScratch);
        };
        if self.plan.chunked {
            // It may have been sent already.
            return Err(Restart::NoBlobVars);
        }
        Ok(match blob.at {
            Opnd::Imm(at) => Addr {
                base,
                off: start.cast_signed() + i32::try_from(at).unwrap_or(0) + 4,
            },
            Opnd::Reg(at) => Addr {
                base: self.f.alu(AluOp::Add, base, at),
                off: start.cast_signed() + 4,
            },
        })
    }

    /// Hands the record to the ring, or counts it as lost.
    pub(super) fn send(&mut self, len: Opnd) -> Result<(), Restart> {
        let saved = (self.cursor.dynamic.take(), self.cursor.ptr.take());
        let start = self.record_addr(0)?;
        (self.cursor.dynamic, self.cursor.ptr) = saved;
        self.store_at(start, Size::W, len);
        let index = Opnd::Imm(i64::try_from(self.index).unwrap_or(0));
        self.store_at(start.plus(4), Size::W, index);
        let ret = self.call_ring(start, len);
        let (lost, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Eq, ret, 0, on, lost);
        self.f.switch_to(lost);
        self.count_lost();
        self.f.end(crate::ir::Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// Sends `len` bytes with the time before them, for which there is room before `from`; what the kernel returned.
    pub(super) fn call_ring(&mut self, from: Addr, len: Opnd) -> VReg {
        let stamp = Addr {
            base: from.base,
            off: from.off - STAMP.cast_signed(),
        };
        let now = self.f.stamp();
        self.store_at(stamp, Size::DW, now.into());
        let len = match len {
            Opnd::Imm(len) => Opnd::Imm(len + i64::from(STAMP)),
            Opnd::Reg(len) => self.f.alu(AluOp::Add, len, i64::from(STAMP)).into(),
        };
        let data = self.addr_reg(stamp);
        let (ring, ctx) = (self.shared.ring(), self.ctx());
        self.f.send(ctx, ring, data, len)
    }

    /// Adds one to this program's counter of lost records.
    pub(super) fn count_lost(&mut self) {
        let off = u32::try_from(self.index * 8).unwrap_or(0);
        let map = self.shared.lost();
        self.f.count(map, off);
    }

    /// Ends the probe here: sends what was appended and leaves. The current block is closed afterwards.
    pub(super) fn finish(&mut self) -> Result<(), Restart> {
        if self.f.closed() {
            return Ok(());
        }
        if self.callback.is_some() {
            return self.stop_from_callback();
        }
        self.close_group();
        if let (true, Home::Scratch { base, .. }) = (self.cursor.parked, self.home) {
            let v = self.f.load(Size::W, base, PARKED);
            let sane = self.f.block();
            if !self.plan.chunked {
                let some = self.f.block();
                self.f.branch(
                    Cond::Le,
                    v,
                    i64::from(RECORD_HEADER),
                    self.release_block,
                    some,
                );
                self.f.switch_to(some);
            }
            self.f.branch(
                Cond::Gt,
                v,
                i64::from(self.plan.record_max),
                self.release_block,
                sane,
            );
            self.f.switch_to(sane);
            self.seen_max = self.plan.record_max;
            let parked = self.cursor.clone();
            self.cursor = Cursor::start();
            self.send_rest(v.into())?;
            self.cursor = parked;
        } else if !self.cursor.is_empty() {
            let len = self.position();
            self.send_rest(len)?;
        }
        self.f.end(crate::ir::Term::Goto(self.release_block));
        Ok(())
    }
}
