// What a reader does: look around, open and close, point at things, and step through the backward pass.
let view = { x: 0, y: 0, k: 1 }, gliding = 0, focused = null, kept = null;

function look({ x, y, k }) {
  view = { x, y, k };
  world.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
}
function glide(to) {
  cancelAnimationFrame(gliding);
  if (still.matches) return look(to);
  const from = { ...view }, began = performance.now();
  const step = (now) => {
    const t = Math.min(1, (now - began) / 340), s = 1 - (1 - t) ** 3;
    look({ x: from.x + (to.x - from.x) * s, y: from.y + (to.y - from.y) * s, k: from.k + (to.k - from.k) * s });
    if (t < 1) gliding = requestAnimationFrame(step);
  };
  gliding = requestAnimationFrame(step);
}
const room = () => ({ w: canvas.clientWidth, h: canvas.clientHeight });
// The view that shows a rectangle in the middle, no larger than `most`.
function around({ x, y, w, h }, most, least = 0.04) {
  const r = room(), k = Math.max(least, Math.min((r.w - 32) / w, (r.h - 32) / h, most));
  const middle = (from, size, space) => (size * k > space - 32 ? 16 - from * k : (space - size * k) / 2 - from * k);
  return { k, x: middle(x, w, r.w), y: middle(y, h, r.h) };
}
const whole = () => ({ x: 0, y: 0, w: scene.w, h: scene.h });
function zoom(by, x = room().w / 2, y = room().h / 2) {
  cancelAnimationFrame(gliding);
  const k = Math.max(0.03, Math.min(4, view.k * by)), s = k / view.k;
  look({ k, x: x - (x - view.x) * s, y: y - (y - view.y) * s });
}
// Moves as little as shows a box.
function reveal(key) {
  const box = boxes.get(key);
  if (!box) return;
  const r = room(), { x, y, w, h } = box.rect, k = Math.max(view.k, 0.45);
  const shift = (at, size, space) => (at < 24 ? 24 - at : at + size > space - 24 ? Math.min(space - 24 - at - size, 0) : 0);
  const at = k === view.k ? view : { k, x: r.w / 2 - (x + w / 2) * k, y: r.h / 2 - (y + h / 2) * k };
  const [dx, dy] = [shift(x * k + at.x, w * k, r.w), shift(y * k + at.y, h * k, r.h)];
  if (dx || dy || k !== view.k) glide({ k, x: at.x + dx, y: at.y + dy });
}

// Modules.
function setFold(m, fold) {
  const before = boxes.get((state[m] === CLOSED ? "m" : "f") + m).rect;
  state[m] = fold;
  if (fold === ONE) state[modules[m].children[0]] = OPEN;
  redraw();
  const key = (fold === CLOSED ? "m" : "f") + m, after = boxes.get(key).rect;
  look({ k: view.k, x: view.x + (before.x - after.x) * view.k, y: view.y + (before.y - after.y) * view.k });
  const r = room(), right = (after.x + after.w) * view.k + view.x, low = (after.y + after.h) * view.k + view.y;
  const [left, high] = [after.x * view.k + view.x, after.y * view.k + view.y];
  if (right > r.w || low > r.h || left < 0 || high < 0) glide(around(after, view.k, 0.3));
  focusBox(key);
}
const opened = (m) => (modules[m].times ? ONE : OPEN);
const toggle = (m) => setFold(m, state[m] === CLOSED ? opened(m) : CLOSED);
const depth = modules.map(() => 0);
modules.forEach((module, m) => m && (depth[m] = depth[module.parent] + (modules[module.parent].times ? 0 : 1)));
function setAll(fold) {
  modules.forEach((_, m) => m && (state[m] = fold(m)));
  redraw();
  glide(around(whole(), 1.2, 0.3));
}
function unfoldLevel() {
  const shut = [...boxes.keys()].filter((k) => k[0] === "m").map((k) => depth[+k.slice(1)]);
  if (shut.length) setAll((m) => (state[m] === CLOSED && depth[m] <= Math.min(...shut) ? opened(m) : state[m]));
}
function foldLevel() {
  const open = scene.shown.filter((s) => s.m).map((s) => depth[s.m]);
  if (open.length) setAll((m) => (depth[m] >= Math.max(...open) ? CLOSED : state[m]));
}
function redraw() {
  draw();
  showStep(false);
}

