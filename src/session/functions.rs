//! The places in a binary that a uprobe's name means: functions, offsets, addresses, source lines.

use super::binary::{BinaryError, LineError, Located};
use crate::{
    dwarf,
    elf::Image,
    lang::Wanted,
    symbols::{self, Function, FunctionError, Language, Pattern},
    sys::file_map::FileMap,
};
use std::{io::Write, path::Path};

/// Name, file offset and size, as the compiler's target has them: the offset of a function's first instruction, also if
/// the probe is put further in; an address under its number, a source line as `@FILE:LINE`. C++ functions have their mangled names.
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
            warn_middle(&path, name, *offset);
            let start = Pattern::Name(name);
            (named(file, image, debug.as_ref(), start, *cpp)?, 0)
        }
        (Err(BinaryError::Place(path, why)), Pattern::Address(vaddr)) if force => {
            match why {
                FunctionError::Middle { name, offset, .. } => warn_middle(&path, &name, offset),
                _ => warn_boundary(&path, vaddr),
            }
            (vec![symbols::Function::at(image, vaddr)], *offset)
        }
        (found, _) => (found?, *offset),
    };
    // Whether an instruction begins there cannot be seen without a symbol.
    if let (Pattern::Address(vaddr), [function]) = (pattern, found.as_slice())
        && function.name.is_empty()
        && !force
    {
        let why = FunctionError::NoSymbol(vaddr);
        return Err(BinaryError::Place(file.name.clone(), why));
    }
    Ok(found
        .into_iter()
        .map(|f| match pattern {
            Pattern::Address(vaddr) => (vaddr.to_string(), f.offset, 0),
            _ => (f.name, f.offset.wrapping_sub(offset), f.size),
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

/// Tells of a probe in the middle of an instruction. Whoever closed stderr does not want to know.
fn warn_middle(path: &Path, name: &str, offset: u64) {
    let _ = writeln!(
        std::io::stderr(),
        "WARNING: Unsafe uprobe in the middle of the instruction: {}:{name}+{offset}",
        path.display()
    );
}

/// Tells of a probe at an address of which nothing is known.
fn warn_boundary(path: &Path, vaddr: u64) {
    let _ = writeln!(
        std::io::stderr(),
        "WARNING: Could not determine instruction boundary for uprobe:{}:{vaddr} (binary appears stripped). Misaligned probes can lead to tracee crashes!",
        path.display()
    );
}

/// The first statement of `FILE:LINE` or `FILE:LINE:COLUMN`; it stands under its address, with the place as written.
///
/// # Errors
/// Which part of it the debug information does not have.
fn lines(
    file: &Located,
    image: &Image<'_>,
    debug: Option<&FileMap>,
    place: &str,
) -> Result<Vec<Found>, BinaryError> {
    let Some((path, line, column)) = source_place(place) else {
        return Ok(Vec::new());
    };
    let mut known = LineError::NoDebug;
    for bytes in [Some(image.bytes()), debug.map(|bytes| &**bytes)]
        .into_iter()
        .flatten()
    {
        let found = dwarf::source_line(bytes, path, line, column)
            .map_err(|err| BinaryError::Debug(file.name.clone(), err))?;
        let first = found
            .statements
            .iter()
            .find_map(|statement| Some((statement.vaddr, image.locate(statement.vaddr)?.1)));
        if let Some((vaddr, offset)) = first {
            return Ok(vec![(format!("@{place}@{vaddr}"), offset, 0)]);
        }
        known = match (found.has_file, found.has_debug) {
            (true, _) => LineError::NoStatement(place.to_string()),
            (false, true) => LineError::NoFile(path.to_string()),
            (false, false) => known,
        };
    }
    Err(BinaryError::Line(file.name.clone(), known))
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
