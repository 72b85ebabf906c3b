//! Reads from debug information what a script asks for: parameters, results and types of the functions it probes.

use super::{
    binary::{self, BinaryError, Located},
    functions,
};
use crate::{
    dwarf::{self, CType, Converter, TypeRef, Types},
    elf::Image,
    lang::{WantedDebug, ast::Script, wanted_debug},
    spec::{Arch, Binary, DebugInfo, Param, Signature, SymbolAddress, Type},
};

/// Functions of one binary whose signatures are read; a pattern that finds more has no names in common anyway.
const MAX_SIGNATURES: usize = 256;

/// What `script` asks for in the binaries that its probes name; nothing is opened if it asks for nothing.
///
/// # Errors
/// A file that cannot be read; damaged debug information.
pub(super) fn read(
    script: &Script,
    binaries: &[Binary],
    arch: Arch,
) -> Result<DebugInfo, BinaryError> {
    let wanted = wanted_debug(script);
    let mut info = DebugInfo::default();
    if wanted == WantedDebug::default() {
        return Ok(info);
    }
    for (number, of) in binaries.iter().enumerate() {
        if of.functions.is_empty() && of.usdt.is_empty() {
            continue;
        }
        let file = Located {
            name: of.path.clone(),
            open: of.path.clone(),
        };
        let bytes = binary::open(&file)?;
        let image = Image::parse(&bytes).map_err(|err| BinaryError::Elf(file.name.clone(), err))?;
        let debug = functions::debug(&file, &image);
        if wanted.args || wanted.retval {
            for (_, offset, _) in of.functions.iter().take(MAX_SIGNATURES) {
                let Some(vaddr) = image.vaddr(*offset) else {
                    continue;
                };
                let found = functions::signature(&file, &bytes, debug.as_ref(), vaddr)?;
                if let Some(found) = found {
                    let signature = convert(&found, &mut info, arch);
                    info.signatures.push(Signature {
                        binary: number,
                        offset: *offset,
                        ..signature
                    });
                }
            }
        }
        for name in &wanted.symbols {
            let images = [Some(&*bytes), debug.as_deref()];
            let mut images = images
                .into_iter()
                .flatten()
                .filter_map(|b| Image::parse(b).ok());
            let found = images.find_map(|source| {
                let mut symbols = source.symbol_table();
                symbols.find(|s| s.name == *name).map(|s| (s.vaddr, s.size))
            });
            if let Some(symbol) = found {
                info.addresses
                    .push(address(&image, number, of, name, symbol));
            }
        }
        for name in &wanted.types {
            if is_known(&info, name) {
                continue;
            }
            let images = [Some(&*bytes), debug.as_deref()];
            for bytes in images.into_iter().flatten() {
                let found = dwarf::find_type(bytes, name)
                    .map_err(|err| BinaryError::Debug(file.name.clone(), err))?;
                if let Some((types, ty)) = found {
                    let ty = Converter::new(&types, &mut info.structs).convert(ty);
                    if matches!(ty, Type::Enum { .. }) {
                        info.types.push((name.clone(), ty));
                    }
                    break;
                }
            }
        }
    }
    Ok(info)
}

/// Where a symbol of that vaddr and size is, seen from all probed places of the binary.
fn address(
    image: &Image<'_>,
    binary: usize,
    of: &Binary,
    name: &str,
    (vaddr, size): (u64, u64),
) -> SymbolAddress {
    let functions = of.functions.iter().map(|(_, offset, _)| *offset);
    let sites = of.usdt.iter().flat_map(|probe| &probe.sites);
    let distances = functions.chain(sites.map(|site| site.offset));
    let lowest = image.segments().map(|s| s.vaddr).min().unwrap_or(0);
    SymbolAddress {
        binary,
        name: name.to_string(),
        size,
        fixed: (lowest != 0).then_some(vaddr),
        distances: distances
            .filter_map(|offset| {
                let from = image.vaddr(offset)?;
                Some((offset, vaddr.wrapping_sub(from).cast_signed()))
            })
            .collect(),
    }
}

fn is_known(info: &DebugInfo, name: &str) -> bool {
    info.types.iter().any(|(known, _)| known == name)
        || info
            .structs
            .iter()
            .any(|def| def.name == name && def.size > 0)
}

/// The signature with its types among those of `info`; binary and offset are the caller's.
fn convert(found: &dwarf::Signature, info: &mut DebugInfo, arch: Arch) -> Signature {
    let types = &found.types;
    let mut places = Places::new(arch);
    if types.size(found.ret) > 16 && is_struct(types, found.ret) && arch == Arch::X86_64 {
        // The caller passes the result's address.
        places.registers(1);
    }
    let mut params = Vec::new();
    for (name, ty) in &found.params {
        let place = places.next(types, *ty).map(|index| {
            // An enumerator has its name where the type is written down, not as an argument.
            let ty = match Converter::new(types, &mut info.structs).convert(*ty) {
                Type::Enum { bits, .. } => Type::Int {
                    bits,
                    signed: false,
                },
                ty => ty,
            };
            (ty, index)
        });
        params.push(Param {
            name: name.clone(),
            place,
        });
    }
    let ret = match classify(types, found.ret) {
        Class::Integer => Ok(Converter::new(types, &mut info.structs).convert(found.ret)),
        Class::Void => Ok(Type::Void),
        other => Err(other.why(types, found.ret)),
    };
    Signature {
        binary: 0,
        offset: 0,
        params,
        ret,
    }
}

