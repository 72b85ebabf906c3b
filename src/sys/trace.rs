//! Tells of every `bpf`, `perf_event_open`, `ioctl` and `mmap` that this crate makes, field by field, with its reason.
//!
//! Off, it costs one relaxed load a call. On, a call comes out as
//!
//! ```text
//! bpf(BPF_MAP_CREATE, 72 bytes) = 5                      # map `bytes`: what the script keeps in @bytes
//!     map_type       5 BPF_MAP_TYPE_PERCPU_HASH
//!     key_size       16
//!     …              fields that are not shown are 0
//! ```
//!
//! Who calls says why ([`because`]); who fills in a pointer says what it leads to (`note`). What the kernel wrote
//! into a field is shown behind an arrow.

use super::{errno::Described, names};
use std::{
    cell::RefCell,
    fmt::Write,
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where the text goes: one call, several lines.
type Sink = Box<dyn Fn(&str) + Send + Sync>;

static ON: AtomicBool = AtomicBool::new(false);
static SINK: OnceLock<Sink> = OnceLock::new();

thread_local! {
    static WHY: RefCell<String> = const { RefCell::new(String::new()) };
    static NOTES: RefCell<Vec<(&'static str, String)>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of a buffer that are shown.
const SHOWN: usize = 32;

/// From now on every call is told to `sink`, from whichever thread it comes. Only the first sink counts.
pub fn start(sink: impl Fn(&str) + Send + Sync + 'static) {
    if SINK.set(Box::new(sink)).is_ok() {
        ON.store(true, Ordering::Release);
    }
}

/// Whether calls are told.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// While it lives, calls of this thread are made for the reason given to [`because`].
#[derive(Debug)]
pub struct Why(Option<String>);

impl Drop for Why {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            WHY.with(|why| why.replace(before));
        }
    }
}

/// Says why the calls are made that follow on this thread, until the guard is dropped.
#[must_use = "the reason holds as long as the guard lives"]
pub fn because(reason: impl FnOnce() -> String) -> Why {
    Why(is_on().then(|| WHY.with(|why| why.replace(reason()))))
}

/// What the next call's pointer `field` leads to.
pub(super) fn note(field: &'static str, text: impl FnOnce() -> String) {
    if is_on() {
        NOTES.with(|notes| notes.borrow_mut().push((field, text())));
    }
}

/// Bytes in hexadecimal, the first of them if there are many.
pub(super) fn bytes(all: &[u8]) -> String {
    let mut text = format!("{} bytes:", all.len());
    for byte in all.iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = write!(text, " {byte:02x}");
    }
    if all.len() > SHOWN {
        text.push_str(" …");
    }
    text
}

/// Numbers in hexadecimal, the first of them if there are many.
pub(super) fn numbers(all: &[u64]) -> String {
    let shown: Vec<String> = all.iter().take(8).map(|n| format!("{n:#x}")).collect();
    let more = if all.len() > 8 { ", …" } else { "" };
    format!("[{}{more}]", shown.join(", "))
}

/// One field: its name and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field(pub(super) &'static str, pub(super) Held);

/// What is in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A number.
    Number(u64),
    /// An address, or some other number that reads better in hexadecimal.
    Hex(u64),
    /// A fixed array of bytes: a name, or a tag.
    Bytes(Vec<u8>),
    /// Words that the caller chose.
    Words(String),
}

impl Held {
    fn is_zero(&self) -> bool {
        match self {
            Held::Number(n) | Held::Hex(n) => *n == 0,
            Held::Bytes(bytes) => bytes.iter().all(|b| *b == 0),
            Held::Words(words) => words.is_empty(),
        }
    }

    fn text(&self, field: &str) -> String {
        match self {
            Held::Number(n) => match names::of(field, *n) {
                Some(name) => format!("{n} {name}"),
                None => n.to_string(),
            },
            Held::Hex(n) => format!("{n:#x}"),
            Held::Bytes(all) => {
                let len = all.iter().position(|b| *b == 0).unwrap_or(all.len());
                match std::str::from_utf8(&all[..len]) {
                    Ok(name) if name.chars().all(|c| c.is_ascii_graphic()) => format!("\"{name}\""),
                    _ => bytes(all),
                }
            }
            Held::Words(words) => words.clone(),
        }
    }
}

/// Tells of one call. `before` and `after` are its fields before and after it.
pub(super) fn call(
    head: &str,
    before: &[Field],
    after: &[Field],
    result: Result<String, &io::Error>,
) {
    let notes = NOTES.with(RefCell::take);
    let Some(sink) = SINK.get() else {
        return;
    };
    let answer = match result {
        Ok(value) => value,
        Err(err) => format!("-1 {}", Described(err)),
    };
    let first = format!("{head} = {answer}");
    let why = WHY.with_borrow(String::clone);
    let mut text = if why.is_empty() {
        format!("{first}\n")
    } else {
        format!("{first:<54} # {why}\n")
    };
    for (Field(name, was), Field(_, is)) in before.iter().zip(after) {
        if was.is_zero() && is.is_zero() {
            continue;
        }
        let (left, right) = (was.text(name), is.text(name));
        let note = notes.iter().find(|(field, _)| field == name);
        // Writing to a String cannot fail.
        let _ = write!(text, "    {name:<22} {left}");
        if left != right {
            let _ = write!(text, " -> {right}");
        }
        if let Some((_, note)) = note {
            let _ = write!(text, "  {note}");
        }
        text.push('\n');
    }
    sink(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_in_words() {
        assert_eq!(
            Held::Number(5).text("map_type"),
            "5 BPF_MAP_TYPE_PERCPU_HASH"
        );
        assert_eq!(Held::Number(5).text("key_size"), "5");
        assert_eq!(
            Held::Bytes(b"lost\0\0".to_vec()).text("map_name"),
            "\"lost\""
        );
        assert_eq!(Held::Bytes(vec![200, 1]).text("tag"), "2 bytes: c8 01");
        assert_eq!(Held::Hex(255).text("x"), "0xff");
        assert!(bytes(&[0; 40]).ends_with(" …"));
        assert_eq!(numbers(&[1, 255]), "[0x1, 0xff]");
    }

    #[test]
    fn nothing_is_kept_while_it_is_off() {
        let why = because(|| unreachable!("nobody asked"));
        note("x", || unreachable!("nobody asked"));
        drop(why);
        assert!(!is_on());
    }
}
