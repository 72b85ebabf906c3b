//! The functions that a uprobe's name means: by name or pattern, demangled or not, with an offset, or by address.

use std::fmt;

use crate::elf::{Image, Kind, Symbol};
use crate::spec::Arch;
use crate::symbols::{demangle, insn_length};
use crate::wildcard;

/// The part of a uprobe's name behind the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// A name, or a pattern of names.
    Name(&'a str),
    /// A name and a number of bytes into the function.
    Offset(&'a str, u64),
    /// A vaddr.
    Address(u64),
}

/// How names are compared with those of the symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// As they are in the table.
    Plain,
    /// Demangled, with or without parameters: `cpp:"ns::f"`.
    Demangled,
}

impl Language {
    /// That of a probe with, or without, `cpp`.
    pub fn of(cpp: bool) -> Language {
        if cpp {
            Language::Demangled
        } else {
            Language::Plain
        }
    }
}

/// A place that a uprobe can be put on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// File offset of the probe's instruction.
    pub offset: u64,
    /// Name of the function as in the symbol table; empty for an address in none.
    pub name: String,
    /// Vaddr of the probe's instruction.
    pub vaddr: u64,
    /// Bytes of the function's code; 0 where the symbol does not say.
    pub size: u64,
}

/// Why a function that exists cannot be probed as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// The offset is behind the function's end.
    Outside {
        /// The function.
        name: String,
        /// Its bytes.
        size: u64,
        /// The offset asked for.
        offset: u64,
    },
    /// The place is in the middle of an instruction; a probe there would damage the program.
    Middle {
        /// The function.
        name: String,
        /// The offset asked for.
        offset: u64,
        /// Offset of the instruction that holds it.
        start: u64,
    },
    /// The address is in no executable part of the file.
    NotCode(u64),
    /// No symbol has the address in it: an instruction may begin elsewhere.
    NoSymbol(u64),
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FunctionError::Outside { name, size, offset } => write!(
                f,
                "probe `{name}+{offset}`: the function has {size} bytes only"
            ),
            FunctionError::Middle {
                name,
                offset,
                start,
            } => write!(
                f,
                "probe `{name}+{offset}`: this is in the middle of the instruction at `{name}+{start}`"
            ),
            FunctionError::NotCode(vaddr) => write!(
                f,
                "probe address {vaddr:#x}: no executable segment of the file holds it"
            ),
            FunctionError::NoSymbol(vaddr) => write!(
                f,
                "probe address {vaddr:#x}: no symbol of the file says that an instruction begins there; --unsafe takes it on trust"
            ),
        }
    }
}

impl std::error::Error for FunctionError {}

impl Function {
    /// The place of a vaddr, whatever is there.
    pub fn at(image: &Image<'_>, vaddr: u64) -> Function {
        Function {
            offset: image.locate(vaddr).map_or(vaddr, |(_, offset)| offset),
            name: String::new(),
            vaddr,
            size: 0,
        }
    }
}

/// The places that `pattern` means, in file order, each name and address once; none if nothing has that name.
///
/// Names are taken from `image` and from `debug`, its separate debug file. Several functions may have one name, as static
/// ones of several source files do. An address is a vaddr of `image`.
///
/// # Errors
/// An offset or address at which no probe can be put.
pub fn functions(
    image: &Image<'_>,
    debug: Option<&Image<'_>>,
    pattern: Pattern<'_>,
    language: Language,
) -> Result<Vec<Function>, FunctionError> {
    let images = || [Some(image), debug].into_iter().flatten();
    match pattern {
        Pattern::Name(name) => Ok(named(image, images(), name, language)),
        Pattern::Offset(name, offset) => {
            let mut found = named(image, images(), name, language);
            for function in &mut found {
                step_into(image, function, offset)?;
            }
            Ok(found)
        }
        Pattern::Address(vaddr) => at(image, images(), vaddr).map(|f| vec![f]),
    }
}

