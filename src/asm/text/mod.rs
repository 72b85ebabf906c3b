//! Text to instructions: the kernel's dialect (which LLVM shares) and the mnemonic one.
//!
//! ```text
//! kernel                              mnemonic
//! loop:                               loop:
//!   r1 = *(u64 *)(r0 +8)                ldxdw %r1, [%r0+8]       # comments: # // ;
//!   if w1 s> 0xff goto loop             jsgt32 r1, 0xff, loop    # `%` is optional
//!   r1 = map[hits]                      lddw r1, map[hits]       # maps by name, in order of appearance
//!   call bpf_map_lookup_elem#1          call bpf_map_lookup_elem
//!   call twice                          call local twice         # functions are labels
//!   exit                                exit                     # `exit` as a target: the first one
//! ```
//!
//! A map may be declared, by kind, size of key and value, and number of entries: `.map hits hash 4 8 1024`. Flags of its
//! making and what is in an array of one entry from the start may follow: `.map seen array 4 8 1 flags 0x400 = 0x0700`.
//! Kernel functions are called by name as helpers are; their ids come from the kernel's BTF ([`Program::kfuncs`]).
//! For objects, `.section NAME` and `.license TEXT` say what the program is for.
//!
//! Lines of a verifier log, of `bpftool prog dump xlated` and of `llvm-objdump -d` may be pasted as they are: the slot
//! number, the bytes, the code in parentheses and the `<symbol>` behind a target are read over.

mod cursor;
mod error;
mod kernel;
mod mnemonic;
mod structure;

pub use error::{Problem, TextError};

use super::{Assembler, Callee, Imm64, Insn, Label, LabelError, MAP_KINDS, MapDecl, helper, kfunc};
use crate::{span::Span, suggest::closest};
use cursor::Cursor;
use std::collections::HashMap;
use std::fmt;

/// A way of writing instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// As in C: `r1 += 2` (kernel, bpftool, LLVM).
    Kernel,
    /// Operation first: `add r1, 2` (ubpf, rbpf, bpf_conformance).
    Mnemonic,
}

impl Dialect {
    const fn other(self) -> Dialect {
        match self {
            Dialect::Kernel => Dialect::Mnemonic,
            Dialect::Mnemonic => Dialect::Kernel,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::Kernel => "kernel",
            Dialect::Mnemonic => "mnemonic",
        })
    }
}

/// How to read a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The dialect; found out from the text if not given.
    pub dialect: Option<Dialect>,
    /// Not a whole program: distances may lead out of it, and it may lack an `exit`.
    pub fragment: bool,
}

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its instructions; maps by name are [`Imm64::MapIdx`] into `maps`.
    pub insns: Vec<Insn>,
    /// For each instruction its text.
    pub spans: Vec<Span>,
    /// Names of maps, by index.
    pub maps: Vec<String>,
    /// For each of them what the text declares of it.
    pub declared: Vec<Option<MapDecl>>,
    /// Labels and the index of the instruction each stands before.
    pub labels: Vec<(String, usize)>,
    /// Kernel functions that it calls by name, by the call's index: their ids are those of a kernel's BTF, 0 until then.
    pub kfuncs: Vec<(usize, &'static str)>,
    /// The dialect it is written in.
    pub dialect: Dialect,
    /// The section it is for, in an object.
    pub section: Option<String>,
    /// Its licence, in an object.
    pub license: Option<String>,
}

impl Program {
    /// Labels that are called or whose address is taken, with the slot each begins at.
    /// One without a label is called by its slot.
    pub fn functions(&self) -> Vec<(usize, String)> {
        let mut starts = Vec::with_capacity(self.insns.len());
        let mut called = Vec::new();
        let mut slot = 0;
        for insn in &self.insns {
            starts.push(slot);
            let call = matches!(insn, Insn::Call { .. } | Insn::LoadImm64 { .. });
            if let (true, Some(to)) = (call, super::disasm::target_slot(insn, slot)) {
                called.push(to);
            }
            slot += insn.slots();
        }
        let mut slots: Vec<usize> = called
            .iter()
            .filter_map(|to| usize::try_from(*to).ok())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        let named = |slot: usize| {
            let label = self
                .labels
                .iter()
                .find(|(_, at)| starts.get(*at) == Some(&slot));
            let name = label.map_or_else(|| format!("f{slot}"), |(name, _)| name.clone());
            (slot, name)
        };
        slots.into_iter().map(named).collect()
    }
}

