// Softmax of the scores of a few classes: y = exp(x - max) / total, its gradient, and what does not change it.
figures.softmax = (box, data) => {
  const { classes } = data, count = classes.length;
  const state = { mode: "Probabilities", x: [...data.x], add: 0, times: 1, dy: [...data.dy], at: 0 };

  const compute = () => {
    const x = state.x.map((score) => (score + state.add) * state.times);
    const top = Math.max(...x), exponentials = x.map((score) => Math.exp(score - top)), total = sum(exponentials);
    const y = exponentials.map((number) => number / total), logy = x.map((score) => score - top - Math.log(total));
    const { dy } = state, mean = sum(dy.map((number, k) => number * y[k]));
    return {
      x, top, exponentials, total, y, logy, dy, mean, dx: y.map((number, k) => number * (dy[k] - mean)),
      jacobian: make(count, count, (k, l) => y[k] * ((k === l ? 1 : 0) - y[l])),
    };
  };

  const go = (k) => { state.at = k; draw(); };
  const scores = new Bars("Scores x", classes, { choose: go });
  const exponentials = new Bars("exp(x − largest)", classes, { choose: go });
  const probabilities = new Bars("Probabilities y", classes, { choose: go });
  const asked = new Grid("What is asked of the output, dy", { edit: (_, k, number) => { state.dy[k] = number; draw(); } });
  const jacobian = new Grid("How much y (rows) changes with x (columns)", { digits: 3 });
  const gradient = new Bars("Gradient dx", classes, { choose: go });
  const line = note(), panels = element("div", { class: "panels" });
  const set = (k) => (value) => { state.x[k] = value; draw(); };

  box.append(
    element("div", { class: "controls" }, choice(["Probabilities", "Gradient"], state.mode, (mode) => { state.mode = mode; draw(); })),
    element("div", { class: "controls" }, ...classes.map((name, k) => slider(name, { min: -6, max: 6, step: 0.5, value: state.x[k] }, set(k)))),
    element("div", { class: "controls" },
      slider("add to all", { min: -50, max: 50, value: 0 }, (value) => { state.add = value; draw(); }),
      slider("multiply all by", { min: 0, max: 4, step: 0.25, value: 1 }, (value) => { state.times = value; draw(); })),
    steps(() => count, () => state.at, go), panels, line);

  const draw = () => {
    const numbers = compute(), { x, y, dx, dy, total, top, mean } = numbers, k = state.at;
    box.numbers = numbers;
    const shown = state.mode === "Gradient" ? [probabilities, asked, jacobian, gradient] : [scores, exponentials, probabilities];
    if (shown.some((part, i) => panels.children[i] !== part.panel)) panels.replaceChildren(...shown.map((part) => part.panel));
    scores.show(x, { scale: Math.max(6, largest([x])), signed: true, chosen: k });
    exponentials.show(numbers.exponentials, { chosen: k });
    probabilities.show(y, { chosen: k });
    asked.show([dy]);
    jacobian.show(numbers.jacobian, (row, column) => ({ used: column === k }));
    gradient.show(dx, { scale: Math.max(0.25, largest([dx])), signed: true, chosen: k });
    if (state.mode === "Gradient") {
      line.replaceChildren(strong(`dx of ${classes[k]} = ${text(dx[k], 3)}`), ` = y·(dy − ${factor(mean, 3)}) = ${text(y[k], 3)}·(${text(dy[k], 3)} − ${factor(mean, 3)}). `,
        `${factor(mean, 3)} is what is asked on average: dy weighted with the probabilities. More than that pushes a score up, less pushes it down, and all pushes together are ${text(sum(dx), 3)}.`);
    } else {
      line.replaceChildren(strong(`y of ${classes[k]} = ${text(y[k], 3)}`), ` = exp(${text(x[k])} − ${factor(top)}) / ${text(total, 3)}. `,
        "The same number added to all scores changes nothing; multiplied, the winner takes more, or, near 0, all get the same.");
    }
  };
  draw();
};
