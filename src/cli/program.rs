//! Programs as they are given to `asm`, `disasm` and `exec`: text, hexadecimal digits, bytes or an ELF object; and
//! complaints that point into them.

use super::CliError;
use crate::{
    asm::{
        self, DecodeError, Field, Insn, MapDecl, disasm,
        object::{self, LinkError, Object},
        text::{self, Dialect, Problem, TextError},
    },
    btf,
    kernel::kfuncs,
    lang::{Diagnostic, diag},
    span::Span,
    spec::MapSpec,
    suggest,
    sys::errno::Described,
};
use std::{ffi::OsString, fmt::Write, fs::File, io::Read};

/// Complaints shown of one text; of more their number is told.
const SHOWN: usize = 10;

/// A text to point into, with its name.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// What a file holds, by its looks.
pub(super) enum Input {
    /// Instructions in words, or what should be.
    Text(Source),
    /// Hexadecimal digits, or what should be.
    Hex(Source),
    /// Bytes, with the name of the file.
    Raw(String, Vec<u8>),
    /// An ELF object, with the name of the file.
    Elf(String, Vec<u8>),
}

impl Input {
    /// Reads a file, or standard input for `-` or nothing. `is_text` says that it holds no bytes, whatever it looks like.
    pub(super) fn read(path: Option<&OsString>, is_text: bool) -> Result<Input, CliError> {
        let path = path.filter(|path| *path != "-");
        let name = path.map_or("stdin".into(), |path| path.to_string_lossy().into_owned());
        let mut bytes = Vec::new();
        let read = match path {
            Some(path) => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
            None => std::io::stdin().read_to_end(&mut bytes),
        };
        match read {
            Ok(_) => Ok(Input::of(name, bytes, is_text)),
            Err(err) => Err(CliError::with_help(
                format!("read `{name}`: {}", Described(&err)),
                "give the path of a program, or `-` for standard input",
            )),
        }
    }

    fn of(name: String, bytes: Vec<u8>, is_text: bool) -> Input {
        if bytes.starts_with(b"\x7fELF") {
            return Input::Elf(name, bytes);
        }
        let text = match String::from_utf8(bytes) {
            // Every instruction without an offset has a zero byte; no text has one.
            Ok(text) if is_text || !text.contains('\0') => text,
            Ok(text) => return Input::Raw(name, text.into_bytes()),
            Err(err) if is_text => String::from_utf8_lossy(err.as_bytes()).into_owned(),
            Err(err) => return Input::Raw(name, err.into_bytes()),
        };
        let is_hex = looks_hex(&text);
        let source = Source { name, text };
        if is_hex {
            Input::Hex(source)
        } else {
            Input::Text(source)
        }
    }
}

