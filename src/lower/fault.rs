//! What goes wrong while a program runs is counted, by place in the script: off the path of what goes well.

use super::{helper, program::Lower, record::Addr};
use crate::{
    asm::{AtomicOp, Cond, Size},
    ir::{BlockId, Op, Opnd, Term},
    lang::{checked::Point, diag::bpftrace},
    span::Span,
    spec::{FAULT_CODE, FAULT_SIZE, Fault, FaultKind, ReadHelper},
};

impl Lower<'_> {
    /// Counts a fault of `kind` at `span`, with an error code where that tells something.
    pub(super) fn count_fault(&mut self, kind: FaultKind, span: Span, code: Opnd) {
        let index = self.fault_index(kind, span);
        let (map, base) = (self.shared.fault_map(), self.f.vreg());
        self.f.push(Op::MapValue {
            dst: base,
            map,
            off: index * FAULT_SIZE,
        });
        if kind.has_code() {
            let at = Addr { base, off: 0 };
            self.store_at(at.plus(FAULT_CODE), Size::DW, code);
        }
        let one = self.f.mov(1);
        self.f.push(Op::Atomic {
            op: AtomicOp::Add { fetch: false },
            size: Size::DW,
            base,
            off: 0,
            src: one,
            dst: None,
            expect: None,
        });
    }

    /// Its place in the map: programs of one probe share it.
    fn fault_index(&mut self, kind: FaultKind, span: Span) -> u32 {
        let faults = &mut self.shared.faults;
        let known = faults
            .iter()
            .position(|(at, f)| *at == span && f.kind == kind);
        let index = known.unwrap_or_else(|| {
            let (line, column) = bpftrace::start(span, self.text.source);
            let fault = Fault {
                kind,
                place: bpftrace::place(span, self.text.source),
                line,
                column,
                excerpt: bpftrace::excerpt(span, self.text.source),
            };
            faults.push((span, fault));
            faults.len() - 1
        });
        u32::try_from(index).unwrap_or(0)
    }

    /// Counts a fault when `code` is negative; what comes after is current.
    pub(super) fn check_code(&mut self, kind: FaultKind, span: Option<Span>, code: Opnd) {
        let Some(span) = span else {
            return;
        };
        let (bad, on) = (self.f.block(), self.f.block());
        self.f.branch(Cond::Slt, code, 0, bad, on);
        self.fault_block(kind, span, code, bad, on);
        self.f.switch_to(on);
    }

    /// Fills `bad`, which counts a fault and goes on at `on`.
    pub(super) fn fault_block(
        &mut self,
        kind: FaultKind,
        span: Span,
        code: Opnd,
        bad: BlockId,
        on: BlockId,
    ) {
        self.f.switch_to(bad);
        self.count_fault(kind, span, code);
        self.f.end(Term::Goto(on));
    }

    /// With `-k`, counts a read that failed: `helper` returned `code`.
    pub(super) fn check_read(&mut self, helper: u32, code: Opnd) {
        if !self.target.helper_errors {
            return;
        }
        let span = self.f.span();
        // Where the address space is not known bpftrace calls the helper that tries both.
        let known = self.usage.user_pointers || self.in_user_code();
        let kind = match helper {
            helper::PROBE_READ_USER if known => ReadHelper::ProbeReadUser,
            helper::PROBE_READ_USER_STR if known => ReadHelper::ProbeReadUserStr,
            helper::PROBE_READ_USER => ReadHelper::ProbeRead,
            helper::PROBE_READ_USER_STR => ReadHelper::ProbeReadStr,
            helper::PROBE_READ_KERNEL => ReadHelper::ProbeReadKernel,
            helper::PROBE_READ_KERNEL_STR => ReadHelper::ProbeReadKernelStr,
            _ => return,
        };
        self.check_code(FaultKind::Read(kind), span, code);
    }

    /// Whether pointers that the probe is given are the process's.
    fn in_user_code(&self) -> bool {
        matches!(
            self.point.point,
            Point::Usdt { .. }
                | Point::Uprobe { .. }
                | Point::Watch(..)
                | Point::Profile(_)
                | Point::Software(..)
        )
    }

    /// With `-k`, counts a key that is not in the map; the current block is that of the missing element.
    pub(super) fn missing(&mut self, kind: FaultKind) {
        if let (true, Some(span)) = (self.target.helper_errors, self.f.span()) {
            self.count_fault(kind, span, Opnd::Imm(0));
        }
    }
}
