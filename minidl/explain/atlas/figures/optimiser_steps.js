// The path of an optimiser over a loss of two parameters, a valley: loss = (a² + steepness · b²) / 2.
figures.optimiser_steps = (box, data) => {
  const { rules, length } = data;
  const state = { rule: "momentum", rate: 0.05, keep: 0.9, steepness: 10, a: -3.5, b: 1.5, at: 0 };
  const loss = ([a, b]) => (a * a + state.steepness * b * b) / 2, slope = ([a, b]) => [a, state.steepness * b];

  // One step of each rule for one number, as minidl/ops/optimiser_steps has them: memory -> what is kept and the move.
  const move = {
    descent: (p, g) => [p - state.rate * g, {}],
    momentum: (p, g, { velocity = 0 }) => { const v = state.keep * velocity - state.rate * g; return [p + v, { velocity: v }]; },
    nesterov: (p, g, { velocity = 0 }) => {
      const push = state.rate * g;
      return [p + state.keep ** 2 * velocity - (1 + state.keep) * push, { velocity: state.keep * velocity - push }];
    },
    rmsprop: (p, g, { square = 0 }) => {
      const s = state.keep * square + (1 - state.keep) * g ** 2;
      return [p - (state.rate * g) / (Math.sqrt(s) + data.eps), { square: s }];
    },
    adam: (p, g, { mean = 0, square = 0 }, t) => {
      const m = state.keep * mean + (1 - state.keep) * g, s = data.beta2 * square + (1 - data.beta2) * g ** 2;
      const rate = state.rate / (1 - state.keep ** t);
      return [p - (rate * m) / (Math.sqrt(s / (1 - data.beta2 ** t)) + data.eps), { mean: m, square: s }];
    },
  };

  const compute = () => {
    const path = [[state.a, state.b]], memories = [[{}, {}]];
    for (let t = 1; t <= length; t++) {
      const from = path[t - 1], gradient = slope(from);
      const moved = from.map((p, k) => move[state.rule](p, gradient[k], memories[t - 1][k], t));
      path.push(moved.map(([p]) => p));
      memories.push(moved.map(([, memory]) => memory));
    }
    return { ...state, path, memories, losses: path.map(loss) };
  };

  const go = (k) => { state.at = k; draw(); };
  const set = (name) => (value) => { state[name] = value; draw(); };
  const valley = drawing("svg", { viewBox: "0 0 480 320", width: 480, role: "img", "aria-label": "The valley from above, and the path" });
  const curve = drawing("svg", { viewBox: "0 0 480 232", width: 480, role: "img", "aria-label": "The loss at each step" });
  const keep = slider("momentum μ", { min: 0, max: 0.98, step: 0.02, value: 0.9 }, set("keep")), line = note();
  const panel = (title, picture) => element("div", { class: "panel" }, element("h4", {}, title), picture);
  box.append(
    element("div", { class: "controls" }, choice(rules, state.rule, set("rule"))),
    element("div", { class: "controls" },
      slider("learning rate", { min: 0.01, max: 0.5, step: 0.01, value: 0.05 }, set("rate")), keep,
      slider("steepness", { min: 1, max: 30, value: 10 }, set("steepness")),
      slider("start a", { min: -4, max: 4, step: 0.5, value: -3.5 }, set("a")), slider("start b", { min: -2.5, max: 2.5, step: 0.5, value: 1.5 }, set("b"))),
    steps(() => length + 1, () => state.at, go),
    element("div", { class: "panels" }, panel("The valley from above: lines of equal loss", valley), panel("The loss, step by step (each line is a hundred times as much)", curve)), line);

  const across = (a) => 240 + 60 * Math.max(-9, Math.min(9, a)), down = (b) => 160 - 60 * Math.max(-9, Math.min(9, b));
  const draw = () => {
    const n = compute(), { path, losses } = n, k = state.at;
    box.numbers = n;
    keep.hidden = state.rule === "descent";
    keep.rename({ rmsprop: "decay ρ", adam: "β₁" }[state.rule] ?? "momentum μ");
    const rings = [0.05, 0.5, 2, 5, 10, 20, 40].map((level) => drawing("ellipse", {
      cx: 240, cy: 160, rx: 60 * Math.sqrt(2 * level), ry: 60 * Math.sqrt((2 * level) / state.steepness), fill: "none", stroke: "var(--line)", "stroke-width": 1.5,
    }));
    const trail = drawing("polyline", { points: path.slice(0, k + 1).map(([a, b]) => `${across(a)},${down(b)}`).join(" "), fill: "none", stroke: "var(--accent)", "stroke-width": 2 });
    const dots = path.slice(0, k + 1).map(([a, b], t) => drawing("circle", { cx: across(a), cy: down(b), r: t === k ? 6 : 2.5, fill: `var(--${t === k ? "chosen" : "accent"})` }));
    const whole = drawing("polyline", { points: path.map(([a, b]) => `${across(a)},${down(b)}`).join(" "), fill: "none", stroke: "var(--muted)", "stroke-dasharray": "2 4" });
    valley.replaceChildren(...rings, whole, trail, ...dots, drawing("text", { x: 244, y: 156 }, "0"), drawing("text", { x: 462, y: 164 }, "a"), drawing("text", { x: 244, y: 14 }, "b"));
    const height = (value) => 118 - 18 * Math.max(-6, Math.min(6, Math.log10(Math.max(value, 1e-30)))), along = (t) => 30 + (440 * t) / length;
    const lines = [-6, -4, -2, 0, 2, 4, 6].flatMap((power) => [
      drawing("line", { x1: 30, x2: 470, y1: height(10 ** power), y2: height(10 ** power), stroke: "var(--line)" }),
      drawing("text", { x: 0, y: height(10 ** power) + 4 }, power === 0 ? "1" : `1e${text(power)}`)]);
    curve.replaceChildren(...lines,
      drawing("polyline", { points: losses.map((value, t) => `${along(t)},${height(value)}`).join(" "), fill: "none", stroke: "var(--accent)", "stroke-width": 2 }),
      drawing("circle", { cx: along(k), cy: height(losses[k]), r: 6, fill: "var(--chosen)" }));
    say(n, k);
  };

  const say = ({ path, memories, losses }, k) => {
    const pair = (values) => `(${values.map((value) => text(value, 3)).join(", ")})`, memory = memories[k];
    const kept = Object.keys(memory[0]).map((name) => `${name} ${pair(memory.map((one) => one[name]))}`);
    line.replaceChildren(strong(`step ${k}: loss ${losses[k] < 0.001 || losses[k] > 1e4 ? losses[k].toExponential(2) : text(losses[k], 3)}`),
      `, parameters (a, b) = ${pair(path[k])}, gradient ${pair(slope(path[k]))}${kept.length ? `, ${kept.join(", ")}` : ""}. `,
      state.rule === "descent" && state.rate * state.steepness > 2
        ? `The learning rate is above 2 / steepness = ${text(2 / state.steepness, 3)}: across the valley every step goes further than the one before.`
        : "Across the valley the slope is steep, along it shallow: a rate that is safe for the one is slow for the other.");
  };
  draw();
};
