//! Sends a record in chunks (format: `spec::event`), and reads what is longer than the buffer piece by piece.
//!
//! Scratch memory of a program that may send chunks:
//!
//! ```text
//! u64 busy · u32 parked position · u32 unused · u32 sequence · u32 slot · u64 zero       SCRATCH_HEADER
//! values …
//! u64 time                                                                                 STAMP
//! u32 length · u32 program · u32 slot · u32 sequence · u32 blob · u32 blob length          CHUNK_EXTRA
//! u32 index · u32 before · the record's items …           where a record that needs no chunks has its header
//! ```

use super::{
    helper,
    program::{Lower, Restart},
    record::{Addr, Blob, Home, reads_string},
};
use crate::{
    asm::{AluOp, Cond, Size, Width},
    ir::{BlockId, Op, Opnd, Term, VReg},
    spec::{CHUNK, CHUNK_HEADER, LAST, RECORD_HEADER},
};

/// First byte after the scratch value's own header.
pub(super) const SCRATCH_HEADER: u32 = 32;

/// Offset in the scratch value of the number of hits it has sent in chunks.
const SEQUENCE: i16 = 16;

/// Offset in the scratch value of its number among those of its CPU.
pub(super) const SLOT: i16 = 20;

/// Bytes of a chunk's header before those that a whole record's header has.
pub(super) const CHUNK_EXTRA: u32 = CHUNK_HEADER - RECORD_HEADER;

/// In place of the index: a chunk found no room, so nothing more is sent.
const GONE: i64 = 0xffff_ffff;

/// What is read at first of a long blob. Most are short.
const FIRST: u32 = 2048;

/// A blob that goes on after the chunk: offset of its tag in the record, and its length so far.
pub(super) type Late = (Opnd, Opnd);

