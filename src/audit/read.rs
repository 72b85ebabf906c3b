//! Reads a bundle and believes nothing in it that can be computed again.

use super::{
    Bundle, BundleError, VERSION,
    bundle::{FORMAT, helpers},
};
use crate::{
    asm::{Imm64, Insn},
    loader::tag::{self, Hex},
};
use serde_json::Value;

impl Bundle {
    /// Reads a document.
    ///
    /// # Errors
    /// It is damaged, of another version, edited by hand, or contradicts itself.
    pub fn read(text: &str) -> Result<Bundle, BundleError> {
        let json = |err: serde_json::Error| BundleError::Json {
            line: err.line(),
            column: err.column(),
            ends: err.is_eof(),
            why: reason(&err),
        };
        let value: Value = serde_json::from_str(text).map_err(json)?;
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(BundleError::NotABundle);
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(BundleError::Version(version)),
            None => return Err(BundleError::NotABundle),
        }
        let bundle: Bundle = serde_json::from_str(text).map_err(json)?;
        let computed = bundle.digest()?;
        if computed != bundle.sha256 {
            return Err(BundleError::Digest {
                written: bundle.sha256,
                computed,
            });
        }
        bundle.consistent()?;
        Ok(bundle)
    }

    /// Checks what is said twice: text beside bytes, helpers, tags, slots; and that references lead somewhere.
    fn consistent(&self) -> Result<(), BundleError> {
        for program in &self.programs {
            let wrong = |slot: Option<usize>, why: String| BundleError::Wrong {
                part: match slot {
                    Some(slot) => format!("program `{}`, slot {slot}", program.probe),
                    None => format!("program `{}`", program.probe),
                },
                why,
            };
            let insns = program.decoded()?;
            let mut slot = 0;
            for (line, insn) in program.insns.iter().zip(&insns) {
                if line.slot != slot {
                    return Err(wrong(Some(line.slot), format!("this is slot {slot}")));
                }
                let text = insn.to_string();
                if line.text != text {
                    let why = format!("the bytes say `{text}`, the text `{}`", line.text);
                    return Err(wrong(Some(slot), why));
                }
                if let Some(map) = map_of(insn)
                    .filter(|map| usize::try_from(*map).map_or(true, |map| map >= self.maps.len()))
                {
                    return Err(wrong(Some(slot), format!("there is no map {map}")));
                }
                if line.script.is_some_and(|(start, end)| {
                    self.script.text.get(start as usize..end as usize).is_none()
                }) {
                    return Err(wrong(
                        Some(slot),
                        "its place is not in the script".to_string(),
                    ));
                }
                slot += insn.slots();
            }
            if let Some(why) = super::attach::contradiction(self, program) {
                return Err(wrong(None, why));
            }
            if program.helpers != helpers(&insns) {
                let why = "the helpers named are not those called".to_string();
                return Err(wrong(None, why));
            }
            let tags = tag::tags(&insns).map_err(|err| wrong(None, err.to_string()))?;
            if program.tag_sha1 != Hex(tags.sha1).to_string()
                || program.tag_sha256 != Hex(tags.sha256).to_string()
            {
                let why = "the tags are not those of its instructions".to_string();
                return Err(wrong(None, why));
            }
        }
        Ok(())
    }
}

/// What is wrong, without the place, which is said apart.
pub(super) fn reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

fn map_of(insn: &Insn) -> Option<i32> {
    match insn {
        Insn::LoadImm64 {
            imm: Imm64::MapIdx(map) | Imm64::MapIdxValue { idx: map, .. },
            ..
        } => Some(*map),
        _ => None,
    }
}
