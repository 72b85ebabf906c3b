//! Lists on a screen: which line is selected, which are shown, and lines of cells.

use ratatui::{Frame, layout::Rect, text::Line};

use super::keys::Action;

/// A place in a list that grows at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The selected line; `None` follows the last one.
    pub(super) selected: Option<usize>,
    /// First line shown.
    top: usize,
    /// Lines shown when it was last drawn.
    height: usize,
}

impl Place {
    /// At the first line.
    pub(super) fn first() -> Self {
        Place {
            selected: Some(0),
            ..Place::default()
        }
    }

    /// The selected line of `count`.
    pub(super) fn line(self, count: usize) -> Option<usize> {
        let last = count.checked_sub(1)?;
        Some(self.selected.map_or(last, |line| line.min(last)))
    }

    /// Moves; true if the action was a move.
    pub(super) fn act(&mut self, action: Action, count: usize) -> bool {
        use Action::{Down, End, Home, PageDown, PageUp, Up};
        let page = self.height.saturating_sub(1).max(1);
        let Some(line) = self.line(count) else {
            return matches!(action, Up | Down | PageUp | PageDown | Home | End);
        };
        let to = match action {
            Up => line.saturating_sub(1),
            Down => line + 1,
            PageUp => line.saturating_sub(page),
            PageDown => line + page,
            Home => 0,
            End => {
                self.selected = None;
                return true;
            }
            _ => return false,
        };
        // Going on beyond the last line follows it; arriving there does not.
        self.selected = (to < count || line + 1 < count).then_some(to.min(count - 1));
        true
    }

    /// The lines to show in `height` rows: the selected one is among them.
    pub(super) fn show(&mut self, count: usize, height: usize) -> std::ops::Range<usize> {
        self.height = height;
        let line = self.line(count).unwrap_or(0);
        self.top = self
            .top
            .min(line)
            .max((line + 1).saturating_sub(height))
            .min(count.saturating_sub(height));
        self.top..count.min(self.top + height)
    }

    /// `count` lines fell off the front.
    pub(super) fn shift(&mut self, count: usize) {
        self.top = self.top.saturating_sub(count);
        self.selected = self.selected.map(|line| line.saturating_sub(count));
    }
}

/// One line at row `row` of `area`, if it has that many.
pub(super) fn put(frame: &mut Frame, area: Rect, row: u16, line: Line) {
    if row < area.height {
        let at = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        frame.render_widget(line, at);
    }
}

/// Text of exactly `width` characters; what is too long ends in `~`.
pub(super) fn cell(text: &str, width: usize, right: bool) -> String {
    let long = text.chars().count() > width;
    if long {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}~");
    }
    if right {
        format!("{text:>width$}")
    } else {
        format!("{text:<width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_until_moved() {
        let mut place = Place::default();
        assert_eq!(place.show(3, 5), 0..3);
        assert_eq!(place.show(10, 5), 5..10);
        place.act(Action::Up, 10);
        assert_eq!((place.line(10), place.show(20, 5)), (Some(8), 5..10));
        place.act(Action::PageUp, 20);
        assert_eq!((place.line(20), place.show(20, 5)), (Some(4), 4..9));
        place.shift(3);
        assert_eq!((place.line(17), place.show(17, 5)), (Some(1), 1..6));
        place.act(Action::End, 17);
        assert_eq!((place.line(17), place.show(17, 5)), (Some(16), 12..17));
        place.act(Action::Home, 17);
        assert_eq!(place.show(17, 5), 0..5);
        for _ in 0..16 {
            place.act(Action::Down, 17);
        }
        assert_eq!(place.selected, Some(16));
        place.act(Action::Down, 17);
        assert_eq!(place.selected, None);
        assert_eq!((place.line(0), place.show(0, 5)), (None, 0..0));
        assert!(place.act(Action::Up, 0) && !place.act(Action::Open, 0));
    }
}
