//! From text to tokens, with the blocks that indentation makes.

use crate::error::Fault;
use crate::text::Span;

/// What a token is.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// A name.
    Name(String),
    /// A word that is no name.
    Keyword(&'static str),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text between quotes.
    Str(String),
    /// An operator or bracket.
    Sign(&'static str),
    /// The end of a statement.
    Newline,
    /// The lines from here stand further in.
    Indent,
    /// A block ends.
    Dedent,
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// Words that are no names.
const KEYWORDS: [&str; 15] =
    ["and", "def", "elif", "else", "False", "for", "if", "in", "None", "not", "or", "param", "pass", "return", "True"];

/// Longer ones first.
const SIGNS: [&str; 33] = [
    "...", "**", "//", "==", "!=", "<=", ">=", "<<", ">>", "->", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "+",
    "-", "*", "/", "%", "@", "<", ">", "&", "|", "^", "~", ";",
];

impl Kind {
    /// As it is called in errors.
    pub fn describe(&self) -> String {
        match self {
            Kind::Name(name) => format!("`{name}`"),
            Kind::Keyword(word) => format!("`{word}`"),
            Kind::Int(i) => format!("`{i}`"),
            Kind::Float(x) => format!("`{x}`"),
            Kind::Str(_) => "a text".into(),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::Newline => "the end of the line".into(),
            Kind::Indent => "an indented line".into(),
            Kind::Dedent => "the end of the block".into(),
            Kind::End => "the end of the program".into(),
        }
    }
}

/// The tokens of a text; the last is [`Kind::End`].
///
/// # Errors
/// Names the first character, number, text or indentation that is none.
pub fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    Lexer { text, at: 0, brackets: Vec::new(), indents: vec![0], out: Vec::new() }.run()
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Open brackets: inside them lines go on.
    brackets: Vec<(char, usize)>,
    indents: Vec<usize>,
    out: Vec<Token>,
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>, Fault> {
        self.indentation()?;
        while self.at < self.text.len() {
            self.token()?;
        }
        if let Some(&(open, at)) = self.brackets.last() {
            return Err(Fault::new(format!("`{open}` is never closed"), Span::new(at..at + 1)));
        }
        let end = self.text.len();
        self.newline(end);
        while self.indents.len() > 1 {
            self.indents.pop();
            self.push(Kind::Dedent, end);
        }
        self.push(Kind::End, end);
        Ok(self.out)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.out.push(Token { kind, span: Span::new(start..self.at) });
    }

    /// Ends a statement, if there is one.
    fn newline(&mut self, start: usize) {
        if self.out.last().is_some_and(|t| !matches!(t.kind, Kind::Newline | Kind::Indent | Kind::Dedent)) {
            self.push(Kind::Newline, start);
        }
    }

    /// Reads the indentation of the next line that holds something.
    fn indentation(&mut self) -> Result<(), Fault> {
        loop {
            let blank = self.rest().find(|c| c != ' ' && c != '\t').unwrap_or(self.rest().len());
            let (start, tab) = (self.at, self.rest()[..blank].find('\t'));
            self.at += blank;
            match self.rest().chars().next() {
                None => return Ok(()),
                Some('\n') => self.at += 1,
                Some('\r') => self.at += 1,
                Some('#') => self.comment(),
                Some(_) => {
                    if let Some(tab) = tab {
                        let span = Span::new(start + tab..start + tab + 1);
                        return Err(Fault::new("a line is indented by a tab", span).help("indent by spaces"));
                    }
                    return self.indent(start, blank);
                }
            }
        }
    }

    fn indent(&mut self, start: usize, width: usize) -> Result<(), Fault> {
        let have = *self.indents.last().expect("the outermost is never popped");
        if width > have {
            self.indents.push(width);
            self.push(Kind::Indent, start);
        }
        while width < *self.indents.last().expect("the outermost is never popped") {
            self.indents.pop();
            self.push(Kind::Dedent, start);
        }
        if width != *self.indents.last().expect("the outermost is never popped") {
            let widths: Vec<String> = self.indents.iter().map(usize::to_string).collect();
            let fault = Fault::new(format!("the line is indented by {width} spaces"), Span::new(start..self.at));
            return Err(fault.help(format!("the blocks around it are indented by {}", widths.join(", "))));
        }
        Ok(())
    }

    fn comment(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn token(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let Some(c) = self.rest().chars().next() else { return Ok(()) };
        match c {
            ' ' | '\t' | '\r' => self.at += 1,
            '#' => self.comment(),
            '\\' if self.rest()[1..].trim_start_matches('\r').starts_with('\n') => {
                self.at += self.rest().find('\n').map_or(1, |i| i + 1);
            }
            '\n' => {
                self.at += 1;
                if self.brackets.is_empty() {
                    self.newline(start);
                    self.indentation()?;
                }
            }
            '"' | '\'' => self.string(c)?,
            c if c.is_ascii_digit() => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => self.sign(c)?,
        }
        Ok(())
    }

    fn word(&mut self) {
        let start = self.at;
        let length = self.rest().find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        let keyword = KEYWORDS.iter().find(|k| **k == word);
        self.push(keyword.map_or(Kind::Name(word), |k| Kind::Keyword(k)), start);
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut i: usize| {
            while bytes.get(i).is_some_and(|b| b.is_ascii_digit() || *b == b'_') {
                i += 1;
            }
            i
        };
        let mut end = digits(start);
        let mut float = false;
        // `1.` is a float, `1..` and `x[1].T` hold no such thing.
        let fraction = bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.');
        if fraction && !bytes.get(end + 1).is_some_and(|b| b.is_ascii_alphabetic() && !b"eE".contains(b)) {
            float = true;
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                float = true;
                end = digits(end + 1 + sign);
            }
        }
        self.at = end;
        let text = self.text[start..end].replace('_', "");
        let span = Span::new(start..end);
        if self.rest().starts_with(|c: char| c.is_alphabetic()) {
            let wrong = self.rest().find(|c: char| !c.is_alphanumeric()).unwrap_or(self.rest().len());
            let fault = Fault::new("a number runs into a name", Span::new(start..end + wrong));
            return Err(fault.help(format!("to multiply, write `{text} * {}`", &self.rest()[..wrong])));
        }
        let kind = match float {
            true => text.parse().ok().map(Kind::Float),
            false => text.parse().ok().map(Kind::Int),
        };
        let kind = kind.ok_or_else(|| Fault::new("the integer does not fit 64 bits", span))?;
        self.push(kind, start);
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), Fault> {
        let start = self.at;
        let inside = &self.rest()[1..];
        let end = inside.find([quote, '\n']).filter(|&i| inside[i..].starts_with(quote));
        let Some(end) = end else {
            let line = inside.find('\n').unwrap_or(inside.len());
            return Err(Fault::new("the text is not closed on its line", Span::new(start..start + 1 + line)));
        };
        let text = inside[..end].to_owned();
        self.at += end + 2;
        self.push(Kind::Str(text), start);
        Ok(())
    }

    fn sign(&mut self, c: char) -> Result<(), Fault> {
        let start = self.at;
        let Some(sign) = SIGNS.iter().find(|s| self.rest().starts_with(**s)) else {
            let fault = Fault::new(format!("`{c}` means nothing here"), Span::new(start..start + c.len_utf8()));
            return Err(match c {
                '·' | '×' => fault.help("to multiply, write `*`; for products of matrices `@`"),
                '−' | '–' => fault.help("to subtract, write `-`"),
                '²' => fault.help("for a square, write `**2`"),
                'ᵀ' => fault.help("for a transpose, write `.T`"),
                '!' => fault.help("for the opposite, write `not`"),
                _ => fault,
            });
        };
        self.at += sign.len();
        match *sign {
            "(" | "[" | "{" => self.brackets.push((c, start)),
            ")" | "]" | "}" => {
                let opening = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                match self.brackets.pop() {
                    Some((open, _)) if open == opening => {}
                    Some((open, at)) => {
                        let fault = Fault::new(format!("`{c}` closes a `{open}`"), Span::new(start..self.at));
                        return Err(fault.label(Span::new(at..at + 1), "opened here"));
                    }
                    None => {
                        let span = Span::new(start..self.at);
                        return Err(Fault::new(format!("`{c}` closes nothing"), span));
                    }
                }
            }
            _ => {}
        }
        self.push(Kind::Sign(sign), start);
        Ok(())
    }
}