/// Whether the text means to be hexadecimal digits: it begins with a byte or more of them, and holds none of what
/// instructions are written with. (`be16` is both a name and two bytes; what follows it tells.)
fn looks_hex(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or("");
    let digits = first.strip_prefix("0x").unwrap_or(first);
    digits.len() >= 2
        && digits.bytes().take(2).all(|b| b.is_ascii_hexdigit())
        && !text.contains(['r', 'R', '%', '=', '[', ']', '(', ',', ';', ':', '#'])
        && !(digits.len() < 8 && digits.bytes().any(|b| !b.is_ascii_hexdigit()))
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// A complaint about one place.
    pub(super) fn error(&self, diagnostic: Diagnostic) -> CliError {
        self.errors(&[diagnostic])
    }

    fn errors(&self, diagnostics: &[Diagnostic]) -> CliError {
        let color = crate::session::color::wanted();
        let shown = diagnostics.get(..SHOWN).unwrap_or(diagnostics);
        let mut out = diag::render(shown, &self.name, &self.text, color);
        out.truncate(out.trim_end().len());
        if diagnostics.len() > SHOWN {
            let more = diagnostics.len() - SHOWN;
            // Writing to a String cannot fail.
            let _ = write!(out, "\n\nerror: {more} more like these");
        }
        CliError::Diagnosed(out)
    }

    pub(super) fn text_errors(&self, errors: &[TextError]) -> CliError {
        let other = |err: &TextError| matches!(err.problem, Problem::OtherDialect(_));
        if let ([first, _, ..], true) = (errors, errors.iter().all(other)) {
            // The whole text is in the other dialect: one line tells it all.
            return self.error(self.text_error(first));
        }
        let diagnostics: Vec<Diagnostic> = errors.iter().map(|err| self.text_error(err)).collect();
        self.errors(&diagnostics)
    }

    fn text_error(&self, error: &TextError) -> Diagnostic {
        let said = Diagnostic::error(error.span, error.problem.to_string());
        let said = said.maybe_help(error.help());
        match &error.problem {
            Problem::OtherDialect(dialect) => said.label(format!("reads in the {dialect} dialect")),
            Problem::DuplicateLabel { first, .. } => {
                let (line, _) = first.line_col(&self.text);
                said.label(format!("defined first on line {line}"))
            }
            _ => said,
        }
    }

    /// The program that this text says.
    pub(super) fn assemble(&self, dialect: Option<Dialect>) -> Result<text::Program, CliError> {
        let options = text::Options {
            dialect,
            fragment: false,
        };
        let mut program =
            text::assemble(&self.text, options).map_err(|errors| self.text_errors(&errors))?;
        kfuncs::link(&mut program.insns, &program.kfuncs).map_err(|name| {
            let place = |(at, of): &(usize, &str)| (*of == name).then(|| program.spans.get(*at));
            let span = program.kfuncs.iter().find_map(place).flatten();
            let message = format!("the running kernel's BTF has no function `{name}`");
            let said = Diagnostic::error(span.copied().unwrap_or_default(), message);
            self.error(said.help(format!(
                "see {}; or give the function's id there: `call kernel-function#123`",
                btf::VMLINUX
            )))
        })?;
        Ok(program)
    }

    /// The bytes that these digits stand for: two a byte, with or without blanks between bytes and `0x` before them.
    pub(super) fn bytes(&self) -> Result<Bytes<'_>, CliError> {
        let wrong = |start: usize, end: usize, message: String| {
            let said = Diagnostic::error(span(start, end), message);
            self.error(said.help(
                "write each byte as two hexadecimal digits, as in `b7000000 2a000000` or `b7 00`",
            ))
        };
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        let mut at = 0;
        for word in self.text.split(char::is_whitespace) {
            let end = at + word.len();
            let digits = word.strip_prefix("0x").unwrap_or(word);
            let first = end - digits.len();
            if let Some((offset, c)) = digits.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
                let start = first + offset;
                let message = format!("`{c}` is not a hexadecimal digit");
                return Err(wrong(start, start + c.len_utf8(), message));
            }
            if digits.len() % 2 != 0 {
                let message = format!("half a byte: {} hexadecimal digits", digits.len());
                return Err(wrong(end - 1, end, message));
            }
            for start in (first..end).step_by(2) {
                let pair = self.text.get(start..start + 2).unwrap_or("");
                bytes.push(u8::from_str_radix(pair, 16).unwrap_or(0));
                spans.push(span(start, start + 2));
            }
            // The blank behind it may take more than a byte.
            at = end
                + self
                    .text
                    .get(end..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8);
        }
        Ok(Bytes {
            source: self,
            bytes,
            spans,
        })
    }
}

fn span(start: usize, end: usize) -> Span {
    let at = |place| u32::try_from(place).unwrap_or(u32::MAX);
    Span::new(at(start), at(end))
}

/// Bytes, and where in a text they stand.
pub(super) struct Bytes<'a> {
    source: &'a Source,
    pub(super) bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Bytes<'_> {
    /// Their instructions.
    pub(super) fn decode(&self) -> Result<Vec<Insn>, CliError> {
        if self.bytes.is_empty() {
            let said = Diagnostic::error(Span::default(), "no instruction here");
            return Err(self
                .source
                .error(said.help("a program takes at least 8 bytes")));
        }
        asm::decode(&self.bytes).map_err(|err| self.fault(err))
    }

    fn fault(&self, err: DecodeError) -> CliError {
        let slot = err.slot() * 8;
        let (from, to) = match err.field() {
            None => (0, 8),
            Some(Field::Code) => (0, 1),
            Some(Field::Dst | Field::Src) => (1, 2),
            Some(Field::Off) => (2, 4),
            Some(Field::Imm) => (4, 8),
        };
        let found = self
            .spans
            .get(slot + from..(slot + to).min(self.spans.len()));
        let place = match found.unwrap_or_default() {
            [] => self.spans.last().copied().unwrap_or_default(),
            [first, .., last] => first.to(*last),
            [only] => *only,
        };
        let mut said = Diagnostic::error(place, err.to_string()).help(err.remedy());
        if let Some(field) = err.field() {
            said = said.label(format!("`{field}` of slot {}", err.slot()));
        }
        self.source.error(said)
    }
}

