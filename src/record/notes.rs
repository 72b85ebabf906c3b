//! What a live run found out beside its hits: names of addresses, the stacks that stack ids mean, and what code its
//! processes had mapped.

use crate::{
    runtime::{Address, NoSymbols, Symbols, names::Place},
    symbols::{ProcessCode, Symbolizer},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A named address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The process; none for the kernel.
    pub pid: Option<u32>,
    /// The address.
    pub addr: u64,
    /// The function there, and how far in the address is; none if there is no name.
    pub name: Option<(String, u64)>,
    /// The file there, if that was asked for.
    pub module: Option<String>,
    /// The build id and the byte of the file there, if that was asked for.
    #[serde(default)]
    pub build: Option<String>,
}

/// The body of a block of names and stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Addresses, as they were printed; a later one takes the place of an earlier one.
    pub names: Vec<Named>,
    /// Stacks by their id: return addresses, innermost first.
    pub stacks: Vec<(u32, Vec<u64>)>,
    /// Code of processes; a later sight of one adds to an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<ProcessCode>,
    /// Users by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<(u64, String)>,
    /// Hierarchies and paths of control groups by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroups: Vec<(u64, Vec<Place>)>,
}

impl Notes {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        *self == Notes::default()
    }

    /// Adds what another block has.
    pub(super) fn extend(&mut self, more: Notes) {
        self.names.extend(more.names);
        self.stacks.extend(more.stacks);
        self.code.extend(more.code);
        self.users.extend(more.users);
        self.cgroups.extend(more.cgroups);
    }
}

/// All that was said, and what of it is not in the file yet.
#[derive(Debug, Default)]
struct Said {
    all: HashMap<Address, Named>,
    fresh: Vec<Address>,
}

impl Said {
    fn note(&mut self, address: Address, change: impl FnOnce(&mut Named)) {
        let known = self.all.get(&address).cloned();
        let mut named = known.clone().unwrap_or_else(|| Named {
            pid: address.pid,
            addr: address.addr,
            ..Named::default()
        });
        change(&mut named);
        if known.as_ref() != Some(&named) {
            self.all.insert(address, named);
            self.fresh.push(address);
        }
    }
}

/// Whoever knows the names of a live run.
type Inner = Arc<Mutex<Box<dyn Symbols + Send>>>;

/// What the names of a live run are noted in.
#[derive(Clone, Default)]
pub(super) struct Notebook {
    said: Arc<Mutex<Said>>,
    /// Set when the run begins.
    inner: Option<Inner>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notebook {
    fn said(&self) -> MutexGuard<'_, Said> {
        locked(&self.said)
    }

    /// Remembers what a process has mapped, so that its addresses can be named later.
    pub(super) fn preload(&self, pid: u32) {
        if let Some(inner) = &self.inner {
            locked(inner).preload(pid);
        }
    }

    /// Notes the names of addresses that nobody asked for.
    pub(super) fn name(&self, addresses: impl IntoIterator<Item = Address>) {
        let Some(inner) = &self.inner else {
            return;
        };
        let mut symbols = Listening {
            inner: inner.clone(),
            notes: self.clone(),
        };
        let mut text = Vec::new();
        for address in addresses {
            text.clear();
            // The file of an address without a name is not worth a note.
            let known = self.said().all.contains_key(&address);
            if !known && symbols.name(&mut text, address, true) {
                symbols.module(&mut text, address);
            }
        }
    }

    /// Names that were said since the last time.
    pub(super) fn take(&self) -> Vec<Named> {
        let mut said = self.said();
        let fresh = std::mem::take(&mut said.fresh);
        let named = fresh.iter().filter_map(|address| said.all.get(address));
        named.cloned().collect()
    }

    /// Names as `inner` says them, noted here.
    pub(super) fn listen(&mut self, inner: Box<dyn Symbols + Send>) -> Box<dyn Symbols + Send> {
        let inner = self.inner.insert(Arc::new(Mutex::new(inner))).clone();
        Box::new(Listening {
            inner,
            notes: self.clone(),
        })
    }
}

/// Names, noted as they are said.
struct Listening {
    inner: Inner,
    notes: Notebook,
}

impl Symbols for Listening {
    fn name(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) -> bool {
        let start = out.len();
        let found = locked(&self.inner).name(out, address, true);
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        // The last `+` is the offset's, whatever the name holds.
        let parts = text.rsplit_once('+');
        let parts = parts.and_then(|(name, into)| Some((name.to_owned(), into.parse().ok()?)));
        if let (Some((name, _)), false) = (&parts, offset) {
            out.truncate(start + name.len());
        }
        let name = parts.filter(|_| found);
        self.notes.said().note(address, |named| named.name = name);
        found
    }

