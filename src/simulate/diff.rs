//! What differs between two texts, line by line.

use std::fmt::Write;

/// Lines shown before and after a difference.
const CONTEXT: usize = 3;
/// Longer middles are shown as one difference: the table costs the product of both lengths.
const MAX_TABLE: usize = 4_000_000;

/// One line of the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row<'t> {
    Same(&'t str),
    Want(&'t str),
    Got(&'t str),
}

/// The differences, `-` before lines that are missing and `+` before those that are too many; `None` if there is none.
pub fn diff(want: &str, got: &str) -> Option<String> {
    if want == got {
        return None;
    }
    let rows = rows(&lines(want), &lines(got));
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        let to = (at + CONTEXT + 1).min(rows.len());
        rows[from..to]
            .iter()
            .any(|row| !matches!(row, Row::Same(_)))
    };
    let (mut text, mut line, mut open) = (String::new(), 0, false);
    for (at, row) in rows.iter().enumerate() {
        line += usize::from(!matches!(row, Row::Want(_)));
        if !near(at) {
            open = false;
            continue;
        }
        if !open {
            open = true;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "@@ line {} @@", line.max(1));
        }
        let (mark, words) = match row {
            Row::Same(words) => (' ', words),
            Row::Want(words) => ('-', words),
            Row::Got(words) => ('+', words),
        };
        let _ = write!(text, "{mark}{words}");
        if !words.ends_with('\n') {
            text.push_str("\n\\ no newline at the end\n");
        }
    }
    Some(text)
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn rows<'t>(want: &[&'t str], got: &[&'t str]) -> Vec<Row<'t>> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = want.iter().zip(got).take_while(same).count();
    let (want_rest, got_rest) = (&want[head..], &got[head..]);
    let back = want_rest.iter().rev().zip(got_rest.iter().rev());
    let tail = back.take_while(same).count();
    let want_mid = &want_rest[..want_rest.len() - tail];
    let got_mid = &got_rest[..got_rest.len() - tail];
    let mut rows: Vec<Row<'t>> = want[..head].iter().map(|l| Row::Same(l)).collect();
    middle(want_mid, got_mid, &mut rows);
    rows.extend(want[want.len() - tail..].iter().map(|l| Row::Same(l)));
    rows
}

/// The longest common subsequence of what differs.
fn middle<'t>(want: &[&'t str], got: &[&'t str], rows: &mut Vec<Row<'t>>) {
    let width = got.len() + 1;
    if want.len().saturating_mul(width) > MAX_TABLE {
        rows.extend(want.iter().map(|l| Row::Want(l)));
        rows.extend(got.iter().map(|l| Row::Got(l)));
        return;
    }
    // Common lines of want[i..] and got[j..].
    let mut table = vec![0u32; (want.len() + 1) * width];
    for i in (0..want.len()).rev() {
        for j in (0..got.len()).rev() {
            table[i * width + j] = if want[i] == got[j] {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < want.len() || j < got.len() {
        if i < want.len() && j < got.len() && want[i] == got[j] {
            rows.push(Row::Same(want[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == got.len()
            || i < want.len() && table[(i + 1) * width + j] >= table[i * width + j + 1]
        {
            rows.push(Row::Want(want[i]));
            i += 1;
        } else {
            rows.push(Row::Got(got[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), None);
        let want = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let got = "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten";
        let text =
            "@@ line 2 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n\\ no newline at the end\n";
        assert_eq!(diff(want, got).as_deref(), Some(text));
        assert_eq!(diff("", "x\n").as_deref(), Some("@@ line 1 @@\n+x\n"));
        assert_eq!(diff("x\n", "").as_deref(), Some("@@ line 1 @@\n-x\n"));
    }
}
