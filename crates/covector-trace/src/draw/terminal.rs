//! The picture in characters: boxes and lines where they fit, a listing with rails where they do not.

use std::collections::HashMap;

use super::layout::place::{Metrics, Rect};
use super::scene::{Line, Scene, What};
use super::write::{clipped, width};
use super::{Change, Picture, text};

/// How a picture is shown in a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The number of columns.
    pub width: usize,
    /// Colours by escape codes.
    pub colour: bool,
    /// Lines and boxes of ASCII characters only.
    pub ascii: bool,
}

/// Distances in characters.
const METRICS: Metrics = Metrics {
    gap_x: 5.0,
    gap_y: 0.0,
    gap_mixed: 1.0,
    gap_line: 1.0,
    pad_x: 4.0,
    pad_top: 1.0,
    pad_bottom: 1.0,
    lane: 1.0,
    track: 1.0,
    snap: true,
};

/// What a cell of the grid is, for its colour.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ink {
    #[default]
    Plain,
    Dim,
    Bold,
    Back,
    Added,
    Removed,
    Changed,
}

impl Ink {
    pub fn of(change: Change, same: Ink) -> Ink {
        [same, Ink::Changed, Ink::Added, Ink::Removed][change as usize]
    }

    fn code(self) -> &'static str {
        ["0", "2", "1", "33", "32", "31", "35"][self as usize]
    }
}

impl Picture {
    /// The picture for a terminal: with boxes and lines if it is narrow enough, else as [`listing`](Self::listing).
    pub fn terminal(&self, look: Look) -> String {
        let card = |lines: Vec<String>| {
            let widest = lines.iter().map(|l| width(l)).max().unwrap_or(0);
            ((widest.min(MOST) + 4) as f64, (lines.len() + 2) as f64)
        };
        let scene =
            self.scene(&self.folded(), |i| card(text::lines(&self.nodes[i])), |m| card(self.module_lines(m)), &METRICS);
        if scene.w as usize > look.width || self.nodes.is_empty() {
            return self.listing(look);
        }
        let mut grid = Grid::new(&scene);
        for &(what, at) in &scene.boxes {
            if let What::Frame(m) = what {
                grid.boxed(at, ["╭", "╮", "╰", "╯", "┄", "┊"], Ink::Dim);
                grid.write(
                    at.x as usize + 2,
                    at.y as usize,
                    &format!(" {} ", clipped(&self.titled(m), (at.w as usize).saturating_sub(6))),
                    Ink::Dim,
                );
            }
        }
        grid.lines(&scene.lines);
        for &(what, at) in &scene.boxes {
            let (lines, border, ink) = match what {
                What::Node(i) if self.nodes[i].kind.is_leaf() => (
                    text::lines(&self.nodes[i]),
                    ["╭", "╮", "╰", "╯", "─", "│"],
                    Ink::of(self.nodes[i].change, Ink::Plain),
                ),
                What::Node(i) => (
                    text::lines(&self.nodes[i]),
                    ["┌", "┐", "└", "┘", "─", "│"],
                    Ink::of(self.nodes[i].change, Ink::Plain),
                ),
                What::Closed(m) => {
                    (self.module_lines(m), ["╔", "╗", "╚", "╝", "═", "║"], Ink::of(self.change_in(m), Ink::Plain))
                }
                What::Frame(_) => continue,
            };
            grid.clear(at);
            grid.boxed(at, border, ink);
            for (k, line) in lines.iter().enumerate() {
                let ink = match k {
                    0 => Ink::Bold,
                    _ if line.starts_with("grad ") => Ink::Back,
                    _ => Ink::Dim,
                };
                grid.write(at.x as usize + 2, at.y as usize + 1 + k, &clipped(line, MOST), ink);
            }
        }
        for line in &scene.lines {
            grid.arrows(line);
        }
        grid.text(look)
    }

    /// What a closed module's box says.
    pub(super) fn module_lines(&self, m: usize) -> Vec<String> {
        vec![self.titled(m), self.contents(m)]
    }
}

/// The longest line in a box.
const MOST: usize = 30;

