//! Which modules stand open, and where everything is then.

use super::Picture;
use super::layout::place::{Metrics, Placed, Rect, place};
use super::layout::{Item, Plan};

/// How a module is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fold {
    /// As one box.
    Closed,
    /// With everything inside.
    Open,
    /// With one instance of what repeats.
    One,
}

/// How every module is drawn.
#[derive(Clone, Debug)]
pub(crate) struct State(pub Vec<Fold>);

/// A module that is drawn open, its place, and where it stands.
pub(crate) struct Shown {
    pub module: usize,
    pub x: f64,
    pub y: f64,
}

impl Picture {
    /// The state of a still picture: as many levels open as were asked for, or as fit.
    pub(crate) fn folded(&self) -> State {
        self.fitting(self.options.boxes)
    }

    /// The state with as many levels open as were asked for, or as give no more than so many boxes.
    pub(crate) fn fitting(&self, boxes: usize) -> State {
        if let Some(depth) = self.options.depth {
            return self.opened(depth);
        }
        let deepest = self.modules.iter().map(|m| m.depth).max().unwrap_or(0);
        let fits = (1..=deepest).map(|d| self.opened(d)).take_while(|s| s.boxes(self) <= boxes);
        fits.last().unwrap_or_else(|| self.opened(0))
    }

    /// The state with so many levels open; of what repeats one instance is.
    pub(crate) fn opened(&self, depth: usize) -> State {
        let fold = |m: usize| match &self.modules[m] {
            _ if m == 0 => Fold::Open,
            module if module.depth > depth => Fold::Closed,
            module if module.repeats() => Fold::One,
            _ => Fold::Open,
        };
        State((0..self.modules.len()).map(fold).collect())
    }

    /// The plan by which a module is drawn in this state.
    pub(crate) fn plan(&self, m: usize, state: &State) -> &Plan {
        if state.0[m] == Fold::One { &self.ones[m] } else { &self.plans[m] }
    }

    /// Every module laid out: those inside first.
    pub(crate) fn layout(
        &self,
        state: &State,
        node: impl Fn(usize) -> (f64, f64),
        closed: impl Fn(usize) -> (f64, f64),
        metrics: &Metrics,
    ) -> Vec<Placed> {
        let mut all: Vec<Placed> = vec![Placed::default(); self.modules.len()];
        for m in (0..self.modules.len()).rev().filter(|&m| state.0[m] != Fold::Closed) {
            let size = |item: Item| match item {
                Item::Node(i) => node(i),
                Item::Module(c) if state.0[c] == Fold::Closed => closed(c),
                Item::Module(c) => (all[c].w, all[c].h),
                _ => (0.0, 0.0),
            };
            let port = |item: Item, value: usize, enters: bool| match item {
                Item::Module(c) if state.0[c] != Fold::Closed => {
                    let ports = if enters { &all[c].ins } else { &all[c].outs };
                    Some(ports.get(&value).copied().unwrap_or((all[c].h / 2.0).floor()))
                }
                Item::Node(i) if !enters => Some((node(i).1 / 2.0).floor()),
                Item::In(_) | Item::Out(_) | Item::Bend(_) => Some(0.0),
                _ => None,
            };
            let own = if m == 0 { Metrics { pad_top: metrics.pad_bottom, ..*metrics } } else { *metrics };
            all[m] = place(self.plan(m, state), size, port, &own);
        }
        all
    }

    /// The open modules that can be seen, from the outside inwards, and where they stand.
    pub(crate) fn shown(&self, state: &State, placed: &[Placed]) -> Vec<Shown> {
        let mut shown = vec![Shown { module: 0, x: 0.0, y: 0.0 }];
        let mut next = 0;
        while let Some(&Shown { module, x, y }) = shown.get(next) {
            let plan = self.plan(module, state);
            for (item, at) in plan.items.iter().zip(&placed[module].at) {
                if let &Item::Module(c) = item
                    && state.0[c] != Fold::Closed
                {
                    shown.push(Shown { module: c, x: x + at.x, y: y + at.y });
                }
            }
            next += 1;
        }
        shown
    }
}

impl State {
    /// The number of boxes that can be seen.
    pub(crate) fn boxes(&self, picture: &Picture) -> usize {
        self.seen(picture).len()
    }

    /// The nodes and closed modules that can be seen.
    pub(crate) fn seen(&self, picture: &Picture) -> Vec<Item> {
        let (mut seen, mut open) = (Vec::new(), vec![0]);
        while let Some(m) = open.pop() {
            for &item in &picture.plan(m, self).items {
                match item {
                    Item::Module(c) if self.0[c] != Fold::Closed => open.push(c),
                    Item::Node(_) | Item::Module(_) => seen.push(item),
                    _ => {}
                }
            }
        }
        seen
    }
}

impl Rect {
    pub(crate) fn moved(self, x: f64, y: f64) -> Rect {
        Rect { x: self.x + x, y: self.y + y, ..self }
    }
}
