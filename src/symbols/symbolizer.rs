//! Names of addresses in running processes: the runtime's [`Symbols`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::elf::Image;
use crate::runtime::{Address, Symbols, int};
use crate::symbols::code::{self, CodeFile, ProcessCode};
use crate::symbols::kernel::Kernel;
use crate::symbols::process::{self, MappedFile, Mapping, Process};
use crate::symbols::table::{Bytes, Table};
use crate::symbols::{debug_file, demangle};
use crate::sys::file_map::FileMap;

/// Processes that are remembered; beyond that the oldest is forgotten.
const MAX_PROCESSES: usize = 1024;
/// Demangled names that are remembered.
const MAX_NAMES: usize = 4096;

/// A file that some process has mapped.
#[derive(Debug)]
struct Mapped {
    file: MappedFile,
    state: State,
}

/// How much is known of a file. It is opened when first seen, so that its name may vanish; its symbols are read when
/// first asked for.
#[derive(Debug)]
enum State {
    /// It was mapped in another run: to be opened if it is that build.
    Recorded(CodeFile),
    Open(Bytes),
    Read(Box<Table>),
    /// It cannot be opened, or is not ELF.
    Nothing,
}

/// Finds names of addresses, and remembers what processes had mapped, also when they have ended.
///
/// Symbols are kept once for each file, however many processes have it mapped.
#[derive(Debug)]
pub struct Symbolizer {
    demangle: bool,
    files: Vec<Mapped>,
    numbers: HashMap<MappedFile, usize>,
    processes: HashMap<u32, Process>,
    /// Numbers of the processes, the oldest first.
    order: VecDeque<u32>,
    /// Demangled names by file and symbol.
    names: HashMap<(usize, usize), Option<Box<str>>>,
    kernel: Option<Kernel>,
    /// Processes and kernel are those of a recording; its files may be at these paths, too.
    recorded: Option<Vec<PathBuf>>,
}

impl Default for Symbolizer {
    fn default() -> Self {
        Symbolizer::new(true)
    }
}

impl Symbolizer {
    /// Knows nothing yet; with `demangle`, C++ and Rust names are shown as written (config `cpp_demangle`).
    pub fn new(demangle: bool) -> Symbolizer {
        Symbolizer {
            demangle,
            files: Vec::new(),
            numbers: HashMap::new(),
            processes: HashMap::new(),
            order: VecDeque::new(),
            names: HashMap::new(),
            kernel: None,
            recorded: None,
        }
    }

    /// Knows processes as they were, later sights of one last, and nothing of those that run now. Names are those of the
    /// files they had mapped, where these are still there or at one of the paths `also`.
    pub fn recorded(code: &[ProcessCode], also: Vec<PathBuf>, demangle: bool) -> Symbolizer {
        let mut symbolizer = Symbolizer::new(demangle);
        let mut all: HashMap<u32, Vec<Mapping<usize>>> = HashMap::new();
        for process in code.iter().rev() {
            let known = all.entry(process.pid).or_default();
            for range in &process.ranges {
                let Some(file) = process.files.get(range.file) else {
                    continue;
                };
                let (start, end) = (range.start, range.end);
                if known.iter().any(|m| m.start < end && start < m.end) {
                    continue;
                }
                known.push(Mapping {
                    start,
                    end,
                    offset: range.offset,
                    exec: true,
                    file: symbolizer.recorded_file(file),
                });
            }
        }
        for (pid, mut mappings) in all {
            mappings.sort_unstable_by_key(|m| m.start);
            symbolizer
                .processes
                .insert(pid, Process::new(None, mappings));
        }
        symbolizer.recorded = Some(also);
        symbolizer
    }

    /// The number of a file that a process of a recording had mapped.
    fn recorded_file(&mut self, file: &CodeFile) -> usize {
        let mapped = MappedFile {
            id: file.build.clone(),
            path: file.path.clone(),
        };
        *self.numbers.entry(mapped.clone()).or_insert_with(|| {
            self.files.push(Mapped {
                file: mapped,
                state: State::Recorded(file.clone()),
            });
            self.files.len() - 1
        })
    }

