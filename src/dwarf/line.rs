//! Addresses of the statements of a source line.

use std::path::{Path, PathBuf};

use gimli::{ColumnType, LineProgramHeader};

use crate::dwarf::Error;
use crate::dwarf::section::{Sections, Slice};
use crate::dwarf::units::{Unit, Units};
use crate::elf::Image;

/// Rows of line tables that are read for one question.
const MAX_ROWS: u64 = 200_000_000;

/// A statement's first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Its vaddr.
    pub vaddr: u64,
    /// Column, 0 where it is not known.
    pub column: u64,
}

/// What debug information has of a source line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLine {
    /// The statements, by address.
    pub statements: Vec<Statement>,
    /// Whether a unit is compiled of that file.
    pub has_file: bool,
    /// Whether there is debug information at all.
    pub has_debug: bool,
}

/// The statements at `line` of source file `path`, by address: a line may have several, and be compiled several times.
///
/// `path` is absolute or the end of a path (`file.c`, `dir/file.c`). With `column`, only statements there. Files that a
/// unit merely includes do not count, nor do copies of inlined functions in other files' units.
///
/// # Errors
/// What is no ELF file, or has damaged debug information.
pub fn source_line(
    file: &[u8],
    path: &str,
    line: u64,
    column: Option<u64>,
) -> Result<SourceLine, Error> {
    let image = Image::parse(file)?;
    let Some(sections) = Sections::load(&image)? else {
        return Ok(SourceLine::default());
    };
    let dwarf = sections.dwarf();
    let units = Units::new(&dwarf)?;
    let (mut found, mut inner, mut budget) = (Vec::new(), Vec::new(), MAX_ROWS);
    let (mut has_file, has_debug) = (false, units.count() > 0);
    for number in 0..units.count() {
        if !units.is_code(number) {
            continue;
        }
        let unit = units.passing(number)?;
        let own = own_path(&unit);
        // Link-time optimization makes units of many source files.
        if !is_file(&own, path) && !own.ends_with("<artificial>") {
            continue;
        }
        has_file = true;
        let Some(program) = unit.line_program.clone() else {
            continue;
        };
        let mut rows = program.rows();
        // Whether the row before was of this line: a statement's further rows are no new statement.
        let mut inside = None;
        while let Some((header, row)) = rows.next_row()? {
            budget = budget.checked_sub(1).ok_or(Error::TooLarge)?;
            let at = match row.column() {
                ColumnType::LeftEdge => 0,
                ColumnType::Column(column) => column.get(),
            };
            let here = !row.end_sequence()
                && row.line().is_some_and(|l| l.get() == line)
                && column.is_none_or(|c| c == at)
                && is_file(&row_path(&units, &unit, header, row.file_index()), path);
            let statement = here.then_some(at);
            if here && inside != statement {
                let list = if row.is_stmt() {
                    &mut found
                } else {
                    &mut inner
                };
                list.push(Statement {
                    vaddr: row.address(),
                    column: at,
                });
            }
            inside = statement;
        }
    }
    // An expression asked for by its column may be part of a statement that is told elsewhere.
    if found.is_empty() && column.is_some() {
        found = inner;
    }
    found.sort();
    found.dedup_by_key(|s| s.vaddr);
    Ok(SourceLine {
        statements: found,
        has_file,
        has_debug,
    })
}

/// The path of the unit's own source file.
fn own_path(unit: &Unit<'_>) -> PathBuf {
    let part = |text: Option<Slice<'_>>| {
        let text = text.map(|t| String::from_utf8_lossy(t.slice()).into_owned());
        text.unwrap_or_default()
    };
    Path::new(&part(unit.comp_dir)).join(part(unit.name))
}

fn row_path<'s>(
    units: &Units<'_, 's>,
    unit: &Unit<'s>,
    header: &LineProgramHeader<Slice<'s>>,
    number: u64,
) -> PathBuf {
    let Some(file) = header.file(number) else {
        return PathBuf::new();
    };
    let mut path =
        PathBuf::from(units.text(unit, unit.comp_dir.map(gimli::AttributeValue::String)));
    path.push(units.text(unit, file.directory(header)));
    path.push(units.text(unit, Some(file.path_name())));
    path
}

/// Whether `path` is `want`, or ends with its parts.
fn is_file(path: &Path, want: &str) -> bool {
    let want = want.strip_prefix("./").unwrap_or(want);
    !want.is_empty() && path.ends_with(want)
}
