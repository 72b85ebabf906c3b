//! Stages of a compilation as text, for people and for tests.

use super::{
    compile::{Compiled, Session},
    error::{Placed, SessionError},
};
use crate::{
    asm::{self, disasm},
    compile, ir, lang,
    spec::{Object, ProgramSpec},
};
use std::fmt::Write;

/// A stage whose result can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The script as it was understood.
    Ast,
    /// Three-address code as it was lowered.
    RawIr,
    /// Three-address code after the passes.
    Ir,
    /// Three-address code after the pass of that name and those before it.
    IrAfter(&'static str),
    /// Instructions, each below the line of the script that it comes from.
    Asm,
    /// The instructions' bytes.
    Bytes,
    /// Maps, programs, places, records.
    Spec,
}

/// The text of a stage.
///
/// # Errors
/// A program that cannot be lowered again or encoded, which no compiled script has.
pub fn emit(
    stage: Stage,
    session: &Session<'_>,
    compiled: &Compiled,
) -> Result<String, SessionError> {
    let object = &compiled.object;
    match stage {
        Stage::Ast => Ok(lang::print(session.script())),
        Stage::RawIr => ir_text(session, compiled, &Passes::None),
        Stage::Ir => ir_text(session, compiled, &Passes::All),
        Stage::IrAfter(name) => ir_text(session, compiled, &Passes::Until(name)),
        Stage::Asm => Ok(asm_text(object)),
        Stage::Bytes => bytes_text(object),
        Stage::Spec => spec_text(object),
    }
}

fn encode(program: &ProgramSpec) -> Result<Vec<u8>, SessionError> {
    asm::encode(&program.insns)
        .map_err(|err| SessionError::Emit(format!("encode `{}`: {err}", program.probe)))
}

/// The passes whose result is shown.
enum Passes {
    None,
    All,
    Until(&'static str),
}

fn ir_text(
    session: &Session<'_>,
    compiled: &Compiled,
    passes: &Passes,
) -> Result<String, SessionError> {
    let Some(checked) = &compiled.checked else {
        return Err(SessionError::Emit(
            "print the code: nothing was compiled".to_string(),
        ));
    };
    let (name, source) = (&compiled.object.script_name, &compiled.object.source);
    let lowered = compile::lowered(checked, session.target(), name, source).map_err(|err| {
        let (span, object) = (err.span(), &compiled.object);
        SessionError::Compile(Placed::new(err, span, &object.script_name, &object.source))
    })?;
    let mut text = String::new();
    for program in lowered.programs {
        let mut code = program.ir;
        match passes {
            Passes::None => {}
            Passes::All => ir::pass::run_all(&mut code, &mut |_, _| {}),
            Passes::Until(last) => {
                let mut then = None;
                ir::pass::run_all(&mut code, &mut |name, program| {
                    if name == *last {
                        then = Some(program.clone());
                    }
                });
                code = then.unwrap_or(code);
            }
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "; {}\n{code}", program.probe);
    }
    Ok(text)
}

/// Every instruction, below the line of the script that it comes from.
fn asm_text(object: &Object) -> String {
    let maps: Vec<&str> = object.maps.iter().map(|map| map.name.as_str()).collect();
    let mut text = String::new();
    for program in &object.programs {
        let slots: usize = program.insns.iter().map(asm::Insn::slots).sum();
        let _ = writeln!(
            text,
            "{}: {} instructions, {slots} slots",
            program.probe,
            program.insns.len()
        );
        listing(&mut text, program, &maps, &object.source);
        text.push('\n');
    }
    text
}

fn listing(text: &mut String, program: &ProgramSpec, maps: &[&str], source: &str) {
    let options = disasm::Options {
        maps,
        ..disasm::Options::default()
    };
    let (listing, lines) = disasm::lines(&program.insns, options);
    let mut last = None;
    let mut insn = 0;
    for (number, line) in listing.lines().enumerate() {
        // A label's line belongs to the instruction below it.
        let next = lines
            .iter()
            .skip(insn)
            .take_while(|at| **at < number)
            .count();
        insn += next;
        let at = program
            .origins
            .get(insn)
            .copied()
            .flatten()
            .map(|span| span.line_col(source).0);
        if at.is_some() && at != last {
            let written = at
                .and_then(|at| source.lines().nth(at - 1))
                .unwrap_or("")
                .trim();
            let _ = writeln!(text, "; {}: {written}", at.unwrap_or(0));
            last = at;
        }
        let _ = writeln!(text, "{line}");
    }
}

/// The bytes of each program in hexadecimal, a slot a line; maps are indices.
fn bytes_text(object: &Object) -> Result<String, SessionError> {
    let mut text = String::new();
    for program in &object.programs {
        let bytes = encode(program)?;
        let _ = writeln!(text, "; {}", program.probe);
        for slot in bytes.chunks(8) {
            for byte in slot {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// Maps, programs and their places; the digests are those of the instructions as the bytes stage prints them.
fn spec_text(object: &Object) -> Result<String, SessionError> {
    let mut text = String::new();
    let _ = writeln!(text, "license {}", object.license);
    for (index, map) in object.maps.iter().enumerate() {
        let _ = writeln!(
            text,
            "map {index} {}: {:?}, key {} bytes, value {} bytes, {} entries, flags {:#x}\n    for {:?}",
            map.name, map.kind, map.key_size, map.value_size, map.max_entries, map.flags, map.role
        );
    }
    for (index, program) in object.programs.iter().enumerate() {
        let bytes = encode(program)?;
        let _ = writeln!(
            text,
            "program {index} {}: {:?}, {} slots, {}",
            program.name,
            program.kind,
            bytes.len() / 8,
            program.probe
        );
        for attach in &program.attach {
            let _ = writeln!(text, "    at {attach:?}");
        }
    }
    for (index, group) in object.events.groups.iter().enumerate() {
        let _ = writeln!(text, "group {index}: {} bytes", group.size);
        for action in &group.actions {
            let _ = writeln!(text, "    {action:?}");
        }
    }
    Ok(text)
}
