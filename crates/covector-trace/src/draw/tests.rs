//! What holds of the layout of every graph.

use std::time::Instant;

use super::layout::Item;
use super::layout::place::Rect;
use super::scene::{Line, Scene, What};
use super::state::{Fold, State};
use super::{Change, Kind, Node, Operand, Options, Picture};

/// A sequence of numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

fn node(operands: Vec<usize>, result: bool) -> Node {
    let operand = |node| Operand { node, rule: None, term: Some((String::new(), None)), change: Change::Same };
    Node {
        op: "op".into(),
        label: "x".into(),
        named: false,
        kind: if operands.is_empty() { Kind::Input } else { Kind::Other },
        settings: String::new(),
        spec: "f32[2, 3]".into(),
        symbolic: None,
        value: None,
        gradient: None,
        formula: String::new(),
        source: String::new(),
        text: String::new(),
        operands: operands.into_iter().map(operand).collect(),
        result,
        change: Change::Same,
        module: 0,
    }
}

/// A random graph of `n` nodes that read up to three others at most `reach` before them, in modules up to three deep.
fn random(n: usize, reach: usize, modules: usize, seed: u64) -> Picture {
    let mut dice = Dice(seed);
    let mut nodes = Vec::new();
    let mut paths: Vec<Vec<String>> = Vec::new();
    for i in 0..n {
        let count = if i < 3 { 0 } else { dice.below(4) };
        nodes.push(node((0..count).map(|_| i - 1 - dice.below(reach.min(i))).collect(), i + 1 == n));
        let levels = if modules == 0 { 0 } else { dice.below(4) };
        let name = |level: usize| format!("{}.{}", ["a", "b", "c"][level], i * modules / n + level);
        paths.push((0..levels).map(name).collect());
    }
    Picture::arranged(nodes, &paths, Options::default())
}

/// A chain of blocks of one structure, each with a shortcut around it.
fn blocks(count: usize) -> Picture {
    let (mut nodes, mut paths) = (vec![node(vec![], false)], vec![vec![]]);
    for block in 0..count {
        let x = nodes.len() - 1;
        let own = vec![format!("block.{block}")];
        for (k, operands) in [vec![x], vec![x + 1], vec![x, x + 2]].into_iter().enumerate() {
            nodes.push(node(operands, false));
            paths.push(if k == 1 { [own.clone(), vec!["inner".into()]].concat() } else { own.clone() });
        }
    }
    Picture::arranged(nodes, &paths, Options::default())
}

fn scene(picture: &Picture, state: &State) -> Scene {
    picture.in_pixels(state)
}