// Details of what is pointed at.
function row(list, name, value, kind) {
  if (!value) return;
  const dt = document.createElement("dt"), dd = document.createElement("dd");
  dt.textContent = name;
  dd.textContent = value;
  if (kind) dd.className = kind;
  list.append(dt, dd);
}
function heading(text, small) {
  const h = document.createElement("h2"), s = document.createElement("small");
  s.textContent = small;
  h.append(text, s);
  return h;
}
function detail(key) {
  const panel = $("detail"), list = document.createElement("dl"), id = +key.slice(1);
  if (key[0] === "n") {
    const node = nodes[id];
    row(list, "formula", node.formula && `${node.label} = ${node.formula}`);
    row(list, "shape", node.spec);
    row(list, "axes", node.symbolic);
    row(list, "value", node.value);
    row(list, "gradient", node.gradient, "gradient");
    for (const o of node.operands) row(list, "rule", o.rule, "rule gradient");
    row(list, "line", node.source);
    row(list, "text", node.text);
    if (data.compares && node.change !== "same") row(list, "change", node.change);
    panel.replaceChildren(heading(node.label, node.op === node.label ? "" : node.op), list);
  } else {
    const module = modules[id];
    row(list, "holds", module.contents + (module.times ? ` in ${module.times} of one structure` : ""));
    row(list, key[0] === "m" ? "Enter" : "Enter", key[0] === "m" ? "opens it" : "closes it");
    panel.replaceChildren(heading(module.name, module.times ? `× ${module.times}` : "module"), list);
  }
  const { x, w } = boxes.get(key).rect, middle = (x + w / 2) * view.k + view.x;
  panel.classList.toggle("left", middle > room().w * 0.6);
  panel.classList.add("on");
}
function point(key) {
  if (key[0] === "n") light(+key.slice(1));
  else unlight();
  detail(key);
}
function pointAway() {
  if (kept && boxes.has(kept)) return point(kept);
  unlight();
  $("detail").classList.remove("on", "kept");
}
function focusBox(key, seen = false) {
  const box = boxes.get(key);
  if (!box) return;
  boxes.get(focused)?.group.setAttribute("tabindex", -1);
  focused = key;
  box.group.setAttribute("tabindex", 0);
  box.group.focus({ preventScroll: true });
  if (seen) reveal(key);
}

// Pointers: one drags, two pinch, a tap or click acts.
const pointers = new Map();
let dragged = false;
const keyAt = (e) => e.target.closest?.("[data-key]")?.dataset.key;
canvas.addEventListener("pointerdown", (e) => {
  cancelAnimationFrame(gliding);
  if (!pointers.size) dragged = false;
  pointers.set(e.pointerId, { x: e.clientX, y: e.clientY, from: [e.clientX, e.clientY] });
});
addEventListener("pointermove", (e) => {
  const p = pointers.get(e.pointerId);
  if (!p) return;
  const others = [...pointers].filter(([id]) => id !== e.pointerId).map(([, q]) => q);
  if (!dragged && Math.hypot(e.clientX - p.from[0], e.clientY - p.from[1]) < 5 && !others.length) return;
  dragged = true;
  canvas.classList.add("drag");
  if (others.length) {
    const q = others[0], box = canvas.getBoundingClientRect();
    const now = Math.hypot(e.clientX - q.x, e.clientY - q.y), was = Math.hypot(p.x - q.x, p.y - q.y) || 1;
    zoom(now / was, (e.clientX + q.x) / 2 - box.left, (e.clientY + q.y) / 2 - box.top);
    look({ ...view, x: view.x + (e.clientX - p.x) / 2, y: view.y + (e.clientY - p.y) / 2 });
  } else look({ ...view, x: view.x + e.clientX - p.x, y: view.y + e.clientY - p.y });
  [p.x, p.y] = [e.clientX, e.clientY];
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (e) => {
  pointers.delete(e.pointerId);
  if (!pointers.size) canvas.classList.remove("drag");
});
canvas.addEventListener("click", (e) => {
  if (dragged) return;
  const key = keyAt(e);
  if (!key) {
    kept = null;
    return pointAway();
  }
  const id = +key.slice(1);
  if (e.target.classList.contains("which")) return setFold(id, state[id] === ONE ? OPEN : ONE);
  if (key[0] !== "n") return toggle(id);
  kept = kept === key ? null : key;
  focusBox(key);
  point(key);
  $("detail").classList.toggle("kept", kept === key);
});
canvas.addEventListener("pointerover", (e) => {
  const key = e.pointerType !== "touch" && !dragged | !pointers.size && keyAt(e);
  if (key) point(key);
});
canvas.addEventListener("pointerout", (e) => e.pointerType !== "touch" && pointAway());
canvas.addEventListener("focusin", (e) => {
  const key = keyAt(e);
  if (key) point(key);
});
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const box = canvas.getBoundingClientRect();
  if (e.ctrlKey || e.metaKey || !e.deltaX && Math.abs(e.deltaY) >= 50) {
    zoom(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0018)), e.clientX - box.left, e.clientY - box.top);
  } else look({ ...view, x: view.x - e.deltaX, y: view.y - e.deltaY });
}, { passive: false });

