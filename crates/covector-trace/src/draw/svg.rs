//! The picture as SVG: it carries its colours for light and dark, and needs nothing beside it.

use std::fmt::Write;

use super::layout::place::{Metrics, Rect};
use super::scene::{Line, Scene, What};
use super::state::State;
use super::write::{clipped, in_brief, is_number, markup, px, width};
use super::{Change, Kind, Node, Picture};

/// Distances in pixels.
pub(super) const METRICS: Metrics = Metrics {
    gap_x: 68.0,
    gap_y: 22.0,
    gap_mixed: 16.0,
    gap_line: 16.0,
    pad_x: 30.0,
    pad_top: 46.0,
    pad_bottom: 24.0,
    lane: 14.0,
    track: 5.0,
    snap: true,
};

/// Colours and type, which the page shares.
pub(super) const STYLE: &str = include_str!("page/picture.css");

/// How far below the line of a value its gradient comes back.
const BACK: f64 = 7.0;

/// What is written in a box, with its class, and how large that makes it.
pub(super) struct Card {
    pub title: Vec<(&'static str, String)>,
    pub lines: Vec<(&'static str, String)>,
    pub w: f64,
    pub h: f64,
}

impl Card {
    fn of(title: Vec<(&'static str, String)>, lines: Vec<(&'static str, String)>) -> Card {
        let first: f64 = title.iter().map(|(_, t)| width(t) as f64 * 8.4 + 6.0).sum();
        let widest = lines.iter().map(|(_, t)| width(t) as f64 * 7.0).fold(first, f64::max);
        let h = 33.0 + 16.0 * lines.len() as f64;
        Card { title, lines, w: (widest + 28.0).round().max(58.0), h }
    }
}

impl Picture {
    /// The card of a node.
    pub(super) fn card(&self, i: usize) -> Card {
        let node = &self.nodes[i];
        let mut title = Vec::new();
        if node.named {
            // Inside its module a parameter needs no first names.
            let path = self.path(i).join(".") + ".";
            title.push(("t", clipped(node.label.strip_prefix(&path).unwrap_or(&node.label), 28)));
        }
        if !node.kind.is_leaf() {
            title.push((if node.named { "o" } else { "t" }, node.op.clone()));
        } else if !node.named {
            title.push(("o", node.op.clone()));
        }
        let mut lines = vec![("s", node.spec.clone())];
        lines.extend(node.symbolic.iter().map(|s| ("s", clipped(s, 34))));
        lines.extend(node.value.iter().map(|v| ("v", in_brief(v))));
        lines.extend(node.gradient.iter().map(|g| ("g", format!("∂ {}", in_brief(g)))));
        Card::of(title, lines)
    }

    /// The card of a closed module.
    pub(super) fn module_card(&self, m: usize) -> Card {
        let module = self.module(m);
        let mut title = vec![("t", clipped(&module.name, 28))];
        if module.repeats() {
            title.push(("x", format!("× {}", module.times())));
        }
        // With room for the sign that it opens.
        let card = Card::of(title, vec![("s", self.contents(m))]);
        Card { w: card.w + 16.0, ..card }
    }

    /// What a module holds, counted.
    pub(super) fn contents(&self, m: usize) -> String {
        let all = &self.module(m).all;
        let ops = all.iter().filter(|&&i| !self.nodes[i].kind.is_leaf()).count();
        let parameters = all.iter().filter(|&&i| self.nodes[i].kind == Kind::Parameter).count();
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        match (ops, parameters) {
            (_, 0) => plural(ops, "op"),
            (0, n) => plural(n, "parameter"),
            (_, n) => format!("{}, {}", plural(ops, "op"), plural(n, "parameter")),
        }
    }

    /// The picture as SVG, with the modules folded as the options say.
    pub fn svg(&self) -> String {
        let scene = self.in_pixels(&self.folded());
        let (w, h) = (scene.w.max(1.0), scene.h.max(1.0));
        let said = markup(&self.said());
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cv\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             role=\"img\" aria-label=\"{said}\">\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"{w}\" height=\"{h}\" rx=\"10\"/>\n",
            w = px(w),
            h = px(h),
        );
        for &(what, at) in &scene.boxes {
            if let What::Frame(m) = what {
                self.frame(&mut out, m, at);
            }
        }
        let labels = scene.boxes.len() <= 30;
        for line in &scene.lines {
            self.line(&mut out, line, labels);
        }
        for &(what, at) in &scene.boxes {
            match what {
                What::Node(i) => self.node_box(&mut out, i, at),
                What::Closed(m) => self.closed_box(&mut out, m, at),
                What::Frame(_) => {}
            }
        }
        out.push_str("</svg>\n");
        out
    }

    pub(super) fn in_pixels(&self, state: &State) -> Scene {
        let node = |i: usize| self.card(i).size();
        self.scene(state, node, |m| self.module_card(m).size(), &METRICS)
    }

    /// The picture in one sentence, for those who hear it.
    pub(super) fn said(&self) -> String {
        let results: Vec<&str> = self.nodes.iter().filter(|n| n.result).map(|n| n.label.as_str()).collect();
        let gradients = if self.has_gradients() { ", with gradients" } else { "" };
        format!("Computational graph of {} operations{gradients}; results: {}", self.ops(), results.join(", "))
    }

    fn frame(&self, out: &mut String, m: usize, at: Rect) {
        let module = self.module(m);
        let title = markup(&clipped(&module.name, (at.w / 9.0) as usize));
        let _ = write!(
            out,
            "<g class=\"frame{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"12\"/><text x=\"{}\" y=\"{}\">{title}",
            if module.repeats() { " many" } else { "" },
            px(at.x),
            px(at.y),
            px(at.w),
            px(at.h),
            px(at.x + 14.0),
            px(at.y + 21.0),
        );
        if module.repeats() {
            let _ = write!(out, "<tspan class=\"x\" dx=\"8\">× {}</tspan>", module.times());
        }
        out.push_str("</text></g>\n");
    }

    fn line(&self, out: &mut String, line: &Line, labels: bool) {
        let change = if self.compares { format!(" {}", line.flow.change.name()) } else { String::new() };
        let _ = writeln!(out, "<path class=\"f{change}\" d=\"{}\"/>", path(line, 0.0));
        if line.ends.1 {
            let (x, y) = (line.run.x[3], line.run.y[1]);
            let _ = writeln!(out, "<path class=\"fa{change}\" d=\"M{} {}l-8-4v8z\"/>", px(x), px(y));
        }
        if !line.flow.back {
            return;
        }
        let _ = writeln!(out, "<path class=\"b\" d=\"{}\"/>", path(line, BACK));
        if line.ends.0 {
            let (x, y) = (line.run.x[0], line.run.y[0] + BACK);
            let _ = writeln!(out, "<path class=\"ba\" d=\"M{} {}l8-4v8z\"/>", px(x), px(y));
        }
        let term = line.to.and_then(|u| self.nodes[u].operands.iter().find(|o| o.node == line.value)?.term.as_ref());
        if let Some(value) =
            term.and_then(|(_, v)| v.as_ref()).filter(|v| labels && is_number(v) && line.lane.is_none())
        {
            let [_, a, b, _] = line.run.x;
            let y = (line.run.y[0] + line.run.y[1]) / 2.0 + BACK + 15.0;
            let _ =
                writeln!(out, "<text class=\"l\" x=\"{}\" y=\"{}\">{}</text>", px((a + b) / 2.0), px(y), markup(value));
        }
    }

    fn node_box(&self, out: &mut String, i: usize, at: Rect) {
        let node = &self.nodes[i];
        let _ = write!(out, "<g class=\"{}\"><title>{}</title>", self.classes(node), told(node));
        self.card(i).draw(out, at, node.kind.is_leaf());
    }

    fn closed_box(&self, out: &mut String, m: usize, at: Rect) {
        let module = self.module(m);
        let many = if module.repeats() { " many" } else { "" };
        let change = if self.compares { format!(" {}", self.change_in(m).name()) } else { String::new() };
        let _ = write!(out, "<g class=\"n m{many}{change}\"><title>{}</title>", markup(&module.name));
        if module.repeats() {
            let behind = Rect { x: at.x + 5.0, y: at.y - 5.0, ..at };
            let _ = write!(out, "<rect class=\"behind\" {}/>", behind.attributes(9.0));
        }
        self.module_card(m).draw(out, at, false);
    }

    /// The classes of a node's box.
    pub(super) fn classes(&self, node: &Node) -> String {
        let mut classes = format!("n {}", node.kind.name());
        if node.result {
            classes += " result";
        }
        if self.compares {
            classes = format!("{classes} {}", node.change.name());
        }
        classes
    }

    /// What became of a module: changed if anything inside did, in more than one way.
    pub(super) fn change_in(&self, m: usize) -> Change {
        let mut all = self.module(m).all.iter().map(|&i| self.nodes[i].change);
        let first = all.next().unwrap_or_default();
        if all.all(|c| c == first) { first } else { Change::Changed }
    }
}

/// All that is known of a node, line by line, as markup.
fn told(node: &Node) -> String {
    let what = if node.formula.is_empty() { node.op.clone() } else { format!("{} = {}", node.label, node.formula) };
    let rules = node.operands.iter().filter_map(|o| o.rule.clone());
    let lines = [what, node.spec.clone()].into_iter().chain(rules).chain([node.source.clone()]);
    lines.map(|line| markup(&line)).collect::<Vec<_>>().join("&#10;")
}

/// The course of a line, moved down by `by`.
fn path(line: &Line, by: f64) -> String {
    let ([a, b, c, d], [y, z]) = (line.run.x, line.run.y.map(|y| y + by));
    if let Some(lane) = line.lane.map(|l| l + by / 2.0) {
        return format!(
            "M{} {}H{}C{} {} {} {} {} {}H{}C{} {} {} {} {} {}H{}",
            px(a),
            px(y),
            px(b),
            px(b + 30.0),
            px(y),
            px(b + 30.0),
            px(lane),
            px(b),
            px(lane),
            px(c),
            px(c - 30.0),
            px(lane),
            px(c - 30.0),
            px(z),
            px(c),
            px(z),
            px(d),
        );
    }
    if y == z {
        return format!("M{} {}H{}", px(a), px(y), px(d));
    }
    let bow = ((c - b) / 2.0).max(12.0);
    format!(
        "M{} {}H{}C{} {} {} {} {} {}H{}",
        px(a),
        px(y),
        px(b),
        px(b + bow),
        px(y),
        px(c - bow),
        px(z),
        px(c),
        px(z),
        px(d),
    )
}

impl Rect {
    fn attributes(self, radius: f64) -> String {
        let Rect { x, y, w, h } = self;
        format!("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"", px(x), px(y), px(w), px(h), px(radius))
    }
}

impl Card {
    pub(super) fn size(&self) -> (f64, f64) {
        (self.w, self.h)
    }

    /// Draws the box and what is written in it, and ends the group.
    fn draw(&self, out: &mut String, at: Rect, leaf: bool) {
        let radius = if leaf { (at.h / 2.0).min(19.0) } else { 9.0 };
        let _ = write!(out, "<rect class=\"box\" {}/>", at.attributes(radius));
        let middle = at.x + at.w / 2.0;
        let _ = write!(out, "<text x=\"{}\" y=\"{}\">", px(middle), px(at.y + 21.0));
        for (k, (class, text)) in self.title.iter().enumerate() {
            let dx = if k > 0 { " dx=\"6\"" } else { "" };
            let _ = write!(out, "<tspan class=\"{class}\"{dx}>{}</tspan>", markup(text));
        }
        out.push_str("</text>");
        for (k, (class, text)) in self.lines.iter().enumerate() {
            let y = at.y + 38.0 + 16.0 * k as f64;
            let _ = write!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", px(middle), px(y), markup(text));
        }
        out.push_str("</g>\n");
    }
}
