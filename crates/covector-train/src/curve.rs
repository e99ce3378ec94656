//! A curve in a terminal: two by four dots to a character (Unicode's Braille patterns).

/// The curve of some points, `width` by `height` characters, with its largest and smallest value at the left.
pub fn curve(points: &[(usize, f64)], width: usize, height: usize) -> String {
    let finite: Vec<(usize, f64)> = points.iter().copied().filter(|(_, y)| y.is_finite()).collect();
    let (Some(first), Some(last)) = (finite.first(), finite.last()) else { return String::new() };
    let (low, high) = finite.iter().fold((f64::MAX, f64::MIN), |(l, h), (_, y)| (l.min(*y), h.max(*y)));
    let (columns, rows) = (2 * width, 4 * height);
    let span = (last.0 - first.0).max(1) as f64;
    let row = |y: f64| {
        let part = if high > low { (high - y) / (high - low) } else { 0.5 };
        ((part * (rows - 1) as f64).round() as usize).min(rows - 1)
    };
    let mut dots = vec![vec![false; columns]; rows];
    let mut before: Option<usize> = None;
    for column in 0..columns {
        // The value at the column, between the two points beside it.
        let x = first.0 as f64 + span * column as f64 / (columns - 1).max(1) as f64;
        let right = finite.partition_point(|(step, _)| (*step as f64) < x).min(finite.len() - 1);
        let (a, b) = (finite[right.saturating_sub(1)], finite[right]);
        let part = if b.0 > a.0 { ((x - a.0 as f64) / (b.0 - a.0) as f64).clamp(0.0, 1.0) } else { 1.0 };
        let here = row(a.1 + (b.1 - a.1) * part);
        // From beside the last dot to this one, so that steep parts hang together.
        let from = match before {
            Some(last) if last < here => last + 1,
            Some(last) if last > here => last - 1,
            _ => here,
        };
        for line in dots.iter_mut().take(from.max(here) + 1).skip(from.min(here)) {
            line[column] = true;
        }
        before = Some(here);
    }
    // The bits of a cell's dots, row by row.
    const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let mut text = String::new();
    for line in 0..height {
        let label = match line {
            0 => format!("{high:.3}"),
            l if l + 1 == height => format!("{low:.3}"),
            _ => String::new(),
        };
        text.push_str(&format!("{label:>8} "));
        for cell in 0..width {
            let bits = (0..4).flat_map(|r| (0..2).map(move |c| (r, c)));
            let bits = bits.filter(|(r, c)| dots[4 * line + r][2 * cell + c]).map(|(r, c)| BITS[r][c]).sum::<u32>();
            text.push(char::from_u32(0x2800 + bits).unwrap_or(' '));
        }
        text.push('\n');
    }
    let (start, end) = (first.0.to_string(), format!("step {}", last.0));
    text + &format!("{:9}{start}{end:>1$}\n", "", width.saturating_sub(start.len()))
}

#[cfg(test)]
mod tests {
    use super::curve;

    #[test]
    fn a_falling_line_falls() {
        let points: Vec<(usize, f64)> = (1..=9).map(|i| (i, 9.0 - i as f64)).collect();
        assert_eq!(curve(&points, 4, 2), "   8.000 ⠑⢄⠀⠀\n   0.000 ⠀⠀⠑⢄\n         1step 9\n");
    }

    #[test]
    fn single_and_missing_points_do_no_harm() {
        assert_eq!(curve(&[], 4, 2), "");
        assert!(curve(&[(1, 2.0)], 4, 2).contains("2.000"));
        assert!(curve(&[(1, f64::NAN), (2, 1.0), (3, 1.0)], 4, 2).contains("1.000"));
    }
}