// Keys.
function neighbour(key, arrow) {
  const inside = (k) => (k[0] === "n" ? [+k.slice(1)] : modules[+k.slice(1)].all);
  const linked = (next) => {
    const all = inside(key).flatMap((i) => next(i)).map(boxOf).filter((k) => k !== key && boxes.has(k));
    return all[0];
  };
  if (arrow === "ArrowLeft") return linked((i) => nodes[i].operands.map((o) => o.node));
  if (arrow === "ArrowRight") return linked((i) => users[i]);
  const here = boxes.get(key).rect, sign = arrow === "ArrowUp" ? -1 : 1;
  let best = null, least = Infinity;
  for (const [other, { rect }] of boxes) {
    const dy = (rect.y + rect.h / 2 - here.y - here.h / 2) * sign, dx = Math.abs(rect.x + rect.w / 2 - here.x - here.w / 2);
    if (other === key || other[0] === "f" || dy <= 1 || dx > 200) continue;
    if (dy + 2 * dx < least) [best, least] = [other, dy + 2 * dx];
  }
  return best;
}
addEventListener("keydown", (e) => {
  if (e.target.matches("input") || e.ctrlKey || e.metaKey || e.altKey) return;
  const on = e.target.closest?.("[data-key]")?.dataset.key;
  const acts = {
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => glide(around(whole(), 1.2)),
    ",": () => step(at - 1), ".": () => step(at + 1), "?": () => $("help").click(), "/": () => $("find").focus(),
    Escape: () => { kept = null; pause(); step(0); $("keys").hidden = true; $("help").setAttribute("aria-expanded", false); pointAway(); },
    Enter: () => on && (on[0] === "n" ? reveal(on) : toggle(+on.slice(1))),
    " ": () => (on && on[0] !== "n" ? toggle(+on.slice(1)) : $("film").hidden || $("play").click()),
  };
  const button = e.target.matches("button") && (e.key === "Enter" || e.key === " ");
  if (acts[e.key] && !button) (e.preventDefault(), acts[e.key]());
  else if (e.key.startsWith("Arrow")) {
    const next = on ? neighbour(on, e.key) : [...boxes.keys()].find((k) => k[0] !== "f");
    if (next) focusBox(next, true);
    e.preventDefault();
  }
});

// Finding: the next step whose name, op or module has the text, with all modules around it open.
let found = -1;
function find(text) {
  const wanted = text.trim().toLowerCase(), n = nodes.length;
  const named = (i) => [nodes[i].label, nodes[i].op, ...ancestors[i].map((m) => modules[m].name)].join(" ").toLowerCase();
  for (let k = 1; wanted && k <= n; k++) {
    const i = (found + k + n) % n;
    if (!named(i).includes(wanted)) continue;
    found = i;
    ancestors[i].forEach((m, level) => {
      const next = ancestors[i][level + 1], first = modules[m].times && modules[m].children[0] === next;
      state[m] = first && state[m] !== OPEN ? ONE : OPEN;
    });
    redraw();
    focusBox("n" + i, true);
    return true;
  }
  return false;
}
$("find").addEventListener("keydown", (e) => {
  if (e.key === "Enter") $("find").classList.toggle("none", !find(e.target.value));
  if (e.key === "Escape") (e.target.value = "", canvas.focus());
});
$("find").oninput = () => ((found = -1), $("find").classList.remove("none"));

