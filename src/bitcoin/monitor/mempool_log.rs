//! A line of the mempool's log, in cells and in words.

use serde_json::{Value, json};

use super::{
    app::Now,
    format::{clock, safe, span},
    list::cell,
    mempool::{Event, KINDS, Line},
};

/// A cell of a line: its title, characters, and the least width of the screen that shows it.
struct Cell {
    title: &'static str,
    width: usize,
    least: u16,
    right: bool,
}

const fn shown_from(least: u16, title: &'static str, width: usize, right: bool) -> Cell {
    Cell {
        title,
        width,
        least,
        right,
    }
}

/// The cells before the transaction, which has what width is left.
const CELLS: [Cell; 7] = [
    shown_from(0, "TIME", 12, false),
    shown_from(80, "NODE", 7, true),
    shown_from(0, "EVENT", 8, false),
    shown_from(0, "SAT/VB", 7, true),
    shown_from(64, "FEE", 9, true),
    shown_from(72, "VB", 6, true),
    shown_from(100, "AGE", 6, true),
];
const NODE: usize = 1;

/// Joins the cells that a screen of `width` has room for, and what comes after them.
fn join(width: u16, several: bool, texts: [&str; 7], rest: impl Fn(usize) -> String) -> String {
    let mut line = String::new();
    for (i, (cells, text)) in CELLS.iter().zip(texts).enumerate() {
        if width < cells.least || i == NODE && !several {
            continue;
        }
        // Milliseconds are for those who have room for them.
        let size = match i {
            0 if width < 60 => 8,
            _ => cells.width,
        };
        let text = match i {
            0 => text.get(..size).unwrap_or(text),
            _ => text,
        };
        line.push_str(&cell(text, size, cells.right));
        line.push(' ');
    }
    let left = usize::from(width).saturating_sub(line.chars().count());
    line + &rest(left)
}

/// The line over all others.
pub(super) fn heading(width: u16, several: bool) -> String {
    let titles = CELLS.map(|cell| cell.title);
    join(width, several, titles, |left| {
        cell("TRANSACTION", left, false)
    })
}

/// One line of the log.
pub(super) fn row(line: &Line, width: u16, several: bool, now: &Now) -> String {
    let numbers = |vsize: i64, fee: String, rate: String| [rate, fee, vsize.to_string()];
    let [rate, fee, vsize] = match &line.event {
        Event::Added { vsize, fee, .. } | Event::Removed { vsize, fee, .. } => {
            numbers(*vsize, fee.to_string(), feerate(*fee, *vsize))
        }
        Event::Replaced {
            fee,
            by_vsize,
            by_fee,
            ..
        } => numbers(
            *by_vsize,
            format!("{:+}", by_fee.saturating_sub(*fee)),
            feerate(*by_fee, *by_vsize),
        ),
        Event::Rejected { .. } => [const { String::new() }; 3],
    };
    let time = clock(now.start_unix_ms + line.ms);
    let node = line.node.to_string();
    let age = age_ms(line, now).map_or_else(String::new, span);
    let texts = [
        &time,
        &node,
        KINDS[line.event.kind()],
        &rate,
        &fee,
        &vsize,
        &age,
    ];
    join(width, several, texts, |left| transaction(&line.event, left))
}

/// Which transaction, and why, in `width` characters.
fn transaction(event: &Event, width: usize) -> String {
    let text = match event {
        Event::Added { txid, .. } => txid.clone(),
        Event::Removed { txid, reason, .. } => format!("{} {txid}", safe(reason)),
        Event::Rejected { txid, reason } => format!("{}: {txid}", safe(reason)),
        Event::Replaced { txid, by, .. } => {
            let each = width.saturating_sub(4) / 2;
            let [old, new] = [txid, by].map(|id| cell(id, each.min(id.chars().count()), false));
            format!("{old} by {new}")
        }
    };
    cell(&text, width, false)
}

/// How long the transaction was in the mempool.
fn age_ms(line: &Line, now: &Now) -> Option<u64> {
    let (Event::Removed { entry_s, .. } | Event::Replaced { entry_s, .. }) = line.event else {
        return None;
    };
    let then = entry_s.checked_mul(1_000)?;
    (now.start_unix_ms + line.ms).checked_sub(then)
}