/// A cell: what is written there, with the marks above it.
#[derive(Clone, Default)]
struct Cell {
    text: String,
    ink: Ink,
    /// The values of the lines that pass level and upright, and the sides each touches: left, right, up, down.
    level: Option<(usize, u8)>,
    upright: Option<(usize, u8)>,
}

struct Grid {
    w: usize,
    cells: Vec<Cell>,
}

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const UP: u8 = 4;
const DOWN: u8 = 8;

impl Grid {
    fn new(scene: &Scene) -> Grid {
        let (w, h) = (scene.w as usize + 1, scene.h as usize + 1);
        Grid { w, cells: vec![Cell::default(); w * h] }
    }

    fn set(&mut self, x: usize, y: usize, text: &str, ink: Ink) {
        if x < self.w
            && let Some(cell) = self.cells.get_mut(y * self.w + x)
        {
            *cell = Cell { text: text.to_owned(), ink, ..Cell::default() };
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str, ink: Ink) {
        let mut at = x;
        for c in text.chars() {
            let one = c.to_string();
            if width(&one) == 0 && at > x {
                let cell = &mut self.cells[y * self.w + at - 1];
                cell.text.push(c);
                continue;
            }
            self.set(at, y, &one, ink);
            at += 1;
        }
    }

    fn clear(&mut self, at: Rect) {
        for y in at.y as usize..(at.y + at.h) as usize {
            (at.x as usize..(at.x + at.w) as usize).for_each(|x| self.set(x, y, " ", Ink::Plain));
        }
    }

    fn boxed(&mut self, at: Rect, [nw, ne, sw, se, level, upright]: [&str; 6], ink: Ink) {
        let (x, y, r, b) = (at.x as usize, at.y as usize, (at.x + at.w) as usize - 1, (at.y + at.h) as usize - 1);
        for i in x + 1..r {
            self.set(i, y, level, ink);
            self.set(i, b, level, ink);
        }
        for j in y + 1..b {
            self.set(x, j, upright, ink);
            self.set(r, j, upright, ink);
        }
        [(x, y, nw), (r, y, ne), (x, b, sw), (r, b, se)].into_iter().for_each(|(x, y, c)| self.set(x, y, c, ink));
    }

    /// Marks the cells a line passes; where those of one value meet, they join.
    fn lines(&mut self, lines: &[Line]) {
        for line in lines {
            let [a, b, c, d] = line.run.x.map(|x| x as usize);
            let [y, z] = line.run.y.map(|y| y as usize);
            let ink = Ink::of(line.flow.change, Ink::Plain);
            match line.lane {
                None => {
                    let turn = if y == z { c } else { b + 1 + line.run.track };
                    self.level(a, turn, y, line.value, ink);
                    self.upright(turn, y, z, line.value, ink);
                    self.level(turn, d, z, line.value, ink);
                }
                Some(lane) => {
                    let lane = lane as usize;
                    let (out, back) = (b + 1, c.saturating_sub(2));
                    self.level(a, out, y, line.value, ink);
                    self.upright(out, y, lane, line.value, ink);
                    self.level(out.min(back), out.max(back), lane, line.value, ink);
                    self.upright(back, lane, z, line.value, ink);
                    self.level(back, d, z, line.value, ink);
                }
            }
        }
        for cell in &mut self.cells {
            let (text, known) = match (cell.level, cell.upright) {
                (Some((a, l)), Some((b, u))) if a == b => (joint(l | u), true),
                // Lines of two values cross: the upright one lies above.
                (_, Some((_, u))) => (joint(u), true),
                (Some((_, l)), None) => (joint(l), true),
                _ => ("", false),
            };
            if known {
                cell.text = text.to_owned();
            }
        }
    }

    fn level(&mut self, from: usize, to: usize, y: usize, value: usize, ink: Ink) {
        for x in from..=to {
            let sides = if x > from { LEFT } else { 0 } | if x < to { RIGHT } else { 0 };
            self.pass(x, y, value, sides, ink);
        }
    }

    fn upright(&mut self, x: usize, from: usize, to: usize, value: usize, ink: Ink) {
        let (top, bottom) = (from.min(to), from.max(to));
        for y in top..=bottom {
            let sides = if y > top { UP } else { 0 } | if y < bottom { DOWN } else { 0 };
            if sides != 0 {
                self.pass(x, y, value, sides, ink);
            }
        }
    }

    fn pass(&mut self, x: usize, y: usize, value: usize, sides: u8, ink: Ink) {
        let at = y * self.w + x;
        let Some(cell) = self.cells.get_mut(at).filter(|_| x < self.w) else { return };
        let (level, upright) = (sides & (LEFT | RIGHT), sides & (UP | DOWN));
        if level != 0 {
            let have = cell.level.filter(|(v, _)| *v == value).map_or(0, |(_, s)| s);
            cell.level = Some((value, have | level));
        }
        if upright != 0 {
            let have = cell.upright.filter(|(v, _)| *v == value).map_or(0, |(_, s)| s);
            cell.upright = Some((value, have | upright));
        }
        cell.ink = ink;
    }

    /// The heads of a line: where a value arrives, and where a gradient comes back.
    fn arrows(&mut self, line: &Line) {
        let ink = Ink::of(line.flow.change, Ink::Plain);
        if line.ends.1 {
            self.set((line.run.x[3] as usize).saturating_sub(1), line.run.y[1] as usize, "▸", ink);
        }
        if line.flow.back && line.ends.0 {
            self.set(line.run.x[0] as usize, line.run.y[0] as usize, "◂", Ink::Back);
        }
    }

    fn text(&self, look: Look) -> String {
        let mut out = String::new();
        for row in self.cells.chunks(self.w) {
            let last = row.iter().rposition(|c| !c.text.trim().is_empty()).map_or(0, |k| k + 1);
            let mut painter = Painter::new(look);
            for cell in &row[..last] {
                painter.put(if cell.text.is_empty() { " " } else { &cell.text }, cell.ink);
            }
            out += &painter.line();
        }
        let end = out.trim_end_matches('\n').len();
        out.truncate(end);
        out + "\n"
    }
}

/// The character that touches these sides.
fn joint(sides: u8) -> &'static str {
    match sides {
        s if s == LEFT | RIGHT || s == LEFT || s == RIGHT => "─",
        s if s == UP | DOWN || s == UP || s == DOWN => "│",
        s if s == RIGHT | DOWN => "╭",
        s if s == LEFT | DOWN => "╮",
        s if s == RIGHT | UP => "╰",
        s if s == LEFT | UP => "╯",
        s if s == LEFT | RIGHT | UP => "┴",
        s if s == LEFT | RIGHT | DOWN => "┬",
        s if s == UP | DOWN | LEFT => "┤",
        s if s == UP | DOWN | RIGHT => "├",
        _ => "┼",
    }
}

