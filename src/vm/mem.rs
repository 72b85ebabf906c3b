//! The stack frames that rbpf writes to directly, and rbpf itself behind a safe face.
//!
//! ```text
//! frame d:  512 bytes of BPF stack │ r10 ─► shadow r0 … r10 (88 bytes) │ row number (8) │ spare (32)
//! ```
//!
//! rbpf takes a `&[u8]` and writes through it at addresses that programs compute; so the frames live in memory that
//! no Rust reference covers for longer than one call here.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use rbpf::EbpfVmMbuff;

use crate::asm::Reg;

/// Bytes of BPF stack in a frame.
pub(super) const STACK_SIZE: i32 = 512;
/// Most frames of a run, the first one included (`MAX_CALL_FRAMES` in `include/linux/bpf_verifier.h`).
pub(super) const FRAMES: usize = 8;
/// Where a program leaves the row of a hard operation, relative to `r10`.
pub(super) const ROW_SLOT: i16 = 88;

const STACK: usize = 512;
const STRIDE: usize = STACK + 128;

/// Shadow slot of a register, relative to `r10`.
pub(super) fn shadow(reg: Reg) -> i16 {
    i16::from(reg.number()) * 8
}

/// The frames of a machine. Never moves while it lives.
pub(super) struct Frames {
    base: NonNull<[u64; FRAMES * STRIDE / 8]>,
}

/// One frame, as rbpf gets it.
#[derive(Clone, Copy)]
pub(super) struct Window(NonNull<u8>);

impl Frames {
    pub(super) fn new() -> Self {
        let boxed = Box::new([0u64; FRAMES * STRIDE / 8]);
        Frames {
            base: NonNull::from(Box::leak(boxed)),
        }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < FRAMES * STRIDE, "offset inside the frames");
        // SAFETY: the offset was just checked against the allocation's size.
        unsafe { self.base.cast::<u8>().add(offset) }
    }

    /// The frame pointer of frame `depth`.
    pub(super) fn pointer(&self, depth: usize) -> u64 {
        self.at(depth * STRIDE + STACK).as_ptr() as u64
    }

    /// Frame `depth` for [`Image::run`].
    pub(super) fn window(&self, depth: usize) -> Window {
        Window(self.at(depth * STRIDE))
    }

    /// Zeroes the stack of frame `depth`.
    pub(super) fn clear(&mut self, depth: usize) {
        self.stack_bytes_mut(depth * STRIDE, STACK).fill(0);
    }

    /// A private slot of frame `depth`: `slot * 8` bytes above `r10`.
    pub(super) fn slot(&self, depth: usize, slot: usize) -> u64 {
        assert!(slot < 16, "slot inside the private area");
        let at = self.at(depth * STRIDE + STACK + slot * 8);
        // SAFETY: inside the allocation, 8-aligned as base, STRIDE and STACK are; only this thread uses it.
        unsafe { at.cast::<u64>().read() }
    }

    /// Sets a private slot.
    pub(super) fn set_slot(&mut self, depth: usize, slot: usize, value: u64) {
        assert!(slot < 16, "slot inside the private area");
        let at = self.at(depth * STRIDE + STACK + slot * 8);
        // SAFETY: as in `slot`.
        unsafe { at.cast::<u64>().write(value) }
    }

    /// Offset of `size` bytes at `addr`, if they are on the stack of one frame up to `depth`.
    pub(super) fn find(&self, addr: u64, size: u64, depth: usize) -> Option<usize> {
        let offset = usize::try_from(addr.wrapping_sub(self.base.as_ptr() as u64)).ok()?;
        let size = usize::try_from(size).ok()?;
        let (frame, at) = (offset / STRIDE, offset % STRIDE);
        (frame <= depth && at < STACK && size <= STACK - at).then_some(offset)
    }

    /// Bytes that [`Frames::find`] found.
    pub(super) fn stack_bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset + len <= FRAMES * STRIDE, "range inside the frames");
        // SAFETY: inside the allocation; rbpf does not run while a helper holds this borrow.
        unsafe { std::slice::from_raw_parts(self.at(offset).as_ptr(), len) }
    }

    /// As [`Frames::stack_bytes`], to write.
    pub(super) fn stack_bytes_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        assert!(offset + len <= FRAMES * STRIDE, "range inside the frames");
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset).as_ptr(), len) }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // SAFETY: `base` came from `Box::leak` in `new` and is freed only here.
        drop(unsafe { Box::from_raw(self.base.as_ptr()) });
    }
}

