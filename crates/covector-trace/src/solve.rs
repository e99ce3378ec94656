//! Whole coefficients from values.

/// The fewest of these columns (two to four, fewer than there are rows) whose sum with whole coefficients is `target` in every
/// row, and the coefficients.
pub fn combination(columns: &[Vec<i128>], target: &[i128]) -> Option<(Vec<usize>, Vec<i128>)> {
    let most = 4.min(target.len().checked_sub(1)?).min(columns.len());
    for count in 2..=most {
        let mut chosen: Vec<usize> = (0..count).collect();
        loop {
            let own: Vec<&[i128]> = chosen.iter().map(|&i| &columns[i][..]).collect();
            if let Some(coefficients) = coefficients(&own, target) {
                return Some((chosen, coefficients));
            }
            // The next choice in the order of a dictionary.
            let Some(at) = (0..count).rev().find(|&i| chosen[i] < columns.len() - count + i) else { break };
            chosen[at] += 1;
            for i in at + 1..count {
                chosen[i] = chosen[i - 1] + 1;
            }
        }
    }
    None
}

/// The whole numbers, none of them 0 or large, with which the columns add up to `target`.
fn coefficients(columns: &[&[i128]], target: &[i128]) -> Option<Vec<i128>> {
    let n = columns.len();
    let mut rows: Vec<Vec<i128>> = (0..n).map(|r| columns.iter().map(|c| c[r]).chain([target[r]]).collect()).collect();
    // Elimination without fractions; every row is divided by what its numbers have in common.
    for i in 0..n {
        let pivot = (i..n).find(|&r| rows[r][i] != 0)?;
        rows.swap(i, pivot);
        for r in (0..n).filter(|&r| r != i) {
            let (pivot, other) = (rows[i].clone(), rows[r][i]);
            for (x, p) in rows[r].iter_mut().zip(&pivot) {
                *x = x.checked_mul(pivot[i])?.checked_sub(p.checked_mul(other)?)?;
            }
            let common = rows[r].iter().fold(0, |g, x| gcd(g, *x)).max(1);
            rows[r].iter_mut().for_each(|x| *x /= common);
        }
    }
    let found: Option<Vec<i128>> =
        (0..n).map(|i| (rows[i][n] % rows[i][i] == 0).then(|| rows[i][n] / rows[i][i])).collect();
    let found = found.filter(|f| f.iter().all(|c| *c != 0 && c.abs() < 1 << 16))?;
    let sum = |r: usize| columns.iter().zip(&found).map(|(column, c)| column[r] * c).sum::<i128>();
    (0..target.len()).all(|r| sum(r) == target[r]).then_some(found)
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_found_and_no_others() {
        let (x, y): (Vec<i128>, Vec<i128>) = (vec![53, 59, 61, 67, 71], vec![73, 79, 83, 89, 97]);
        let xy: Vec<i128> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
        let columns = [vec![1; 5], x.clone(), y.clone(), xy];
        let target: Vec<i128> = x.iter().zip(&y).map(|(x, y)| 2 * x * y + 3 * x + 5).collect();
        assert_eq!(combination(&columns, &target), Some((vec![0, 1, 3], vec![5, 3, 2])));
        let target: Vec<i128> = x.iter().zip(&y).map(|(x, y)| x * x + y).collect();
        assert_eq!(combination(&columns, &target), None);
    }
}
