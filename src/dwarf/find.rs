//! Finds the entry of a function or of a named type.

use gimli::{AttributeValue, DebugInfoOffset, constants as dw};

use crate::dwarf::Error;
use crate::dwarf::section::Slice;
use crate::dwarf::units::{Die, Place, Unit, Units};

/// The entry of the function whose first instruction is at `vaddr`.
pub(super) fn function_at(units: &mut Units<'_, '_>, vaddr: u64) -> Result<Option<Place>, Error> {
    let listed = by_aranges(units, vaddr).and_then(|offset| units.number(offset));
    for number in 0..units.count() {
        let holds = match listed {
            Some(listed) => listed == number,
            None => units.is_code(number) && holds(units, number, vaddr)?,
        };
        if holds {
            let found = subprogram(units, number, |units, unit, die| {
                begins(units, unit, die, vaddr)
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The first entry with code whose name or linkage name is `name`.
pub(super) fn function_named(
    units: &mut Units<'_, '_>,
    name: &str,
) -> Result<Option<Place>, Error> {
    for number in 0..units.count() {
        if !units.is_code(number) {
            continue;
        }
        let found = subprogram(units, number, |units, unit, die| {
            let has_code = [dw::DW_AT_low_pc, dw::DW_AT_ranges];
            has_code.iter().any(|at| die.has_attr(*at))
                && [dw::DW_AT_linkage_name, dw::DW_AT_name]
                    .into_iter()
                    .any(|at| is_text(units, unit, die.attr_value(at), name))
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The definition of the type `name`: `struct foo`, `union foo`, `enum foo`, or the name of a typedef or C++ class.
pub(super) fn type_named(units: &mut Units<'_, '_>, name: &str) -> Result<Option<Place>, Error> {
    let (tags, name): (&[gimli::DwTag], &str) = match name.split_once(' ') {
        Some(("struct", name)) => (&[dw::DW_TAG_structure_type, dw::DW_TAG_class_type], name),
        Some(("union", name)) => (&[dw::DW_TAG_union_type], name),
        Some(("enum", name)) => (&[dw::DW_TAG_enumeration_type], name),
        _ => (
            &[
                dw::DW_TAG_typedef,
                dw::DW_TAG_base_type,
                dw::DW_TAG_structure_type,
                dw::DW_TAG_class_type,
            ],
            name,
        ),
    };
    for number in 0..units.count() {
        let found = entry(units, number, tags, |units, unit, die| {
            !die.has_attr(dw::DW_AT_declaration)
                && is_text(units, unit, die.attr_value(dw::DW_AT_name), name)
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The unit that `.debug_aranges` names for an address.
fn by_aranges(units: &Units<'_, '_>, vaddr: u64) -> Option<DebugInfoOffset> {
    let mut headers = units.dwarf().debug_aranges.headers();
    while let Ok(Some(header)) = headers.next() {
        let mut entries = header.entries();
        while let Ok(Some(entry)) = entries.next() {
            if vaddr
                .checked_sub(entry.address())
                .is_some_and(|d| d < entry.length())
            {
                return Some(header.debug_info_offset());
            }
        }
    }
    None
}

/// Whether the unit says that it has code at `vaddr`; one that does not say may have.
fn holds(units: &mut Units<'_, '_>, number: usize, vaddr: u64) -> Result<bool, Error> {
    let unit = units.passing(number)?;
    let Ok(mut ranges) = units.dwarf().unit_ranges(&unit) else {
        return Ok(true);
    };
    let mut none = true;
    while let Ok(Some(range)) = ranges.next() {
        units.spend()?;
        if (range.begin..range.end).contains(&vaddr) {
            return Ok(true);
        }
        none = false;
    }
    Ok(none)
}

fn subprogram<'s>(
    units: &mut Units<'_, 's>,
    number: usize,
    want: impl FnMut(&Units<'_, 's>, &Unit<'s>, &Die<'s>) -> bool,
) -> Result<Option<Place>, Error> {
    entry(units, number, &[dw::DW_TAG_subprogram], want)
}

/// The first entry of unit `number` that has one of `tags` and is wanted. Attributes of others are skipped.
fn entry<'s>(
    units: &mut Units<'_, 's>,
    number: usize,
    tags: &[gimli::DwTag],
    mut want: impl FnMut(&Units<'_, 's>, &Unit<'s>, &Die<'s>) -> bool,
) -> Result<Option<Place>, Error> {
    let unit = units.passing(number)?;
    let mut raw = unit.entries_raw(None)?;
    while !raw.is_empty() {
        units.spend()?;
        let offset = raw.next_offset();
        let Some(abbreviation) = raw.read_abbreviation()? else {
            continue;
        };
        raw.skip_attributes(abbreviation.attributes())?;
        if tags.contains(&abbreviation.tag()) && want(units, &unit, &unit.entry(offset)?) {
            return Ok(Some((number, offset)));
        }
    }
    Ok(None)
}

/// Whether the function begins at `vaddr`: it may have parts elsewhere, for code that seldom runs.
fn begins<'s>(units: &Units<'_, 's>, unit: &Unit<'s>, die: &Die<'s>, vaddr: u64) -> bool {
    let dwarf = units.dwarf();
    let address = |value: AttributeValue<Slice<'s>>| dwarf.attr_address(unit, value).ok().flatten();
    let low = die.attr_value(dw::DW_AT_low_pc).and_then(address);
    if low == Some(vaddr) {
        return true;
    }
    let ranges = die.attr_value(dw::DW_AT_ranges);
    let ranges = ranges.and_then(|value| dwarf.attr_ranges(unit, value).ok().flatten());
    let first = ranges.and_then(|mut ranges| ranges.next().ok().flatten());
    first.is_some_and(|range| range.begin == vaddr)
}

fn is_text<'s>(
    units: &Units<'_, 's>,
    unit: &Unit<'s>,
    value: Option<AttributeValue<Slice<'s>>>,
    want: &str,
) -> bool {
    let text = value.and_then(|value| units.dwarf().attr_string(unit, value).ok());
    text.is_some_and(|text| text.slice() == want.as_bytes())
}
