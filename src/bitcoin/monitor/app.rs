//! The loop of a monitor: keys in, frames out.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    format::{clock, safe, short},
    input::{Keys, Waited},
    keys::{Action, action},
    popup::{Popup, What},
    shared::{Model, Shared},
    terminal::{self, Error},
    theme::Theme,
};

/// What a screen is told while drawing and acting.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds since the beginning; while the screen is held, those of that moment.
    pub ms: u64,
    /// The beginning, in milliseconds since 1970.
    pub start_unix_ms: u64,
    /// What the terminal can show.
    pub theme: Theme,
}

/// Text that the user gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Lines without it are left out.
    Filter,
    /// Lines with it are set off.
    Search,
}

/// What a monitor shows of its model.
pub trait Screen {
    /// What it shows.
    type Model: Model;
    /// Name of the tool; files that it exports begin with it.
    const NAME: &'static str;
    /// Fills `area`.
    fn draw(&mut self, model: &Self::Model, frame: &mut Frame, area: Rect, now: &Now);
    /// Does what a key asks for; false if it means nothing here.
    fn act(&mut self, action: Action, model: &Self::Model, now: &Now) -> bool;
    /// Takes in a filter or search text, at each change.
    fn query(&mut self, query: Query, text: &str, model: &Self::Model, now: &Now);
    /// The current text of a query.
    fn text(&self, query: Query) -> &str;
    /// What is shown, an object a line.
    fn export(&self, model: &Self::Model, now: &Now) -> Vec<serde_json::Value>;
}

/// Least columns and rows.
const LEAST: (u16, u16) = (40, 10);

/// A screen with what all of them have: help, prompts, holding, messages. Apart from the terminal, so that tests can drive it.
#[derive(Debug)]
pub struct App<S: Screen> {
    screen: S,
    shared: Shared<S::Model>,
    theme: Theme,
    folder: PathBuf,
    /// The model as it was when the screen was held, then, and the events until then.
    held: Option<(S::Model, u64, u64)>,
    prompt: Option<(Query, String)>,
    popup: Option<Popup>,
    message: Option<String>,
}

impl<S: Screen> App<S> {
    /// A screen on what `shared` counts; exports go into `folder`.
    pub fn new(screen: S, shared: Shared<S::Model>, theme: Theme, folder: &Path) -> Self {
        App {
            screen,
            shared,
            theme,
            folder: folder.to_owned(),
            held: None,
            prompt: None,
            popup: None,
            message: None,
        }
    }

    fn now(&self) -> Now {
        Now {
            ms: self
                .held
                .as_ref()
                .map_or_else(|| self.shared.now_ms(), |h| h.1),
            start_unix_ms: self.shared.start_unix_ms(),
            theme: self.theme,
        }
    }

    /// Calls `f` with the screen and the model that it shows: the held one or the live one.
    fn with<R>(&mut self, f: impl FnOnce(&mut S, &S::Model, &Now) -> R) -> R {
        let now = self.now();
        match &self.held {
            Some((model, ..)) => f(&mut self.screen, model, &now),
            None => f(&mut self.screen, &self.shared.lock().model, &now),
        }
    }

