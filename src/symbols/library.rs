//! Shared libraries by name, as the dynamic loader finds them.

use std::path::{Path, PathBuf};

use crate::spec::Arch;

/// Index of all installed libraries, written by `ldconfig`.
const CACHE: &str = "/etc/ld.so.cache";
/// Begins the old part of the file, which may stand before the new one.
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
/// Begins the part that is read (`sysdeps/generic/dl-cache.h`: `CACHEMAGIC_NEW`, `CACHE_VERSION`).
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes of the header: magic, `nlibs`, `len_strings`, `flags` and padding, `extension_offset`, three words unused.
const HEADER: usize = 48;
/// Bytes of an entry: `flags`, `key`, `value`, `osversion`, `hwcap`.
const ENTRY: usize = 24;

/// Directories that are searched where there is no cache, as with musl.
const DIRS: &[&str] = &[
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// `flags` of a 64-bit library of each processor: ELF for libc 6 (3) and the ABI's number.
const fn flags(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0x0303,
        Arch::Aarch64 => 0x0a03,
    }
}

const fn host() -> Arch {
    if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    }
}

/// The file of the installed library that `name` means: `libssl.so.3` by its whole soname, `libc`, `libc.so` and `c` by
/// what stands before the version.
///
/// Of several versions the first in the loader's order (the highest) is taken.
pub fn find(name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let cache = std::fs::read(CACHE).unwrap_or_default();
    let exists = |path: &str| Path::new(path).is_file();
    spellings(name)
        .iter()
        .find_map(|name| {
            let path = entries(&cache, flags(host()))
                .filter(|(soname, _)| is_named(soname, name))
                .find(|(_, path)| exists(path));
            path.map(|(_, path)| PathBuf::from(path))
        })
        .or_else(|| spellings(name).iter().find_map(|name| search(name)))
}

/// What `name` may be short for.
fn spellings(name: &str) -> Vec<String> {
    if name.starts_with("lib") || name.contains(".so") {
        vec![name.to_owned()]
    } else {
        vec![format!("lib{name}")]
    }
}

/// Whether `soname` is `name`, or `name` with `.so`, with or without a version.
fn is_named(soname: &str, name: &str) -> bool {
    match soname.strip_prefix(name) {
        Some("") => true,
        Some(rest) if name.ends_with(".so") => rest.starts_with('.'),
        Some(rest) => rest == ".so" || rest.starts_with(".so."),
        None => false,
    }
}

fn search(name: &str) -> Option<PathBuf> {
    for dir in DIRS {
        let Ok(entries) = std::fs::read_dir(dir) else {
            continue;
        };
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .filter(|e| e.file_name().to_str().is_some_and(|n| is_named(n, name)))
            .map(|e| e.path())
            // A linker script has such a name as well.
            .filter(|path| is_elf(path))
            .collect();
        found.sort();
        if let Some(path) = found.into_iter().next() {
            return Some(path);
        }
    }
    None
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// Soname and path of the cache's libraries that have these `flags`; nothing of a cache that cannot be read.
fn entries(bytes: &[u8], flags: u32) -> impl Iterator<Item = (&str, &str)> {
    let cache = new_part(bytes).unwrap_or_default();
    let count = word(cache, MAGIC.len()).unwrap_or(0) as usize;
    let table = cache.get(HEADER..).unwrap_or_default();
    table
        .chunks_exact(ENTRY)
        .take(count)
        .filter(move |entry| word(entry, 0) == Some(flags))
        .filter_map(|entry| Some((text(cache, word(entry, 4)?)?, text(cache, word(entry, 8)?)?)))
}

/// The cache from its new header on: offsets of strings count from there.
fn new_part(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(MAGIC) {
        return Some(bytes);
    }
    let count = bytes.strip_prefix(OLD_MAGIC).and_then(|b| word(b, 0))?;
    let at = 16usize.checked_add(usize::try_from(count).ok()?.checked_mul(12)?)?;
    let rest = bytes.get(at.checked_next_multiple_of(8)?..)?;
    rest.starts_with(MAGIC).then_some(rest)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// The NUL-terminated string at `at`.
fn text(cache: &[u8], at: u32) -> Option<&str> {
    let bytes = cache.get(usize::try_from(at).ok()?..)?;
    let bytes = bytes.get(..4096).unwrap_or(bytes);
    let end = bytes.iter().position(|b| *b == 0)?;
    std::str::from_utf8(bytes.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with these flags, sonames and paths.
    fn cache(libs: &[(u32, &str, &str)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((libs.len() as u32).to_ne_bytes());
        bytes.resize(HEADER, 0);
        let mut strings = Vec::new();
        let base = HEADER + libs.len() * ENTRY;
        for (flags, soname, path) in libs {
            bytes.extend(flags.to_ne_bytes());
            for text in [soname, path] {
                bytes.extend(((base + strings.len()) as u32).to_ne_bytes());
                strings.extend(text.bytes().chain([0]));
            }
            bytes.extend([0; 12]);
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn reads_both_forms_of_the_cache() {
        let new = cache(&[
            (0x0303, "libc.so.6", "/lib64/libc.so.6"),
            (0x0003, "libc.so.6", "/lib32/libc.so.6"),
        ]);
        let want = vec![("libc.so.6", "/lib64/libc.so.6")];
        assert_eq!(entries(&new, 0x0303).collect::<Vec<_>>(), want);
        let mut old = OLD_MAGIC.to_vec();
        old.extend(1u32.to_ne_bytes());
        old.extend([7; 12]);
        old.resize(old.len().next_multiple_of(8), 0);
        old.extend(&new);
        assert_eq!(entries(&old, 0x0303).collect::<Vec<_>>(), want);
    }

    #[test]
    fn damaged_caches_hold_nothing_more() {
        let good = cache(&[(0x0303, "libc.so.6", "/lib64/libc.so.6")]);
        for end in 0..good.len() {
            assert_eq!(entries(&good[..end], 0x0303).count(), 0, "{end}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            assert!(entries(&bad, 0x0303).count() <= 1);
        }
    }

    #[test]
    fn names_of_libraries() {
        for (soname, name, want) in [
            ("libc.so.6", "libc", true),
            ("libc.so.6", "libc.so", true),
            ("libc.so.6", "libc.so.6", true),
            ("libcrypt.so.1", "libc", false),
            ("libssl.so.3", "libssl.so.59", false),
            ("libstdc++.so.6", "libstdc++", true),
            ("libz.so", "libz", true),
        ] {
            assert_eq!(is_named(soname, name), want, "{soname} for {name}");
        }
    }

    #[test]
    fn what_is_no_library_is_not_found() {
        assert_eq!(find("no-such-library"), None);
        assert_eq!(find("/etc/passwd"), None);
        assert_eq!(find(""), None);
    }
}
