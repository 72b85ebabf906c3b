//! The units of a file's debug information, each opened once and only when needed.

use std::collections::HashMap;
use std::rc::Rc;

use gimli::{
    AttributeValue, DebugInfoOffset, DebugTypeSignature, DebuggingInformationEntry, Dwarf,
    UnitHeader, UnitOffset, UnitType,
};

use crate::dwarf::Error;
use crate::dwarf::section::Slice;

/// An entry with its attributes.
pub(super) type Die<'s> = DebuggingInformationEntry<Slice<'s>>;
/// A unit with its abbreviations.
pub(super) type Unit<'s> = gimli::Unit<Slice<'s>>;

/// Entries that are read for one question.
const MAX_ENTRIES: u64 = 50_000_000;
/// Units of one file.
const MAX_UNITS: usize = 1 << 20;

/// Where an entry is: number of its unit, and offset in it.
pub(super) type Place = (usize, UnitOffset);

/// All units of a file.
pub(super) struct Units<'d, 's> {
    dwarf: &'d Dwarf<Slice<'s>>,
    headers: Vec<UnitHeader<Slice<'s>>>,
    /// First unit that is not in `.debug_info`.
    info: usize,
    open: HashMap<usize, Rc<Unit<'s>>>,
    /// Type units by signature, listed when first asked for.
    signatures: Option<HashMap<DebugTypeSignature, Place>>,
    /// Entries that may still be read.
    budget: u64,
}

impl<'d, 's> Units<'d, 's> {
    /// Lists the units by their headers.
    pub(super) fn new(dwarf: &'d Dwarf<Slice<'s>>) -> Result<Units<'d, 's>, Error> {
        let mut headers = Vec::new();
        let mut info = dwarf.units();
        while let Some(header) = info.next()? {
            headers.push(header);
            if headers.len() > MAX_UNITS {
                return Err(Error::TooLarge);
            }
        }
        let info = headers.len();
        let mut types = dwarf.type_units();
        while let Some(header) = types.next()? {
            headers.push(header);
            if headers.len() > MAX_UNITS {
                return Err(Error::TooLarge);
            }
        }
        Ok(Units {
            dwarf,
            headers,
            info,
            open: HashMap::new(),
            signatures: None,
            budget: MAX_ENTRIES,
        })
    }

    /// The reader of the sections.
    pub(super) fn dwarf(&self) -> &'d Dwarf<Slice<'s>> {
        self.dwarf
    }

    /// Number of units in `.debug_info`.
    pub(super) fn count(&self) -> usize {
        self.info
    }

    /// Whether it is a unit of code, and not one of a type.
    pub(super) fn is_code(&self, number: usize) -> bool {
        let kind = self.headers.get(number).map(UnitHeader::type_);
        matches!(kind, Some(UnitType::Compilation | UnitType::Partial))
    }

    /// Opens a unit, and keeps it open.
    pub(super) fn unit(&mut self, number: usize) -> Result<Rc<Unit<'s>>, Error> {
        if let Some(unit) = self.open.get(&number) {
            return Ok(Rc::clone(unit));
        }
        let unit = Rc::new(self.passing(number)?);
        self.open.insert(number, Rc::clone(&unit));
        Ok(unit)
    }

    /// Opens a unit for once.
    pub(super) fn passing(&self, number: usize) -> Result<Unit<'s>, Error> {
        let header = self
            .headers
            .get(number)
            .ok_or(gimli::Error::NoEntryAtGivenOffset(0))?;
        Ok(self.dwarf.unit(*header)?)
    }

    /// The number of the unit that holds byte `offset` of `.debug_info`.
    pub(super) fn number(&self, offset: DebugInfoOffset) -> Option<usize> {
        let headers = self.headers.get(..self.info)?;
        let start = |h: &UnitHeader<Slice<'s>>| h.debug_info_offset().map_or(usize::MAX, |o| o.0);
        headers
            .partition_point(|h| start(h) <= offset.0)
            .checked_sub(1)
    }

    /// The entry at byte `offset` of `.debug_info`.
    fn at(&self, offset: DebugInfoOffset) -> Option<Place> {
        let number = self.number(offset)?;
        let within = offset.to_unit_offset(self.headers.get(number)?)?;
        Some((number, within))
    }

    /// Where an attribute of unit `number` refers to.
    pub(super) fn target(
        &mut self,
        number: usize,
        value: &AttributeValue<Slice<'s>>,
    ) -> Option<Place> {
        match value {
            AttributeValue::UnitRef(offset) => Some((number, *offset)),
            AttributeValue::DebugInfoRef(offset) => self.at(*offset),
            AttributeValue::DebugTypesRef(signature) => {
                if self.signatures.is_none() {
                    self.signatures = Some(signatures(&self.headers));
                }
                self.signatures.as_ref()?.get(signature).copied()
            }
            // What lies in a file shared by several (`.gnu_debugaltlink`) is not followed.
            _ => None,
        }
    }

    /// One entry. Its offset comes from the file and may be wrong.
    pub(super) fn entry(&mut self, place: Place) -> Result<Die<'s>, Error> {
        self.spend()?;
        let unit = self.unit(place.0)?;
        Ok(unit.entry(place.1)?)
    }

    /// Calls `each` with the children of an entry, in order.
    pub(super) fn children(
        &mut self,
        place: Place,
        mut each: impl FnMut(&Die<'s>),
    ) -> Result<(), Error> {
        let unit = self.unit(place.0)?;
        let mut raw = unit.entries_raw(Some(place.1))?;
        let mut entry = Die::null();
        if !raw.read_entry(&mut entry)? || !entry.has_children() {
            return Ok(());
        }
        while !raw.is_empty() {
            self.spend()?;
            let depth = raw.next_depth();
            let is_entry = raw.read_entry(&mut entry)?;
            match (is_entry, depth) {
                (false, ..=1) => break,
                (true, 1) => each(&entry),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts an entry that is read.
    pub(super) fn spend(&mut self) -> Result<(), Error> {
        self.budget = self.budget.checked_sub(1).ok_or(Error::TooLarge)?;
        Ok(())
    }

    /// The text of an attribute; empty if there is none.
    pub(super) fn text(&self, unit: &Unit<'s>, value: Option<AttributeValue<Slice<'s>>>) -> String {
        let text = value.and_then(|value| self.dwarf.attr_string(unit, value).ok());
        let bytes = text.map(|t| t.slice()).unwrap_or_default();
        let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Longest name that is kept.
const MAX_TEXT: usize = 4096;

fn signatures(headers: &[UnitHeader<Slice<'_>>]) -> HashMap<DebugTypeSignature, Place> {
    let of = |(number, header): (usize, &UnitHeader<Slice<'_>>)| match header.type_() {
        UnitType::Type {
            type_signature,
            type_offset,
        } => Some((type_signature, (number, type_offset))),
        _ => None,
    };
    headers.iter().enumerate().filter_map(of).collect()
}
