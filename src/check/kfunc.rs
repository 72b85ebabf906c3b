//! Calls of kernel functions: who may call, and what they take, give and end (`check_kfunc_call`).

use super::{
    call::{Seen, Signature},
    error::{Thing, What},
    state::Held,
    value::Kind,
    walk::{Next, Walk},
};
use crate::asm::{
    Reg,
    helper::{ProgType, Ret},
    kfunc::{Effect, Kfunc, Known},
};

impl Walk<'_> {
    pub(super) fn kfunc(&mut self, id: i32, off: i16) -> Result<Next, What> {
        let row = match (self.env.kfunc)(id) {
            _ if off != 0 => return Err(What::NotModelled("a function of a module")),
            Some(Known::Row(row)) => row,
            Some(Known::Name(name)) => return Err(What::NotModelled(name)),
            None => return Err(What::NotModelled("a kernel function")),
        };
        let name = row.name;
        // What is written through a slice may be a packet (`may_access_direct_pkt_data`).
        let writes = row.ret == Ret::DynptrMemOrNull
            && !matches!(self.env.kind, ProgType::SchedCls | ProgType::Xdp);
        if writes || !row.allowed_in(self.env.kind) {
            return Err(What::HelperNotAllowed {
                helper: name,
                kind: self.env.kind,
            });
        }
        if !self.env.license_gpl {
            return Err(What::GplOnly { helper: name });
        }
        let signature = Signature {
            id: 0,
            name,
            args: row.args,
            ret: row.ret,
            takes_packet: true,
        };
        let mut seen = Seen::default();
        for (at, arg) in row.args.iter().enumerate() {
            self.argument(&signature, at, *arg, &mut seen)?;
        }
        if let (Ret::NextOrNull(size), Some(place)) = (row.ret, seen.object) {
            return self.next_number(place, size);
        }
        self.effect(row, &seen)?;
        self.clobber();
        let mut result = self.result(&signature, &seen)?;
        if row.effect == Effect::Acquires
            && let Kind::Btf(of) = result.kind
        {
            result.id = self.take(Thing::Object(of));
            result.record = result.id;
        }
        *self.reg_mut(Reg::R0) = result;
        Ok(Next::At(self.at + 1))
    }

    fn effect(&mut self, row: &Kfunc, seen: &Seen) -> Result<(), What> {
        let (at, id) = (self.at, 0);
        match row.effect {
            Effect::RcuLock => {
                if self.holds(Thing::Rcu) {
                    return Err(What::Nested);
                }
                let thing = Thing::Rcu;
                self.state.held.push(Held { id, at, thing });
            }
            Effect::PreemptOff => {
                let thing = Thing::Preempt;
                self.state.held.push(Held { id, at, thing });
            }
            Effect::RcuUnlock => self.end(Thing::Rcu, row.name)?,
            Effect::PreemptOn => self.end(Thing::Preempt, row.name)?,
            Effect::Releases => {
                self.release(seen.record);
                if let Some(place) = seen.object {
                    self.end_object(place, 1);
                }
            }
            Effect::None | Effect::Acquires => {}
        }
        Ok(())
    }

    /// Whether something of that kind is held.
    pub(super) fn holds(&self, thing: Thing) -> bool {
        self.state.held.iter().any(|held| held.thing == thing)
    }

    fn end(&mut self, thing: Thing, name: &'static str) -> Result<(), What> {
        let held = &mut self.state.held;
        let at = held.iter().rposition(|held| held.thing == thing);
        held.remove(at.ok_or(What::Unmatched { name })?);
        Ok(())
    }
}
