// What is drawn: boxes that move to their new places, lines that are drawn anew, and what of them is lit.
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), world = $("world");
const still = matchMedia("(prefers-reduced-motion: reduce)");
let state = [...data.state], scene = layout(state), boxes = new Map(), lines = new Map(), carriers = new Map();

function el(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

const ancestors = nodes.map((node) => {
  const all = [];
  for (let m = node.module; m !== 0; m = modules[m].parent) all.unshift(m);
  return all;
});
const users = nodes.map(() => []);
nodes.forEach((node, u) => node.operands.forEach((o) => users[o.node].push(u)));

// The node that is drawn for this one: itself, or its like in the instance that stands for all.
function twin(i) {
  for (let level = 0; level < ancestors[i].length; level++) {
    const m = ancestors[i][level];
    if (state[m] !== ONE) continue;
    const [first, own] = [modules[m].children[0], ancestors[i][level + 1]];
    if (own !== first) i = modules[first].all[modules[own].all.indexOf(i)];
  }
  return i;
}
// The key of the box that shows a node.
function boxOf(i) {
  const drawn = twin(i), closed = ancestors[drawn].find((m) => state[m] === CLOSED);
  return closed === undefined ? "n" + drawn : "m" + closed;
}

function card(group, { title, lines: rows, w, h }, leaf) {
  const text = el("text", { x: w / 2, y: 21 });
  title.forEach(([kind, t], k) => text.append(el("tspan", k ? { class: kind, dx: 6 } : { class: kind }, t)));
  group.append(el("rect", { class: "box", width: w, height: h, rx: leaf ? Math.min(h / 2, 19) : 9 }), text);
  rows.forEach(([kind, t], k) => group.append(el("text", { class: kind, x: w / 2, y: 38 + 16 * k }, t)));
}

function makeBox(key) {
  const id = +key.slice(1);
  if (key[0] === "n") {
    const node = nodes[id], group = el("g", { class: node.class, role: "img", "aria-label": `${node.label}, ${node.op}, ${node.spec}` });
    card(group, node.card, node.leaf);
    return group;
  }
  const module = modules[id], many = module.times > 0;
  const label = `Module ${module.name}${many ? `, ${module.times} times` : ""}, ${module.contents}, closed`;
  const change = data.compares ? " " + module.change : "";
  const group = el("g", { class: "n m" + (many ? " many" : "") + change, role: "button", "aria-expanded": "false", "aria-label": label });
  if (many) group.append(el("rect", { class: "behind", x: 5, y: -5, width: module.card.w, height: module.card.h, rx: 9 }));
  card(group, module.card, false);
  group.append(el("path", { class: "chevron", d: `M${module.card.w - 13} ${module.card.h - 15}l4 4-4 4` }));
  return group;
}

function makeFrame(m) {
  const module = modules[m], many = module.times > 0;
  const group = el("g", { class: "frame" + (many ? " many" : ""), role: "button", "aria-expanded": "true" });
  const label = el("text", { x: 28, y: 21 }, module.name);
  if (many) label.append(el("tspan", { class: "x", dx: 8 }, "× " + module.times));
  group.setAttribute("aria-label", `Module ${module.name}${many ? `, ${module.times} times` : ""}, open`);
  group.append(el("rect", { rx: 12, "pointer-events": "none" }), el("path", { class: "chevron", d: "M13 13l4 4 4-4" }));
  group.append(el("path", { d: "M6 4h120v26H6z", fill: "transparent" }), label);
  if (many) group.append(el("text", { class: "which", y: 21, x: 0 }));
  return group;
}

// Puts every box and line where the state wants it.
function draw() {
  scene = layout(state);
  const wanted = new Map();
  for (const { m, x, y } of scene.shown) {
    const { at, w, h } = scene.placed[m];
    if (m) wanted.set("f" + m, { x, y, w, h });
    planOf(m, state).items.forEach(([kind, i], k) => {
      if (kind === "n" || (kind === "m" && state[i] === CLOSED)) wanted.set(kind + i, { ...at[k], x: x + at[k].x, y: y + at[k].y });
    });
  }
  for (const [key, box] of boxes) if (!wanted.has(key)) (box.group.remove(), boxes.delete(key));
  for (const [key, rect] of wanted) {
    let box = boxes.get(key);
    if (!box) {
      const group = key[0] === "f" ? makeFrame(+key.slice(1)) : makeBox(key);
      group.dataset.key = key;
      group.setAttribute("tabindex", -1);
      $(key[0] === "f" ? "frames" : "boxes").append(group);
      boxes.set(key, (box = { group }));
    }
    box.rect = rect;
    box.group.style.transform = `translate(${rect.x}px,${rect.y}px)`;
    if (key[0] === "f") frameSize(box.group, +key.slice(1), rect);
  }
  // Frames from the outside inwards, boxes in the order of the program: the order of the Tab key, too.
  for (const { m } of scene.shown) if (m) $("frames").append(boxes.get("f" + m).group);
  drawLines();
  count();
}

function frameSize(group, m, { w, h }) {
  const rect = group.firstChild, which = group.querySelector(".which");
  rect.setAttribute("width", w);
  rect.setAttribute("height", h);
  rect.style.width = w + "px";
  rect.style.height = h + "px";
  if (which) {
    which.textContent = state[m] === ONE ? `show all ${modules[m].times}` : "show one";
    which.setAttribute("x", 28 + 8.2 * (modules[m].name.length + 6));
  }
}

function drawLines() {
  const layer = $("lines");
  layer.replaceChildren();
  lines.clear();
  carriers.clear();
  const labels = boxes.size <= 30;
  for (const { m, x, y } of scene.shown) {
    const plan = planOf(m, state), own = scene.placed[m];
    const atBox = (i) => plan.items[i][0] === "n" || (plan.items[i][0] === "m" && state[plan.items[i][1]] === CLOSED);
    plan.wires.forEach(([value], w) => carriers.set(value, (carriers.get(value) ?? []).concat([[m, w]])));
    plan.pieces.forEach(([from, to, value, , , back, change], p) =>
      line(`${m}/${p}`, own.runs[p], null, value, back, change, atBox(from), atBox(to), plan.items[to]));
    own.lanes.forEach((lane) => {
      const [value, from, to, , back, change] = plan.wires[lane.wire];
      line(`${m}/w${lane.wire}`, lane, lane.lane, value, back, change, atBox(from), atBox(to), plan.items[to]);
    });
    function line(key, run, lane, value, back, change, starts, ends, target) {
      const course = (by) => path(run, lane, x, y + by), all = { value: [], back: [] };
      const reader = target[0] === "n" ? nodes[target[1]].operands.find((o) => o.node === value) : null;
      const became = data.compares ? " " + change : "";
      all.value.push(el("path", { class: "f" + became, d: course(0) }));
      if (ends) all.value.push(el("path", { class: "fa" + became, d: `M${x + run.x[3]} ${y + run.z}l-8-4v8z` }));
      if (back) {
        all.back.push(el("path", { class: "b", d: course(7) }));
        if (starts) all.back.push(el("path", { class: "ba", d: `M${x + run.x[0]} ${y + run.y + 7}l8-4v8z` }));
        if (labels && reader && reader.value && reader.value.length <= 9 && !isNaN(reader.value) && lane === null) {
          all.back.push(el("text", { class: "l", x: x + (run.x[1] + run.x[2]) / 2, y: y + (run.y + run.z) / 2 + 22 }, reader.value));
        }
      }
      lines.set(key, all);
      layer.append(...all.value, ...all.back);
    }
  }
}

function path({ x: [a, b, c, d], y, z }, lane, dx, dy) {
  [a, b, c, d] = [a + dx, b + dx, c + dx, d + dx];
  [y, z] = [y + dy, z + dy];
  if (lane !== null) {
    lane += dy;
    return `M${a} ${y}H${b}C${b + 30} ${y} ${b + 30} ${lane} ${b} ${lane}H${c}C${c - 30} ${lane} ${c - 30} ${z} ${c} ${z}H${d}`;
  }
  if (y === z) return `M${a} ${y}H${d}`;
  const bow = Math.max(12, (c - b) / 2);
  return `M${a} ${y}H${b}C${b + bow} ${y} ${c - bow} ${z} ${c} ${z}H${d}`;
}

// The keys of the lines on which the value `v` gets to the node `u`.
function route(u, v) {
  const found = [], inside = (m, i) => m === 0 || ancestors[i].includes(m);
  for (const value of new Set([v, twin(v)])) {
    for (const [m, w] of carriers.get(value) ?? []) {
      const plan = planOf(m, state), [, , to, pieces] = plan.wires[w], [kind, i] = plan.items[to];
      const ends = kind === "n" ? i === u : kind === "m" ? inside(i, u) : kind === "o" && !inside(m, u);
      if (ends) found.push(...(pieces.length ? pieces.map((p) => `${m}/${p}`) : [`${m}/w${w}`]));
    }
  }
  return found;
}

// The lines that lead to a node, each with the operand it brings.
function into(u) {
  const drawn = twin(u);
  return nodes[drawn].operands.map((o) => ({ operand: o, keys: route(drawn, o.node) }));
}

function light(i) {
  unlight();
  canvas.classList.add("hover");
  const drawn = twin(i), lit = into(i).flatMap((o) => o.keys);
  users[drawn].concat(users[i]).forEach((u) => lit.push(...route(twin(u), drawn), ...route(u, i)));
  for (const key of lit) for (const e of [...lines.get(key).value, ...lines.get(key).back]) e.classList.add("lit");
}

function unlight() {
  canvas.classList.remove("hover");
  for (const e of canvas.querySelectorAll(".lit")) e.classList.remove("lit");
}

function count() {
  const seen = [...boxes.keys()].filter((key) => key[0] !== "f");
  const open = seen.filter((key) => key[0] === "n" && !nodes[+key.slice(1)].leaf).length;
  const all = data.ops === 1 ? "1 operation" : `${data.ops} operations`;
  $("count").textContent = open === data.ops ? `${all}, all drawn` : `${all} in ${seen.length} boxes`;
  $("count").dataset.open = open;
}