/// What one line's parser found.
struct Stmt<'a> {
    insn: Insn,
    /// A label it refers to.
    target: Option<(&'a str, Span)>,
    /// A map it names; its index is filled in later.
    map: Option<&'a str>,
    /// A kernel function it names; its id is the kernel's.
    kfunc: Option<&'static str>,
}

impl Stmt<'_> {
    const fn plain(insn: Insn) -> Self {
        Stmt {
            insn,
            target: None,
            map: None,
            kfunc: None,
        }
    }

    /// A call of a kernel function by its name.
    const fn kfunc(name: &'static str) -> Self {
        let callee = Callee::Kfunc { id: 0, off: 0 };
        Stmt {
            kfunc: Some(name),
            ..Stmt::plain(Insn::Call { callee })
        }
    }
}

type Parsed<T> = Result<T, (Span, Problem)>;

/// Reads a program.
///
/// # Errors
/// One [`TextError`] a faulty line; if all lines read, those of labels and of the program's structure.
pub fn assemble(source: &str, options: Options) -> Result<Program, Vec<TextError>> {
    let dialect = options.dialect.unwrap_or_else(|| guess(source));
    match read(source, dialect, options.fragment) {
        Ok(program) => Ok(program),
        Err(mut found) => {
            found.sort_by_key(|(span, _)| span.start);
            Err(found
                .into_iter()
                .map(|(span, problem)| TextError::new(source, span, problem))
                .collect())
        }
    }
}

/// Reads one instruction, in whichever dialect it is.
///
/// # Errors
/// The [`TextError`] of the dialect that it looks like.
pub fn parse_insn(text: &str) -> Result<Insn, TextError> {
    let options = Options {
        dialect: None,
        fragment: true,
    };
    let whole = Span::new(0, u32::try_from(text.len()).unwrap_or(u32::MAX));
    match assemble(text, options) {
        Ok(program) => match program.insns.as_slice() {
            [insn] => Ok(*insn),
            [] => Err(TextError::new(text, whole, Problem::Empty)),
            _ => Err(TextError::new(text, whole, Problem::SeveralInsns)),
        },
        Err(mut errors) if !errors.is_empty() => Err(errors.swap_remove(0)),
        Err(_) => Err(TextError::new(text, whole, Problem::Empty)),
    }
}

/// The dialect in which more lines read; the kernel's if both do as well.
pub fn guess(source: &str) -> Dialect {
    let mut score = 0_i64;
    for line in lines(source).take(1000) {
        let reads = |dialect| {
            let mut cursor = Cursor::new(line);
            cursor.label();
            !cursor.at_end() && statement(&mut cursor, dialect).is_ok()
        };
        score += i64::from(reads(Dialect::Kernel)) - i64::from(reads(Dialect::Mnemonic));
    }
    match score {
        0 => looks_like(source),
        1.. => Dialect::Kernel,
        _ => Dialect::Mnemonic,
    }
}

/// For text that reads in neither: `=` and `goto` speak for the kernel's dialect, else commas for the other.
fn looks_like(source: &str) -> Dialect {
    let kernel = source.contains('=') || source.contains("goto") || !source.contains(',');
    if kernel {
        Dialect::Kernel
    } else {
        Dialect::Mnemonic
    }
}

/// A line and the offset it begins at.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    start: usize,
}

fn lines(source: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    source.split('\n').map(move |text| {
        let line = Line { text, start };
        start += text.len() + 1;
        line
    })
}