impl Lower<'_> {
    /// At the start of a hit: no chunk was sent.
    pub(super) fn begin_chunks(&mut self) -> Result<(), Restart> {
        if self.plan.chunked {
            let start = self.chunk_addr()?.plus(CHUNK_EXTRA);
            self.store_at(start, Size::DW, Opnd::Imm(0));
        }
        Ok(())
    }

    /// Where a chunk's header is.
    fn chunk_addr(&mut self) -> Result<Addr, Restart> {
        match self.home {
            Home::Scratch { base, start } => Ok(Addr {
                base,
                off: (start - CHUNK_EXTRA).cast_signed(),
            }),
            _ => Err(Restart::NeedScratch),
        }
    }

    /// The base of scratch memory as this function knows it.
    fn scratch_base(&self) -> Result<VReg, Restart> {
        match self.home {
            Home::Scratch { base, .. } => Ok(base),
            _ => Err(Restart::NeedScratch),
        }
    }

    /// A position in the buffer as an offset in the hit's record.
    pub(super) fn in_hit(&mut self, at: Opnd) -> Result<Opnd, Restart> {
        if !self.plan.chunked {
            return Ok(at);
        }
        let before = self.chunk_addr()?.plus(CHUNK_EXTRA + 4);
        let before = self.load_at(before, Size::W, false);
        Ok(self.f.alu(AluOp::Add, before, at).into())
    }

    /// Sends what is in the buffer up to `pos` as a chunk; `late` says how long a blob has become. The buffer is empty
    /// afterwards, whether or not the ring took it.
    pub(super) fn send_chunk(
        &mut self,
        pos: Opnd,
        late: Option<Late>,
        last: bool,
    ) -> Result<(), Restart> {
        let on = self.f.block();
        self.send_chunk_or(pos, late, last, on)?;
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// As `send_chunk`; jumps to `gone` if this or an earlier chunk of the hit found no room.
    fn send_chunk_or(
        &mut self,
        pos: Opnd,
        late: Option<Late>,
        last: bool,
        gone: BlockId,
    ) -> Result<(), Restart> {
        let head = self.chunk_addr()?;
        let base = self.scratch_base()?;
        let (index_at, before_at) = (head.plus(CHUNK_EXTRA), head.plus(CHUNK_EXTRA + 4));
        let index = self.load_at(index_at, Size::W, false);
        let send = self.f.block();
        self.f.branch(Cond::Eq, index, GONE, gone, send);
        self.f.switch_to(send);
        let len = match pos {
            Opnd::Imm(pos) => Opnd::Imm(pos + i64::from(CHUNK_EXTRA)),
            Opnd::Reg(pos) => self.f.alu(AluOp::Add, pos, i64::from(CHUNK_EXTRA)).into(),
        };
        let flags = u32::from(CHUNK | if last { LAST } else { 0 });
        let program = i64::try_from(self.index).unwrap_or(0) | i64::from(flags) << 16;
        let number = self.f.load(Size::W, base, SLOT);
        let sequence = self.f.load(Size::W, base, SEQUENCE);
        let (blob, blob_len) = late.unwrap_or((Opnd::Imm(0), Opnd::Imm(0)));
        let words = [
            len,
            Opnd::Imm(program),
            number.into(),
            sequence.into(),
            blob,
            blob_len,
        ];
        for (i, word) in (0u32..).zip(words) {
            self.store_at(head.plus(4 * i), Size::W, word);
        }
        let ret = self.call_ring(head, len);
        let (lost, sent) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Eq, ret, 0, sent, lost);
        self.f.switch_to(lost);
        self.store_at(index_at, Size::W, Opnd::Imm(GONE));
        self.count_lost();
        self.f.end(Term::Goto(gone));
        self.f.switch_to(sent);
        let next = self.f.alu(AluOp::Add, index, 1);
        self.store_at(index_at, Size::W, next.into());
        let before = self.load_at(before_at, Size::W, false);
        let before = self.f.alu(AluOp::Add, before, pos);
        let before = self.f.alu(AluOp::Sub, before, i64::from(RECORD_HEADER));
        self.store_at(before_at, Size::W, before.into());
        Ok(())
    }

    /// Sends the end of the record, or all of it.
    pub(super) fn send_rest(&mut self, pos: Opnd) -> Result<(), Restart> {
        if !self.plan.chunked {
            return self.send(pos);
        }
        let index_at = self.chunk_addr()?.plus(CHUNK_EXTRA);
        let index = self.load_at(index_at, Size::W, false);
        let (whole, some, end, on) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        self.f.branch(Cond::Eq, index, 0, whole, end);
        self.f.switch_to(whole);
        match pos {
            Opnd::Imm(_) => self.f.end(Term::Goto(some)),
            Opnd::Reg(pos) => self
                .f
                .branch(Cond::Le, pos, i64::from(RECORD_HEADER), on, some),
        }
        self.f.switch_to(some);
        self.send(pos)?;
        self.f.end(Term::Goto(on));
        self.f.switch_to(end);
        let base = self.scratch_base()?;
        self.send_chunk(pos, None, true)?;
        let sequence = self.f.load(Size::W, base, SEQUENCE);
        let next = self.f.alu(AluOp::Add, sequence, 1);
        self.f.store(Size::W, base, SEQUENCE, next);
        self.f.end(Term::Goto(on));
        self.f.switch_to(on);
        Ok(())
    }

    /// Appends a blob of up to `cap` bytes, more than may be kept free in the buffer: a first piece, and if that is not
    /// all the rest in chunks of its own.
    pub(super) fn read_long(
        &mut self,
        helper: u32,
        max: Opnd,
        cap: u32,
        source: Opnd,
    ) -> Result<Blob, Restart> {
        if !self.plan.chunked {
            return Err(Restart::NeedChunks);
        }
        self.reserve(FIRST + 4)?;
        let tag = self.record_addr(self.cursor.stat())?;
        let at = self.position();
        let content = self.f.alu(AluOp::Add, at, 4);
        let at = self.in_hit(at)?;
        let at = self.f.mov(at);
        let blob = Long {
            helper,
            at,
            all: self.f.mov(max),
            from: self.f.mov(source),
            left: self.f.mov(max),
            len: self.f.mov(0),
        };
        let (over, more, bad, end, joined) = (
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
            self.f.block(),
        );
        let (got, pos) = (self.f.vreg(), self.f.vreg());
        let dst = self.addr_reg(tag.plus(4));
        self.read_piece(&blob, dst, FIRST, got, (over, more, bad));
        self.f.switch_to(over);
        self.store_tag(tag, got);
        let next = self.f.alu(AluOp::Add, content, got);
        self.f.set(pos, next);
        self.f.end(Term::Goto(joined));
        self.f.switch_to(bad);
        if reads_string(helper) || !self.checked.config.unreadable_is_zeros {
            // There is no such string, or nothing in its place.
            let none = self.f.mov(0);
            self.store_tag(tag, none);
            self.f.set(pos, content);
            self.f.end(Term::Goto(joined));
        } else {
            self.zeros(&blob, content.into(), end)?;
        }
        self.f.switch_to(more);
        self.advance(&blob, got);
        let full = self.f.alu(AluOp::Add, content, got);
        let late = (blob.at.into(), blob.len.into());
        self.send_chunk_or(full.into(), Some(late), false, end)?;
        self.rest(&blob, cap, end)?;
        self.f.switch_to(end);
        self.f.set(pos, i64::from(RECORD_HEADER));
        self.f.end(Term::Goto(joined));
        self.f.switch_to(joined);
        let most = self.cursor.most() + 4 + FIRST;
        self.go_on_at(pos, most);
        Ok(Blob {
            at: blob.at.into(),
            max: cap,
        })
    }

    /// The pieces after the first, each sent at once; then jumps to `end`.
    fn rest(&mut self, blob: &Long, cap: u32, end: BlockId) -> Result<(), Restart> {
        let most = self.plan.record_max - RECORD_HEADER;
        self.full_record();
        let turns = cap.div_ceil(most - 1) + 1;
        let ours = matches!(
            blob.helper,
            helper::PROBE_READ_KERNEL | helper::PROBE_READ_KERNEL_STR
        );
        self.counted(turns, |l, _, next, done| {
            let (over, more, bad, send, on) = (
                l.f.block(),
                l.f.block(),
                l.f.block(),
                l.f.block(),
                l.f.block(),
            );
            let (got, is_over) = (l.f.vreg(), l.f.vreg());
            // What is left sizes the read, so the verifier would walk each turn for the number it is there. A pointer into
            // our own memory differs in each turn whatever is forgotten: there the number ends the loop.
            if !ours {
                l.forget(blob.left);
            }
            let start = l.chunk_addr()?.plus(CHUNK_HEADER);
            let dst = l.addr_reg(start);
            l.read_piece(blob, dst, most, got, (over, more, bad));
            for (block, flag) in [(over, 1), (more, 0)] {
                l.f.switch_to(block);
                l.f.set(is_over, flag);
                l.f.end(Term::Goto(send));
            }
            l.f.switch_to(bad);
            if reads_string(blob.helper) || !l.checked.config.unreadable_is_zeros {
                // It ends with what could be read.
                l.f.end(Term::Goto(done));
            } else {
                l.zeros(blob, Opnd::Imm(i64::from(RECORD_HEADER)), done)?;
            }
            l.f.switch_to(send);
            l.advance(blob, got);
            let pos = l.f.alu(AluOp::Add, got, i64::from(RECORD_HEADER));
            let late = (blob.at.into(), blob.len.into());
            l.send_chunk_or(pos.into(), Some(late), false, done)?;
            l.f.end(Term::Goto(on));
            l.f.switch_to(on);
            l.f.branch(Cond::Ne, is_over, 0, done, next);
            Ok(())
        })?;
        self.f.end(Term::Goto(end));
        Ok(())
    }

    /// Reads up to `most` bytes of a blob to `dst`. Jumps, with the number of bytes to keep in `got`, to the first of the
    /// blocks if that is the end of it, to the second if there is more; to the third if nothing could be read.
    fn read_piece(
        &mut self,
        blob: &Long,
        dst: VReg,
        most: u32,
        got: VReg,
        (over, more, bad): (BlockId, BlockId, BlockId),
    ) {
        let size = self.f.mov(i64::from(most));
        let (less, read) = (self.f.block(), self.f.block());
        self.f
            .branch(Cond::Gt, blob.left, i64::from(most), read, less);
        self.f.switch_to(less);
        self.f.set(size, blob.left);
        self.f.end(Term::Goto(read));
        self.f.switch_to(read);
        let args = vec![dst.into(), size.into(), blob.from.into()];
        let ret = self.call_read(blob.helper, args);
        if !reads_string(blob.helper) {
            self.f.set(got, size);
            if !self.checked.config.unreadable_is_zeros {
                let read = self.f.block();
                self.f.branch(Cond::Eq, ret, 0, read, bad);
                self.f.switch_to(read);
                self.f
                    .branch(Cond::Le, blob.left, i64::from(most), over, more);
                return;
            }
            let large = self.f.block();
            // What cannot be read is zeros already where it is no more than this.
            self.f
                .branch(Cond::Le, blob.left, i64::from(most), over, large);
            self.f.switch_to(large);
            self.f.branch(Cond::Eq, ret, 0, more, bad);
            return;
        }
        self.f.set(got, ret);
        let (some, full, cut) = (self.f.block(), self.f.block(), self.f.block());
        self.f.branch(Cond::Sgt, ret, 0, some, bad);
        self.f.switch_to(some);
        self.f.branch(Cond::Lt, ret, size, over, full);
        self.f.switch_to(full);
        self.f
            .branch(Cond::Le, blob.left, i64::from(most), over, cut);
        self.f.switch_to(cut);
        // The helper ends with a NUL what it cuts.
        self.f.set(got, i64::from(most) - 1);
        self.f.end(Term::Goto(more));
    }

    /// `got` more bytes were read.
    fn advance(&mut self, blob: &Long, got: VReg) {
        for (reg, op) in [
            (blob.len, AluOp::Add),
            (blob.from, AluOp::Add),
            (blob.left, AluOp::Sub),
        ] {
            self.f.push(Op::Alu {
                op,
                width: Width::W64,
                dst: reg,
                a: reg.into(),
                b: got.into(),
            });
        }
    }

    /// The rest of a blob cannot be read: zeros, which are not sent. Jumps to `end`.
    fn zeros(&mut self, blob: &Long, pos: Opnd, end: BlockId) -> Result<(), Restart> {
        let late = (blob.at.into(), blob.all.into());
        self.send_chunk_or(pos, Some(late), false, end)?;
        let before_at = self.chunk_addr()?.plus(CHUNK_EXTRA + 4);
        let before = self.f.alu(AluOp::Add, blob.at, blob.all);
        let tag = 4 - i64::from(RECORD_HEADER);
        let before = self.f.alu(AluOp::Add, before, tag);
        self.store_at(before_at, Size::W, before.into());
        self.f.end(Term::Goto(end));
        Ok(())
    }
}

/// A blob that is read in pieces.
struct Long {
    helper: u32,
    /// Offset of its tag in the hit's record.
    at: VReg,
    /// Bytes asked for.
    all: VReg,
    /// Address of the next piece.
    from: VReg,
    /// Bytes asked for that were not read yet.
    left: VReg,
    /// Bytes read.
    len: VReg,
}