/// Some ways to fold a picture: all closed, all open, one of what repeats, and at random.
fn states(picture: &Picture, seed: u64) -> Vec<State> {
    let mut dice = Dice(seed);
    let all = |f: &mut dyn FnMut(usize) -> Fold| State((0..picture.modules.len()).map(f).collect());
    let mut by_chance = |m: usize| match dice.below(3) {
        _ if m == 0 => Fold::Open,
        0 => Fold::Closed,
        1 if picture.module(m).repeats() => Fold::One,
        _ => Fold::Open,
    };
    vec![picture.opened(0), picture.opened(9), all(&mut |_| Fold::Open), all(&mut by_chance)]
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

/// The level stretches of a line, where it could run over boxes.
fn levels(line: &Line) -> Vec<(f64, f64, f64)> {
    let ([a, b, c, d], [y, z]) = (line.run.x, line.run.y);
    let middle = line.lane.map(|lane| (b.min(c), b.max(c), lane));
    [Some((a, b, y)), Some((c, d, z)), middle].into_iter().flatten().collect()
}

fn check(picture: &Picture, state: &State) {
    let scene = scene(picture, state);
    let boxes: Vec<(What, Rect)> = scene.boxes.iter().copied().filter(|(w, _)| !matches!(w, What::Frame(_))).collect();
    let mut sorted = boxes.clone();
    sorted.sort_by(|a, b| a.1.x.total_cmp(&b.1.x));
    for (k, (what, a)) in sorted.iter().enumerate() {
        for (other, b) in sorted[k + 1..].iter().take_while(|(_, b)| b.x < a.x + a.w) {
            assert!(!overlap(a, b), "{what:?} at {a:?} lies on {other:?} at {b:?}");
        }
        assert!(a.x >= 0.0 && a.y >= 0.0 && a.x + a.w <= scene.w && a.y + a.h <= scene.h, "{what:?} is outside");
    }
    let frames: Vec<Rect> = scene.boxes.iter().filter(|(w, _)| matches!(w, What::Frame(_))).map(|b| b.1).collect();
    for (k, a) in frames.iter().enumerate() {
        for b in &frames[k + 1..] {
            let inside =
                |a: &Rect, b: &Rect| a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;
            assert!(!overlap(a, b) || inside(b, a) || inside(a, b), "frames {a:?} and {b:?} cut one another");
        }
    }
    for line in &scene.lines {
        let touches = |x: f64, y: f64, r: &Rect, left: bool| {
            (x == if left { r.x } else { r.x + r.w }) && y >= r.y && y <= r.y + r.h
        };
        let ([x0, .., x1], [y0, y1]) = (line.run.x, line.run.y);
        assert!(!line.ends.0 || boxes.iter().any(|(_, r)| touches(x0, y0, r, false)), "{line:?} begins nowhere");
        assert!(!line.ends.1 || boxes.iter().any(|(_, r)| touches(x1, y1, r, true)), "{line:?} ends nowhere");
        for (from, to, y) in levels(line) {
            let over = |r: &Rect| from < r.x + r.w && to > r.x && y > r.y && y < r.y + r.h;
            let hit = boxes.iter().find(|(_, r)| over(r));
            assert!(hit.is_none(), "{line:?} runs over {hit:?}");
        }
    }
}

#[test]
fn boxes_do_not_overlap_and_lines_begin_and_end_at_boxes_and_run_over_none() {
    for seed in 0..30 {
        let picture = random(10 + 5 * seed as usize, 3 + 4 * seed as usize, 1 + seed as usize % 9, seed);
        states(&picture, seed).iter().for_each(|state| check(&picture, state));
    }
    let picture = blocks(5);
    states(&picture, 1).iter().for_each(|state| check(&picture, state));
}

#[test]
fn every_arrow_is_drawn_from_its_value_to_its_reader() {
    for seed in 0..20 {
        let picture = random(60, 20, 0, seed);
        let plan = &picture.plans[0];
        for (u, node) in picture.nodes.iter().enumerate() {
            for operand in &node.operands {
                let item = |i: usize| plan.items.iter().position(|&item| item == Item::Node(i));
                let wire = plan.wires.iter().find(|w| Some(w.from) == item(operand.node) && Some(w.to) == item(u));
                let wire = wire.expect("every operand has a wire");
                let ends = wire.pieces.iter().map(|&p| (plan.pieces[p].from, plan.pieces[p].to)).collect::<Vec<_>>();
                assert_eq!((ends[0].0, ends[ends.len() - 1].1), (wire.from, wire.to));
                assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ends:?} has a hole");
            }
        }
    }
}

#[test]
fn siblings_of_one_structure_are_one_box_that_opens() {
    let picture = blocks(12);
    assert_eq!(picture.opened(0).boxes(&picture), 2);
    assert_eq!(picture.opened(1).boxes(&picture), 4);
    let all = State(vec![Fold::Open; picture.modules.len()]);
    assert_eq!(all.boxes(&picture), 1 + 3 * 12);
    let repeat = picture.modules.iter().find(|m| m.repeats()).expect("a repeat");
    assert_eq!((repeat.name.as_str(), repeat.times()), ("block.0 … block.11", 12));
}

#[test]
fn siblings_that_differ_are_not_one() {
    let (mut nodes, mut paths) = (vec![node(vec![], false)], vec![vec![]]);
    for block in 0..4usize {
        let x = nodes.len() - 1;
        nodes.push(node(vec![x], false));
        nodes.push(node(vec![x + 1], false));
        nodes[x + 2].op = if block == 2 { "other".into() } else { "op".into() };
        paths.extend([vec![format!("block.{block}")], vec![format!("block.{block}")]]);
    }
    let picture = Picture::arranged(nodes, &paths, Options::default());
    let repeats: Vec<usize> = picture.modules.iter().filter(|m| m.repeats()).map(|m| m.times()).collect();
    assert_eq!(repeats, [2]);
}

#[test]
fn modules_that_read_one_another_in_a_circle_are_drawn() {
    // a → b → a: closed, the two modules read one another.
    let nodes = vec![node(vec![], false), node(vec![0], false), node(vec![1], false), node(vec![2], true)];
    let paths = ["", "a", "b", "a"].map(|m| if m.is_empty() { vec![] } else { vec![m.to_owned()] });
    let picture = Picture::arranged(nodes, &paths, Options::default());
    states(&picture, 0).iter().for_each(|state| check(&picture, state));
    assert!(picture.in_pixels(&picture.opened(0)).lines.iter().any(|l| l.lane.is_some()));
}

#[test]
fn large_graphs_are_laid_out_in_time() {
    let began = Instant::now();
    for (n, reach, modules) in [(2000, 20, 0), (2000, 2000, 0), (2000, 50, 40), (5000, 100, 0), (5000, 5000, 100)] {
        let picture = random(n, reach, modules, 7);
        let svg = picture.in_pixels(&State(vec![Fold::Open; picture.modules.len()]));
        assert_eq!(svg.boxes.iter().filter(|(w, _)| matches!(w, What::Node(_))).count(), n);
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
