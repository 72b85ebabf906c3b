//! Looks up in binaries what a script's probes want, and makes the compiler's [`Target`] of it.

use super::{
    binary::{self, BinaryError, LineError, Located},
    error::SessionError,
    functions,
};
use crate::{
    bitcoin::schema,
    elf,
    lang::{
        Diagnostic, Wanted,
        ast::{AttachPoint, Item, Probe, Script},
        diag, points,
    },
    span::Span,
    spec::{Binary, UsdtProbe},
    suggest, usdt, wildcard,
};
use std::path::PathBuf;

/// A script while its binaries are looked up.
pub(super) struct Lookup<'a> {
    /// The parsed script.
    pub(super) script: &'a Script,
    /// Its name, for messages.
    pub(super) name: &'a str,
    /// Its text.
    pub(super) source: &'a str,
    /// Errors in bpftrace's form.
    pub(super) as_bpftrace: bool,
    /// Positional parameters.
    pub(super) params: &'a [String],
    /// Process whose file system paths are looked up in.
    pub(super) pid: Option<u32>,
    /// Probes may be in the middle of an instruction.
    pub(super) force: bool,
    /// A probe that is not there is no error here.
    pub(super) lenient: bool,
}

impl Lookup<'_> {
    /// The binaries that the script names, each with what the script asks for in it.
    ///
    /// # Errors
    /// A file that cannot be read; a probe or function that no file has.
    pub(super) fn binaries(&self) -> Result<Vec<Binary>, SessionError> {
        let mut found: Vec<Binary> = Vec::new();
        for want in points::wanted(self.script, self.params) {
            let files = match binary::locate(want.path(), self.pid) {
                Ok(files) => files,
                Err(err) => return Err(self.unreadable(&want, err)),
            };
            let mut search = Search::default();
            for file in &files {
                match self.look(&mut search, &want, file) {
                    Ok(Some(binary)) => merge(&mut found, binary),
                    Ok(None) => {}
                    Err(err)
                        if files.len() == 1
                            && !(self.lenient && matches!(err, BinaryError::Place(..))) =>
                    {
                        return Err(self.unreadable(&want, err));
                    }
                    // Of many files, those that cannot be read have nothing to attach to.
                    Err(_) => {}
                }
            }
            // The checker sees whether the probe has other places.
            let one_of = want.is_pattern() && self.beside_others(&want);
            if !search.found && !self.lenient && !one_of {
                return Err(self.missing(&want, &search));
            }
        }
        Ok(found)
    }

    fn look(
        &self,
        search: &mut Search,
        want: &Wanted,
        file: &Located,
    ) -> Result<Option<Binary>, BinaryError> {
        let bytes = binary::open(file)?;
        let mut of_file = Binary {
            written: want.path().to_string(),
            shown: shown(want.path(), file),
            path: absolute(&file.open),
            build_id: None,
            usdt: Vec::new(),
            functions: Vec::new(),
        };
        match want {
            Wanted::Usdt { provider, name, .. } => {
                let image = binary::notes(file, &bytes)?;
                let provider = provider.as_deref().unwrap_or("*");
                of_file.usdt = image
                    .probes(|p, n| wildcard::matches(provider, p) && wildcard::matches(name, n))
                    .map_err(|err| BinaryError::Notes(file.name.clone(), err))?;
                of_file.usdt.iter_mut().for_each(schema::name);
                of_file.build_id = image.elf().build_id().map(<[u8]>::to_vec);
                if of_file.usdt.is_empty() {
                    search.know(image.notes());
                }
            }
            Wanted::Uprobe { .. } => {
                let image = elf::Image::parse(&bytes)
                    .map_err(|err| BinaryError::Elf(file.name.clone(), err))?;
                of_file.build_id = image.build_id().map(<[u8]>::to_vec);
                of_file.functions = functions::find(file, &image, want, self.force)?;
                if of_file.functions.is_empty() {
                    let all = image.functions(|_| true);
                    search.known.extend(all.iter().map(|f| f.name.to_string()));
                }
            }
        }
        let some = !of_file.usdt.is_empty() || !of_file.functions.is_empty();
        search.found |= some;
        Ok(some.then_some(of_file))
    }

    /// Why a file cannot be read, which bpftrace tells at the probe that names it.
    fn unreadable(&self, want: &Wanted, err: BinaryError) -> SessionError {
        let told = match &err {
            BinaryError::Open(_, err) => err.kind() != std::io::ErrorKind::PermissionDenied,
            BinaryError::Elf(_, err) => *err == elf::Error::NotElf,
            BinaryError::NotOnPath(_) | BinaryError::NoMatch(_) | BinaryError::Line(..) => true,
            _ => false,
        };
        if !(self.as_bpftrace && told) {
            return err.into();
        }
        let (kind, path) = match want {
            Wanted::Usdt { path, .. } => ("usdt", path),
            Wanted::Uprobe { path, .. } => ("uprobe", path),
        };
        let text = match &err {
            BinaryError::Line(_, LineError::NoDebug) => format!(
                "No DWARF debug info found for '{path}', cannot attach by source code location."
            ),
            BinaryError::Line(_, LineError::NoFile(source)) => {
                format!("DWARF error: No compilation unit matches {source}")
            }
            BinaryError::Line(_, LineError::NoStatement(place)) => {
                format!("DWARF error: Unable to map '{place}' to address")
            }
            _ if path.is_empty() => points::NO_PATH.to_string(),
            _ => format!("{kind} target file '{path}' does not exist or is not executable"),
        };
        self.told(Diagnostic::error(self.place(want), text))
    }

    /// A diagnostic of a probe.
    fn told(&self, diagnostic: Diagnostic) -> SessionError {
        SessionError::Missing(if self.as_bpftrace {
            let color = super::color::wanted();
            let text = diag::bpftrace::render(&[diagnostic], self.name, self.source, color);
            text.trim_end().to_string()
        } else {
            diag::render(
                &[diagnostic],
                self.name,
                self.source,
                super::color::wanted(),
            )
        })
    }

    /// What is not there, where the script asks for it, with what it may have meant.
    fn missing(&self, want: &Wanted, search: &Search) -> SessionError {
        let (message, asked) = match want {
            Wanted::Usdt {
                path,
                provider,
                name,
            } => {
                let asked = match provider {
                    Some(provider) => format!("{provider}:{name}"),
                    None => name.clone(),
                };
                let message = if search.known.is_empty() {
                    format!("`{path}` has no USDT probes")
                } else {
                    format!("`{path}` has no USDT probe `{asked}`")
                };
                (message, asked)
            }
            Wanted::Uprobe { path, function, .. } if function.starts_with('@') => (
                format!("`{path}` has no statement at `{}`", &function[1..]),
                function.clone(),
            ),
            Wanted::Uprobe { path, function, .. } => (
                format!("`{path}` has no function `{function}`"),
                function.clone(),
            ),
        };
        let near = suggest::closest(&asked, search.known.iter().map(String::as_str));
        let help = match (near, want) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Wanted::Usdt { .. }) if search.known.is_empty() => {
                "it was built without them; for bitcoind configure with -DWITH_USDT=ON".to_string()
            }
            (None, Wanted::Usdt { path, .. }) => format!("list them with -l 'usdt:{path}:*'"),
            (None, Wanted::Uprobe { function, .. }) if function.starts_with('@') => {
                "the line must hold a statement, and the program be built with -g".to_string()
            }
            (None, Wanted::Uprobe { path, .. }) => format!("list them with -l 'uprobe:{path}:*'"),
        };
        let diagnostic = Diagnostic::error(self.place(want), message)
            .help(help)
            .said(want.absent());
        self.told(diagnostic)
    }

    /// The points of the probes that ask for it, with their probe.
    fn points<'s>(
        &'s self,
        want: &'s Wanted,
    ) -> impl Iterator<Item = (&'s AttachPoint, &'s Probe)> {
        let probes = self.script.items.iter().filter_map(|item| match item {
            Item::Probe(probe) => Some(probe),
            _ => None,
        });
        let all = probes.flat_map(|probe| probe.points.iter().map(move |point| (point, probe)));
        all.filter(|(point, _)| {
            let point = points::with_params(point, self.params);
            matches!(points::user(&point), Some(Ok(found)) if found == *want)
        })
    }

    fn beside_others(&self, want: &Wanted) -> bool {
        self.points(want).all(|(_, probe)| probe.points.len() > 1)
    }

    fn place(&self, want: &Wanted) -> Span {
        self.points(want)
            .next()
            .map(|(point, _)| point.span)
            .unwrap_or_default()
    }
}

