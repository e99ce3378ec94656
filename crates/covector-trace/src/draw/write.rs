//! Text made safe for what it is put into, and numbers made short.

use std::fmt::Write;

/// Text inside SVG or HTML, attributes included; control characters become spaces.
pub(super) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text inside a label of Mermaid.
pub(super) fn mermaid(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text inside a quoted string of DOT.
pub(super) fn dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(|c: char| c.is_control(), " ")
}

/// A coordinate, to a tenth.
pub(super) fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or(text.clone(), |whole| if whole == "-0" { "0".into() } else { whole.into() })
}

/// The text, or as much of it as has so many characters, with an ellipsis; marks above letters take no room.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width(&out) + 1 >= most && !combining(c) {
            break;
        }
        out.push(c);
    }
    out.trim_end().to_owned() + "…"
}

/// True of one short number.
pub(super) fn is_number(text: &str) -> bool {
    width(text) <= 9 && text.parse::<f64>().is_ok()
}

/// Numbers as they stand in a box: a distribution without its range.
pub(super) fn in_brief(numbers: &str) -> String {
    let brief = if numbers.starts_with('[') { numbers } else { numbers.split(", ").next().unwrap_or(numbers) };
    clipped(brief, 30)
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().filter(|&c| !combining(c)).count()
}

fn combining(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_where_it_is_put() {
        assert_eq!(markup("</script a=\"'&\n"), "&lt;/script a=&quot;&#39;&amp; ");
        assert_eq!(mermaid("a\"]"), "a#34;]");
        assert_eq!(dot("a\"\\"), "a\\\"\\\\");
    }

    #[test]
    fn a_bar_over_a_letter_takes_no_column() {
        assert_eq!(
            (width("x\u{304} = y"), clipped("W\u{304}_Q", 2), clipped("abc", 3)),
            (5, "W\u{304}…".into(), "abc".into())
        );
    }
}
