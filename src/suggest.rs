//! "Did you mean": the known word nearest to an unknown one.

/// Longer words are not compared: edit distance costs the product of both lengths.
const MAX_LEN: usize = 128;

/// The candidate nearest to `word`, if it is near enough to be what was meant: at most a third of the word's
/// letters away, one at least. Of equally near ones the first wins; `word` itself is never suggested.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.chars().collect();
    if letters.is_empty() || letters.len() > MAX_LEN {
        return None;
    }
    let mut limit = (letters.len() / 3).max(1) + 1;
    let mut best = None;
    for candidate in candidates {
        let other: Vec<char> = candidate.chars().take(MAX_LEN + 1).collect();
        if other.len().abs_diff(letters.len()) >= limit || candidate == word {
            continue;
        }
        let distance = distance(&letters, &other);
        if distance < limit {
            limit = distance;
            best = Some(candidate);
        }
    }
    best
}

/// Edits from `a` to `b`: a letter put in, left out, replaced (case alone counts one), or two neighbours swapped.
fn distance(a: &[char], b: &[char]) -> usize {
    // Rows of the table: two above, above, current.
    let mut above2 = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(above2[j - 1] + 1);
            }
            row.push(best);
        }
        above2 = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let words = [
            "pid",
            "tid",
            "comm",
            "nsecs",
            "inbound_message",
            "outbound_message",
        ];
        for (word, want) in [
            ("pidd", Some("pid")),
            ("dip", None),
            ("ipd", Some("pid")),
            ("com", Some("comm")),
            ("inbound_mesage", Some("inbound_message")),
            ("inbuond_message", Some("inbound_message")),
            ("zzzzz", None),
            ("comm", None),
            ("", None),
        ] {
            assert_eq!(closest(word, words), want, "{word}");
        }
    }
}
