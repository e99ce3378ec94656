//! One HTML page that holds the whole picture: it opens from disk and asks nobody for anything.

use serde_json::{Value, json};

use super::build::{barred, plain};
use super::layout::{Item, Plan};
use super::state::Fold;
use super::svg::{Card, METRICS, STYLE};
use super::write::markup;
use super::{Node, Picture};

/// The page, with places for the title, styles, data and script.
const PAGE: &str = include_str!("page/page.html");
const PAGE_STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 3] = [include_str!("page/place.js"), include_str!("page/view.js"), include_str!("page/page.js")];

/// How many boxes a page shows at first, if closing modules can achieve it: the reader opens what is of interest.
const FIRST: usize = 16;

impl Picture {
    /// The picture as a page: modules open at a click, and a film steps through the backward pass.
    pub fn html(&self, title: &str) -> String {
        let data = embedded(&self.data(title));
        let style = format!("{STYLE}{PAGE_STYLE}");
        let script = SCRIPTS.concat();
        let title = markup(title);
        let mut parts = [title.as_str(), &style, &title, &data, &script].into_iter();
        // Split first, so that nothing inside a part is taken for a place.
        PAGE.split("@@").map(|text| text.to_owned() + parts.next().unwrap_or("")).collect()
    }

    fn data(&self, title: &str) -> Value {
        let film: Vec<usize> =
            (0..self.nodes.len()).rev().filter(|&i| self.nodes[i].operands.iter().any(|o| o.term.is_some())).collect();
        let state = self.fitting(self.options.boxes.min(FIRST));
        let fold = |f: &Fold| match f {
            Fold::Closed => 0,
            Fold::Open => 1,
            Fold::One => 2,
        };
        let scene = self.in_pixels(&state);
        let modules = (0..self.modules.len()).map(|m| self.module_data(m));
        json!({
            "title": title,
            "said": self.said(),
            "ops": self.ops(),
            "compares": self.compares,
            "metrics": {
                "gapX": METRICS.gap_x, "gapY": METRICS.gap_y, "gapMixed": METRICS.gap_mixed, "gapLine": METRICS.gap_line,
                "padX": METRICS.pad_x, "padTop": METRICS.pad_top, "padBottom": METRICS.pad_bottom, "lane": METRICS.lane,
                "track": METRICS.track,
            },
            "nodes": (0..self.nodes.len()).map(|i| self.node_data(i)).collect::<Vec<_>>(),
            "modules": modules.collect::<Vec<_>>(),
            "state": state.0.iter().map(fold).collect::<Vec<_>>(),
            "size": [scene.w, scene.h],
            "film": film,
        })
    }

    fn node_data(&self, i: usize) -> Value {
        let node: &Node = &self.nodes[i];
        let operands = node.operands.iter().map(|o| {
            let (spec, value) = o.term.as_ref().map_or((None, None), |(s, v)| (Some(s), v.as_ref()));
            json!({"node": o.node, "rule": o.rule, "spec": spec, "value": value, "change": o.change.name()})
        });
        json!({
            "card": card(&self.card(i)),
            "class": self.classes(node),
            "leaf": node.kind.is_leaf(),
            "kind": node.kind.name(),
            "op": node.op,
            "label": node.label,
            "named": node.named,
            "bar": barred(if plain(&node.label) { &node.label } else { "y" }),
            "spec": node.spec,
            "symbolic": node.symbolic,
            "value": node.value,
            "gradient": node.gradient,
            "formula": node.formula,
            "source": node.source,
            "text": node.text,
            "module": node.module,
            "result": node.result,
            "change": node.change.name(),
            "operands": operands.collect::<Vec<_>>(),
        })
    }

    fn module_data(&self, m: usize) -> Value {
        let module = self.module(m);
        let one = module.repeats().then(|| plan(&self.ones[m]));
        json!({
            "name": module.name,
            "parent": module.parent,
            "children": module.children,
            "all": module.all,
            "times": if module.repeats() { module.times() } else { 0 },
            "contents": self.contents(m),
            "change": if self.compares { self.change_in(m).name() } else { "same" },
            "card": card(&self.module_card(m)),
            "plan": plan(&self.plans[m]),
            "one": one,
        })
    }
}

fn card(card: &Card) -> Value {
    json!({"title": card.title, "lines": card.lines, "w": card.w, "h": card.h})
}

fn plan(plan: &Plan) -> Value {
    let item = |item: &Item| match *item {
        Item::Node(i) => ("n", i),
        Item::Module(m) => ("m", m),
        Item::In(v) => ("i", v),
        Item::Out(v) => ("o", v),
        Item::Bend(v) => ("b", v),
    };
    let wires = plan.wires.iter().map(|w| json!([w.value, w.from, w.to, w.pieces, w.flow.back, w.flow.change.name()]));
    let pieces = plan
        .pieces
        .iter()
        .map(|p| json!([p.from, p.to, p.value, p.ports.0, p.ports.1, p.flow.back, p.flow.change.name()]));
    json!({
        "items": plan.items.iter().map(item).collect::<Vec<_>>(),
        "layers": plan.layers,
        "pieces": pieces.collect::<Vec<_>>(),
        "wires": wires.collect::<Vec<_>>(),
    })
}

/// Data as text that no HTML parser can see an end of a script in.
fn embedded(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
