//! What somebody who misspelt a name may have meant.

/// The candidate that takes the fewest changes to become `name`, if that is at most a third of its letters.
///
/// ```
/// use covector::spelling::nearest;
/// assert_eq!(nearest("sofmax", ["softmax", "argmax"]), Some("softmax"));
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let scored = candidates.into_iter().filter(|c| *c != name).map(|c| (distance(name, c), c));
    scored.filter(|(d, _)| *d <= most).min().map(|(_, c)| c)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let fold = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (a, b) = (fold(a), fold(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_word_is_found_by_its_neighbours() {
        assert_eq!(nearest("sofmax", ["softmax", "argmax"]), Some("softmax"));
        assert_eq!(nearest("W_q", ["W_Q", "W_K"]), Some("W_Q"));
        assert_eq!(nearest("zzz", ["softmax"]), None);
    }
}