/// One function in rbpf, ready to run.
pub(super) struct Image {
    vm: EbpfVmMbuff<'static>,
    /// What `vm` points into: declared after it, so dropped after it.
    _code: Box<[u8]>,
}

impl Image {
    /// Gives legalized code to rbpf. `hard` becomes helper number `id`.
    pub(super) fn new(code: Vec<u8>, id: u32, hard: rbpf::Helper) -> Result<Image, std::io::Error> {
        let code = code.into_boxed_slice();
        // SAFETY: the boxed bytes neither move nor change while `_code` lives, which is longer than `vm` does.
        let text: &'static [u8] = unsafe { std::slice::from_raw_parts(code.as_ptr(), code.len()) };
        let mut vm = EbpfVmMbuff::new(None)?;
        // rbpf's verifier forbids what legalized code does by design (it sets r10); ours ran before.
        vm.set_verifier(|_| Ok(()))?;
        vm.set_program(text)?;
        vm.register_helper(id, hard)?;
        Ok(Image { vm, _code: code })
    }

    /// Runs it in a frame.
    pub(super) fn run(&self, window: Window) -> Result<u64, std::io::Error> {
        // SAFETY: a window is one frame of live `Frames`. rbpf reads nothing through this slice itself: it takes its
        // address and length, and reads and writes through pointers made of program registers.
        let frame = unsafe { std::slice::from_raw_parts(window.0.as_ptr(), STRIDE) };
        self.vm.execute_program(&[], frame)
    }
}

/// Memory of a simulated process: segments at their addresses.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    segments: Vec<(u64, Vec<u8>)>,
    /// Buffers of segments that were unmapped.
    spare: Vec<Vec<u8>>,
}

impl PartialEq for Memory {
    fn eq(&self, other: &Memory) -> bool {
        self.segments == other.segments
    }
}

impl Eq for Memory {}

impl Memory {
    /// Nothing mapped.
    pub const fn new() -> Self {
        Memory {
            segments: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Maps bytes at an address. Where segments overlap, the one mapped first is seen.
    pub fn map(&mut self, addr: u64, bytes: Vec<u8>) {
        self.segments.push((addr, bytes));
    }

    /// Maps a copy of bytes at an address, in a buffer that was used before if there is one.
    pub fn map_copy(&mut self, addr: u64, bytes: &[u8]) -> &mut Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        self.segments.push((addr, buffer));
        let last = self.segments.len() - 1;
        &mut self.segments[last].1
    }

    /// Unmaps all.
    pub fn clear(&mut self) {
        let buffers = self.segments.drain(..).map(|(_, bytes)| bytes);
        self.spare.extend(buffers);
    }

    /// Segments in the order in which they were mapped, to change.
    pub fn segments_mut(&mut self) -> &mut [(u64, Vec<u8>)] {
        &mut self.segments
    }

    /// The mapped bytes from `addr` on, at most `len`, to the end of their segment.
    pub fn upto(&self, addr: u64, len: usize) -> &[u8] {
        for (start, bytes) in &self.segments {
            if let Some(tail) = addr
                .checked_sub(*start)
                .and_then(|at| usize::try_from(at).ok())
                .and_then(|at| bytes.get(at..))
                && !tail.is_empty()
            {
                return &tail[..tail.len().min(len)];
            }
        }
        &[]
    }

    /// Fills `out` from `addr` on, across adjoining segments; `false` if a byte is not mapped.
    pub fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        let mut done = 0;
        while done < out.len() {
            let part = self.upto(addr.wrapping_add(done as u64), out.len() - done);
            if part.is_empty() {
                return false;
            }
            out[done..done + part.len()].copy_from_slice(part);
            done += part.len();
        }
        true
    }
}
