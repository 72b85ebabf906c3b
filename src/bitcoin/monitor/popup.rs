//! A window of text over a screen, with what does not fit a few keys away.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::Rect,
    symbols::border,
    text::Line,
    widgets::{Block, Clear, Paragraph},
};

use super::{
    format::safe,
    keys::{Action, KEYS},
    theme::Theme,
};

/// What is shown in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Keys,
    Notices,
}

/// A window, and how far it is scrolled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Popup {
    what: What,
    top: usize,
    /// Lines that are above the last page.
    most: usize,
}

impl Popup {
    pub(super) fn new(what: What) -> Self {
        Popup {
            what,
            top: 0,
            most: 0,
        }
    }

    /// Takes in a key; false if it closes the window.
    pub(super) fn act(&mut self, action: Option<Action>) -> bool {
        let to = match action {
            Some(Action::Up) => self.top.saturating_sub(1),
            Some(Action::Down) => self.top + 1,
            Some(Action::PageUp) => self.top.saturating_sub(10),
            Some(Action::PageDown) => self.top + 10,
            Some(Action::Home) => 0,
            Some(Action::End) => self.most,
            _ => return false,
        };
        self.top = to.min(self.most);
        true
    }

    /// Draws it in the middle of `area`.
    pub(super) fn draw(
        &mut self,
        notices: &VecDeque<String>,
        frame: &mut Frame,
        area: Rect,
        theme: Theme,
    ) {
        let (lines, width) = match self.what {
            What::Keys => (keys(theme), 72),
            What::Notices => (said(notices, area.width), area.width),
        };
        let width = width.min(area.width);
        let height = u16::try_from(lines.len() + 2).map_or(area.height, |h| h.min(area.height));
        let shown = usize::from(height - 2);
        self.most = lines.len().saturating_sub(shown);
        self.top = self.top.min(self.most);
        let more = match (self.most, theme.unicode) {
            (0, _) => "",
            (_, true) => ", ↑↓ scroll",
            (_, false) => ", Up and Down scroll",
        };
        let title = match self.what {
            What::Keys => format!(" keys (any other closes{more}) "),
            What::Notices => format!(" said by the trace (any key closes{more}) "),
        };
        let mut block = Block::bordered().title(title);
        if !theme.unicode {
            block = block.border_set(ASCII);
        }
        let place = Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        };
        let lines: Vec<Line> = lines.into_iter().skip(self.top).map(Line::from).collect();
        frame.render_widget(Clear, place);
        frame.render_widget(Paragraph::new(lines).block(block), place);
    }
}

const ASCII: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn keys(theme: Theme) -> Vec<String> {
    let ascii = |names: &str| {
        ["↑Up", "↓Down", "→Right", "←Left", "…-"]
            .iter()
            .fold(names.to_owned(), |names, pair| {
                let mut chars = pair.chars();
                let sign = chars.next().unwrap_or(' ');
                names.replace(sign, chars.as_str())
            })
    };
    KEYS.iter()
        .filter(|key| !key.names.is_empty())
        .map(|key| {
            let names = if theme.unicode {
                key.names.to_owned()
            } else {
                ascii(key.names)
            };
            format!(" {names:<11} {}", key.help)
        })
        .collect()
}

/// Notices, broken to lines.
fn said(notices: &VecDeque<String>, width: u16) -> Vec<String> {
    if notices.is_empty() {
        return vec!["nothing".to_owned()];
    }
    let width = usize::from(width.saturating_sub(2)).max(1);
    let mut lines = Vec::new();
    for notice in notices {
        let chars: Vec<char> = safe(notice).chars().collect();
        lines.extend(
            chars
                .chunks(width)
                .map(|part| part.iter().collect::<String>()),
        );
    }
    lines
}
