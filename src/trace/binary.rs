//! A file with probes, or the program of a process.

use super::{Arg, Subscription, TraceError};
use crate::{
    bitcoin::tracepoint,
    session::binary::{self, BinaryError, Located},
    suggest, wildcard,
};
use std::path::{Path, PathBuf};

/// A file with probes, or the program of a process.
#[derive(Clone, Debug)]
pub struct Binary {
    /// As it is printed.
    name: PathBuf,
    /// As it is opened from here.
    path: PathBuf,
    pid: Option<u32>,
    probes: Vec<Probe>,
}

/// A USDT probe of a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its provider: `net`.
    pub provider: String,
    /// Its name: `inbound_message`.
    pub name: String,
    /// Places in the code where it fires.
    pub sites: usize,
    /// The operands of its note: bytes, and whether they are signed. Of several sites, the widest.
    pub operands: Vec<(u8, bool)>,
}

impl Probe {
    /// `net:inbound_message`.
    pub fn full_name(&self) -> String {
        format!("{}:{}", self.provider, self.name)
    }

    /// Its arguments: names and types where they are known (see [`tracepoint`]), numbers `arg0`, `arg1`, … otherwise.
    pub fn args(&self) -> Vec<Arg> {
        let known = tracepoint::find(&self.provider, &self.name);
        let numbered = || {
            (0..self.operands.len())
                .map(|n| Arg::new(&format!("arg{n}"), tracepoint::Kind::Int, n))
                .collect()
        };
        match known {
            Some(point) => point
                .args
                .iter()
                .take(self.operands.len())
                .enumerate()
                .map(|(n, arg)| Arg::new(arg.name, arg.kind, n))
                .collect(),
            None => numbered(),
        }
    }
}

impl Binary {
    /// Reads the probes of a file. A name without `/` is looked up on `$PATH` and among shared libraries.
    ///
    /// Events come from every process that runs the file, now or later.
    ///
    /// # Errors
    /// [`TraceError::Binary`] if it is not there or no ELF file. A file without probes is no error.
    pub fn open(path: impl AsRef<Path>) -> Result<Binary, TraceError> {
        let path = path.as_ref();
        let written = path.to_string_lossy();
        let files = binary::locate(&written, None)?;
        match <[Located; 1]>::try_from(files) {
            Ok([file]) => Binary::read(file, None),
            Err(files) => {
                Err(BinaryError::NoMatch(format!("{written} (of {} files)", files.len())).into())
            }
        }
    }

    /// Reads the probes of the program that process `pid` runs, in its container too, even if the file was deleted or
    /// replaced since. Events come from that process alone.
    ///
    /// # Errors
    /// [`TraceError::Binary`] if there is no such process.
    pub fn of_process(pid: u32) -> Result<Binary, TraceError> {
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let name = std::fs::read_link(&link).map_err(|err| BinaryError::Process(pid, err))?;
        let shown = name.to_string_lossy();
        let name = PathBuf::from(shown.strip_suffix(" (deleted)").unwrap_or(&shown));
        // A process below a root of its own is shown by our path (chroot) or by its own (container). What is at neither is
        // gone: the link still leads to it.
        let below = PathBuf::from(format!("/proc/{pid}/root{}", name.display()));
        let open = [&name, &below]
            .into_iter()
            .find(|path| binary::is_same(path, &link))
            .unwrap_or(&link)
            .clone();
        Binary::read(Located { name, open }, Some(pid))
    }

    fn read(file: Located, pid: Option<u32>) -> Result<Binary, TraceError> {
        let bytes = binary::open(&file)?;
        let image = binary::notes(&file, &bytes)?;
        let found = image
            .probes(|_, _| true)
            .map_err(|err| BinaryError::Notes(file.name.clone(), err))?;
        let probes = found.into_iter().map(|probe| Probe {
            operands: widest(&probe.sites),
            sites: probe.sites.len(),
            provider: probe.provider,
            name: probe.name,
        });
        Ok(Binary {
            probes: probes.collect(),
            path: std::path::absolute(&file.open).unwrap_or(file.open),
            name: file.name,
            pid,
        })
    }

    /// Takes the events of all processes that run this file, also where it was found by a process.
    #[must_use]
    pub fn of_all_processes(mut self) -> Binary {
        self.pid = None;
        self
    }

    /// Its path, as the process has it.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The path to open it by from here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process that events come from; `None` for all that run the file.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Its probes, by provider and name.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// The probe `provider:name`.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        let (provider, name) = name.split_once(':')?;
        self.probes
            .iter()
            .find(|probe| probe.provider == provider && probe.name == name)
    }

    /// Events of the probes `provider:name`; `*` stands for any text.
    ///
    /// # Errors
    /// [`TraceError::NoProbe`] for a name that finds none, [`TraceError::Name`] for what is no name.
    pub fn subscribe(&self, names: &[&str]) -> Result<Subscription, TraceError> {
        let mut wanted: Vec<&Probe> = Vec::new();
        for name in names {
            let (provider, event) = name
                .split_once(':')
                .ok_or_else(|| TraceError::Name((*name).to_string()))?;
            let found: Vec<&Probe> = self
                .probes
                .iter()
                .filter(|p| {
                    wildcard::matches(provider, &p.provider) && wildcard::matches(event, &p.name)
                })
                .collect();
            if found.is_empty() {
                return Err(self.no_probe(name));
            }
            for probe in found {
                if !wanted.contains(&probe) {
                    wanted.push(probe);
                }
            }
        }
        Ok(Subscription::new(self.clone(), &wanted))
    }

    fn no_probe(&self, name: &str) -> TraceError {
        let known: Vec<String> = self.probes.iter().map(Probe::full_name).collect();
        TraceError::NoProbe {
            binary: self.name.display().to_string(),
            probe: name.to_string(),
            near: suggest::closest(name, known.iter().map(String::as_str)).map(str::to_string),
            none: known.is_empty(),
        }
    }
}

/// Of each operand the widest of all sites.
fn widest(sites: &[crate::spec::Site]) -> Vec<(u8, bool)> {
    let count = sites.iter().map(|site| site.args.len()).min().unwrap_or(0);
    (0..count)
        .map(|n| {
            sites
                .iter()
                .filter_map(|site| site.args.get(n))
                .map(|arg| (arg.size, arg.signed))
                .max()
                .unwrap_or((8, false))
        })
        .collect()
}
