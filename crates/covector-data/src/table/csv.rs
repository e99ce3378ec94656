//! Comma- and tab-separated values, read strictly.
//!
//! The `csv` crate takes rows apart; it accepts almost anything. What is most likely a mistake is looked for here.

use super::{Column, Reading, Table};
use crate::error::{count, shown};
use crate::{Error, Result};

/// What may stand between cells.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(super) fn parse(name: &str, bytes: &[u8], how: Reading) -> Result<Table> {
    let text = text(name, bytes)?;
    let delimiter = how.delimiter.unwrap_or_else(|| likely_delimiter(text));
    check_quotes(name, text.as_bytes(), delimiter)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let mut record = csv::StringRecord::new();
    let (mut columns, mut rows, mut header) = (Vec::<Column>::new(), Vec::new(), true);
    loop {
        let start = reader.position().byte() as usize;
        let more = reader.read_record(&mut record).map_err(|e| Error::new(name, e.to_string()))?;
        if !more {
            break;
        }
        let line = lines.of(start);
        if columns.is_empty() {
            header = how.header.unwrap_or_else(|| record.iter().all(|cell| cell.parse::<f64>().is_err()));
            let named = |(i, cell): (usize, &str)| if header { cell.to_owned() } else { format!("column_{}", i + 1) };
            columns = record.iter().enumerate().map(named).map(Column::named).collect();
            if header {
                continue;
            }
        }
        if record.len() != columns.len() {
            return Err(wrong_length(name, line, &record, &columns, header, delimiter));
        }
        columns.iter_mut().zip(&record).for_each(|(column, cell)| column.push(cell));
        rows.push(line);
    }
    if columns.is_empty() {
        return Err(Error::new(name, "the file has nothing but empty lines"));
    }
    Table::checked(name, columns, rows, header)
}

fn wrong_length(
    name: &str,
    line: u64,
    record: &csv::StringRecord,
    columns: &[Column],
    header: bool,
    delimiter: u8,
) -> Error {
    let first = if header { "header" } else { "first line" };
    let error = Error::new(name, format!("{}, where the {first} has {}", count(record.len(), "cell"), columns.len()));
    let error = error.line(line);
    let separated = shown(&char::from(delimiter).to_string());
    match record.len() < columns.len() {
        true => error.hint(format!("from column {} on, cells are missing", shown(&columns[record.len()].name))),
        false => error.hint(format!("a text with {separated} in it needs quotes around it")),
    }
}

/// The file as text, without a byte-order mark.
fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    if bytes.is_empty() {
        return Err(Error::new(name, "the file is empty"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::new(name, "the file is UTF-16").hint("save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let valid = &bytes[..e.valid_up_to()];
        let line = 1 + valid.iter().filter(|b| **b == b'\n').count() as u64;
        let column = 1 + valid.iter().rev().take_while(|b| **b != b'\n').count();
        let problem = format!("byte {column} of the line begins no character of UTF-8");
        Error::new(name, problem).line(line).hint("save it as UTF-8 (it may be Latin-1 or Windows-1252)")
    })?;
    match text.find('\0') {
        Some(at) => {
            let line = 1 + text[..at].bytes().filter(|b| *b == b'\n').count() as u64;
            Err(Error::new(name, "there is a zero byte: this is no text").line(line))
        }
        None => Ok(text),
    }
}

/// Whichever the first line has most of, outside of quotes.
fn likely_delimiter(text: &str) -> u8 {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let mut counts = [0; DELIMITERS.len()];
    let mut quoted = false;
    for byte in first.bytes() {
        quoted ^= byte == b'"';
        if let Some(i) = DELIMITERS.iter().position(|d| !quoted && *d == byte) {
            counts[i] += 1;
        }
    }
    let most = (0..counts.len()).rev().max_by_key(|&i| counts[i]).unwrap_or_default();
    DELIMITERS[most]
}

/// Every quote that opens a cell is closed, and nothing but a delimiter or a line's end follows.
fn check_quotes(name: &str, bytes: &[u8], delimiter: u8) -> Result<()> {
    let (mut at, mut line, mut opens, mut spaces) = (0, 1u64, true, false);
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if byte == b'\n' {
            line += 1;
        }
        if !(opens && byte == b'"') {
            spaces = opens && byte == b' ' && delimiter != b' ';
            opens = byte == b'\n' || byte == b'\r' || byte == delimiter || spaces;
            continue;
        }
        if spaces {
            let error = Error::new(name, "a quote after a space opens no cell").line(line);
            return Err(error.hint("remove the space before it"));
        }
        let opened = line;
        loop {
            match bytes.get(at) {
                None => {
                    let error = Error::new(name, "a quote is opened here and never closed").line(opened);
                    return Err(error.hint("a quote inside of quotes is written twice, \"\""));
                }
                Some(b'"') if bytes.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') => break at += 1,
                Some(byte) => {
                    line += u64::from(*byte == b'\n');
                    at += 1;
                }
            }
        }
        while delimiter != b' ' && bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        match bytes.get(at) {
            None | Some(b'\n' | b'\r') => (),
            Some(byte) if *byte == delimiter => (),
            Some(_) => {
                let error = Error::new(name, "there is text after a closing quote").line(line);
                return Err(error.hint("a quote inside of quotes is written twice, \"\""));
            }
        }
        opens = false;
    }
    Ok(())
}

/// Counts lines on the way through a text.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first cell from this place on; places come in order.
    fn of(&mut self, place: usize) -> u64 {
        let blank = self.text[place..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let to = place + blank;
        self.line += self.text[self.at..to].iter().filter(|b| **b == b'\n').count() as u64;
        self.at = to;
        self.line
    }
}