/// What one wanted thing found in the files it may be in.
#[derive(Default)]
struct Search {
    found: bool,
    /// Names that are there, when nothing was found.
    known: Vec<String>,
}

impl Search {
    fn know(&mut self, notes: &[usdt::Note<'_>]) {
        for note in notes {
            self.known.push(format!("{}:{}", note.provider, note.name));
            self.known.push(note.name.to_string());
        }
    }
}

/// The path as names of probes have it: as written, or what a pattern or the name of a library stands for.
fn shown(written: &str, file: &Located) -> String {
    if written.contains('/') && !wildcard::is_pattern(written) {
        return written.to_string();
    }
    let path = match file.name.is_absolute() || wildcard::is_pattern(written) {
        true => file.name.clone(),
        false => absolute(&file.name),
    };
    path.to_string_lossy().into_owned()
}

/// The path with this process's directory before it: links and logs name a file that anyone can open.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn merge(found: &mut Vec<Binary>, new: Binary) {
    let same = |old: &&mut Binary| old.written == new.written && old.path == new.path;
    let Some(old) = found.iter_mut().find(same) else {
        found.push(new);
        return;
    };
    let fresh = |probe: &UsdtProbe, old: &Binary| {
        !old.usdt
            .iter()
            .any(|o| o.provider == probe.provider && o.name == probe.name)
    };
    for probe in new.usdt {
        if fresh(&probe, old) {
            old.usdt.push(probe);
        }
    }
    for function in new.functions {
        if !old.functions.contains(&function) {
            old.functions.push(function);
        }
    }
}
