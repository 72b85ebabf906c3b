//! Finds the separate debug file of a stripped binary.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::elf::Image;
use crate::symbols::crc32::crc32;
use crate::sys::file_map::FileMap;

/// Where distributions install debug files.
const ROOT: &str = "/usr/lib/debug";

/// Directories of the command line. They hold for the process, as the installed debug files do.
static SEARCHED: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Has debug files looked for in `dirs`, before the places where they are installed. A directory that is not absolute is
/// seen from the binary's own; one with `+` before it may have a file that only the checksum tells. Counts once.
pub fn search_debug_files(dirs: Vec<PathBuf>) {
    if !dirs.is_empty() {
        // Whoever comes second keeps what the first has set.
        let _ = SEARCHED.set(dirs);
    }
}

/// The file with the symbols and types of the file at `path`, which is read as `image`; `None` if there is none.
///
/// First by build id (`/usr/lib/debug/.build-id/ab/cdef….debug`), then by the name in `.gnu_debuglink`: beside the file,
/// in `.debug` there, and at the file's own path below `/usr/lib/debug`. A file found by name counts only if it has the
/// same build id or the CRC that the link names.
///
/// Source: GDB manual, Separate Debug Files.
pub fn debug_file(path: &Path, image: &Image<'_>) -> Option<PathBuf> {
    let dirs = SEARCHED.get().map_or(&[][..], Vec::as_slice);
    let found = dirs.iter().find_map(|dir| debug_file_in(dir, path, image));
    found.or_else(|| debug_file_below(Path::new(ROOT), path, image))
}

/// The debug file in one directory of the command line.
fn debug_file_in(dir: &Path, path: &Path, image: &Image<'_>) -> Option<PathBuf> {
    let text = dir.to_str()?;
    let (dir, by_sum) = match text.strip_prefix('+') {
        Some(dir) => (dir, true),
        None => (text, false),
    };
    let real = std::fs::canonicalize(path).ok()?;
    let dir = real.parent()?.join(dir);
    let link = image.debuglink();
    let own = real.file_name()?;
    let mut with_suffix = own.to_os_string();
    with_suffix.push(".debug");
    let linked = link.and_then(|(name, _)| Path::new(name).file_name());
    let build_id = image.build_id();
    let by_id = build_id.and_then(id_path);
    [by_id.map(|id| dir.join(".build-id").join(id))]
        .into_iter()
        .chain([linked, Some(own), Some(&with_suffix)].map(|name| name.map(|name| dir.join(name))))
        .flatten()
        .filter(|file| file.is_file() && *file != real)
        .find(|file| match link {
            Some((_, crc)) if by_sum => belongs(file, build_id, crc),
            _ => has_id(file, build_id),
        })
}

/// Where a file with that build id is, below `.build-id`.
fn id_path(id: &[u8]) -> Option<String> {
    let [first, rest @ ..] = id else {
        return None;
    };
    let mut name = format!("{first:02x}/");
    for byte in rest {
        write!(name, "{byte:02x}").ok()?;
    }
    Some(name + ".debug")
}

fn has_id(file: &Path, build_id: Option<&[u8]>) -> bool {
    let bytes = FileMap::open(file).ok();
    let image = bytes.as_ref().and_then(|bytes| Image::parse(bytes).ok());
    image.is_some_and(|image| build_id.is_some() && image.build_id() == build_id)
}

fn debug_file_below(root: &Path, path: &Path, image: &Image<'_>) -> Option<PathBuf> {
    let build_id = image.build_id();
    if let Some(name) = build_id.filter(|id| id.len() > 1).and_then(id_path) {
        let file = root.join(".build-id").join(name);
        if file.is_file() {
            return Some(file);
        }
    }
    let (name, crc) = image.debuglink()?;
    let name = Path::new(name).file_name()?;
    let real = std::fs::canonicalize(path).ok()?;
    let dir = real.parent()?;
    let below = root.join(dir.strip_prefix("/").unwrap_or(dir));
    [
        dir.join(name),
        dir.join(".debug").join(name),
        below.join(name),
    ]
    .into_iter()
    .find(|file| *file != real && belongs(file, build_id, crc))
}

fn belongs(file: &Path, build_id: Option<&[u8]>, crc: u32) -> bool {
    let Ok(bytes) = FileMap::open(file) else {
        return false;
    };
    let Ok(image) = Image::parse(&bytes) else {
        return false;
    };
    build_id.is_some() && image.build_id() == build_id || crc32(&bytes) == crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit ELF file with nothing but the sections named here.
    fn elf(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut names = vec![0u8];
        let mut body: Vec<u8> = Vec::new();
        let mut headers = vec![[0u8; 64]];
        let mut all: Vec<(&str, Vec<u8>)> = sections.to_vec();
        let mut strings: Vec<u8> = vec![0];
        for (name, _) in &all {
            strings.extend(name.bytes().chain([0]));
        }
        strings.extend(b".shstrtab\0");
        all.push((".shstrtab", strings));
        for (name, bytes) in &all {
            let mut header = [0u8; 64];
            header[0..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
            header[4..8].copy_from_slice(&1u32.to_le_bytes());
            header[24..32].copy_from_slice(&(64 + body.len() as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            header[48] = 1;
            names.extend(name.bytes().chain([0]));
            body.extend(bytes);
            headers.push(header);
        }
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[16] = 3;
        file[18] = 62;
        file[40..48].copy_from_slice(&(64 + body.len() as u64).to_le_bytes());
        file[52] = 64;
        file[58] = 64;
        file[60] = headers.len() as u8;
        file[62] = headers.len() as u8 - 1;
        file.extend(body);
        headers.iter().for_each(|h| file.extend(h));
        file
    }

    fn build_id(id: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [4, id.len() as u32, 3] {
            note.extend(word.to_le_bytes());
        }
        note.extend(b"GNU\0");
        note.extend(id);
        note
    }

    fn link(name: &str, crc: u32) -> Vec<u8> {
        let mut bytes = name.as_bytes().to_vec();
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    #[test]
    fn by_build_id_and_by_link() {
        let dir = std::env::temp_dir().join(format!("baretrace-debug-{}", std::process::id()));
        let (root, bin) = (dir.join("root"), dir.join("bin"));
        std::fs::create_dir_all(root.join(".build-id/ab")).unwrap();
        std::fs::create_dir_all(bin.join(".debug")).unwrap();
        let find = |file: &[u8]| {
            let path = bin.join("prog");
            std::fs::write(&path, file).unwrap();
            debug_file_below(&root, &path, &Image::parse(file).unwrap())
        };
        let with_id = elf(&[(".note.gnu.build-id", build_id(&[0xab, 0xcd, 1, 2]))]);
        assert_eq!(find(&with_id), None);
        let by_id = root.join(".build-id/ab/cd0102.debug");
        std::fs::write(&by_id, b"x").unwrap();
        assert_eq!(find(&with_id), Some(by_id));

        let debug = elf(&[("x", vec![1, 2, 3])]);
        let linked = elf(&[(".gnu_debuglink", link("prog.debug", crc32(&debug)))]);
        assert_eq!(find(&linked), None);
        let beside = bin.join(".debug/prog.debug");
        std::fs::write(&beside, &debug).unwrap();
        let real = std::fs::canonicalize(&beside).unwrap();
        assert_eq!(find(&linked), Some(real));
        std::fs::write(&beside, elf(&[("x", vec![1, 2, 4])])).unwrap();
        assert_eq!(find(&linked), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
