//! How things are set off, with colour and without.

use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours; otherwise bold, dim and reversed alone.
    pub colour: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

impl Theme {
    /// What the environment says: `NO_COLOR` (any value), `TERM=dumb`, and the locale's encoding.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"));
        Theme {
            colour: set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
            // The font of a Linux console has no bars of eight heights.
            unicode: set("TERM").is_none_or(|term| term != "linux")
                && locale.is_some_and(|l| l.to_uppercase().replace('-', "").contains("UTF8")),
        }
    }

    fn style(self, colour: Color, plain: Modifier) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new().add_modifier(plain)
        }
    }

    pub(super) fn title(self) -> Style {
        self.style(Color::Cyan, Modifier::BOLD)
            .add_modifier(Modifier::BOLD)
    }

    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn dim(self) -> Style {
        self.style(Color::DarkGray, Modifier::DIM)
    }

    pub(super) fn warn(self) -> Style {
        self.style(Color::Yellow, Modifier::BOLD)
    }

    pub(super) fn inbound(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    pub(super) fn outbound(self) -> Style {
        self.style(Color::Blue, Modifier::empty())
    }

    pub(super) fn hit(self) -> Style {
        self.style(Color::Magenta, Modifier::UNDERLINED)
    }
}

#[cfg(test)]
mod tests {
    use super::Theme;

    #[test]
    fn the_environment_decides() {
        let theme = |vars: &[(&str, &str)]| {
            Theme::from_env(|name| {
                let found = vars.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let is = |colour, unicode| Theme { colour, unicode };
        assert_eq!(theme(&[]), is(true, false));
        assert_eq!(theme(&[("LANG", "C.UTF-8")]), is(true, true));
        assert_eq!(
            theme(&[("LANG", "de_DE.utf8"), ("NO_COLOR", "1")]),
            is(false, true)
        );
        assert_eq!(
            theme(&[("LANG", "C.UTF-8"), ("TERM", "linux")]),
            is(true, false)
        );
        assert_eq!(
            theme(&[("LC_ALL", "C"), ("LANG", "C.UTF-8"), ("TERM", "dumb")]),
            is(false, false)
        );
    }
}
