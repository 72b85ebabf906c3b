//! What keys do: one table for the loop and the help.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each does")]
pub enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Open,
    Back,
    SortNext,
    SortPrevious,
    /// Of those shown, from 0.
    SortBy(u8),
    Reverse,
    Closed,
    Filter,
    Search,
    Next,
    Clear,
    Pause,
    Export,
    Notices,
    Redraw,
    Help,
    Quit,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// What it asks for.
    pub action: Action,
    /// The keys.
    pub codes: &'static [KeyCode],
    /// The keys as the help names them; nothing if another row tells of them.
    pub names: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn key(
    action: Action,
    codes: &'static [KeyCode],
    names: &'static str,
    help: &'static str,
) -> Key {
    Key {
        action,
        codes,
        names,
        help,
    }
}

/// All keys. Ctrl-C quits as well.
pub const KEYS: &[Key] = &[
    key(
        Action::Up,
        &[KeyCode::Up, KeyCode::Char('k')],
        "↑ k",
        "a line up",
    ),
    key(
        Action::Down,
        &[KeyCode::Down, KeyCode::Char('j')],
        "↓ j",
        "a line down",
    ),
    key(
        Action::PageUp,
        &[KeyCode::PageUp, KeyCode::Char('b')],
        "PgUp b",
        "a page up",
    ),
    key(
        Action::PageDown,
        &[KeyCode::PageDown, KeyCode::Char('d')],
        "PgDn d",
        "a page down",
    ),
    key(
        Action::Home,
        &[KeyCode::Home, KeyCode::Char('g')],
        "Home g",
        "to the first line",
    ),
    key(
        Action::End,
        &[KeyCode::End, KeyCode::Char('G')],
        "End G",
        "to the last line, and follow it",
    ),
    key(
        Action::Open,
        &[KeyCode::Enter, KeyCode::Right],
        "Enter →",
        "open what is selected",
    ),
    key(
        Action::Back,
        &[KeyCode::Esc, KeyCode::Left],
        "Esc ←",
        "back",
    ),
    key(
        Action::SortNext,
        &[KeyCode::Char('s'), KeyCode::Char('>')],
        "s S > <",
        "peers: sort by the next column, the previous one",
    ),
    key(
        Action::SortPrevious,
        &[KeyCode::Char('S'), KeyCode::Char('<')],
        "",
        "",
    ),
    key(
        Action::SortBy(0),
        DIGITS,
        "1 … 9",
        "peers: sort by that column",
    ),
    key(
        Action::Reverse,
        &[KeyCode::Char('r')],
        "r",
        "peers: reverse the order",
    ),
    key(
        Action::Closed,
        &[KeyCode::Char('o')],
        "o",
        "peers: open ones only, or all",
    ),
    key(
        Action::Filter,
        &[KeyCode::Char('f')],
        "f",
        "show only lines with this text; a,b for either, !a without",
    ),
    key(
        Action::Search,
        &[KeyCode::Char('/')],
        "/ n",
        "search, and the next match",
    ),
    key(Action::Next, &[KeyCode::Char('n')], "", ""),
    key(
        Action::Clear,
        &[KeyCode::Char('c')],
        "c",
        "drop filter and search",
    ),
    key(
        Action::Pause,
        &[KeyCode::Char(' '), KeyCode::Char('p')],
        "Space p",
        "hold the screen; the trace goes on",
    ),
    key(
        Action::Export,
        &[KeyCode::Char('e')],
        "e",
        "export what is shown, a JSON object a line",
    ),
    key(
        Action::Notices,
        &[KeyCode::Char('i')],
        "i",
        "what the trace has said",
    ),
    key(Action::Redraw, &[], "Ctrl-L", "draw all anew"),
    key(
        Action::Help,
        &[KeyCode::Char('?'), KeyCode::Char('h')],
        "? h",
        "this help",
    ),
    key(Action::Quit, &[KeyCode::Char('q')], "q Ctrl-C", "quit"),
];

/// What a key press asks for.
pub fn action(event: KeyEvent) -> Option<Action> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            KeyCode::Char('c') => Some(Action::Quit),
            KeyCode::Char('l') => Some(Action::Redraw),
            _ => None,
        };
    }
    let key = KEYS.iter().find(|key| key.codes.contains(&event.code))?;
    Some(match (key.action, event.code) {
        (Action::SortBy(_), KeyCode::Char(digit)) => Action::SortBy(digit as u8 - b'1'),
        (action, _) => action,
    })
}

const DIGITS: &[KeyCode] = &[
    KeyCode::Char('1'),
    KeyCode::Char('2'),
    KeyCode::Char('3'),
    KeyCode::Char('4'),
    KeyCode::Char('5'),
    KeyCode::Char('6'),
    KeyCode::Char('7'),
    KeyCode::Char('8'),
    KeyCode::Char('9'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_key_does_one_thing() {
        let codes: Vec<_> = KEYS.iter().flat_map(|key| key.codes).collect();
        let unique: HashSet<_> = codes.iter().collect();
        assert_eq!(codes.len(), unique.len());
        let ctrl = |c| action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        assert_eq!((ctrl('c'), ctrl('q')), (Some(Action::Quit), None));
        let three = KeyEvent::new(KeyCode::Char('3'), KeyModifiers::NONE);
        assert_eq!(action(three), Some(Action::SortBy(2)));
    }
}