/// Bytes as digits, a slot a line.
pub(super) fn hex_lines(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() / 8 * 17);
    for slot in bytes.chunks(8) {
        for byte in slot {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out.push('\n');
    }
    out
}

/// Decodes the bytes of a file; a fault is shown in them as digits, one slot a line.
pub(super) fn decode_raw(name: &str, bytes: &[u8]) -> Result<Vec<Insn>, CliError> {
    match asm::decode(bytes) {
        Ok(insns) if !insns.is_empty() => Ok(insns),
        _ => Source::new(name, &hex_lines(bytes)).bytes()?.decode(),
    }
}

/// An object, and the place of the section that is wanted among its code: the one named, or the only program there is.
pub(super) fn sections(
    name: &str,
    bytes: &[u8],
    wanted: Option<&str>,
) -> Result<(Object, Option<usize>), CliError> {
    let object = object::read(bytes).map_err(|err| {
        let help = match err {
            object::ObjectError::Machine(_) => {
                "make the object with `clang --target=bpf` or `baretrace asm -o FILE.o`"
            }
            _ => "is the file complete?",
        };
        CliError::with_help(format!("`{name}`: {err}"), help)
    })?;
    if object.code.is_empty() {
        let what = format!("`{name}`: read object: no section holds code");
        return Err(CliError::failed(what));
    }
    let names: Vec<&str> = object.code.iter().map(|one| one.name.as_str()).collect();
    let at = |wanted: &str| names.iter().position(|name| *name == wanted);
    let chosen = match wanted {
        Some(wanted) => at(wanted),
        // `.text` holds what programs call.
        None => match names.iter().filter(|name| **name != ".text").count() {
            0 => Some(0),
            1 => names.iter().position(|name| *name != ".text"),
            _ => None,
        },
    };
    if let (Some(wanted), None) = (wanted, chosen) {
        let help = match suggest::closest(wanted, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("sections of code: {}", names.join(", ")),
        };
        let what = format!("`{name}`: no section `{wanted}` holds code");
        return Err(CliError::with_help(what, help));
    }
    Ok((object, chosen))
}

/// The maps of a program to run, each of which has to be declared.
fn declared(
    verb: &str,
    file: &str,
    names: &[String],
    declared: &[Option<MapDecl>],
) -> Result<Vec<MapSpec>, CliError> {
    let one = |(name, decl): (&String, &Option<MapDecl>)| {
        decl.as_ref().and_then(MapSpec::declared).ok_or_else(|| {
            CliError::with_help(
                format!("{verb} `{file}`: it uses the map `{name}`, which it does not declare"),
                format!(
                    "put a line `.map {name} hash 4 8 1024` before it: kind, size of key and value, entries"
                ),
            )
        })
    };
    names.iter().zip(declared).map(one).collect()
}

/// A program to run, with the text that says it.
pub(super) struct Runnable {
    pub(super) insns: Vec<Insn>,
    /// The maps that it declares, by index.
    pub(super) maps: Vec<MapSpec>,
    pub(super) source: Source,
    /// For each instruction its place in the text.
    pub(super) spans: Vec<Span>,
    /// The section that it is for.
    pub(super) section: Option<String>,
    /// Its licence.
    pub(super) license: Option<String>,
}

impl Runnable {
    /// The program of an input; of an object the section wanted, which may be left out if there is one only.
    /// `verb` says what for.
    pub(super) fn new(
        verb: &str,
        input: Input,
        dialect: Option<Dialect>,
        section: Option<&str>,
    ) -> Result<Runnable, CliError> {
        match input {
            Input::Text(source) => {
                let program = source.assemble(dialect)?;
                let maps = declared(verb, &source.name, &program.maps, &program.declared)?;
                Ok(Runnable {
                    maps,
                    insns: program.insns,
                    spans: program.spans,
                    source,
                    section: program.section,
                    license: program.license,
                })
            }
            Input::Hex(source) => {
                let insns = source.bytes()?.decode()?;
                Runnable::listed(insns, &source.name)
            }
            Input::Raw(name, bytes) => Runnable::listed(decode_raw(&name, &bytes)?, &name),
            Input::Elf(name, bytes) => {
                let (object, chosen) = sections(&name, &bytes, section)?;
                let Some(one) = chosen.and_then(|at| object.code.get(at)) else {
                    let names: Vec<&str> = object.code.iter().map(|s| s.name.as_str()).collect();
                    return Err(CliError::with_help(
                        format!("{verb} `{name}`: it has several programs"),
                        format!("choose one with --section: {}", names.join(", ")),
                    ));
                };
                let linked = match object.program(one) {
                    Ok(linked) => linked,
                    // Shown where it is.
                    Err(LinkError::Decode { section, error }) => {
                        let bad = object.code.iter().find(|code| code.name == section);
                        decode_raw(&name, bad.map_or(&[], |code| &code.bytes))?;
                        return Err(CliError::failed(format!("{verb} `{name}`: {error}")));
                    }
                    Err(why) => {
                        return Err(CliError::with_help(
                            format!("{verb} `{name}`: {why}"),
                            "the object has to hold all of it by itself",
                        ));
                    }
                };
                let maps = declared(verb, &name, &linked.maps, &linked.declared)?;
                let listed = Runnable::listed(linked.insns, &name)?;
                Ok(Runnable {
                    maps,
                    section: Some(one.name.clone()),
                    license: object.license.clone(),
                    ..listed
                })
            }
        }
    }

