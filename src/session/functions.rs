//! The places in a binary that a uprobe's name means: functions, offsets, addresses, source lines.

use super::binary::{BinaryError, Located};
use crate::{
    dwarf,
    elf::Image,
    lang::Wanted,
    symbols::{self, Function, FunctionError, Language, Pattern},
    sys::file_map::FileMap,
};
use std::io::Write;

/// Name, file offset and size, as the compiler's target has them: the offset of a function's first instruction, also if
/// the probe is put further in; an address under its number, a source line as `@FILE:LINE`.
type Found = (String, u64, u64);

/// The separate debug file of a binary, if there is one.
pub fn debug(file: &Located, image: &Image<'_>) -> Option<FileMap> {
    let path = symbols::debug_file(&file.open, image)?;
    FileMap::open(&path).ok()
}

/// The places that `want` means in `file`; none if it is not there. With `force` a place may be in the middle of an
/// instruction, which is told on stderr.
///
/// # Errors
/// A place that is there, at which no probe can be put; damaged debug information.
pub(super) fn find(
    file: &Located,
    image: &Image<'_>,
    want: &Wanted,
    force: bool,
) -> Result<Vec<Found>, BinaryError> {
    let Wanted::Uprobe {
        function,
        cpp,
        offset,
        ..
    } = want
    else {
        return Ok(Vec::new());
    };
    let debug = debug(file, image);
    if let Some(place) = function.strip_prefix('@') {
        return lines(file, image, debug.as_ref(), place);
    }
    let pattern = match (function.as_str(), offset) {
        ("", vaddr) => Pattern::Address(*vaddr),
        (name, 0) => Pattern::Name(name),
        (name, offset) => Pattern::Offset(name, *offset),
    };
    let (found, offset) = match (named(file, image, debug.as_ref(), pattern, *cpp), pattern) {
        (Err(BinaryError::Place(path, FunctionError::Middle { .. })), Pattern::Offset(name, _))
            if force =>
        {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(
                std::io::stderr(),
                "WARNING: Unsafe uprobe in the middle of the instruction: {}:{name}+{offset}",
                path.display()
            );
            let start = Pattern::Name(name);
            (named(file, image, debug.as_ref(), start, *cpp)?, 0)
        }
        (found, _) => (found?, *offset),
    };
    Ok(found
        .into_iter()
        .map(|f| match pattern {
            Pattern::Address(vaddr) => (format!("{vaddr:#x}"), f.offset, 0),
            _ => (shown(f.name, *cpp), f.offset.wrapping_sub(offset), f.size),
        })
        .collect())
}

/// The functions of a file that `pattern` means; with `cpp` it is compared with demangled names.
///
/// # Errors
/// A place that is there, at which no probe can be put.
pub fn named(
    file: &Located,
    image: &Image<'_>,
    debug: Option<&FileMap>,
    pattern: Pattern<'_>,
    cpp: bool,
) -> Result<Vec<Function>, BinaryError> {
    let language = if cpp {
        Language::Demangled
    } else {
        Language::Plain
    };
    // A debug file that cannot be read has nothing to add.
    let debug = debug.and_then(|bytes| Image::parse(bytes).ok());
    symbols::functions(image, debug.as_ref(), pattern, language)
        .map_err(|err| BinaryError::Place(file.name.clone(), err))
}

/// The name as it is shown.
pub fn shown(name: String, cpp: bool) -> String {
    if cpp {
        symbols::demangle(&name).unwrap_or(name)
    } else {
        name
    }
}

/// What the function at `vaddr` takes and gives, from the binary or its debug file; `None` if neither says.
///
/// # Errors
/// Damaged debug information.
pub fn signature(
    file: &Located,
    bytes: &[u8],
    debug: Option<&FileMap>,
    vaddr: u64,
) -> Result<Option<dwarf::Signature>, BinaryError> {
    for bytes in [Some(bytes), debug.map(|bytes| &**bytes)]
        .into_iter()
        .flatten()
    {
        let found = dwarf::signature_at(bytes, vaddr)
            .map_err(|err| BinaryError::Debug(file.name.clone(), err))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The statements of `FILE:LINE` or `FILE:LINE:COLUMN`.
fn lines(
    file: &Located,
    image: &Image<'_>,
    debug: Option<&FileMap>,
    place: &str,
) -> Result<Vec<Found>, BinaryError> {
    let Some((path, line, column)) = source_place(place) else {
        return Ok(Vec::new());
    };
    let images = [Some(image.bytes()), debug.map(|bytes| &**bytes)];
    let mut statements = Vec::new();
    for bytes in images.into_iter().flatten() {
        statements = dwarf::source_line(bytes, path, line, column)
            .map_err(|err| BinaryError::Debug(file.name.clone(), err))?;
        if !statements.is_empty() {
            break;
        }
    }
    Ok(statements
        .iter()
        .filter_map(|statement| image.locate(statement.vaddr))
        .map(|(_, offset)| (format!("@{place}"), offset, 0))
        .collect())
}

/// Path, line and column; a path may have colons in it.
fn source_place(text: &str) -> Option<(&str, u64, Option<u64>)> {
    let (head, last) = text.rsplit_once(':')?;
    let last: u64 = last.parse().ok()?;
    if let Some((path, line)) = head.rsplit_once(':')
        && let Ok(line) = line.parse()
    {
        return Some((path, line, Some(last)));
    }
    Some((head, last, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_places() {
        assert_eq!(source_place("a.c:7"), Some(("a.c", 7, None)));
        assert_eq!(source_place("d/a.c:7:3"), Some(("d/a.c", 7, Some(3))));
        assert_eq!(source_place("a.c"), None);
        assert_eq!(source_place("a.c:x"), None);
    }
}
