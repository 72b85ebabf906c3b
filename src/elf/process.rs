//! The files that a process has mapped, opened as the process sees them: the edge to `/proc`.

use std::collections::HashSet;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed in one path, as the kernel has it (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// One file that a process has mapped executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its path in the process's own mount namespace.
    pub path: PathBuf,
    /// The path under which this process can open it.
    pub open: PathBuf,
    /// First address of the mapping.
    pub start: u64,
    /// Byte in the file at which the mapping begins.
    pub offset: u64,
}

/// The files that process `pid` has mapped executable, each once, in order of address.
///
/// # Errors
/// As reading `/proc/PID/maps`: no such process, or no right to look.
pub fn mapped_files(pid: u32) -> io::Result<Vec<Mapped>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let root = root_of(pid);
    let mut files = parse_maps(&text);
    for file in &mut files {
        let deleted = file.path.to_string_lossy().ends_with(" (deleted)");
        file.open = if deleted {
            // The kernel keeps a link to each mapped file, even if it has no name any more.
            map_file(pid, &text, file.start)
        } else {
            in_root(&root, &file.path)?
        };
    }
    Ok(files)
}

/// The root directory of process `pid`, as this process can walk it.
pub fn root_of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root"))
}

/// The path of the file that `path` means for process `pid`, openable from here: an absolute path is looked up from
/// the process's root, so that a process in a container works; any other path is left as it is.
///
/// # Errors
/// As reading the symbolic links on the way.
pub fn in_process(pid: u32, path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() {
        in_root(&root_of(pid), path)
    } else {
        Ok(path.to_path_buf())
    }
}

/// Looks up absolute `path` below `root`: symbolic links on the way are followed from `root`, not from this
/// process's own `/`, and `..` does not lead out of it.
fn in_root(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut todo: Vec<PathBuf> = parts(path);
    let mut done = root.to_path_buf();
    let mut depth = 0usize;
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part.as_os_str() == ".." {
            if depth > 0 {
                done.pop();
                depth -= 1;
            }
            continue;
        }
        done.push(&part);
        depth += 1;
        let Ok(target) = std::fs::read_link(&done) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        done.pop();
        depth -= 1;
        if target.is_absolute() {
            done = root.to_path_buf();
            depth = 0;
        }
        todo.extend(parts(&target));
    }
    Ok(done)
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let part = |c: Component<'_>| match c {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(part).collect()
}

/// `/proc/PID/map_files/START-END` of the mapping that begins at `start`.
fn map_file(pid: u32, maps: &str, start: u64) -> PathBuf {
    let line = maps
        .lines()
        .find(|l| range(l).is_some_and(|r| r.0 == start));
    let (start, end) = line.and_then(range).unwrap_or((start, start));
    PathBuf::from(format!("/proc/{pid}/map_files/{start:x}-{end:x}"))
}

/// The files of executable mappings in the text of a `/proc/PID/maps`, each once; `open` is the path itself.
///
/// A line is `start-end perms offset dev inode path` (proc(5)); a path may hold blanks, and a newline in it is written `\012`.
fn parse_maps(text: &str) -> Vec<Mapped> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(6, ' ');
        let (Some(_), Some(perms), Some(offset), Some(_), Some(_), Some(path)) = (
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ) else {
            continue;
        };
        let path = path.trim_start().replace("\\012", "\n");
        let (Some((start, _)), Ok(offset)) = (range(line), u64::from_str_radix(offset, 16)) else {
            continue;
        };
        if perms.contains('x') && path.starts_with('/') && seen.insert(path.clone()) {
            files.push(Mapped {
                path: PathBuf::from(&path),
                open: PathBuf::from(path),
                start,
                offset,
            });
        }
    }
    files
}

/// The addresses at the start of a line of maps.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    Some((
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lines() {
        let text = "\
55d0-55e0 r--p 00000000 fe:00 12                       /usr/bin/a b
55e0-55f0 r-xp 00001000 fe:00 12                       /usr/bin/a b
55f0-5600 r-xp 00002000 fe:00 12                       /usr/bin/a b
7f00-7f10 r-xp 00000000 00:00 0 
7f20-7f30 r-xp 00000000 00:00 0                        [vdso]
7f40-7f50 r-xp 00003000 fe:00 13                       /lib/c.so (deleted)
nonsense
";
        let files = parse_maps(text);
        let brief: Vec<_> = files
            .iter()
            .map(|f| (f.path.to_str().unwrap(), f.start, f.offset))
            .collect();
        assert_eq!(
            brief,
            [
                ("/usr/bin/a b", 0x55e0, 0x1000),
                ("/lib/c.so (deleted)", 0x7f40, 0x3000)
            ]
        );
        assert_eq!(
            map_file(7, text, 0x7f40),
            Path::new("/proc/7/map_files/7f40-7f50")
        );
    }

    #[test]
    fn own_executable_is_mapped() {
        let files = mapped_files(std::process::id()).unwrap();
        let own = std::env::current_exe().unwrap();
        let found = files.iter().find(|f| f.path == own).unwrap();
        let ends = own.strip_prefix("/").unwrap();
        assert!(found.open.ends_with(ends));
        assert!(std::fs::metadata(&found.open).unwrap().is_file());
    }

    #[test]
    fn links_stay_below_the_root() {
        let root = std::env::temp_dir().join(format!("baretrace-root-{}", std::process::id()));
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::fs::write(root.join("usr/lib/libx.so"), "x").unwrap();
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
        link("/usr/lib", "lib");
        link("../../../lib/libx.so", "usr/up.so");
        link("loop", "loop");
        let want = root.join("usr/lib/libx.so");
        let inside = |path: &str| in_root(&root, Path::new(path));
        assert_eq!(inside("/lib/libx.so").unwrap(), want);
        assert_eq!(inside("/usr/up.so").unwrap(), want);
        assert_eq!(inside("/../../usr/lib/libx.so").unwrap(), want);
        assert_eq!(
            inside("/loop").unwrap_err().raw_os_error(),
            Some(libc::ELOOP)
        );
        std::fs::remove_dir_all(&root).unwrap();
    }
}
