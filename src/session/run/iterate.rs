//! Iterators: a program that is run on each object there is.

use super::super::error::SessionError;
use super::{Run, Stop, specs};
use crate::{
    runtime::attach::Attachment,
    spec::AttachSpec,
    sys::bpf::{self},
};
use std::{
    io::{self},
    thread::{self},
};

impl Run<'_> {
    /// Whether the script is an iterator.
    pub(super) fn iterates(&self) -> bool {
        specs(self.object).any(|(_, spec)| matches!(spec, AttachSpec::Iter { .. }))
    }

    /// Runs an iterator on every object there is, or keeps it under the name that the script gives.
    pub(super) fn iterate(&mut self) -> Result<(), SessionError> {
        let wanted = specs(self.object).find_map(|(_, spec)| match spec {
            AttachSpec::Iter { pin, .. } => Some(pin.clone()),
            _ => None,
        });
        let link = self.attached.first().and_then(Attachment::link);
        let (Some(pin), Some(link)) = (wanted, link) else {
            return Ok(());
        };
        if let Some(path) = pin {
            let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())
                .map_err(|err| SessionError::Io("pin the iterator", err.into()))?;
            bpf::pin(link, &name)
                .map_err(|err| SessionError::Io("pin the iterator: bpf(BPF_OBJ_PIN)", err))?;
            let text = format!("Program pinned to {}\n", path.display());
            self.player.say(text.as_bytes());
            return Ok(());
        }
        let fd =
            bpf::iter_create(link).map_err(|err| SessionError::Io("bpf(BPF_ITER_CREATE)", err))?;
        // Reading it runs the program; what that prints is taken out of the rings meanwhile.
        let reader = thread::spawn(move || {
            let mut file = std::fs::File::from(fd);
            io::copy(&mut file, &mut io::sink())
        });
        while !reader.is_finished() {
            if !self.drain(false)? {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            if !matches!(self.stop, Stop::No) {
                break;
            }
        }
        match reader.join() {
            Ok(read) => read.map_err(|err| SessionError::Io("read the iterator", err))?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(())
    }
}