    /// Remembers what process `pid` has mapped now, so that its addresses have names even after its end. Costs a read of
    /// its maps and an opened mapping for each new file; does nothing if there is no such process.
    pub fn preload(&mut self, pid: u32) {
        if self.recorded.is_some() {
            return;
        }
        let found = process::read(pid);
        if found.is_empty() {
            return;
        }
        // A file of which nothing can run has no symbols: a database may map thousands.
        let code: HashSet<MappedFile> = found
            .iter()
            .filter(|m| m.exec)
            .map(|m| m.file.clone())
            .collect();
        let mappings = found
            .into_iter()
            .filter(|m| code.contains(&m.file))
            .map(|mapping| Mapping {
                start: mapping.start,
                end: mapping.end,
                offset: mapping.offset,
                exec: mapping.exec,
                file: self.file(pid, mapping),
            })
            .collect();
        if self
            .processes
            .insert(pid, Process::new(Some(pid), mappings))
            .is_none()
        {
            self.order.push_back(pid);
            if self.order.len() > MAX_PROCESSES {
                let oldest = self.order.pop_front();
                oldest.and_then(|pid| self.processes.remove(&pid));
            }
        }
    }

    /// The number of a mapped file, which is opened if it is new.
    fn file(&mut self, pid: u32, mapping: Mapping<MappedFile>) -> usize {
        if let Some(number) = self.numbers.get(&mapping.file) {
            return *number;
        }
        let bytes = if mapping.file.id.is_empty() {
            vdso().map(Bytes::Vdso)
        } else {
            let paths = process::open_paths(pid, &mapping);
            let open = paths.iter().find_map(|path| FileMap::open(path).ok());
            open.map(Bytes::File)
        };
        let number = self.files.len();
        self.numbers.insert(mapping.file.clone(), number);
        self.files.push(Mapped {
            file: mapping.file,
            state: bytes.map_or(State::Nothing, State::Open),
        });
        number
    }

    /// What is mapped at `addr` of process `pid`: start, offset in the file, whether executable, file.
    fn mapping(&mut self, pid: u32, addr: u64) -> Option<Mapping<usize>> {
        if self.recorded.is_some() {
            return self.processes.get(&pid)?.find(addr).cloned();
        }
        let stale = match self.processes.get_mut(&pid) {
            Some(process) => process.is_replaced(pid),
            None => true,
        };
        if stale {
            self.preload(pid);
        }
        let process = self.processes.get_mut(&pid)?;
        if let Some(mapping) = process.find(addr) {
            return Some(mapping.clone());
        }
        if stale || !process.may_have_more() {
            return None;
        }
        self.preload(pid);
        self.processes.get(&pid)?.find(addr).cloned()
    }

    /// File and number of the symbol at `addr`, and how far in the address is.
    fn symbol(&mut self, pid: u32, addr: u64) -> Option<(usize, usize, u64)> {
        let mapping = self.mapping(pid, addr)?;
        let table = self.table(mapping.file)?;
        let offset = (addr - mapping.start).checked_add(mapping.offset)?;
        let (symbol, into) = table.find(table.vaddr(offset, mapping.exec)?)?;
        Some((mapping.file, symbol, into))
    }

    /// The symbols of a file, read when first asked for.
    fn table(&mut self, number: usize) -> Option<&Table> {
        let mapped = self.files.get_mut(number)?;
        if let State::Recorded(file) = &mapped.state {
            let also = self.recorded.as_deref().unwrap_or_default();
            let bytes = code::open(file, also).map(Bytes::File);
            mapped.state = bytes.map_or(State::Nothing, State::Open);
        }
        mapped.state = match std::mem::replace(&mut mapped.state, State::Nothing) {
            State::Open(bytes) => {
                let debug = Image::parse(&bytes)
                    .ok()
                    .filter(|image| !image.has_symtab())
                    .and_then(|image| debug_file(&mapped.file.path, &image))
                    .and_then(|path| FileMap::open(&path).ok());
                match Table::new(bytes, debug) {
                    Ok(table) => State::Read(Box::new(table)),
                    Err(_) => State::Nothing,
                }
            }
            state => state,
        };
        match &mapped.state {
            State::Read(table) => Some(table),
            _ => None,
        }
    }

