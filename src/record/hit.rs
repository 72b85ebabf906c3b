//! One hit of a probe: who ran, what its registers held, and what helpers told its program.

use super::tap::{HEADER, ITEM};
use crate::runtime::record::{u32_at, u64_at};

/// What a helper told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The helper's number.
    pub helper: u32,
    /// The address that it read; 0 if it reads none.
    pub addr: u64,
    /// What it returned.
    pub answer: u64,
    /// First byte of its data in [`Hit::bytes`].
    pub start: usize,
    /// Bytes of data.
    pub len: usize,
}

/// One hit of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Index of the recorded program.
    pub point: u32,
    /// CPU.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC` nanoseconds when the program sent it.
    pub time: u64,
    /// Nanoseconds since boot when the program began.
    pub boot: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Name of the thread, NUL-padded.
    pub comm: [u8; 16],
    /// Registers, as the point names them.
    pub regs: Vec<u64>,
    /// What helpers told, in order.
    pub items: Vec<Item>,
    /// The data of all items.
    pub bytes: Vec<u8>,
}

impl Hit {
    /// Makes it empty, keeping its memory.
    pub fn clear(&mut self) {
        self.regs.clear();
        self.items.clear();
        self.bytes.clear();
    }

    /// The data of an item.
    pub fn data(&self, item: &Item) -> &[u8] {
        self.bytes
            .get(item.start..item.start + item.len)
            .unwrap_or(&[])
    }

    /// Adds an item.
    pub fn push(&mut self, helper: u32, addr: u64, answer: u64, data: &[u8]) {
        self.items.push(Item {
            helper,
            addr,
            answer,
            start: self.bytes.len(),
            len: data.len(),
        });
        self.bytes.extend_from_slice(data);
    }

    /// Takes the head and registers of a part; `None` if it is too short.
    pub(super) fn head(&mut self, part: &[u8], regs: usize) -> Option<()> {
        let (pid, uid) = (u64_at(part, 8)?, u64_at(part, 16)?);
        (self.pid, self.tid) = halves(pid);
        (self.gid, self.uid) = halves(uid);
        self.boot = u64_at(part, 24)?;
        self.comm = part.get(32..48)?.try_into().ok()?;
        self.regs.clear();
        for number in 0..regs {
            self.regs.push(u64_at(part, HEADER + 8 * number)?);
        }
        Some(())
    }

    /// Takes the items of a part whose registers are that many; `None` if one runs over the end.
    pub(super) fn items(&mut self, part: &[u8], regs: usize) -> Option<()> {
        let mut at = HEADER + 8 * regs;
        while at + ITEM <= part.len() {
            let len = u32_at(part, at)? as usize;
            let helper = u32_at(part, at + 4)?;
            let (addr, answer) = (u64_at(part, at + 8)?, u64_at(part, at + 16)?);
            let data = part.get(at + ITEM..at + ITEM + len)?;
            self.push(helper, addr, answer, data);
            at += (ITEM + len).next_multiple_of(8);
        }
        Some(())
    }
}

/// The upper and the lower half.
fn halves(both: u64) -> (u32, u32) {
    let low = u32::try_from(both & 0xffff_ffff).unwrap_or(0);
    (u32::try_from(both >> 32).unwrap_or(0), low)
}