/// How a value is passed.
enum Class {
    Void,
    Integer,
    /// In a floating-point register.
    Float,
    /// Struct, union, or what is wider than a register.
    Wide,
}

impl Class {
    fn why(&self, types: &Types, ty: TypeRef) -> String {
        let shown = types.spelling(ty);
        match self {
            Class::Void => format!("the type `{shown}` is not known"),
            Class::Integer => format!("`{shown}` is not in a register"),
            Class::Float => format!("`{shown}` is a floating-point number"),
            Class::Wide => format!("`{shown}` is passed by value"),
        }
    }
}

fn classify(types: &Types, ty: TypeRef) -> Class {
    match types.get(types.strip(ty)) {
        CType::Ptr { .. } => Class::Integer,
        CType::Int { bytes, .. } | CType::Enum { bytes, .. } if *bytes <= 8 => Class::Integer,
        CType::Float { .. } => Class::Float,
        CType::Void | CType::Function => Class::Void,
        _ => Class::Wide,
    }
}

fn is_struct(types: &Types, ty: TypeRef) -> bool {
    matches!(types.get(types.strip(ty)), CType::Struct(_))
}

/// Where the next parameter is.
///
/// Sources: System V AMD64 ABI §3.2.3; Procedure Call Standard for the Arm 64-bit Architecture §6.8.2.
struct Places {
    arch: Arch,
    /// Registers for integers.
    all: u32,
    used: u32,
    /// Eight-byte slots of the stack.
    stack: u32,
    /// What follows is nowhere that is known.
    lost: bool,
    floats: u32,
}

impl Places {
    fn new(arch: Arch) -> Places {
        Places {
            arch,
            all: match arch {
                Arch::X86_64 => 6,
                Arch::Aarch64 => 8,
            },
            used: 0,
            stack: 0,
            lost: false,
            floats: 0,
        }
    }

    fn registers(&mut self, count: u32) -> bool {
        let fits = self.used + count <= self.all;
        if fits {
            self.used += count;
        }
        fits
    }

    /// The number of the `argN`, or why there is none.
    fn next(&mut self, types: &Types, ty: TypeRef) -> Result<u32, String> {
        let class = classify(types, ty);
        if self.lost {
            return Err(
                "a parameter before it is passed in a way that is not followed".to_string(),
            );
        }
        match class {
            Class::Integer if self.registers(1) => Ok(self.used - 1),
            Class::Integer => {
                self.stack += 1;
                Ok(self.all + self.stack - 1)
            }
            Class::Float => {
                let on_stack = types.size(ty) > 8 && self.arch == Arch::X86_64;
                self.floats += 1;
                if on_stack {
                    // `long double`, aligned to 16 bytes.
                    self.stack = self.stack.next_multiple_of(2) + 2;
                } else if self.floats > 8 {
                    self.stack += 1;
                }
                Err(class.why(types, ty))
            }
            Class::Wide if is_struct(types, ty) => {
                let (used, stack) = (self.used, self.stack);
                self.pass_wide(types, ty);
                let in_memory = self.arch == Arch::X86_64 || self.used == used;
                match (self.lost, self.used > used) {
                    (false, true) if types.size(ty) <= 16 => Ok(used),
                    (false, false) if in_memory && self.stack > stack => Ok(self.all + stack),
                    _ => Err(class.why(types, ty)),
                }
            }
            Class::Void | Class::Wide => {
                self.pass_wide(types, ty);
                Err(class.why(types, ty))
            }
        }
    }

    /// Counts what a struct takes by value.
    fn pass_wide(&mut self, types: &Types, ty: TypeRef) {
        let size = types.size(ty);
        let words = u32::try_from(size.div_ceil(8)).unwrap_or(u32::MAX / 16);
        if size == 0 {
            self.lost = true;
        } else if size > 16 {
            match self.arch {
                Arch::X86_64 => self.stack = self.stack.saturating_add(words),
                // By its address.
                Arch::Aarch64 => {
                    if !self.registers(1) {
                        self.stack += 1;
                    }
                }
            }
        } else if has_float(types, ty, 0) {
            self.lost = true;
        } else if !self.registers(words) {
            if self.arch == Arch::Aarch64 {
                self.used = self.all;
            }
            self.stack += words;
        }
    }
}

/// Whether a floating-point number is part of the value.
fn has_float(types: &Types, ty: TypeRef, depth: u32) -> bool {
    match types.get(types.strip(ty)) {
        CType::Float { .. } => true,
        CType::Array(elem, _) => depth < 8 && has_float(types, *elem, depth + 1),
        CType::Struct(s) => {
            depth >= 8 || s.members.iter().any(|m| has_float(types, m.ty, depth + 1))
        }
        _ => false,
    }
}