/// Writes one line with its colours.
pub(super) struct Painter {
    look: Look,
    out: String,
    ink: Ink,
}

impl Painter {
    pub fn new(look: Look) -> Painter {
        Painter { look, out: String::new(), ink: Ink::Plain }
    }

    pub fn put(&mut self, text: &str, ink: Ink) {
        if self.look.colour && ink != self.ink {
            self.out += &format!("\x1b[0;{}m", ink.code());
            self.ink = ink;
        }
        match self.look.ascii {
            true => self.out.extend(text.chars().map(plain)),
            false => self.out += text,
        }
    }

    pub fn line(mut self) -> String {
        if self.ink != Ink::Plain {
            self.out += "\x1b[0m";
        }
        self.out.trim_end().to_owned() + "\n"
    }
}

/// What stands for a drawn character where there is only ASCII.
fn plain(c: char) -> char {
    let table: HashMap<char, char> = [
        ('─', '-'),
        ('═', '='),
        ('┄', '.'),
        ('│', '|'),
        ('║', '|'),
        ('┊', ':'),
        ('▸', '>'),
        ('◂', '<'),
        ('●', '*'),
        ('○', 'o'),
        ('◆', '#'),
        ('×', 'x'),
        ('·', '*'),
        ('…', '~'),
        ('∂', 'd'),
    ]
    .into();
    match c {
        c if c.is_ascii() => c,
        '─'..='╿' => *table.get(&c).unwrap_or(&'+'),
        c => *table.get(&c).unwrap_or(&'?'),
    }
}
