//! What a process has mapped where, remembered beyond its end.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a process is looked at again, at most.
const PAUSE: Duration = Duration::from_millis(10);
/// Mappings that are remembered of one process.
const MAX_MAPPINGS: usize = 1 << 16;

/// What is mapped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MappedFile {
    /// `device:inode` as in the maps; empty for the vdso.
    pub(super) id: String,
    /// Path in the process's own mount namespace, ` (deleted)` included.
    pub(super) path: PathBuf,
}

/// A range of addresses with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping<F> {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Byte in the file at which it begins.
    pub(super) offset: u64,
    /// Mapped executable.
    pub(super) exec: bool,
    /// What is there.
    pub(super) file: F,
}

/// A process's mappings, as they were when last seen.
#[derive(Debug)]
pub(super) struct Process {
    /// Sorted by address.
    pub(super) mappings: Vec<Mapping<usize>>,
    /// Device and inode of the program.
    program: Option<(u64, u64)>,
    /// When its identity was checked.
    checked: Instant,
    /// When its mappings were read.
    read: Instant,
}

impl Process {
    /// The process with these mappings, read just now; without `pid` one of another time.
    pub(super) fn new(pid: Option<u32>, mappings: Vec<Mapping<usize>>) -> Process {
        let now = Instant::now();
        Process {
            mappings,
            program: pid.and_then(program),
            checked: now,
            read: now,
        }
    }

    /// What is mapped at `addr`.
    pub(super) fn find(&self, addr: u64) -> Option<&Mapping<usize>> {
        let after = self.mappings.partition_point(|m| m.start <= addr);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        (addr < mapping.end).then_some(mapping)
    }

    /// Whether the number now is that of another program. A process that has ended is still itself.
    pub(super) fn is_replaced(&mut self, pid: u32) -> bool {
        let now = Instant::now();
        if now.duration_since(self.checked) < PAUSE {
            return false;
        }
        self.checked = now;
        program(pid).is_some_and(|new| self.program.is_some_and(|old| old != new))
    }

    /// Whether it is time to look for new mappings, as `dlopen` makes them.
    pub(super) fn may_have_more(&mut self) -> bool {
        let now = Instant::now();
        let due = now.duration_since(self.read) >= PAUSE;
        if due {
            self.read = now;
        }
        due
    }
}

fn program(pid: u32) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// The mappings of a live process that are of files or of the vdso; none if it has ended.
pub(super) fn read(pid: u32) -> Vec<Mapping<MappedFile>> {
    let text = std::fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Reads the text of a `/proc/PID/maps` (proc(5)).
fn parse(text: &str) -> Vec<Mapping<MappedFile>> {
    text.lines().filter_map(line).take(MAX_MAPPINGS).collect()
}

fn line(line: &str) -> Option<Mapping<MappedFile>> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let perms = fields.next()?;
    let offset = fields.next()?;
    let (device, inode) = (fields.next()?, fields.next()?);
    let path = fields.next()?.trim_start();
    let is_vdso = path == "[vdso]";
    let hex = |text| u64::from_str_radix(text, 16).ok();
    (is_vdso || path.starts_with('/')).then_some(())?;
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: if is_vdso { 0 } else { hex(offset)? },
        exec: perms.contains('x'),
        file: MappedFile {
            id: match is_vdso {
                true => String::new(),
                false => format!("{device}:{inode}"),
            },
            path: PathBuf::from(path.replace("\\012", "\n")),
        },
    })
}

/// Where the file of a mapping can be opened: by the kernel's own link to it, or by its path as the process sees it.
pub(super) fn open_paths(pid: u32, mapping: &Mapping<MappedFile>) -> Vec<PathBuf> {
    paths(pid, (mapping.start, mapping.end), &mapping.file.path)
}

/// The same of a range of addresses and a path.
pub(super) fn paths(pid: u32, (start, end): (u64, u64), path: &Path) -> Vec<PathBuf> {
    let link = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
    let mut all = vec![PathBuf::from(link)];
    all.extend(crate::elf::process::in_process(pid, path));
    // The process may have ended since: most files are the same for all.
    all.push(Path::new(path).to_path_buf());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        let text = "\
55d0-55e0 r-xp 00001000 fe:00 12                       /usr/bin/a b
55e0-55f0 rw-p 00000000 00:00 0                        [heap]
7f00-7f10 r-xp 00000000 00:00 0
7f20-7f30 r-xp 00000000 00:00 0                        [vdso]
zz-7f30 r-xp 00000000 00:00 0                          /x
7f40-7f50
";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].file.path, Path::new("/usr/bin/a b"));
        assert_eq!(found[0].file.id, "fe:00:12");
        assert_eq!((found[0].start, found[0].offset), (0x55d0, 0x1000));
        assert!(found[1].file.id.is_empty() && found[1].exec);
    }
}