    /// Takes in a key; true if it ends the monitor.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        self.message = None;
        let asked = action(key);
        if asked == Some(Action::Quit) && (self.prompt.is_none() || key.code != KeyCode::Char('q'))
        {
            return true;
        }
        if self.prompt.is_some() {
            self.prompt_key(key.code);
            return false;
        }
        if let Some(popup) = &mut self.popup {
            if !popup.act(asked) {
                self.popup = None;
            }
            return false;
        }
        let Some(asked) = asked else {
            return false;
        };
        match asked {
            Action::Help => self.popup = Some(Popup::new(What::Keys)),
            Action::Notices => self.popup = Some(Popup::new(What::Notices)),
            Action::Redraw => {}
            Action::Filter => self.prompt = Some((Query::Filter, String::new())),
            Action::Search => self.prompt = Some((Query::Search, String::new())),
            Action::Clear => {
                for query in [Query::Filter, Query::Search] {
                    self.with(|screen, model, now| screen.query(query, "", model, now));
                }
            }
            Action::Pause => self.hold(),
            Action::Export => self.export(),
            other => {
                if !self.with(|screen, model, now| screen.act(other, model, now)) {
                    self.message =
                        Some("that key means nothing here; ? shows what does".to_owned());
                }
            }
        }
        false
    }

    fn prompt_key(&mut self, code: KeyCode) {
        let Some((query, mut text)) = self.prompt.take() else {
            return;
        };
        match code {
            KeyCode::Enter => return,
            KeyCode::Esc => text.clear(),
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(c) => text.push(c),
            _ => {}
        }
        self.with(|screen, model, now| screen.query(query, &text, model, now));
        if code != KeyCode::Esc {
            self.prompt = Some((query, text));
        }
    }

    fn hold(&mut self) {
        self.held = match self.held.take() {
            Some(_) => None,
            None => {
                let inner = self.shared.lock();
                Some((inner.model.clone(), self.shared.now_ms(), inner.events))
            }
        };
    }

    fn export(&mut self) {
        let rows = self.with(|screen, model, now| screen.export(model, now));
        if rows.is_empty() {
            self.message = Some("nothing is shown, so nothing was written".to_owned());
            return;
        }
        let unix_ms = self.shared.start_unix_ms() + self.shared.now_ms();
        let stamp = format!(
            "{}{:03}",
            crate::bitcoin::date::utc(unix_ms / 1_000),
            unix_ms % 1_000
        )
        .replace([':', '-', 'Z'], "");
        let path = self
            .folder
            .join(format!("baretrace-{}-{stamp}.jsonl", S::NAME));
        self.message = Some(match write_rows(&path, &rows) {
            Ok(()) => format!("{} lines written to {}", rows.len(), path.display()),
            Err(e) => format!("write `{}`: {e}", path.display()),
        });
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame) {
        let area = frame.area();
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let (w, h) = LEAST;
            let text = format!(
                "terminal is {}x{}, {w}x{h} is needed",
                area.width, area.height
            );
            frame.render_widget(Paragraph::new(text), area);
            return;
        }
        let title = Rect { height: 1, ..area };
        let body = Rect {
            y: 1,
            height: area.height - 2,
            ..area
        };
        let foot = Rect {
            y: area.height - 1,
            height: 1,
            ..area
        };
        let line = self.title();
        frame.render_widget(line, title);
        self.with(|screen, model, now| screen.draw(model, frame, body, now));
        frame.render_widget(self.foot(), foot);
        if let Some(popup) = &mut self.popup {
            popup.draw(&self.shared.lock().notices, frame, area, self.theme);
        }
    }

    /// What the user has to know comes before what can be cut on a narrow terminal.
    fn title(&self) -> Line<'static> {
        let inner = self.shared.lock();
        let mut warnings = Vec::new();
        if let Some(why) = &inner.ended {
            warnings.push(format!("ended: {}", safe(why)));
        }
        if let Some((_, ms, events)) = &self.held {
            let at = clock(self.shared.start_unix_ms() + ms);
            let more = short(inner.events - events);
            warnings.push(format!("held at {at} (+{more} events)"));
        }
        if inner.lost > 0 {
            warnings.push(format!("{} events lost", inner.lost));
        }
        let said = inner.notices.iter().filter(|n| n.starts_with("warning"));
        match said.count() {
            0 => {}
            1 => warnings.push("1 warning (i)".to_owned()),
            count => warnings.push(format!("{count} warnings (i)")),
        }
        let mut spans = vec![Span::styled(S::NAME, self.theme.title())];
        for warning in warnings {
            spans.push(Span::raw("  "));
            spans.push(Span::styled(warning, self.theme.warn()));
        }
        spans.push(Span::raw(format!("  {}", safe(&inner.status))));
        Line::from(spans)
    }

    fn foot(&self) -> Line<'static> {
        if let Some((query, text)) = &self.prompt {
            let name = match query {
                Query::Filter => "filter",
                Query::Search => "search",
            };
            return Line::from(vec![
                Span::styled(format!("{name}: "), self.theme.title()),
                Span::raw(format!("{text}_")),
            ]);
        }
        if let Some(message) = &self.message {
            return Line::styled(message.clone(), self.theme.warn());
        }
        let mut text =
            "? help  q quit  Enter open  f filter  / search  Space hold  e export".to_owned();
        for (name, query) in [("filter", Query::Filter), ("search", Query::Search)] {
            let given = self.screen.text(query);
            if !given.is_empty() {
                text = format!("{name} `{given}` (c drops it)  {text}");
            }
        }
        Line::styled(text, self.theme.dim())
    }
}

/// A new file, never an old one written over.
fn write_rows(path: &Path, rows: &[serde_json::Value]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create_new(path)?);
    for row in rows {
        writeln!(out, "{row}")?;
    }
    out.flush()
}

/// Shows `screen` on the terminal until the user quits, the terminal is gone or `stop` says so, which it then goes on saying;
/// `stop` is asked soon when `wake` becomes readable.
///
/// # Errors
/// [`Error::NoTerminal`], or what the terminal answered.
pub fn run<S: Screen>(
    screen: S,
    shared: Shared<S::Model>,
    theme: Theme,
    folder: &Path,
    wake: BorrowedFd,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut opened = terminal::Screen::open(stop)?;
    let app = App::new(screen, shared, theme, folder);
    match show(app, &mut opened, wake, stop) {
        // A terminal that takes nothing, and a signal to end; or one that has hung up, with or without a signal.
        Err(_) if stop() => Ok(()),
        Err(e) if e.raw_os_error() == Some(nix::libc::EIO) => Ok(()),
        shown => shown.map_err(Error::Io),
    }
}

fn show<S: Screen>(
    mut app: App<S>,
    opened: &mut terminal::Screen,
    wake: BorrowedFd,
    stop: &dyn Fn() -> bool,
) -> io::Result<()> {
    /// Between two frames if nothing is typed.
    const TICK: Duration = Duration::from_millis(250);
    let mut keys = Keys::default();
    while !stop() {
        // A terminal that takes nothing gets the next frame it has room for; keys count meanwhile.
        if opened.is_ready() {
            opened.terminal.draw(|frame| app.draw(frame))?;
        }
        if keys.wait(wake, TICK)? == Waited::Gone {
            return Ok(());
        }
        // All that was typed meanwhile, so that a slow terminal draws once for it.
        while let Some(key) = keys.next() {
            if action(key) == Some(Action::Redraw) {
                opened.clear()?;
            } else if app.key(key) {
                return Ok(());
            }
        }
    }
    Ok(())
}
