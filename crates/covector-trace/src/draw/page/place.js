"use strict";
// Coordinates of every open module, from the inside outwards: the same rules as layout/place.rs.
const data = JSON.parse(document.getElementById("data").textContent);
const { nodes, modules, metrics: M } = data;
const CLOSED = 0, OPEN = 1, ONE = 2;

const planOf = (m, state) => (state[m] === ONE ? modules[m].one : modules[m].plan);
const isLine = (kind) => kind !== "n" && kind !== "m";

// Least squares with distances kept: neighbours that would overlap move as one.
function settle(plan, layer, sizes, y, aim) {
  const shift = [0];
  for (let k = 1; k < layer.length; k++) {
    const a = layer[k - 1], b = layer[k];
    const lines = isLine(plan.items[a][0]) + isLine(plan.items[b][0]);
    shift.push(shift[k - 1] + sizes[a][1] + [M.gapY, M.gapMixed, M.gapLine][lines]);
  }
  const pools = [];
  layer.forEach((_, k) => {
    const [target, weight] = aim(k);
    pools.push([target - shift[k], weight, 1]);
    while (pools.length > 1 && pools[pools.length - 2][0] > pools[pools.length - 1][0]) {
      const b = pools.pop(), a = pools.pop(), w = a[1] + b[1];
      pools.push([(a[0] * a[1] + b[0] * b[1]) / w, w, a[2] + b[2]]);
    }
  });
  let k = 0;
  for (const [at, , count] of pools) for (let c = 0; c < count; c++, k++) y[layer[k]] = at + shift[k];
}

// Where each piece leaves and arrives, from the top of its items.
function offsetsOf(plan, left, right, seat, sizes, port) {
  const offsets = plan.pieces.map(() => [0, 0]);
  const spread = (h, k, of) => Math.max(0, Math.min(h - 1, Math.floor((h * (k + 1)) / (of + 1))));
  plan.items.forEach((item, i) => {
    const h = sizes[i][1], p = plan.pieces;
    left[i].sort((a, b) => seat[p[a][0]] - seat[p[b][0]] || p[a][2] - p[b][2]);
    right[i].sort((a, b) => seat[p[a][1]] - seat[p[b][1]] || p[a][2] - p[b][2]);
    left[i].forEach((q, k) => (offsets[q][1] = port(item, p[q][4], true) ?? spread(h, k, left[i].length)));
    const values = [...new Set(right[i].map((q) => p[q][2]))];
    right[i].forEach((q) => (offsets[q][0] = port(item, p[q][3], false) ?? spread(h, values.indexOf(p[q][2]), values.length)));
  });
  return offsets;
}

// For each piece the track it climbs in, and how many tracks lie behind each layer.
function tracksOf(plan, layerOf, level) {
  const spans = new Map(), nets = plan.layers.map(() => []);
  const net = (p) => plan.pieces[p][0] + "/" + plan.pieces[p][2];
  plan.pieces.forEach((piece, p) => {
    const [y, z] = level(p);
    if (y === z) return;
    if (!spans.has(net(p))) {
      spans.set(net(p), [y, y]);
      nets[layerOf[piece[0]]].push(net(p));
    }
    const span = spans.get(net(p));
    span[0] = Math.min(span[0], z);
    span[1] = Math.max(span[1], z);
  });
  return nets.map((all) => {
    const ends = [];
    all.sort((a, b) => spans.get(a)[0] - spans.get(b)[0]);
    for (const one of all) {
      const [top, bottom] = spans.get(one);
      let free = ends.findIndex((end) => end < top);
      if (free < 0) free = ends.length;
      ends[free] = bottom;
    }
    return ends.length;
  });
}

