//! Symbols of an ELF file: functions by name for uprobes, addresses of globals for USDT operands.

use std::collections::HashMap;

use goblin::elf::section_header::{SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB};
use goblin::elf::sym::{STB_GLOBAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, Sym, Symtab};

use crate::elf::Image;
use crate::elf::image::{c_str, index};

/// A function, as a uprobe needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Name as in the symbol table (not demangled).
    pub name: &'a str,
    /// Vaddr of its first instruction.
    pub vaddr: u64,
    /// File offset of its first instruction.
    pub offset: u64,
    /// Bytes of code; 0 where the symbol does not say.
    pub size: u64,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A function (`STT_FUNC`, `STT_GNU_IFUNC`).
    Function,
    /// A variable (`STT_OBJECT`).
    Object,
    /// A place in assembly without a type (`STT_NOTYPE`).
    Label,
}

/// A defined symbol, whether or not its address is in the file: the table of a separate debug file has them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Name without its version: `malloc` for `malloc@@GLIBC_2.2.5`.
    pub name: &'a str,
    /// Its vaddr.
    pub vaddr: u64,
    /// Bytes; 0 where the symbol does not say.
    pub size: u64,
    /// What it names.
    pub kind: Kind,
    /// `STB_GLOBAL`.
    pub global: bool,
}

impl<'a> Image<'a> {
    /// All named symbols of code and data, from `.symtab` and then `.dynsym`: those of both come twice.
    pub fn symbol_table(&self) -> impl Iterator<Item = Symbol<'a>> + '_ {
        self.symbols().filter_map(|(names, sym)| {
            let kind = match sym.st_type() {
                STT_FUNC | STT_GNU_IFUNC => Kind::Function,
                STT_OBJECT => Kind::Object,
                STT_NOTYPE => Kind::Label,
                _ => return None,
            };
            let name = names.get(sym.st_name..).and_then(c_str)?;
            let name = match name.split_once('@') {
                Some((bare, _)) if !bare.is_empty() => bare,
                _ => name,
            };
            (!name.is_empty()).then_some(Symbol {
                name,
                vaddr: sym.st_value,
                size: sym.st_size,
                kind,
                global: sym.st_bind() == STB_GLOBAL,
            })
        })
    }

    /// Whether the file has a full symbol table, and not only that of its dynamic linking.
    pub fn has_symtab(&self) -> bool {
        self.sections().any(|s| s.kind == SHT_SYMTAB)
    }

    /// The functions whose names `want` accepts, from `.symtab` and `.dynsym`, each name and address once,
    /// in file order. Functions outside of an executable segment are left out.
    pub fn functions(&self, mut want: impl FnMut(&str) -> bool) -> Vec<Function<'a>> {
        let mut found = Vec::new();
        for (names, sym) in self.symbols() {
            if sym.st_type() != STT_FUNC {
                continue;
            }
            let Some(name) = names.get(sym.st_name..).and_then(c_str) else {
                continue;
            };
            if name.is_empty() || !want(name) {
                continue;
            }
            found.extend(self.as_function(name, &sym));
        }
        found.sort_by_key(|f: &Function<'_>| (f.offset, f.name));
        found.dedup_by_key(|f| (f.offset, f.name));
        found
    }

    /// The functions of exactly that name: more than one if several files of a program have a static one.
    pub fn functions_named(&self, name: &str) -> Vec<Function<'a>> {
        let mut found: Vec<Function<'a>> = Vec::new();
        for (names, sym) in self.symbols() {
            if sym.st_type() != STT_FUNC {
                continue;
            }
            // The comparison reads no further than the name: no cost for a table of long strings.
            let Some(text) = names.get(sym.st_name..) else {
                continue;
            };
            if text.starts_with(name.as_bytes()) && text.get(name.len()) == Some(&0) {
                let text = text.get(..name.len()).unwrap_or_default();
                let name = std::str::from_utf8(text).unwrap_or_default();
                found.extend(self.as_function(name, &sym));
            }
        }
        found.sort_by_key(|f| f.offset);
        found.dedup_by_key(|f| f.offset);
        found
    }

    /// The vaddrs of all data and function symbols by name; the first of a name wins.
    pub fn symbol_addresses(&self) -> HashMap<&'a str, u64> {
        let mut all = HashMap::new();
        for (names, sym) in self.symbols() {
            let kinds = [STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_GNU_IFUNC];
            if !kinds.contains(&sym.st_type()) {
                continue;
            }
            if let Some(name) = names.get(sym.st_name..).and_then(c_str) {
                all.entry(name).or_insert(sym.st_value);
            }
        }
        all
    }

    fn as_function(&self, name: &'a str, sym: &Sym) -> Option<Function<'a>> {
        let (segment, offset) = self.locate(sym.st_value)?;
        segment.exec.then_some(Function {
            name,
            vaddr: sym.st_value,
            offset,
            size: sym.st_size,
        })
    }

    /// All defined symbols, each with the bytes of its table's names.
    fn symbols(&self) -> impl Iterator<Item = (&'a [u8], Sym)> + '_ {
        let ctx = self.ctx();
        let entry = Sym::size(ctx.container);
        // One table of each kind, as the ELF specification has it: a thousand overlapping ones would cost a thousand-fold.
        [SHT_SYMTAB, SHT_DYNSYM]
            .into_iter()
            .filter_map(|kind| self.sections().find(|s| s.kind == kind))
            .filter_map(|table| {
                let names = self.section_at(index(u64::from(table.link)))?.bytes?;
                Some((table.bytes?, names))
            })
            .flat_map(move |(table, names)| {
                let symtab = Symtab::parse(table, 0, table.len() / entry, ctx).ok();
                let count = symtab.as_ref().map_or(0, Symtab::len);
                (0..count).filter_map(move |number| {
                    let sym = symtab.as_ref()?.get(number)?;
                    (sym.st_shndx != SHN_UNDEF as usize).then_some((names, sym))
                })
            })
    }
}
