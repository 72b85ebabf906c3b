//! Packets: the loads of old that copy from one.

use super::{
    error::What,
    value::{Kind, Value},
    walk::Walk,
};
use crate::asm::{Reg, Size, helper::ProgType};

impl Walk<'_> {
    pub(super) fn packet_load(&mut self, size: Size, index: Option<Reg>) -> Result<(), What> {
        if self.env.kind != ProgType::SocketFilter && self.env.kind != ProgType::SchedCls {
            return Err(What::PacketLoad);
        }
        if self.shape.starts.len() > 1 {
            return Err(What::NotModelled("packet loads beside local functions"));
        }
        if size == Size::DW {
            return Err(What::AccessSize);
        }
        if let Some((_, reserved)) = self.state.records.first() {
            return Err(What::RecordKept {
                reserved: *reserved,
            });
        }
        let context = self.read(Reg::R6)?;
        if context.kind != Kind::Ctx || context.fixed_off() != Some(0) {
            return Err(What::NoPointer {
                reg: Reg::R6,
                holds: context.kernel_name(),
            });
        }
        if let Some(index) = index {
            self.read(index)?;
        }
        self.clobber();
        *self.reg_mut(Reg::R0) = Value::UNKNOWN;
        Ok(())
    }
}
