//! What the language has to say about a script: a place, a sentence, and often a remedy.

pub mod bpftrace;

use crate::span::Span;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing is loaded.
    Error,
    /// Said, and gone on.
    Warning,
}

/// One message about one place of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The place.
    pub span: Span,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Written under the place; may be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Error or warning.
    pub severity: Severity,
    /// bpftrace's words for it, for those who call this program by that name; `None` if ours will do.
    pub said: Option<Box<bpftrace::Said>>,
}

impl Diagnostic {
    /// An error without label and help.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            span,
            message: message.into(),
            label: String::new(),
            help: None,
            severity: Severity::Error,
            said: None,
        }
    }

    /// A warning without label and help.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(span, message)
        }
    }

    /// With text under the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a remedy, if there is one.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// With bpftrace's words for it.
    #[must_use]
    pub fn said(mut self, message: impl Into<String>) -> Self {
        self.said = Some(Box::new(bpftrace::Said {
            span: None,
            message: message.into(),
            more: Vec::new(),
            hint: None,
            clang: false,
        }));
        self
    }

    /// Clang's words for it, which bpftrace passes on.
    #[must_use]
    pub fn said_by_clang(mut self, span: Span, message: impl Into<String>) -> Self {
        self = self.said_at(span, message);
        if let Some(said) = &mut self.said {
            said.clang = true;
        }
        self
    }

    /// bpftrace says nothing of it.
    #[must_use]
    pub fn unsaid(mut self) -> Self {
        self.said = Some(Box::default());
        self
    }

    /// bpftrace shows another place.
    #[must_use]
    pub fn said_at(mut self, span: Span, message: impl Into<String>) -> Self {
        self = self.said(message);
        if let Some(said) = &mut self.said {
            said.span = Some(span);
        }
        self
    }

    /// bpftrace says something of another place after it.
    #[must_use]
    pub fn said_more(mut self, span: Span, message: impl Into<String>) -> Self {
        if let Some(said) = &mut self.said {
            said.more.push((span, message.into()));
        }
        self
    }

    /// bpftrace gives a hint after it.
    #[must_use]
    pub fn said_hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(said) = &mut self.said {
            said.hint = Some(hint.into());
        }
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The diagnostics as text, each with its piece of the script and a caret.
pub fn render(diags: &[Diagnostic], script_name: &str, source: &str, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for (i, diag) in diags.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&renderer.render(&report(diag, script_name, source)));
        out.push('\n');
    }
    out
}

fn report<'a>(diag: &'a Diagnostic, script_name: &'a str, source: &'a str) -> Vec<Group<'a>> {
    let level = match diag.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut annotation = AnnotationKind::Primary.span(place(diag.span, source));
    if !diag.label.is_empty() {
        annotation = annotation.label(diag.label.as_str());
    }
    let snippet = Snippet::source(source)
        .path(script_name)
        .annotation(annotation);
    let mut groups = vec![level.primary_title(diag.message.as_str()).element(snippet)];
    if let Some(help) = &diag.help {
        groups.push(Group::with_title(
            Level::HELP.secondary_title(help.as_str()),
        ));
    }
    groups
}

/// The span as a range that is valid in `source`: in bounds, on character boundaries.
fn place(span: Span, source: &str) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start as usize);
    start..floor(span.end as usize).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_place_and_help() {
        let source = "kprobe:vfs_read { @[pidd] = count(); }\n";
        let diag = Diagnostic::error(Span::new(20, 24), "unknown builtin `pidd`")
            .help("did you mean `pid`?");
        let text = render(&[diag], "count.bt", source, false);
        assert!(
            text.starts_with("error: unknown builtin `pidd`\n"),
            "{text}"
        );
        assert!(text.contains("--> count.bt:1:21"), "{text}");
        assert!(text.contains("^^^^"), "{text}");
        assert!(text.contains("help: did you mean `pid`?"), "{text}");
    }

    #[test]
    fn spans_outside_the_text_are_survived() {
        for span in [
            Span::new(0, 0),
            Span::new(5, 2),
            Span::new(900, 1000),
            Span::new(1, 2),
        ] {
            let text = render(&[Diagnostic::error(span, "m")], "x", "ä\n", false);
            assert!(text.contains("error: m"), "{text}");
        }
    }
}
