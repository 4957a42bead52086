// Relu of a few numbers, on its curve; a bias moves them all, until a unit is dead.
figures.relu = (box, data) => {
  const state = { mode: "Output", values: [...data.x], dy: [...data.dy], bias: 0, at: 0 }, count = data.x.length;
  const compute = () => {
    const x = state.values.map((value) => value + state.bias), y = x.map((value) => Math.max(value, 0));
    return { x, y, dy: state.dy, dx: state.dy.map((number, k) => (y[k] > 0 ? number : 0)) };
  };
  const go = (k) => { state.at = k; draw(); }, choose = (_, k) => go(k);
  const values = new Grid("x, before the bias", { edit: (_, k, number) => { state.values[k] = number; draw(); } });
  const output = new Grid("y = relu(x + bias)", { choose }), asked = new Grid("What is asked of the output, dy", { edit: (_, k, number) => { state.dy[k] = number; draw(); } }), gradient = new Grid("Gradient dx", { choose });
  const curve = drawing("svg", { viewBox: "0 0 480 260", width: 480, role: "img", "aria-label": "The curve of relu, and the numbers on it" });
  const picture = element("div", { class: "panel" }, element("h4", {}, "The curve, and your numbers on it"), curve);
  const line = note(), panels = element("div", { class: "panels" });
  box.append(
    element("div", { class: "controls" }, choice(["Output", "Gradient"], state.mode, (mode) => { state.mode = mode; draw(); })),
    element("div", { class: "controls" }, slider("bias", { min: -6, max: 6, step: 0.5, value: 0 }, (bias) => { state.bias = bias; draw(); })),
    steps(() => count, () => state.at, go), panels, line);

  // Numbers beyond the picture stand at the ends of the curve.
  const within = (value) => Math.max(-6.4, Math.min(6.4, value));
  const across = (value) => 240 + 36 * within(value), down = (value) => 230 - 33 * within(value);
  const draw = () => {
    const n = box.numbers = compute(), k = state.at;
    const shown = state.mode === "Output" ? [picture, values.panel, output.panel] : [picture, asked.panel, gradient.panel];
    if (shown.some((panel, i) => panels.children[i] !== panel)) panels.replaceChildren(...shown);
    // The slope of the curve at the chosen number, which dy is multiplied by.
    const slope = Number(n.y[k] > 0), at = within(n.x[k]), reach = slope ? 1 : 1.4, height = within(n.y[k]);
    const tangent = state.mode === "Output" ? [] : [
      drawing("line", { x1: across(at - reach), x2: across(at + reach), y1: down(height - slope * reach), y2: down(height + slope * reach), stroke: "var(--chosen)", "stroke-width": 7, "stroke-dasharray": "6 4" }),
      drawing("text", { x: across(Math.max(-5, at)) - 12, y: Math.max(14, down(height) - 12), "text-anchor": "end" }, `slope ${slope}`)];
    const order = [...n.x.entries()].filter(([i]) => i !== k).concat([[k, n.x[k]]]);  // the chosen one over the others
    const ticks = [-6, -4, -2, 0, 2, 4, 6].map((tick) => drawing("text", { x: across(tick), y: 252, "text-anchor": "middle" }, text(tick)));
    curve.replaceChildren(
      drawing("line", { x1: 10, x2: 470, y1: 230, y2: 230, stroke: "var(--muted)" }), drawing("line", { x1: 240, x2: 240, y1: 10, y2: 236, stroke: "var(--muted)" }), ...ticks,
      drawing("polyline", { points: `10,230 240,230 ${across(6.4)},${down(6.4)}`, fill: "none", stroke: "var(--accent)", "stroke-width": 3 }),
      ...tangent, ...order.map(([i, value]) => drawing("circle", { cx: across(value), cy: down(n.y[i]), r: i === k ? 8 : 6, fill: `var(--${i === k ? "chosen" : n.y[i] > 0 ? "positive" : "negative"})` })));
    values.show([state.values], (_, i) => ({ used: i === k }));
    output.show([n.y], (_, i) => ({ chosen: i === k }));
    asked.show([n.dy], (_, i) => ({ used: i === k && n.y[i] > 0, partner: i === k && !(n.y[i] > 0) }));
    gradient.show([n.dx], (_, i) => ({ chosen: i === k }));
    const silent = n.y.filter((value) => !(value > 0)).length;
    line.replaceChildren(
      ...(state.mode === "Output"
        ? [strong(`y[${k}] = ${text(n.y[k])}`), ` = max(${text(n.x[k])}, 0). `]
        : [strong(`dx[${k}] = ${text(n.dx[k])}`), n.y[k] > 0 ? ` = 1 · ${factor(n.dy[k])}: the number got through, so its gradient does. ` : ` = 0 · ${factor(n.dy[k])}: the number was cut off, so what is asked of it does not reach it. `]),
      silent === count ? "All are cut off: for this batch the unit is dead, and no gradient can bring it back." : `${silent} of ${count} are cut off.`);
  };
  draw();
};
