//! What `-l` and `-lv` print of a file's USDT probes.

use std::collections::BTreeMap;
use std::fmt;

use crate::usdt::{Image, Note, locate, parse_args, split_args};
use crate::wildcard;

/// The probes of one file that match a pattern, ready to be printed.
///
/// A line `usdt:PATH:PROVIDER:NAME` for each probe; when verbose, below it a line for each site and each argument.
pub struct Listing<'i, 'a> {
    image: &'i Image<'a>,
    path: &'i str,
    probes: BTreeMap<(&'a str, &'a str), Vec<&'i Note<'a>>>,
    verbose: bool,
    described: Described,
}

/// What an argument is called and means, by provider, name and number, where that is known.
type Described = fn(&str, &str, usize) -> Option<String>;

impl<'i, 'a> Listing<'i, 'a> {
    /// The probes of `image` whose provider and name match the patterns (`*` for all). `path` is how to print the file.
    pub fn new(
        image: &'i Image<'a>,
        path: &'i str,
        provider: &str,
        name: &str,
        verbose: bool,
    ) -> Listing<'i, 'a> {
        let mut probes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for note in image.notes() {
            if wildcard::matches(provider, note.provider) && wildcard::matches(name, note.name) {
                let key = (note.provider, note.name);
                probes.entry(key).or_default().push(note);
            }
        }
        Listing {
            image,
            path,
            probes,
            verbose,
            described: |_, _, _| None,
        }
    }

    /// With the names of arguments that `described` knows.
    #[must_use]
    pub fn named(mut self, described: Described) -> Listing<'i, 'a> {
        self.described = described;
        self
    }

    /// Number of probes (not sites).
    pub fn len(&self) -> usize {
        self.probes.len()
    }

    /// Whether nothing matches.
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    fn site(&self, f: &mut fmt::Formatter<'_>, note: &Note<'_>) -> fmt::Result {
        let elf = self.image.elf();
        write!(f, "    site {:#x}", note.pc)?;
        match elf.locate(note.pc) {
            Some((_, offset)) => write!(f, " (file offset {offset:#x})")?,
            None => write!(f, " (not in the file)")?,
        }
        if note.semaphore != 0 {
            write!(f, ", semaphore {:#x}", note.semaphore)?;
            match locate::semaphore(elf, note) {
                Ok(offset) => write!(f, " (file offset {offset:#x})")?,
                Err(_) => write!(f, " (not in a writable segment)")?,
            }
        }
        writeln!(f)?;
        let Some(arch) = elf.arch() else {
            for (number, text) in split_args(note.args).enumerate() {
                writeln!(f, "        arg{number} {text}")?;
            }
            return Ok(());
        };
        for (number, arg) in parse_args(arch, note.args).iter().enumerate() {
            let kind = match (arg.float, arg.signed) {
                (true, _) => "float",
                (_, true) => "int",
                (_, false) => "uint",
            };
            let kind = format!("{kind}{}", u32::from(arg.size) * 8);
            match (self.described)(note.provider, note.name, number) {
                Some(what) => writeln!(
                    f,
                    "        arg{number} {kind:<7} {:<24} args.{what}",
                    arg.text
                )?,
                None => writeln!(f, "        arg{number} {kind:<7} {}", arg.text)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Listing<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((provider, name), notes) in &self.probes {
            writeln!(f, "usdt:{}:{provider}:{name}", self.path)?;
            if self.verbose {
                notes.iter().try_for_each(|note| self.site(f, note))?;
            }
        }
        Ok(())
    }
}