/// What happened, whole: what filter and search look at.
pub(super) fn words(line: &Line, now: &Now) -> String {
    let kind = KINDS[line.event.kind()];
    let one = |fee: i64, vsize: i64| {
        format!(
            "with feerate {} sat/vB ({fee} sat, {vsize} vbytes)",
            feerate(fee, vsize)
        )
    };
    let age =
        age_ms(line, now).map_or_else(String::new, |ms| format!(" received {} ago", span(ms)));
    match &line.event {
        Event::Added { txid, vsize, fee } => format!("{kind} {txid} {}", one(*fee, *vsize)),
        Event::Removed {
            txid,
            reason,
            vsize,
            fee,
            ..
        } => format!("{kind} {txid} {}{age}: {reason}", one(*fee, *vsize)),
        Event::Replaced {
            txid,
            vsize,
            fee,
            by,
            by_vsize,
            by_fee,
            ..
        } => format!(
            "{kind} {txid} {}{age} with {by} {}, fee {:+} sat",
            one(*fee, *vsize),
            one(*by_fee, *by_vsize),
            by_fee.saturating_sub(*fee)
        ),
        Event::Rejected { txid, reason } => format!("{kind} {txid}: {reason}"),
    }
}

/// Satoshi a virtual byte with two decimals; `?` for a size that is not positive.
fn feerate(fee: i64, vsize: i64) -> String {
    if vsize > 0 {
        format!("{:.2}", fee as f64 / vsize as f64)
    } else {
        "?".to_owned()
    }
}

/// A line as it is exported.
pub(super) fn json(line: &Line, now: &Now) -> Value {
    let fields = match &line.event {
        Event::Added { txid, vsize, fee } => json!({ "txid": txid, "vsize": vsize, "fee": fee }),
        Event::Removed {
            txid,
            reason,
            vsize,
            fee,
            entry_s,
        } => json!({
            "txid": txid, "reason": reason, "vsize": vsize, "fee": fee, "entry_time": entry_s,
        }),
        Event::Replaced {
            txid,
            vsize,
            fee,
            entry_s,
            by,
            by_vsize,
            by_fee,
        } => json!({
            "txid": txid, "vsize": vsize, "fee": fee, "entry_time": entry_s,
            "new_id": by, "new_vsize": by_vsize, "new_fee": by_fee,
        }),
        Event::Rejected { txid, reason } => json!({ "txid": txid, "reason": reason }),
    };
    json!({
        "time_ms": now.start_unix_ms + line.ms,
        "pid": line.node,
        "event": format!("mempool:{}", KINDS[line.event.kind()]),
        "args": fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitcoin::monitor::Theme;

    #[test]
    fn a_row_fits_any_width() {
        let now = Now {
            ms: 0,
            start_unix_ms: 1_700_000_000_000,
            theme: Theme {
                colour: false,
                unicode: false,
            },
        };
        let event = Event::Replaced {
            txid: "ab".repeat(32),
            vsize: 141,
            fee: 282,
            entry_s: 1_699_999_990,
            by: "cd".repeat(32),
            by_vsize: 100,
            by_fee: 500,
        };
        let line = Line {
            ms: 0,
            node: 7,
            event,
        };
        let want =
            "22:13:20.000 replaced    5.00      +218    100 ababababababa~ by cdcdcdcdcdcdc~";
        assert_eq!(row(&line, 80, false, &now).trim_end(), want);
        for width in 40..250 {
            for several in [false, true] {
                let row = row(&line, width, several, &now);
                assert!(row.chars().count() <= usize::from(width), "{row}");
                assert!(row.contains("5.00"), "{row}");
                let heading = heading(width, several);
                assert_eq!(heading.chars().count(), usize::from(width), "{heading}");
            }
        }
        let words = words(&line, &now);
        assert!(words.contains("received 10s ago with cdcd"), "{words}");
        assert!(words.ends_with("fee +218 sat"), "{words}");
        let odd = Event::Added {
            txid: String::new(),
            vsize: -1,
            fee: i64::MIN,
        };
        let odd = Line {
            ms: 0,
            node: 7,
            event: odd,
        };
        assert!(row(&odd, 80, false, &now).contains(" ? "));
    }
}