fn named<'i>(
    image: &Image<'_>,
    images: impl Iterator<Item = &'i Image<'i>>,
    name: &str,
    language: Language,
) -> Vec<Function> {
    let want = Want::new(name, language);
    let mut found = Vec::new();
    for source in images {
        for symbol in code(source).filter(|s| want.accepts(s.name)) {
            found.extend(place(image, &symbol));
        }
    }
    found.sort();
    // A debug file may know a size that the stripped file's table lacks; one of each place is enough.
    found.dedup_by(|a, b| a.offset == b.offset && a.name == b.name);
    found
}

/// The symbols that name functions.
fn code<'a>(image: &'a Image<'a>) -> impl Iterator<Item = Symbol<'a>> {
    image.symbol_table().filter(|s| s.kind == Kind::Function)
}

fn place(image: &Image<'_>, symbol: &Symbol<'_>) -> Option<Function> {
    let (segment, offset) = image.locate(symbol.vaddr)?;
    segment.exec.then(|| Function {
        offset,
        name: symbol.name.to_owned(),
        vaddr: symbol.vaddr,
        size: symbol.size,
    })
}

/// Moves the place from the function's first instruction to the one `offset` bytes further.
fn step_into(image: &Image<'_>, function: &mut Function, offset: u64) -> Result<(), FunctionError> {
    if offset >= function.size && offset > 0 {
        return Err(FunctionError::Outside {
            name: function.name.clone(),
            size: function.size,
            offset,
        });
    }
    boundary(image, function, offset)?;
    function.vaddr = function.vaddr.wrapping_add(offset);
    function.offset = function.offset.wrapping_add(offset);
    Ok(())
}