function placeModule(plan, size, port, padTop) {
  const { items, layers, pieces } = plan, n = items.length;
  const sizes = items.map(size);
  const left = items.map(() => []), right = items.map(() => []), seat = new Array(n).fill(0), layerOf = new Array(n).fill(0);
  pieces.forEach((piece, p) => (left[piece[1]].push(p), right[piece[0]].push(p)));
  layers.forEach((layer, l) => layer.forEach((i, k) => ((seat[i] = k), (layerOf[i] = l))));
  const offsets = offsetsOf(plan, left, right, seat, sizes, port);
  const y = new Array(n).fill(0);
  layers.forEach((layer) => settle(plan, layer, sizes, y, () => [0, 1]));
  const toward = (i, sides) => {
    let sum = 0, weight = 0;
    [left[i], right[i]].forEach((near, side) => {
      if (!sides[side]) return;
      for (const p of near) {
        const [from, to] = pieces[p];
        const w = [1, 2, 8][isLine(items[from][0]) + isLine(items[to][0])];
        sum += w * (to === i ? y[from] + offsets[p][0] - offsets[p][1] : y[to] + offsets[p][1] - offsets[p][0]);
        weight += w;
      }
    });
    return weight > 0 ? [sum / weight, weight] : [y[i], 0.1];
  };
  for (let round = 0; round <= 6; round++) {
    const sides = round === 6 ? [[1, 1], [1, 1]] : [[1, 0], [0, 1]];
    const pass = (l, side) => {
      const aims = layers[l].map((i) => toward(i, side));
      settle(plan, layers[l], sizes, y, (k) => aims[k]);
    };
    for (let l = 0; l < layers.length; l++) pass(l, sides[0]);
    for (let l = layers.length - 1; l >= 0; l--) pass(l, sides[1]);
  }
  const top = n ? Math.min(...y) : 0;
  y.forEach((at, i) => (y[i] = Math.round(at - top) + padTop));
  const level = (p) => [Math.round(y[pieces[p][0]] + offsets[p][0]), Math.round(y[pieces[p][1]] + offsets[p][1])];
  const tracks = tracksOf(plan, layerOf, level);

  // Layers side by side, leaves at the right of theirs, ports on the border.
  const at = items.map(() => null), border = (l) => layers[l] && layers[l].every((i) => "io".includes(items[i][0]));
  const reads = new Array(n).fill(false), bounds = [];
  pieces.forEach((p) => (reads[p[1]] = true));
  let x = M.padX;
  layers.forEach((layer, l) => {
    const width = Math.max(0, ...layer.map((i) => sizes[i][0]));
    if (border(l) && l === 0) x = 0;
    for (const i of layer) {
      const [w, h] = sizes[i], slack = width - w;
      const by = items[i][0] === "b" ? 0 : reads[i] ? Math.floor(slack / 2) : slack;
      at[i] = { x: x + by, y: y[i], w, h };
    }
    bounds.push([Math.min(...layer.map((i) => at[i].x)), Math.max(...layer.map((i) => at[i].x + at[i].w))]);
    x += width;
    if (l + 1 === layers.length) x += border(l) ? 0 : M.padX;
    else x += ((border(l) && l === 0) || border(l + 1) ? M.padX : M.gapX) + M.track * tracks[l];
  });
  const run = (from, to, y, z) => ({
    x: [at[from].x + at[from].w, bounds[layerOf[from]][1], bounds[layerOf[to]][0], at[to].x], y, z,
  });
  const runs = pieces.map((p, k) => run(p[0], p[1], ...level(k)));
  let lane = Math.max(padTop, ...items.map((_, i) => y[i] + sizes[i][1]));
  const middle = (i) => y[i] + Math.floor(sizes[i][1] / 2), lanes = [];
  plan.wires.forEach((wire, w) => {
    if (wire[3].length) return;
    lane += M.lane;
    lanes.push({ wire: w, lane, ...run(wire[1], wire[2], middle(wire[1]), middle(wire[2])) });
  });
  const ins = new Map(), outs = new Map();
  items.forEach(([kind, v], i) => (kind === "i" ? ins.set(v, y[i]) : kind === "o" && outs.set(v, y[i])));
  return { w: x, h: lane + M.padBottom, at, runs, lanes, ins, outs };
}

// All open modules laid out, and where those that can be seen stand.
function layout(state) {
  const placed = [];
  for (let m = modules.length - 1; m >= 0; m--) {
    if (state[m] === CLOSED) continue;
    const size = ([kind, i]) => {
      if (kind === "n") return [nodes[i].card.w, nodes[i].card.h];
      if (kind !== "m") return [0, 0];
      return state[i] === CLOSED ? [modules[i].card.w, modules[i].card.h] : [placed[i].w, placed[i].h];
    };
    const port = ([kind, i], value, enters) => {
      if (kind === "m" && state[i] !== CLOSED) {
        return (enters ? placed[i].ins : placed[i].outs).get(value) ?? Math.floor(placed[i].h / 2);
      }
      if (kind === "n") return enters ? null : Math.floor(nodes[i].card.h / 2);
      return kind === "m" ? null : 0;
    };
    placed[m] = placeModule(planOf(m, state), size, port, m === 0 ? M.padBottom : M.padTop);
  }
  const shown = [{ m: 0, x: 0, y: 0 }];
  for (const { m, x, y } of shown) {
    planOf(m, state).items.forEach(([kind, c], i) => {
      if (kind === "m" && state[c] !== CLOSED) shown.push({ m: c, x: x + placed[m].at[i].x, y: y + placed[m].at[i].y });
    });
  }
  return { w: placed[0].w, h: placed[0].h, placed, shown };
}
