//! Files that raw messages go to while they are printed.

use super::{
    capture,
    message::Message,
    pcapng,
    records::Records,
    tool::{Raw, ToolError},
};
use crate::trace::Event;
use std::{fs::File, path::PathBuf};

/// The files, as long as they can be written.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    capture: Option<capture::Writer>,
    pcapng: Option<(pcapng::Writer<Records>, PathBuf)>,
    cut: bool,
}

impl Sinks {
    /// Begins the files that are asked for.
    ///
    /// # Errors
    /// [`ToolError::Capture`].
    pub(super) fn create(raw: &Raw) -> Result<Sinks, ToolError> {
        let mut sinks = Sinks::default();
        if let Some(path) = &raw.capture {
            let writer = capture::Writer::create(path);
            sinks.capture = Some(writer.map_err(|e| ToolError::Capture(path.clone(), e))?);
        }
        if let Some(path) = &raw.pcapng {
            let file = File::create(path).and_then(Records::new);
            let writer = file.and_then(|file| pcapng::Writer::new(file, raw.chain));
            let writer = writer.map_err(|e| ToolError::Capture(path.clone(), e))?;
            sinks.pcapng = Some((writer, path.clone()));
        }
        Ok(sinks)
    }

    /// Appends a message to all files. A file that cannot be written is given up, the others and the trace go on; what
    /// went wrong is returned.
    pub(super) fn write(&mut self, event: &Event) -> Vec<String> {
        let mut problems = Vec::new();
        if self.capture.is_none() && self.pcapng.is_none() {
            return problems;
        }
        let Some(message) = Message::of(event) else {
            return problems;
        };
        if let Some(writer) = &mut self.capture
            && let Err(err) = writer.write(&message)
        {
            problems.push(format!("{err}: nothing more is captured there"));
            self.capture = None;
        }
        if let Some((writer, path)) = &mut self.pcapng
            && let Err(err) = writer.write(&message)
        {
            let path = path.display();
            problems.push(format!(
                "write capture `{path}`: {err}: nothing more is captured there"
            ));
            self.pcapng = None;
        }
        self.cut |= !problems.is_empty();
        problems
    }

    /// A file was given up.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}