/// Refuses a place that is surely within an instruction. Where the code cannot be followed, the place is believed.
fn boundary(image: &Image<'_>, function: &Function, offset: u64) -> Result<(), FunctionError> {
    let middle = |start| {
        Err(FunctionError::Middle {
            name: function.name.clone(),
            offset,
            start,
        })
    };
    match image.arch() {
        Some(Arch::Aarch64) if !offset.is_multiple_of(4) => middle(offset / 4 * 4),
        Some(Arch::X86_64) => {
            let start = usize::try_from(function.offset).unwrap_or(usize::MAX);
            let code = image.bytes().get(start..).unwrap_or_default();
            let mut at = 0;
            while at < offset {
                let rest = usize::try_from(at).ok().and_then(|at| code.get(at..));
                let Some(length) = rest.and_then(insn_length::x86_64) else {
                    return Ok(());
                };
                let next = at + length as u64;
                if next > offset {
                    return middle(at);
                }
                at = next;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn at<'i>(
    image: &Image<'_>,
    images: impl Iterator<Item = &'i Image<'i>>,
    vaddr: u64,
) -> Result<Function, FunctionError> {
    let (_, offset) = image
        .locate(vaddr)
        .filter(|(segment, _)| segment.exec)
        .ok_or(FunctionError::NotCode(vaddr))?;
    let holds = |s: &Symbol<'_>| vaddr.checked_sub(s.vaddr).is_some_and(|d| d < s.size);
    let mut inside: Vec<Function> = Vec::new();
    for source in images {
        for symbol in code(source).filter(holds) {
            inside.extend(place(image, &symbol));
        }
    }
    let Some(function) = inside.into_iter().max() else {
        return Ok(Function {
            offset,
            name: String::new(),
            vaddr,
            size: 0,
        });
    };
    boundary(image, &function, vaddr - function.vaddr)?;
    Ok(Function {
        offset,
        vaddr,
        ..function
    })
}

/// Which symbols a name means.
pub struct Want<'a> {
    pattern: &'a str,
    /// Whether there is a wildcard in it.
    wild: bool,
    language: Language,
    /// Parts of the pattern that every mangled name it can match has in it.
    parts: Vec<&'a str>,
}

/// Names that a mangled name may have in a shorter form (`St`, `Ss`, `D0`) or not at all.
const SHORTENED: &[&str] = &[
    "std",
    "allocator",
    "basic_string",
    "string",
    "basic_istream",
    "istream",
    "basic_ostream",
    "ostream",
    "basic_iostream",
    "iostream",
    "char",
    "char_traits",
    "operator",
    "anonymous",
    "namespace",
];

impl<'a> Want<'a> {
    /// Those that `pattern` means.
    pub fn new(pattern: &'a str, language: Language) -> Want<'a> {
        // Only the part before parameters and template arguments: builtin types in those have codes of one letter.
        let end = pattern
            .find(['(', '<', '[', ' ', '~'])
            .unwrap_or(pattern.len());
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let parts = pattern[..end]
            .split(|c| !word(c))
            .filter(|p| p.len() > 2 && p.is_ascii() && !SHORTENED.contains(p))
            // With a wildcard beside it, a part of a shortened name is one letter group of it.
            .filter(|p| !wildcard::is_pattern(pattern) || !SHORTENED.iter().any(|s| s.contains(p)))
            .collect();
        Want {
            pattern,
            wild: wildcard::is_pattern(pattern),
            language,
            parts,
        }
    }

    /// Whether a symbol is one of them.
    pub fn accepts(&self, name: &str) -> bool {
        if self.matches(name) {
            return true;
        }
        if self.language == Language::Plain || !name.starts_with('_') {
            return false;
        }
        self.parts.iter().all(|part| name.contains(part))
            && demangle::forms(name).iter().any(|form| self.matches(form))
    }

    fn matches(&self, name: &str) -> bool {
        name == self.pattern || self.wild && wildcard::matches(self.pattern, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file_map::FileMap;

    /// Is looked for by name.
    #[inline(never)]
    fn probed_place(x: u64) -> u64 {
        std::hint::black_box(x).rotate_left(3)
    }

    #[test]
    fn names_patterns_offsets_and_addresses() {
        assert_ne!(probed_place(1), 1);
        let bytes = FileMap::open(&std::env::current_exe().unwrap()).unwrap();
        let image = Image::parse(&bytes).unwrap();
        let find = |pattern, language| functions(&image, None, pattern, language);
        let name = concat!(module_path!(), "::probed_place");
        let found = find(Pattern::Name(name), Language::Demangled).unwrap();
        assert_eq!(found.len(), 1);
        let function = &found[0];
        assert!(function.name.contains("probed_place") && function.size > 0);
        assert_eq!(find(Pattern::Name(name), Language::Plain), Ok(vec![]));
        let mangled = find(Pattern::Name(&function.name), Language::Plain);
        assert_eq!(mangled.unwrap(), found);
        let wild = find(Pattern::Name("*::probed_pl?ce"), Language::Demangled);
        assert_eq!(wild.unwrap(), found);
        let wild = find(Pattern::Name("*probed_place*"), Language::Plain);
        assert_eq!(wild.unwrap(), found);
        let by_address = find(Pattern::Address(function.vaddr), Language::Plain);
        assert_eq!(by_address.unwrap(), found);
        let outside = find(Pattern::Offset(&function.name, 1 << 40), Language::Plain);
        assert!(matches!(outside, Err(FunctionError::Outside { .. })));
        assert_eq!(
            find(Pattern::Address(1 << 50), Language::Plain),
            Err(FunctionError::NotCode(1 << 50))
        );
        // Every place in the function is an instruction's beginning, or refused with the one before.
        let mut begins = 0;
        for offset in 0..function.size {
            match find(Pattern::Offset(&function.name, offset), Language::Plain) {
                Ok(found) => {
                    assert_eq!(found[0].vaddr, function.vaddr + offset);
                    begins = offset;
                }
                Err(FunctionError::Middle { start, .. }) => assert_eq!(start, begins),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(begins > 0);
    }

    #[test]
    fn what_a_pattern_needs_in_a_mangled_name() {
        for (pattern, want) in [
            (
                "MyApp::Server::handle(int)",
                &["MyApp", "Server", "handle"][..],
            ),
            ("std::string::append", &["append"]),
            ("ns::alloc*", &[]),
            ("ns::Queue*", &["Queue"]),
            ("operator<<", &[]),
        ] {
            assert_eq!(
                Want::new(pattern, Language::Demangled).parts,
                want,
                "{pattern}"
            );
        }
    }
}
