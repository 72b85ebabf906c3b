//! One program of an object with the functions that it calls, as loaders put them together.

use super::read::{CodeSection, Object, To, index_of};
use crate::asm::{Callee, DecodeError, Imm64, Insn, MapDecl, disasm::target_slot};
use std::fmt;

/// A program that stands alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its section, then the functions that it calls.
    pub insns: Vec<Insn>,
    /// Names by the slot each begins at.
    pub functions: Vec<(usize, String)>,
    /// Names of its maps, by index.
    pub maps: Vec<String>,
    /// What the object declares of each.
    pub declared: Vec<Option<MapDecl>>,
    /// Names of variables by the slot that refers to them.
    pub variables: Vec<(usize, String)>,
}

/// Why a program of an object does not stand alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// A section's bytes are no instructions.
    Decode {
        /// The section.
        section: String,
        /// Where and why.
        error: DecodeError,
    },
    /// It refers to something that only the kernel has.
    Outside {
        /// The section.
        section: String,
        /// The slot in it.
        slot: usize,
        /// The name.
        name: String,
    },
    /// It leads to a place where no function begins, or that is not there.
    Nowhere {
        /// The section.
        section: String,
        /// The slot in it.
        slot: usize,
        /// What it leads to.
        name: String,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Decode { section, error } => write!(f, "section `{section}`: {error}"),
            LinkError::Outside {
                section,
                slot,
                name,
            } => write!(
                f,
                "section `{section}`, slot {slot}: `{name}` is the kernel's, found when a loader links it"
            ),
            LinkError::Nowhere {
                section,
                slot,
                name,
            } => write!(
                f,
                "section `{section}`, slot {slot}: it leads to `{name}`, where no function begins"
            ),
        }
    }
}

impl std::error::Error for LinkError {}

/// A stretch of a section: a whole program, or one function.
struct Piece<'a> {
    code: &'a CodeSection,
    start: usize,
    end: usize,
    /// Its first slot in the program that is made.
    placed: usize,
}

impl Object {
    /// The program in a section, with the functions of other sections that it calls, in the order they stand there.
    ///
    /// # Errors
    /// [`LinkError`] if something is missing, or is no instruction.
    pub fn program(&self, section: &CodeSection) -> Result<Linked, LinkError> {
        let mut pieces = self.pieces(section)?;
        let mut placed = 0;
        for piece in &mut pieces {
            piece.placed = placed;
            placed += piece.end - piece.start;
        }
        let mut linked = Linked {
            insns: Vec::new(),
            functions: Vec::new(),
            maps: Vec::new(),
            declared: Vec::new(),
            variables: Vec::new(),
        };
        for piece in &pieces {
            for (slot, name) in &piece.code.functions {
                if (piece.start..piece.end).contains(slot) {
                    let at = piece.placed + slot - piece.start;
                    linked.functions.push((at, name.clone()));
                }
            }
            for (slot, name) in piece.code.variables() {
                if (piece.start..piece.end).contains(&slot) {
                    linked
                        .variables
                        .push((piece.placed + slot - piece.start, name));
                }
            }
            place(piece, &pieces, &mut linked)?;
        }
        for name in &linked.maps {
            let found = self.maps.iter().find(|map| map.name == *name);
            linked.declared.push(found.cloned());
        }
        Ok(linked)
    }