/// One statement up to the line's end.
fn statement<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Parsed<Stmt<'a>> {
    cursor.skip_listing();
    let all = cursor.all();
    let stmt = match dialect {
        Dialect::Kernel => kernel::parse(cursor)?,
        Dialect::Mnemonic => mnemonic::parse(cursor)?,
    };
    cursor.finish()?;
    if let Err(why) = stmt.insn.to_raw() {
        return Err((all, Problem::Unencodable(why)));
    }
    Ok(stmt)
}

/// A line's fault, or the news that it is written in the other dialect.
fn fault(line: Line<'_>, dialect: Dialect, found: (Span, Problem)) -> (Span, Problem) {
    let mut cursor = Cursor::new(line);
    cursor.label();
    let all = cursor.all();
    match statement(&mut cursor, dialect.other()) {
        Ok(_) => (all, Problem::OtherDialect(dialect.other())),
        Err(_) => found,
    }
}

/// Where a label is bound: the instruction's index, and the label's text.
type Bound = Option<(usize, Span)>;

/// Collects instructions and names while reading.
#[derive(Default)]
struct Reader<'a> {
    asm: Assembler,
    labels: HashMap<&'a str, (Label, Bound)>,
    /// Labels in the order they are bound.
    order: Vec<&'a str>,
    /// Every use of a label, and whether it is called, for errors.
    uses: Vec<(&'a str, Span, bool)>,
    declared: Vec<Option<MapDecl>>,
    /// The first `exit`.
    exit: Option<(usize, Span)>,
    maps: Vec<String>,
    map_index: HashMap<&'a str, i32>,
    kfuncs: Vec<(usize, &'static str)>,
    section: Option<String>,
    license: Option<String>,
    errors: Vec<(Span, Problem)>,
}

fn read(source: &str, dialect: Dialect, fragment: bool) -> Result<Program, Vec<(Span, Problem)>> {
    let mut reader = Reader::default();
    for line in lines(source) {
        let mut cursor = Cursor::new(line);
        while let Some((name, span)) = cursor.label() {
            reader.bind(name, span);
        }
        if cursor.at_end() {
            continue;
        }
        let all = cursor.all();
        if let Some(place) = reader.heading(line) {
            match place {
                Ok(()) => {}
                Err(found) => reader.errors.push(found),
            }
            continue;
        }
        if cursor.eat(".map") {
            if let Err(found) = reader.declare(&mut cursor) {
                reader.errors.push(found);
            }
            continue;
        }
        match statement(&mut cursor, dialect) {
            Ok(stmt) => {
                if let Some(span) = hidden_statement(line, &cursor, dialect) {
                    reader.errors.push((span, Problem::AfterSemicolon));
                }
                reader.push(stmt, all);
            }
            Err(found) => reader.errors.push(fault(line, dialect, found)),
        }
    }
    if dialect == Dialect::Mnemonic {
        reader.bind_exit();
    }
    let Reader { labels, uses, .. } = &reader;
    let mut undefined = Vec::new();
    for (name, span, called) in uses {
        if matches!(labels.get(name), Some((_, None))) {
            let bound = labels.iter().filter(|(_, (_, at))| at.is_some());
            let near = closest(name, bound.map(|(name, _)| *name)).map(str::to_owned);
            // What is called and is not near a label may be a helper's name gone wrong.
            let helper = match (called, &near) {
                (true, None) => helper_named(name, *span).err(),
                _ => None,
            };
            let name = (*name).to_owned();
            undefined.push(match helper {
                Some((_, problem @ Problem::UnknownHelper { near: Some(_), .. })) => {
                    (*span, problem)
                }
                _ => (*span, Problem::UndefinedLabel { name, near }),
            });
        }
    }
    reader.errors.extend(undefined);
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    reader.finish(dialect, fragment)
}

/// An instruction after a `;` would be lost as a comment; its place.
fn hidden_statement(line: Line<'_>, cursor: &Cursor<'_>, dialect: Dialect) -> Option<Span> {
    let (offset, comment) = cursor.comment()?;
    let rest = comment.strip_prefix(';')?;
    let mut inner = Cursor::new(Line {
        text: rest,
        start: line.start + offset + 1,
    });
    let all = inner.all();
    let reads = !inner.at_end() && statement(&mut inner, dialect).is_ok();
    reads.then_some(all)
}

impl<'a> Reader<'a> {
    fn bind(&mut self, name: &'a str, span: Span) {
        let label = self.label(name);
        let here = self.asm.len();
        match self.labels.get_mut(name) {
            Some((_, place @ None)) => {
                *place = Some((here, span));
                self.asm.bind(label);
                self.order.push(name);
            }
            Some((_, Some((_, first)))) => {
                let (name, first) = (name.to_owned(), *first);
                self.errors
                    .push((span, Problem::DuplicateLabel { name, first }));
            }
            None => {}
        }
    }

    /// In the mnemonic dialect a jump to `exit` goes to the first `exit` if no label has that name.
    fn bind_exit(&mut self) {
        if let (Some((label, place @ None)), Some(exit)) = (self.labels.get_mut("exit"), self.exit)
        {
            *place = Some(exit);
            self.asm.bind_at(*label, exit.0);
        }
    }

    fn label(&mut self, name: &'a str) -> Label {
        let asm = &mut self.asm;
        self.labels
            .entry(name)
            .or_insert_with(|| (asm.label(), None))
            .0
    }

    fn push(&mut self, mut stmt: Stmt<'a>, span: Span) {
        if stmt.insn == Insn::Exit {
            self.exit.get_or_insert((self.asm.len(), span));
        }
        if let Some(name) = stmt.map {
            let idx = self.map(name);
            if let Insn::LoadImm64 { imm, .. } = &mut stmt.insn {
                *imm = match *imm {
                    Imm64::MapIdxValue { off, .. } => Imm64::MapIdxValue { idx, off },
                    _ => Imm64::MapIdx(idx),
                };
            }
        }
        if let Some(name) = stmt.kfunc {
            self.kfuncs.push((self.asm.len(), name));
        }
        match stmt.target {
            None => self.asm.push(stmt.insn, Some(span)),
            Some((name, at)) => {
                let called = matches!(stmt.insn, Insn::Call { .. });
                self.uses.push((name, at, called));
                let label = self.label(name);
                self.asm.push_to(stmt.insn, label, Some(span));
            }
        }
    }

    fn map(&mut self, name: &'a str) -> i32 {
        let maps = &mut self.maps;
        let declared = &mut self.declared;
        *self.map_index.entry(name).or_insert_with(|| {
            maps.push(name.to_owned());
            declared.push(None);
            i32::try_from(maps.len() - 1).unwrap_or(i32::MAX)
        })
    }

    /// A line that says what an object's section or licence is: `None` for any other.
    fn heading(&mut self, line: Line<'a>) -> Option<Parsed<()>> {
        let text = line.text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (place, what) = match word {
            ".section" => (&mut self.section, "a section's name"),
            ".license" => (&mut self.license, "a licence, such as `GPL`"),
            _ => return None,
        };
        let start = line.start + line.text.find(word).unwrap_or(0);
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let span = Span::new(at(start), at(start + word.len()));
        let rest = rest.trim();
        if rest.is_empty() {
            let found = String::new();
            return Some(Err((span, Problem::Expected { what, found })));
        }
        if place.is_some() {
            let name = word.to_owned();
            return Some(Err((span, Problem::DirectiveTwice { name })));
        }
        *place = Some(rest.to_owned());
        Some(Ok(()))
    }

    /// `hits hash 4 8 1024` behind `.map`.
    fn declare(&mut self, c: &mut Cursor<'a>) -> Parsed<()> {
        let place = c.span();
        let Some(name) = c.word() else {
            return Err(c.expected("a map's name"));
        };
        let span = c.span();
        let Some(word) = c.word() else {
            return Err(c.expected("a map's kind, such as `hash`"));
        };
        let Some((_, kind)) = MAP_KINDS.iter().find(|(kind, _)| *kind == word) else {
            let near = closest(word, MAP_KINDS.iter().map(|(kind, _)| *kind));
            let (found, near) = (word.to_owned(), near.map(str::to_owned));
            return Err((span, Problem::UnknownMapKind { found, near }));
        };
        let mut number = |what| {
            let number = c.bounded(what, 0, i64::from(u32::MAX))?;
            Ok(u32::try_from(number).unwrap_or(0))
        };
        let decl = MapDecl {
            name: name.to_owned(),
            kind: *kind,
            key_size: number("the size of a key")?,
            value_size: number("the size of a value")?,
            max_entries: number("the number of entries")?,
            flags: match c.eat("flags") {
                true => u32::try_from(c.bounded("flags", 0, i64::from(u32::MAX))?).unwrap_or(0),
                false => 0,
            },
            init: match c.eat("=") {
                true => c.bytes()?,
                false => Vec::new(),
            },
        };
        c.finish()?;
        let len = decl.init.len();
        let one = decl.kind == 2 && decl.max_entries == 1;
        if len > 0 && (!one || len as u64 > u64::from(decl.value_size)) {
            return Err((span, Problem::MapContent { len }));
        }
        let at = usize::try_from(self.map(name)).unwrap_or(0);
        match self.declared.get_mut(at) {
            Some(free @ None) => *free = Some(decl),
            _ => {
                let name = name.to_owned();
                return Err((place, Problem::DuplicateMap { name }));
            }
        }
        Ok(())
    }

    fn finish(self, dialect: Dialect, fragment: bool) -> Result<Program, Vec<(Span, Problem)>> {
        let spans: Vec<Span> = self.asm.spans().map(Option::unwrap_or_default).collect();
        let at = |insn: usize| spans.get(insn).copied().unwrap_or_default();
        let insns = match self.asm.finish_near() {
            Ok((insns, _)) => insns,
            Err(LabelError::TooFar { insn, distance }) => {
                return Err(vec![(at(insn), Problem::TooFar { distance })]);
            }
            Err(LabelError::PastEnd { insn, .. }) => {
                return Err(vec![(at(insn), Problem::LabelPastEnd)]);
            }
            Err(LabelError::Unbound { insn, .. } | LabelError::BoundTwice { second: insn, .. }) => {
                return Err(vec![(at(insn), Problem::Empty)]);
            }
            Err(LabelError::Foreign { .. }) => return Err(vec![(at(0), Problem::Empty)]),
        };
        if !fragment {
            let found = structure::check(&insns, &spans);
            if !found.is_empty() {
                return Err(found);
            }
        }
        let labels = self
            .order
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.labels.get(name)?.1?.0)))
            .collect();
        Ok(Program {
            insns,
            spans,
            maps: self.maps,
            declared: self.declared,
            labels,
            kfuncs: self.kfuncs,
            dialect,
            section: self.section,
            license: self.license,
        })
    }
}

/// What must hold of a whole program: jumps land on instructions, and execution cannot run off the end. `spans` has
/// one place for each instruction.
///
/// # Errors
/// One fault for each jump, and one for the end.
pub fn check(insns: &[Insn], spans: &[Span], source: &str) -> Result<(), Vec<TextError>> {
    let found = structure::check(insns, spans);
    if found.is_empty() {
        return Ok(());
    }
    let error = |(span, problem)| TextError::new(source, span, problem);
    Err(found.into_iter().map(error).collect())
}

/// The helper of that name, or what is wrong with it.
fn helper_named(name: &str, span: Span) -> Parsed<u32> {
    match helper::by_name(name) {
        Some(helper) => Ok(helper.id),
        None => {
            let full = format!("bpf_{}", name.strip_prefix("bpf_").unwrap_or(name));
            let helpers = helper::HELPERS.iter().map(|helper| helper.name);
            let names = helpers.chain(kfunc::KFUNCS.iter().map(|row| row.name));
            let near = closest(&full, names).map(str::to_owned);
            let name = name.to_owned();
            Err((span, Problem::UnknownHelper { name, near }))
        }
    }
}

#[cfg(test)]
mod tests;