    fn module(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        let start = out.len();
        let found = locked(&self.inner).module(out, address);
        let text = found.then(|| String::from_utf8_lossy(&out[start..]).into_owned());
        self.notes.said().note(address, |named| named.module = text);
        found
    }

    fn build_id(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        let start = out.len();
        let found = locked(&self.inner).build_id(out, address);
        let text = found.then(|| String::from_utf8_lossy(&out[start..]).into_owned());
        self.notes.said().note(address, |named| named.build = text);
        found
    }

    fn preload(&mut self, pid: u32) {
        locked(&self.inner).preload(pid);
    }
}

/// Names as a recording has them; those that it has not from the files that its processes had mapped, where they are still
/// there.
#[derive(Debug)]
pub(super) struct Known {
    named: HashMap<Address, Named>,
    files: Symbolizer,
}

impl Known {
    /// Those of a recording's notes; its files may be at the paths `also`.
    pub(super) fn new(notes: &Notes, also: Vec<PathBuf>, demangle: bool) -> Known {
        let named = notes.names.iter().map(|named| {
            let Named { pid, addr, .. } = *named;
            (Address { addr, pid }, named.clone())
        });
        Known {
            named: named.collect(),
            files: Symbolizer::recorded(&notes.code, also, demangle),
        }
    }

    fn say(
        &self,
        out: &mut Vec<u8>,
        address: Address,
        part: fn(&Named) -> Option<&String>,
    ) -> bool {
        let text = self.named.get(&address).and_then(part);
        out.extend_from_slice(text.map_or(&[], |text| text.as_bytes()));
        text.is_some()
    }
}

impl Symbols for Known {
    fn name(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) -> bool {
        let named = self.named.get(&address);
        let Some((name, into)) = named.and_then(|named| named.name.as_ref()) else {
            // What had no name then has none now.
            return match named {
                None => self.files.name(out, address, offset),
                Some(_) => NoSymbols.name(out, address, offset),
            };
        };
        out.extend_from_slice(name.as_bytes());
        if offset {
            out.push(b'+');
            out.extend_from_slice(into.to_string().as_bytes());
        }
        true
    }

    fn module(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        self.say(out, address, |named| named.module.as_ref()) || self.files.module(out, address)
    }

    fn build_id(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        self.say(out, address, |named| named.build.as_ref()) || self.files.build_id(out, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names every address below 100.
    struct Few;

    impl Symbols for Few {
        fn name(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) -> bool {
            if address.addr >= 100 {
                return false;
            }
            out.extend_from_slice(b"operator+");
            if offset {
                out.extend_from_slice(format!("+{}", address.addr).as_bytes());
            }
            true
        }

        fn module(&mut self, out: &mut Vec<u8>, _: Address) -> bool {
            out.extend_from_slice(b"/bin/x");
            true
        }
    }

    #[test]
    fn what_was_said_is_said_again() {
        let mut notebook = Notebook::default();
        let mut live = notebook.listen(Box::new(Few));
        let mut said = Vec::new();
        let asked = [(7, false), (7, true), (100, true), (8, true)];
        for (addr, offset) in asked {
            let address = Address { addr, pid: Some(1) };
            let found = live.name(&mut said, address, offset);
            assert_eq!(found, addr < 100);
            said.push(b' ');
        }
        let seven = Address {
            addr: 7,
            pid: Some(1),
        };
        live.module(&mut said, seven);
        assert_eq!(
            String::from_utf8_lossy(&said),
            "operator+ operator++7  operator++8 /bin/x"
        );
        let names = notebook.take();
        assert!(notebook.take().is_empty());
        let notes = Notes {
            names,
            ..Notes::default()
        };
        let mut known = Known::new(&notes, Vec::new(), true);
        let mut again = Vec::new();
        for (addr, offset) in asked {
            known.name(&mut again, Address { addr, pid: Some(1) }, offset);
            again.push(b' ');
        }
        known.module(&mut again, seven);
        assert_eq!(again, said);
        let kernel = Address { addr: 7, pid: None };
        assert!(!known.name(&mut again, kernel, false));
        // What was said is not noted again; what nobody asked for is, if it has a name.
        let asked = [7, 9, 200].map(|addr| Address { addr, pid: Some(1) });
        notebook.name(asked);
        let nine = Named {
            pid: Some(1),
            addr: 9,
            name: Some(("operator+".to_owned(), 9)),
            module: Some("/bin/x".to_owned()),
            build: None,
        };
        let nothing = Named {
            pid: Some(1),
            addr: 200,
            ..Named::default()
        };
        let fresh = notebook.take();
        assert!(fresh.contains(&nine) && !fresh.iter().any(|named| named.addr == 7));
        assert!(
            fresh
                .iter()
                .all(|named| *named == nine || *named == nothing)
        );
    }
}