    fn user(&mut self, out: &mut Vec<u8>, pid: u32, addr: u64) -> Option<u64> {
        let (file, symbol, into) = self.symbol(pid, addr)?;
        let State::Read(table) = &self.files.get(file)?.state else {
            return None;
        };
        let name = table.name(symbol)?;
        let mangled = name.starts_with("_Z") || name.starts_with("_R");
        if !(self.demangle && mangled) {
            out.extend_from_slice(name.as_bytes());
            return Some(into);
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        let readable = self
            .names
            .entry((file, symbol))
            .or_insert_with(|| demangle(name).map(String::into_boxed_str));
        out.extend_from_slice(readable.as_deref().unwrap_or(name).as_bytes());
        Some(into)
    }
}

impl Symbols for Symbolizer {
    fn preload(&mut self, pid: u32) {
        Symbolizer::preload(self, pid);
    }

    fn name(&mut self, out: &mut Vec<u8>, address: Address, offset: bool) -> bool {
        let into = match address.pid {
            Some(pid) => self.user(out, pid, address.addr),
            None if self.recorded.is_some() => None,
            None => {
                let kernel = self.kernel.get_or_insert_with(Kernel::read);
                kernel.find(address.addr).map(|(name, into)| {
                    out.extend_from_slice(name.as_bytes());
                    into
                })
            }
        };
        if let (Some(into), true) = (into, offset) {
            // Writing to a vector cannot fail.
            let _ = write!(out, "+{into}");
        }
        into.is_some()
    }

    fn module(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let Some(pid) = address.pid else {
            return false;
        };
        let Some(mapping) = self.mapping(pid, address.addr) else {
            return false;
        };
        let Some(mapped) = self.files.get(mapping.file) else {
            return false;
        };
        out.extend_from_slice(mapped.file.path.as_os_str().as_bytes());
        true
    }

    fn build_id(&mut self, out: &mut Vec<u8>, address: Address) -> bool {
        let mapping = address.pid.and_then(|pid| self.mapping(pid, address.addr));
        let Some(mapping) = mapping else {
            return false;
        };
        let offset = (address.addr - mapping.start).saturating_add(mapping.offset);
        let Some(id) = self.table(mapping.file).and_then(|table| table.build_id()) else {
            return false;
        };
        for byte in id {
            int::push_pow2(out, u64::from(byte >> 4), 4, false);
            int::push_pow2(out, u64::from(byte & 15), 4, false);
        }
        out.push(b' ');
        int::push_hex(out, offset);
        true
    }
}

/// The vdso, read from this process: it is the same in all.
fn vdso() -> Option<Vec<u8>> {
    let own = process::read(std::process::id());
    let mapping = own.into_iter().find(|m| m.file.id.is_empty())?;
    let size = usize::try_from(mapping.end - mapping.start).ok()?;
    let mut bytes = vec![0; size.min(1 << 20)];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, mapping.start).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::process::mapped_files;
    use std::process::{Command, Stdio};

    fn name(symbols: &mut Symbolizer, pid: u32, addr: u64, offset: bool) -> Option<String> {
        let mut out = Vec::new();
        let pid = Some(pid);
        symbols
            .name(&mut out, Address { addr, pid }, offset)
            .then(|| String::from_utf8(out).unwrap())
    }

    #[inline(never)]
    fn a_function_to_be_named(x: u64) -> u64 {
        std::hint::black_box(x) + 1
    }

