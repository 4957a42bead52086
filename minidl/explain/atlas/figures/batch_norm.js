// Batch norm of one channel: the numbers of a batch, normalised, scaled and shifted; in evaluation with running averages.
figures.batch_norm = (box, data) => {
  const state = { mode: "Training", values: [...data.x], move: 0, stretch: 1, scale: 1, shift: 0, seen: 10, at: 0, dy: [...data.dy] };
  const { eps, momentum } = data, count = state.values.length;
  const mean = (numbers) => sum(numbers) / numbers.length;

  const compute = () => {
    const x = state.values.map((value) => value * state.stretch + state.move), { scale, shift, dy, seen } = state;
    const batchMean = mean(x), variance = mean(x.map((value) => (value - batchMean) ** 2)), deviation = Math.sqrt(variance + eps);
    const normal = x.map((value) => (value - batchMean) / deviation);
    const meanOfDy = mean(dy), agreement = mean(dy.map((number, k) => number * normal[k]));
    const kept = (1 - momentum) ** seen;  // of what the running averages began with: mean 0, variance 1
    const runningMean = (1 - kept) * batchMean, runningVariance = kept + (1 - kept) * variance * count / (count - 1);
    return {
      x, scale, shift, dy, seen, mean: batchMean, variance, normal, meanOfDy, agreement, runningMean, runningVariance,
      y: normal.map((number) => number * scale + shift),
      evaluated: x.map((value) => ((value - runningMean) / Math.sqrt(runningVariance + eps)) * scale + shift),
      dx: dy.map((number, k) => (scale / deviation) * (number - meanOfDy - normal[k] * agreement)),
      dscale: sum(dy.map((number, k) => number * normal[k])), dshift: sum(dy),
    };
  };

  const go = (k) => { state.at = k; draw(); }, choose = (_, k) => go(k);
  const input = new NumberLine("One channel of a batch, x", -10, 20), output = new NumberLine("Normalised, scaled and shifted, y", -5, 5);
  const values = new Grid("x: your numbers", { edit: (_, k, number) => { state.values[k] = number; draw(); } });
  const results = new Grid("y", { choose });
  const asked = new Grid("What is asked of the output, dy", { edit: (_, k, number) => { state.dy[k] = number; draw(); } });
  const normals = new Grid("normal = (x − mean) / deviation"), gradient = new Grid("Gradient dx", { choose });
  const line = note(), panels = element("div", { class: "panels" }), set = (name) => (value) => { state[name] = value; draw(); };
  const seen = slider("training steps so far", { min: 0, max: 60, value: 10 }, set("seen"));

  box.append(
    element("div", { class: "controls" }, choice(["Training", "Evaluation", "Gradient"], state.mode, (mode) => { state.mode = mode; draw(); })),
    element("div", { class: "controls" },
      slider("move all x by", { min: -8, max: 8, value: 0 }, set("move")), slider("stretch all x by", { min: 0, max: 3, step: 0.25, value: 1 }, set("stretch")),
      slider("scale", { min: -2, max: 3, step: 0.25, value: 1 }, set("scale")), slider("shift", { min: -3, max: 3, step: 0.25, value: 0 }, set("shift")), seen),
    steps(() => count, () => state.at, go), panels, line);

  const draw = () => {
    const n = compute(), k = state.at, { mode } = state;
    box.numbers = n;
    seen.hidden = mode !== "Evaluation";
    const shown = { Training: [input, output, values, results], Evaluation: [input, output, values, results], Gradient: [asked, normals, gradient] }[mode];
    if (panels.childElementCount !== shown.length || shown.some((part, i) => panels.children[i] !== part.panel)) panels.replaceChildren(...shown.map((part) => part.panel));
    const y = mode === "Evaluation" ? n.evaluated : n.y, middle = mode === "Evaluation" ? n.runningMean : n.mean;
    input.show(n.x, { chosen: k, marks: { [mode === "Evaluation" ? "running mean" : "mean"]: middle } });
    output.show(y, { chosen: k });
    values.show([state.values]);
    results.show([y], (_, j) => ({ chosen: j === k }));
    asked.show([n.dy]);
    normals.show([n.normal], (_, j) => ({ used: j === k }));
    gradient.show([n.dx], (_, j) => ({ chosen: j === k }));
    const of = (number, digits = 2) => factor(number, digits);
    if (mode === "Gradient") {
      line.replaceChildren(strong(`dx[${k}] = ${text(n.dx[k], 3)}`),
        ` = scale / deviation · (dy − mean of dy − normal · mean of dy·normal) = ${text(state.scale / Math.sqrt(n.variance + eps), 3)}·(${text(n.dy[k])} − ${of(n.meanOfDy, 3)} − ${of(n.normal[k], 3)}·${of(n.agreement, 3)}). `,
        `What would move all numbers alike, or stretch them, is taken out, for it changes nothing: all dx together are ${text(sum(n.dx), 3)}. dscale = ${text(n.dscale, 3)}, dshift = ${text(n.dshift, 3)}.`);
    } else if (mode === "Training") {
      line.replaceChildren(strong(`y[${k}] = ${text(y[k], 3)}`),
        ` = (${text(n.x[k])} − mean ${of(n.mean)}) / √(variance ${text(n.variance)} + ${eps}) · ${of(state.scale)} + ${of(state.shift)}. `,
        "Move or stretch all x: y stays as it is. Change one number: all others move.");
    } else {
      line.replaceChildren(strong(`y[${k}] = ${text(y[k], 3)}`),
        ` = (${text(n.x[k])} − running mean ${of(n.runningMean)}) / √(running variance ${text(n.runningVariance)} + ${eps}) · ${of(state.scale)} + ${of(state.shift)}. `,
        `The averages have seen this batch ${state.seen} times, and moved towards it by a tenth each time. Now every number is treated alone: change one, and the others stay.`);
    }
  };
  draw();
};
