//! The USDT probes of one ELF file: listed cheaply, their operands read on request.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::elf;
use crate::spec::{Arch, Site, UsdtProbe};
use crate::usdt::arg::{MAX_ARGS, Scope, split_args};
use crate::usdt::error::SiteError;
use crate::usdt::{Error, Note, locate, note};

/// The notes of one ELF file, with the image they were read from.
#[derive(Debug)]
pub struct Image<'a> {
    elf: elf::Image<'a>,
    notes: Vec<Note<'a>>,
}

impl<'a> Image<'a> {
    /// Reads the headers and the notes of a file, and nothing else of it.
    ///
    /// A file without notes is no error: it has none.
    ///
    /// # Errors
    /// [`Error::Elf`] for what is no ELF file; [`Error::Note`], [`Error::Align`], [`Error::Overlap`] for damaged notes.
    pub fn parse(bytes: &'a [u8]) -> Result<Image<'a>, Error> {
        let elf = elf::Image::parse(bytes)?;
        let notes = note::read(&elf)?;
        Ok(Image { elf, notes })
    }

    /// The file itself: functions, build id, segments.
    pub fn elf(&self) -> &elf::Image<'a> {
        &self.elf
    }

    /// All notes in file order: one for each site, so that a probe's name may come many times.
    pub fn notes(&self) -> &[Note<'a>] {
        &self.notes
    }

    /// The probes that `want(provider, name)` accepts, by provider and name, each with all of its sites in file order.
    ///
    /// # Errors
    /// [`Error::Arch`] if the file is for a processor whose operands are not known; [`Error::Site`] if a site of an
    /// accepted probe cannot be attached to. Operands that cannot be read are values, not errors.
    pub fn probes(
        &self,
        mut want: impl FnMut(&str, &str) -> bool,
    ) -> Result<Vec<UsdtProbe>, Error> {
        let mut found: BTreeMap<(&str, &str), Vec<Site>> = BTreeMap::new();
        let symbols = OnceCell::new();
        for note in &self.notes {
            if !want(note.provider, note.name) {
                continue;
            }
            let Some(arch) = self.elf.arch() else {
                return Err(Error::Arch(self.elf.machine_name()));
            };
            let site = self.site(arch, note, &symbols).map_err(|why| Error::Site {
                provider: note.provider.to_owned(),
                name: note.name.to_owned(),
                vaddr: note.pc,
                why,
            })?;
            found
                .entry((note.provider, note.name))
                .or_default()
                .push(site);
        }
        let probe = |((provider, name), mut sites): ((&str, &str), Vec<Site>)| {
            sites.sort_by_key(|s| s.offset);
            sites.dedup();
            UsdtProbe {
                provider: provider.to_owned(),
                name: name.to_owned(),
                sites,
                names: Vec::new(),
            }
        };
        Ok(found.into_iter().map(probe).collect())
    }

    fn site(
        &self,
        arch: Arch,
        note: &Note<'a>,
        symbols: &OnceCell<HashMap<&'a str, u64>>,
    ) -> Result<Site, SiteError> {
        let offset = locate::site(&self.elf, arch, note)?;
        let ref_ctr = locate::semaphore(&self.elf, note)?;
        let symbol = |name: &str| {
            let all = symbols.get_or_init(|| self.elf.symbol_addresses());
            all.get(name).copied()
        };
        let scope = Scope {
            arch,
            site: note.pc,
            symbol: &symbol,
        };
        let count = split_args(note.args).count();
        if count > MAX_ARGS {
            return Err(SiteError::TooManyArgs(count));
        }
        Ok(Site {
            offset,
            ref_ctr,
            args: split_args(note.args).map(|text| scope.arg(text)).collect(),
        })
    }
}