    #[test]
    fn names_of_this_process() {
        let pid = std::process::id();
        let addr = a_function_to_be_named as *const () as u64;
        let want = concat!(module_path!(), "::a_function_to_be_named");
        // The runtime may keep it in another thread.
        let mut symbols = Symbolizer::default();
        let _: &(dyn Symbols + Send) = &symbols;
        assert_eq!(name(&mut symbols, pid, addr, false).as_deref(), Some(want));
        let next = name(&mut symbols, pid, addr + 1, true).unwrap();
        assert_eq!(next, format!("{want}+1"));
        let mut plain = Symbolizer::new(false);
        let mangled = name(&mut plain, pid, addr, false).unwrap();
        assert!(mangled.starts_with('_') && mangled.contains("a_function_to_be_named"));
        let mut path = Vec::new();
        assert!(symbols.module(
            &mut path,
            Address {
                addr,
                pid: Some(pid)
            }
        ));
        assert_eq!(
            path,
            std::env::current_exe()
                .unwrap()
                .to_str()
                .unwrap()
                .as_bytes()
        );
        assert_eq!(name(&mut symbols, pid, 8, true), None);
    }

    #[test]
    fn what_has_ended_keeps_its_names() {
        let mut child = Command::new("sleep")
            .arg("100")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Until it has begun to run, it is a copy of this process.
        let exe = format!("/proc/{}/exe", child.id());
        while std::fs::read_link(&exe).unwrap() == std::env::current_exe().unwrap() {
            std::thread::yield_now();
        }
        let libc = loop {
            let files = mapped_files(child.id()).unwrap();
            let is_libc = |path: &std::path::Path| path.to_string_lossy().contains("libc.so");
            if let Some(file) = files.into_iter().find(|f| is_libc(&f.path)) {
                break file;
            }
        };
        let bytes = FileMap::open(&libc.open).unwrap();
        let image = Image::parse(&bytes).unwrap();
        let malloc = image.functions_named("malloc")[0];
        let addr = libc.start + (malloc.offset - libc.offset) + 4;
        let mut symbols = Symbolizer::default();
        symbols.preload(child.id());
        let pid = child.id();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            name(&mut symbols, pid, addr, true).as_deref(),
            Some("malloc+4")
        );
        assert_eq!(name(&mut Symbolizer::default(), pid, addr, true), None);
    }

    #[test]
    fn processes_of_a_recording() {
        let pid = std::process::id();
        let addr = a_function_to_be_named as *const () as u64;
        let mut code = crate::symbols::CodeReader::default().read(pid).unwrap();
        code.pid = 1;
        let want = concat!(module_path!(), "::a_function_to_be_named");
        // Seen twice: before with something else at the place.
        let mut before = code.clone();
        before.files = vec![CodeFile {
            path: "/nowhere/else".into(),
            build: String::new(),
        }];
        before.ranges.iter_mut().for_each(|range| range.file = 0);
        let seen = [before, code];
        let mut symbols = Symbolizer::recorded(&seen, Vec::new(), true);
        assert_eq!(name(&mut symbols, 1, addr, false).as_deref(), Some(want));
        // This process runs, but is not the recording's.
        assert_eq!(name(&mut symbols, pid, addr, false), None);
        let mut out = Vec::new();
        let kernel = Address { addr, pid: None };
        assert!(!symbols.name(&mut out, kernel, false));
        // A file that is no more has no names, but its own.
        let mut gone = Symbolizer::recorded(&seen[..1], Vec::new(), true);
        assert_eq!(name(&mut gone, 1, addr, false), None);
        let address = Address { addr, pid: Some(1) };
        assert!(gone.module(&mut out, address));
        assert_eq!(out, b"/nowhere/else");
    }

    #[test]
    fn the_vdso_has_names() {
        let pid = std::process::id();
        let own = process::read(pid);
        let Some(mapping) = own
            .into_iter()
            .find(|m| m.file.path.as_os_str() == "[vdso]")
        else {
            return;
        };
        let bytes = vdso().unwrap();
        let image = Image::parse(&bytes).unwrap();
        let function = image.functions(|_| true)[0];
        let mut symbols = Symbolizer::default();
        assert!(name(&mut symbols, pid, mapping.start + function.offset, false).is_some());
    }
}