    fn pieces<'a>(&'a self, section: &'a CodeSection) -> Result<Vec<Piece<'a>>, LinkError> {
        let mut pieces = vec![Piece {
            code: section,
            start: 0,
            end: section.bytes.len() / 8,
            placed: 0,
        }];
        let mut next = 0;
        while let Some(piece) = pieces.get(next) {
            for (from, home, slot) in targets(piece)? {
                let there = |piece: &Piece<'_>| {
                    piece.code.name == home && (piece.start..piece.end).contains(&slot)
                };
                if pieces.iter().any(there) {
                    continue;
                }
                let found = self.code.iter().find(|code| code.name == home);
                let begins = found.filter(|code| slot < code.bytes.len() / 8);
                let begins = begins.and_then(|code| {
                    let at = code.functions.iter().position(|(at, _)| *at == slot)?;
                    let behind = code.functions.get(at + 1..)?;
                    let end = behind.iter().find(|(at, _)| *at > slot);
                    let all = code.bytes.len() / 8;
                    let end = end.map_or(all, |(at, _)| all.min(*at));
                    Some((code, end))
                });
                let Some((code, end)) = begins else {
                    return Err(LinkError::Nowhere {
                        section: pieces[next].code.name.clone(),
                        slot: from,
                        name: format!("{home}+{slot}"),
                    });
                };
                pieces.push(Piece {
                    code,
                    start: slot,
                    end,
                    placed: 0,
                });
            }
            next += 1;
        }
        if let Some(functions) = pieces.get_mut(1..) {
            functions.sort_by_key(|piece| piece.start);
        }
        Ok(pieces)
    }
}

fn decoded(piece: &Piece<'_>) -> Result<(Vec<Insn>, Vec<String>), LinkError> {
    piece.code.insns().map_err(|error| LinkError::Decode {
        section: piece.code.name.clone(),
        error,
    })
}

/// The instructions of a piece that call or address code: their slot, and the section and slot they lead to.
fn targets(piece: &Piece<'_>) -> Result<Vec<(usize, String, usize)>, LinkError> {
    let mut found = Vec::new();
    let mut slot = 0;
    for insn in decoded(piece)?.0 {
        let here = slot;
        slot += insn.slots();
        if !(piece.start..piece.end).contains(&here) {
            continue;
        }
        let relocation = piece.code.relocations.iter().find(|r| r.slot == here);
        match (relocation.map(|r| &r.to), &insn) {
            (Some(To::Code { section, slot, .. }), _) => {
                found.push((here, section.clone(), *slot));
            }
            (Some(To::Outside(name)), _) => {
                return Err(LinkError::Outside {
                    section: piece.code.name.clone(),
                    slot: here,
                    name: name.clone(),
                });
            }
            (_, Insn::Call { .. } | Insn::LoadImm64 { .. }) => {
                let to = target_slot(&insn, here).and_then(|to| usize::try_from(to).ok());
                found.extend(to.map(|to| (here, piece.code.name.clone(), to)));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Adds the instructions of a piece, with distances and maps as they are in the program that is made.
fn place(piece: &Piece<'_>, pieces: &[Piece<'_>], linked: &mut Linked) -> Result<(), LinkError> {
    let (insns, maps) = decoded(piece)?;
    let targets = targets(piece)?;
    let mut slot = 0;
    for mut insn in insns {
        let here = slot;
        slot += insn.slots();
        if !(piece.start..piece.end).contains(&here) {
            continue;
        }
        let to = targets.iter().find(|(from, ..)| *from == here);
        let to = to.and_then(|(_, home, to)| {
            let there = pieces
                .iter()
                .find(|p| p.code.name == *home && (p.start..p.end).contains(to))?;
            Some(there.placed + to - there.start)
        });
        let at = piece.placed + here - piece.start;
        let distance = to.map(|to| to as i64 - at as i64 - 1);
        let distance = distance.and_then(|distance| i32::try_from(distance).ok());
        match (&mut insn, distance) {
            (Insn::Call { callee }, Some(distance)) => *callee = Callee::Local(distance),
            (Insn::LoadImm64 { imm, .. }, Some(distance)) => *imm = Imm64::Func(distance),
            (
                Insn::LoadImm64 {
                    imm: Imm64::MapIdx(idx) | Imm64::MapIdxValue { idx, .. },
                    ..
                },
                _,
            ) => {
                let name = usize::try_from(*idx).ok().and_then(|idx| maps.get(idx));
                if let Some(name) = name {
                    *idx = index_of(name, &mut linked.maps);
                }
            }
            _ => {}
        }
        linked.insns.push(insn);
    }
    Ok(())
}
