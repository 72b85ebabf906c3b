//! Debug information (DWARF): parameters and return types of functions, layouts of structs, addresses of source lines.
//!
//! Everything is read when asked for, and for what is asked: [`signature`] finds one function and the types that it can
//! reach. Files may be hostile: what is read is bounded, and nothing panics.
//!
//! Reading order: `section`, `units`, `find`; `types` and `build`, then `spec`; `line`.
//!
//! Source: DWARF Debugging Information Format, versions 2 to 5.

mod build;
mod error;
mod find;
mod line;
mod section;
mod spec;
#[cfg(test)]
mod tests;
mod types;
mod units;

use gimli::constants as dw;

use crate::elf::{Image, Kind};
use build::Builder;
pub use error::Error;
pub use line::{SourceLine, Statement, source_line};
use section::Sections;
pub use spec::Converter;
pub use types::{CStruct, CType, Member, TypeRef, Types};
use units::{Die, Place, Units};

/// Origins that an entry is followed to: a copy of an inlined function of a declared method has two.
const MAX_ORIGINS: usize = 8;
/// Parameters of a function.
const MAX_PARAMS: usize = 256;

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Parameters by name (empty if it has none) in order; a method's `this` is the first.
    pub params: Vec<(String, TypeRef)>,
    /// What it returns.
    pub ret: TypeRef,
    /// Whether it takes more than these (`...`).
    pub variadic: bool,
    /// The types, with all that they reach.
    pub types: Types,
}

/// What the function of that symbol takes and gives; `None` if the file does not say.
///
/// `file` is the binary or its separate debug file. The function is found by its address in the symbol table, or without
/// one by its name.
///
/// # Errors
/// What is no ELF file, or has damaged debug information.
pub fn signature(file: &[u8], function: &str) -> Result<Option<Signature>, Error> {
    let image = Image::parse(file)?;
    let vaddr = image
        .symbol_table()
        .find(|s| s.kind == Kind::Function && s.name == function)
        .map(|s| s.vaddr);
    with_units(&image, |units| {
        let by_address = match vaddr {
            Some(vaddr) => find::function_at(units, vaddr)?,
            None => None,
        };
        match by_address {
            Some(place) => Ok(Some(place)),
            None => find::function_named(units, function),
        }
    })
}

/// As [`signature`], of the function whose first instruction is at `vaddr`.
///
/// # Errors
/// As [`signature`].
pub fn signature_at(file: &[u8], vaddr: u64) -> Result<Option<Signature>, Error> {
    let image = Image::parse(file)?;
    with_units(&image, |units| find::function_at(units, vaddr))
}

/// The type `struct foo`, `union foo`, `enum foo` or `foo_t`, with all that it reaches; `None` if the file has none.
/// Reads the file's whole debug information if it must.
///
/// # Errors
/// As [`signature`].
pub fn find_type(file: &[u8], name: &str) -> Result<Option<(Types, TypeRef)>, Error> {
    let image = Image::parse(file)?;
    let Some(sections) = Sections::load(&image)? else {
        return Ok(None);
    };
    let dwarf = sections.dwarf();
    let mut units = Units::new(&dwarf)?;
    let Some(place) = find::type_named(&mut units, name)? else {
        return Ok(None);
    };
    let mut builder = Builder::new(&mut units);
    let ty = builder.at(place);
    Ok(Some((builder.finish()?, ty)))
}

fn with_units(
    image: &Image<'_>,
    find: impl FnOnce(&mut Units<'_, '_>) -> Result<Option<Place>, Error>,
) -> Result<Option<Signature>, Error> {
    let Some(sections) = Sections::load(image)? else {
        return Ok(None);
    };
    let dwarf = sections.dwarf();
    let mut units = Units::new(&dwarf)?;
    match find(&mut units)? {
        Some(place) => read(&mut units, place).map(Some),
        None => Ok(None),
    }
}

/// Reads the function at `place` and those entries that it is a copy or the definition of.
fn read<'s>(units: &mut Units<'_, 's>, place: Place) -> Result<Signature, Error> {
    let mut builder = Builder::new(units);
    let chain = origins(builder.units(), place)?;
    let typed = chain.iter().find(|(_, die)| die.has_attr(dw::DW_AT_type));
    let ret = typed.map_or(TypeRef::VOID, |((number, _), die)| builder.of(*number, die));
    let (mut params, mut variadic) = (Vec::new(), false);
    for (place, _) in &chain {
        let mut found: Vec<Die<'s>> = Vec::new();
        builder
            .units()
            .children(*place, |child| match child.tag() {
                dw::DW_TAG_formal_parameter if found.len() < MAX_PARAMS => {
                    found.push(child.clone())
                }
                dw::DW_TAG_unspecified_parameters => variadic = true,
                _ => {}
            })?;
        for die in &found {
            params.push(parameter(&mut builder, (place.0, die.offset()))?);
        }
        if !params.is_empty() {
            break;
        }
    }
    Ok(Signature {
        params,
        ret,
        variadic,
        types: builder.finish()?,
    })
}

fn parameter(builder: &mut Builder<'_, '_, '_>, place: Place) -> Result<(String, TypeRef), Error> {
    let (mut name, mut ty) = (String::new(), TypeRef::VOID);
    for ((number, _), die) in origins(builder.units(), place)? {
        if name.is_empty() {
            let unit = builder.units().unit(number)?;
            name = builder.units().text(&unit, die.attr_value(dw::DW_AT_name));
        }
        if ty == TypeRef::VOID {
            ty = builder.of(number, &die);
        }
    }
    Ok((name, ty))
}

/// The entry at `place` and those that it refers to as its origin, nearest first.
fn origins<'s>(
    units: &mut Units<'_, 's>,
    mut place: Place,
) -> Result<Vec<(Place, Die<'s>)>, Error> {
    let mut chain = Vec::new();
    while chain.len() < MAX_ORIGINS {
        let die = units.entry(place)?;
        let origin = [dw::DW_AT_abstract_origin, dw::DW_AT_specification]
            .into_iter()
            .find_map(|at| die.attr_value(at))
            .and_then(|value| units.target(place.0, &value));
        chain.push((place, die));
        match origin {
            Some(next) => place = next,
            None => break,
        }
    }
    Ok(chain)
}