    /// A program of bytes: its own listing stands for its text.
    fn listed(insns: Vec<Insn>, name: &str) -> Result<Runnable, CliError> {
        let options = disasm::Options {
            slots: true,
            ..disasm::Options::default()
        };
        let (text, lines) = disasm::lines(&insns, options);
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let place = |line: &usize| {
            let (from, to) = (starts.get(*line), starts.get(line + 1));
            let (from, to) = (*from.unwrap_or(&0), to.map_or(text.len(), |to| to - 1));
            // Past the number of the slot.
            span(from + 6, to.max(from + 6))
        };
        let spans: Vec<Span> = lines.iter().map(place).collect();
        let source = Source::new(&format!("{name} (disassembled)"), &text);
        text::check(&insns, &spans, &source.text).map_err(|errors| source.text_errors(&errors))?;
        Ok(Runnable {
            maps: Vec::new(),
            insns,
            source,
            spans,
            section: None,
            license: None,
        })
    }

    /// A fault of one instruction; of the program as a whole if `insn` is none.
    pub(super) fn fault(
        &self,
        insn: Option<usize>,
        message: String,
        label: Option<&str>,
        help: Option<String>,
    ) -> CliError {
        match insn.and_then(|insn| self.spans.get(insn)) {
            Some(span) => {
                let said = Diagnostic::error(*span, message).maybe_help(help);
                self.source.error(match label {
                    Some(label) => said.label(label),
                    None => said,
                })
            }
            None => {
                let help = help
                    .map(|help| format!("\nhelp: {help}"))
                    .unwrap_or_default();
                CliError::Diagnosed(format!("error: {message}{help}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<Vec<u8>, String> {
        let source = Source::new("x", text);
        source
            .bytes()
            .map(|b| b.bytes)
            .map_err(|err| err.to_string())
    }

    #[test]
    fn digits_become_bytes() {
        assert_eq!(bytes("b7 00 0000\n"), Ok(vec![0xb7, 0, 0, 0]));
        assert_eq!(bytes("0xb7\u{2003}2a"), Ok(vec![0xb7, 0x2a]));
        assert_eq!(bytes(""), Ok(vec![]));
        let half = bytes("b7\nb70").unwrap_err();
        assert!(
            half.contains("half a byte") && half.contains("x:2:3"),
            "{half}"
        );
        let odd = bytes("b7 0ü").unwrap_err();
        assert!(odd.contains("`ü` is not") && odd.contains("x:1:5"), "{odd}");
    }

    #[test]
    fn inputs_are_told_apart() {
        let of = |bytes: &[u8]| match Input::of("x".into(), bytes.to_vec(), false) {
            Input::Text(_) => "text",
            Input::Hex(_) => "hex",
            Input::Raw(..) => "raw",
            Input::Elf(..) => "elf",
        };
        for (bytes, want) in [
            (&b"exit\n"[..], "text"),
            (b"be16 r1\nexit", "text"),
            (b"add: exit", "text"),
            (b"", "text"),
            (b"# \x7f\nexit", "text"),
            (b"b7 00", "hex"),
            (b"0x9500000000000000", "hex"),
            (b"9500000000000g00", "hex"),
            (b"95 00 zz", "hex"),
            (b"\x95\0\0\0\0\0\0\0", "raw"),
            (b"\xff", "raw"),
            (b"\x7fELF\x02", "elf"),
        ] {
            assert_eq!(of(bytes), want, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
