//! A picture in one state as boxes and lines with absolute places: what the renderers draw.

use super::Picture;
use super::layout::place::{Metrics, Rect, Run};
use super::layout::{Flow, Item};
use super::state::{Fold, State};

/// A box: a node, a closed module, or the frame of an open one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Node(usize),
    Closed(usize),
    Frame(usize),
}

/// A line of a value, with what is at its ends.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub run: Run,
    /// The height of the lane it runs in, if it goes below everything.
    pub lane: Option<f64>,
    pub value: usize,
    pub flow: Flow,
    /// True if the line begins, and ends, at a box.
    pub ends: (bool, bool),
    /// The box it ends at, where that is a node.
    pub to: Option<usize>,
}

pub(crate) struct Scene {
    pub w: f64,
    pub h: f64,
    /// Frames first, from the outside inwards.
    pub boxes: Vec<(What, Rect)>,
    pub lines: Vec<Line>,
}

impl Picture {
    pub(crate) fn scene(
        &self,
        state: &State,
        node: impl Fn(usize) -> (f64, f64),
        closed: impl Fn(usize) -> (f64, f64),
        metrics: &Metrics,
    ) -> Scene {
        let placed = self.layout(state, node, closed, metrics);
        let mut scene = Scene { w: placed[0].w, h: placed[0].h, boxes: Vec::new(), lines: Vec::new() };
        let shown = self.shown(state, &placed);
        for at in shown.iter().skip(1) {
            let own = &placed[at.module];
            scene.boxes.push((What::Frame(at.module), Rect { x: at.x, y: at.y, w: own.w, h: own.h }));
        }
        for at in &shown {
            let (plan, own) = (self.plan(at.module, state), &placed[at.module]);
            for (item, rect) in plan.items.iter().zip(&own.at) {
                let what = match *item {
                    Item::Node(i) => What::Node(i),
                    Item::Module(c) if state.0[c] == Fold::Closed => What::Closed(c),
                    _ => continue,
                };
                scene.boxes.push((what, rect.moved(at.x, at.y)));
            }
            let at_box = |i: usize| match plan.items[i] {
                Item::Module(c) => state.0[c] == Fold::Closed,
                item => matches!(item, Item::Node(_)),
            };
            let target = |i: usize| if let Item::Node(i) = plan.items[i] { Some(i) } else { None };
            let moved = |run: &Run| Run { x: run.x.map(|x| x + at.x), y: run.y.map(|y| y + at.y), ..*run };
            let line = |from: usize, to: usize, value: usize, flow: Flow, run: &Run, lane: Option<f64>| Line {
                run: moved(run),
                lane: lane.map(|y| y + at.y),
                value,
                flow,
                ends: (at_box(from), at_box(to)),
                to: target(to),
            };
            for (piece, run) in plan.pieces.iter().zip(&own.runs) {
                scene.lines.push(line(piece.from, piece.to, piece.value, piece.flow, run, None));
            }
            for (w, run, lane) in &own.lanes {
                let wire = &plan.wires[*w];
                scene.lines.push(line(wire.from, wire.to, wire.value, wire.flow, run, Some(*lane)));
            }
        }
        scene
    }
}