// The film: one step of the backward pass after the other.
let at = 0, playing = 0;
function step(to) {
  at = Math.max(0, Math.min(data.film.length, to));
  showStep(true);
}
function showStep(follow) {
  if (!data.film.length) return;
  $("slider").value = at;
  $("slider").setAttribute("aria-valuetext", at ? `${at} of ${data.film.length}: ${nodes[data.film[at - 1]].op}` : "before the backward pass");
  $("where").textContent = `${at} / ${data.film.length}`;
  canvas.classList.toggle("film", at > 0);
  for (const e of canvas.querySelectorAll(".past,.now,.got,.reached")) e.classList.remove("past", "now", "got", "reached");
  if (!at) {
    const p = document.createElement("p");
    p.textContent = "The values are there. Now the gradient comes back, one step at a time: press ▶, or pull the slider.";
    $("step").replaceChildren(p);
    return;
  }
  data.film.slice(0, at).forEach((u, k) => {
    const now = k === at - 1;
    boxes.get(boxOf(u))?.group.classList.add(...(now ? ["reached", "now"] : ["reached"]));
    for (const { operand, keys } of into(u)) {
      if (!operand.spec) continue;
      boxes.get(boxOf(operand.node))?.group.classList.add(...(now ? ["reached", "got"] : ["reached"]));
      for (const key of keys) for (const e of lines.get(key).back) (e.classList.remove("past"), e.classList.add(now ? "now" : "past"));
    }
  });
  tellStep(data.film[at - 1]);
  if (follow) reveal(boxOf(data.film[at - 1]));
}
function tellStep(u) {
  const node = nodes[u], first = document.createElement("div"), list = document.createElement("ul");
  const io = (name, spec, value) => {
    const p = document.createElement("div"), b = document.createElement("b");
    p.className = "io";
    b.textContent = value ?? "";
    p.append(`${name} ${spec} `, b);
    return p;
  };
  first.append(heading(node.named ? node.label : node.op, node.formula));
  const path = ancestors[u].filter((m) => !modules[m].times).map((m) => modules[m].name).join(" / ");
  if (path) first.append(Object.assign(document.createElement("p"), { textContent: path }));
  first.append(io(`arrives: ${node.bar}`, node.spec, node.gradient));
  for (const o of node.operands) {
    if (!o.spec) continue;
    const item = document.createElement("li"), rule = document.createElement("span");
    rule.className = "rule gradient";
    rule.textContent = o.rule ?? `by the rules of its inner steps`;
    const terms = users[o.node].flatMap((r) => nodes[r].operands.filter((p) => p.node === o.node && p.spec).map(() => r));
    const come = terms.filter((r) => data.film.indexOf(r) < at).length;
    if (terms.length > 1) rule.append(Object.assign(document.createElement("small"), { textContent: `  ${come} of ${terms.length} terms` }));
    item.append(rule, io(`to ${nodes[o.node].label}${nodes[o.node].named ? "" : " " + nodes[o.node].op}:`, o.spec, o.value));
    list.append(item);
  }
  $("step").replaceChildren(first, list);
}
function pause() {
  clearInterval(playing);
  playing = 0;
  $("play").textContent = "▶";
  $("play").setAttribute("aria-label", "Play the backward pass");
}
$("play").onclick = () => {
  if (playing) return pause();
  if (at === data.film.length) step(0);
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "Pause");
  const next = () => (at < data.film.length ? step(at + 1) : pause());
  playing = setInterval(next, Math.max(250, Math.min(1100, 24000 / data.film.length)));
  next();
};
$("slider").max = data.film.length;
$("slider").oninput = (e) => (pause(), step(+e.target.value));
$("back").onclick = () => (pause(), step(at - 1));
$("on").onclick = () => (pause(), step(at + 1));

// The bar at the top.
$("fit").onclick = () => glide(around(whole(), 1.2));
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(0.8);
$("more").onclick = unfoldLevel;
$("less").onclick = foldLevel;
$("all").onclick = () => setAll(() => OPEN);
$("help").onclick = () => {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", !$("keys").hidden);
};
for (const kind of data.compares ? ["added", "removed", "changed"] : new Set(nodes.map((n) => n.kind))) {
  const item = document.createElement("li"), dot = document.createElement("i");
  dot.className = kind;
  item.append(dot, kind);
  $("legend").append(item);
}
canvas.setAttribute("aria-label", data.said);
$("film").hidden = !data.film.length;
for (const id of ["less", "more", "all"]) $(id).hidden = modules.length < 2;
draw();
showStep(false);
const start = [...boxes.keys()].find((k) => k[0] !== "f");
if (start) (focused = start, boxes.get(start).group.setAttribute("tabindex", 0));
look(around(whole(), 1.2, 0.42));
addEventListener("resize", () => at || look(around(whole(), 1.2, 0.42)));
