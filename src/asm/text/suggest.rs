//! "Did you mean": the nearest of a set of names.

/// How many letters must be inserted, left out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// The name nearest to `word`, if it is near enough to be a slip: a third of its letters.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > 64 {
        return None;
    }
    let limit = (length / 3).max(1);
    // The lengths alone put most names out of reach.
    names
        .filter(|name| name.len().abs_diff(word.len()) <= 4 * limit)
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (distance(word, name), name))
        .filter(|(far, name)| *far <= limit && *far < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let names = ["ldxdw", "ldxw", "stxdw", "exit", "mov"];
        let near = |word| nearest(word, names.into_iter());
        assert_eq!(near("exti"), Some("exit"));
        assert_eq!(near("ldxwd"), Some("ldxdw"));
        assert_eq!(near("ldxq"), Some("ldxw"));
        assert_eq!(near("xyzzy"), None);
        assert_eq!(near(""), None);
    }
}
