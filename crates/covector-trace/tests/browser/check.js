// Runs in the page, as a reader would use it, and leaves a report: one line for each thing that is not as it should be.
(() => {
  const wrong = [...window.problems];
  const expect = (holds, what) => holds || wrong.push(what);
  const count = (selector) => document.querySelectorAll(selector).length;
  const fire = (target, type, more = {}) => {
    const Kind = type.startsWith("pointer") ? PointerEvent : type.startsWith("key") ? KeyboardEvent : MouseEvent;
    target.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, pointerType: "mouse", ...more }));
  };
  const keys = (kind) => [...boxes.keys()].filter((key) => key[0] === kind);
  const group = (key) => boxes.get(key).group;
  const layoutHolds = (when) => {
    const all = [...boxes].filter(([key]) => key[0] !== "f").map(([key, box]) => [key, box.rect]).sort((a, b) => a[1].x - b[1].x);
    all.forEach(([key, a], k) => {
      for (const [other, b] of all.slice(k + 1)) {
        if (b.x >= a.x + a.w) break;
        expect(a.y >= b.y + b.h || b.y >= a.y + a.h, `${when}: ${key} lies on ${other}`);
      }
    });
  };

  // Opened: everything is there, where the still picture has it.
  expect(count("#boxes > g") > 0 && count("#lines path") > 0, "nothing is drawn");
  expect(Math.abs(scene.w - data.size[0]) <= 1 && Math.abs(scene.h - data.size[1]) <= 1,
    `the page is ${scene.w} × ${scene.h}, the still picture ${data.size.join(" × ")}`);
  layoutHolds("at first");
  expect(document.documentElement.scrollWidth <= innerWidth, `the page is ${document.documentElement.scrollWidth} wide, the window ${innerWidth}`);
  for (const button of document.querySelectorAll("button:not([hidden])")) {
    const { width, height } = button.getBoundingClientRect();
    if (button.offsetParent) expect(width >= 28 && height >= (innerWidth < 640 ? 36 : 28), `${button.id} is ${width} × ${height}`);
  }
  expect([...document.querySelectorAll("#boxes > g, button")].every((e) => (e.getAttribute("aria-label") || e.textContent).trim()), "something has no name");

  // Modules open and close at a click, and by the keyboard.
  const shut = keys("m");
  for (const key of shut.slice(0, 3)) {
    const before = boxes.size, frame = "f" + key.slice(1);
    fire(group(key).querySelector(".box"), "click");
    expect(boxes.size > before && boxes.has(frame) && !boxes.has(key), `${key} does not open`);
    expect(document.activeElement === group(frame), `${frame} has no focus`);
    layoutHolds(`${key} open`);
    fire(document.activeElement, "keydown", { key: "Enter" });
    expect(boxes.has(key) && !boxes.has(frame), `${key} does not close`);
  }
  if (modules.length > 1) {
    $("all").click();
    expect(+$("count").dataset.open === data.ops, `${$("count").dataset.open} of ${data.ops} operations when all is open`);
    layoutHolds("all open");
    while (scene.shown.length > 1) $("less").click();
    expect(keys("f").length === 0, "something stays open");
    $("more").click();
    expect(keys("f").length > 0, "unfolding opens nothing");
    layoutHolds("one level open");
  }

  // Finding opens what is around it.
  const last = nodes.length - 1;
  expect(find(nodes[last].label) && document.activeElement.dataset.key[0] === "n", "the result is not found");
  expect(!find("no such step"), "what is not there is found");
  const deep = ancestors.findIndex((path) => path.length === Math.max(...ancestors.map((a) => a.length)));
  found = deep - 1;
  expect(find(nodes[deep].label) && boxes.has("n" + deep), "what is deep inside is not found");
  layoutHolds("after finding");

  // Pointing at a step tells of it and lights its lines.
  const key = keys("n").find((key) => nodes[+key.slice(1)].operands.length);
  const node = nodes[+key.slice(1)];
  fire(group(key), "pointerover");
  const told = $("detail").textContent;
  expect($("detail").classList.contains("on") && told.includes(node.spec) && told.includes(node.source) && told.includes(node.formula), `of ${key} is told: ${told}`);
  expect(count(".lit") > 0, "no line is lit");
  fire(group(key), "pointerout");
  expect(count(".lit") === 0 && !$("detail").classList.contains("on"), "what was pointed at stays");

  // The keyboard goes along the lines.
  focusBox(key);
  fire(document.activeElement, "keydown", { key: "ArrowLeft" });
  const left = document.activeElement.dataset.key;
  expect(left !== key && boxes.get(left).rect.x < boxes.get(key).rect.x, "the left arrow does not go to an operand");
  fire(document.activeElement, "keydown", { key: "ArrowRight" });
  expect(document.activeElement.dataset.key !== left, "the right arrow does not go to a reader");

  // The film: forwards, back, by the slider, and put away.
  if (data.film.length) {
    for (let k = 0; k < Math.min(3, data.film.length); k++) {
      $("on").click();
      const u = data.film[k];
      expect(+$("slider").value === k + 1, `the slider is at ${$("slider").value}`);
      expect(group(boxOf(u)).classList.contains("now"), `step ${k + 1} does not mark its box`);
      const text = $("step").textContent;
      expect(text.includes(nodes[u].spec), `step ${k + 1} says: ${text}`);
      for (const o of nodes[u].operands) expect(!o.spec || !o.rule || text.includes(o.rule), `step ${k + 1} lacks the rule ${o.rule}`);
      const inside = nodes[u].operands.every((o) => !o.spec || boxOf(o.node) === boxOf(u));
      expect(inside || count("#lines .b.now") > 0, `step ${k + 1} lights no line`);
    }
    $("back").click();
    expect(+$("slider").value === Math.min(3, data.film.length) - 1, "the film does not go back");
    $("slider").value = data.film.length;
    $("slider").dispatchEvent(new Event("input", { bubbles: true }));
    expect(count("#lines .b.past, #lines .b.now") === count("#lines .b"), "at the end a gradient has not come back");
    fire(document.body, "keydown", { key: "Escape" });
    expect(!canvas.classList.contains("film") && count(".now") === 0, "the film is not put away");
  }

  // Dragged and zoomed.
  const was = { ...view };
  fire(canvas, "pointerdown", { pointerId: 1, clientX: 100, clientY: 200 });
  fire(canvas, "pointermove", { pointerId: 1, clientX: 140, clientY: 230 });
  fire(canvas, "pointerup", { pointerId: 1, clientX: 140, clientY: 230 });
  expect(Math.round(view.x - was.x) === 40 && Math.round(view.y - was.y) === 30, "dragging does not move");
  $("in").click();
  expect(view.k > was.k, "+ does not enlarge");
  fire(canvas, "pointerdown", { pointerId: 1, pointerType: "touch", clientX: 100, clientY: 200 });
  fire(canvas, "pointerdown", { pointerId: 2, pointerType: "touch", clientX: 200, clientY: 200 });
  const k = view.k;
  fire(canvas, "pointermove", { pointerId: 2, pointerType: "touch", clientX: 150, clientY: 200 });
  expect(view.k < k, "two fingers do not pinch");
  for (const pointerId of [1, 2]) fire(canvas, "pointerup", { pointerId });

  expect(performance.getEntriesByType("resource").length === 0, "the page asks the network for something");
  wrong.push(...window.problems.slice(0, 5));
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = wrong.length ? [...new Set(wrong)].join("\n") : "as it should be";
  parent.document.body.append(parent === window ? report : parent.document.importNode(report, true));
})();
