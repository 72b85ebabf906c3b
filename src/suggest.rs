//! "Did you mean": the known word nearest to an unknown one.

/// Longer words are not compared: edit distance costs the product of both lengths.
const MAX_LEN: usize = 128;

/// The candidate nearest to `word`, if it is near enough to be what was meant: at most a third of the word's
/// letters away, one at least, and not all of the candidate's. Of equally near ones the first wins; `word` itself
/// is never suggested.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = lower(word);
    if letters.is_empty() || letters.len() > MAX_LEN {
        return None;
    }
    let mut limit = (letters.len() / 3).max(1) + 1;
    let mut best = None;
    for candidate in candidates {
        // A letter takes four bytes at most: the lengths alone put most candidates out of reach.
        if candidate.len().abs_diff(word.len()) > 4 * limit || candidate == word {
            continue;
        }
        let other = lower(candidate);
        if other.len().abs_diff(letters.len()) >= limit {
            continue;
        }
        let distance = distance(&letters, &other);
        if distance < limit.min(other.len()) {
            limit = distance;
            best = Some(candidate);
        }
    }
    best
}

/// `did you mean …?`, if there is something to mean.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

fn lower(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Edits from `a` to `b`: a letter put in, left out, replaced, or two neighbours swapped.
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
            ("PID", Some("pid")),
            ("dip", None),
            ("ipd", Some("pid")),
            ("com", Some("comm")),
            ("inbound_mesage", Some("inbound_message")),
            ("inbuond_message", Some("inbound_message")),
            ("zzzzz", None),
            ("elephant", None),
            ("comm", None),
            ("", None),
        ] {
            assert_eq!(closest(word, words), want, "{word}");
        }
        assert_eq!(closest("x", ["r"]), None);
        assert_eq!(closest("ldxwd", ["ldxw", "stxdw", "ldxdw"]), Some("ldxw"));
    }
}
