// A dense layer: y = x @ weight + bias for a few samples, and the three gradients, each a sum of products as well.
figures.dense = (box, data) => {
  const state = { mode: "Output", x: data.x.map((row) => [...row]), weight: data.weight.map((row) => [...row]), bias: [...data.bias], at: 0 };
  const samples = data.x.length, inputs = data.weight.length, outputs = data.bias.length, range = (n) => [...Array(n).keys()];
  state.dy = make(samples, outputs, (n, o) => ((2 * n + 3 * o) % 5) - 2);

  const compute = () => {
    const { x, weight, bias, dy } = state;
    return {
      x, weight, bias, dy,
      y: make(samples, outputs, (n, o) => bias[o] + sum(range(inputs).map((i) => x[n][i] * weight[i][o]))),
      dx: make(samples, inputs, (n, i) => sum(range(outputs).map((o) => dy[n][o] * weight[i][o]))),
      dweight: make(inputs, outputs, (i, o) => sum(range(samples).map((n) => x[n][i] * dy[n][o]))),
      dbias: range(outputs).map((o) => sum(range(samples).map((n) => dy[n][o]))),
    };
  };

  const results = { Output: "y", "Gradient of x": "dx", "Gradient of weight": "dweight", "Gradient of bias": "dbias" };
  const result = () => { const made = box.numbers[results[state.mode]]; return state.mode === "Gradient of bias" ? [made] : made; };  // in rows
  const go = (k) => { state.at = k; draw(); };
  const choose = (i, j) => go(i * result()[0].length + j);
  const x = new Grid("x: samples in rows", { edit: (n, i, number) => { state.x[n][i] = number; draw(); } });
  const weight = new Grid("weight: an input in each row, an output in each column", { edit: (i, o, number) => { state.weight[i][o] = number; draw(); } });
  const bias = new Grid("bias", { edit: (_, o, number) => { state.bias[o] = number; draw(); } });
  const y = new Grid("Output y", { choose }), asked = new Grid("What is asked of the output, dy", { edit: (n, o, number) => { state.dy[n][o] = number; draw(); } });
  const dx = new Grid("Gradient dx", { choose }), dweight = new Grid("Gradient dweight", { choose }), dbias = new Grid("Gradient dbias", { choose });
  const line = note(), panels = element("div", { class: "panels" });
  box.append(
    element("div", { class: "controls" }, choice(Object.keys(results), state.mode, (mode) => { state.mode = mode; state.at = 0; draw(); })),
    steps(() => result().flat().length, () => state.at, go), panels, line);

  const draw = () => {
    box.numbers = compute();
    const n = box.numbers, { mode } = state, width = result()[0].length, i = Math.floor(state.at / width), j = state.at % width;
    const shown = { Output: [x, weight, bias, y], "Gradient of x": [asked, weight, dx], "Gradient of weight": [x, asked, dweight], "Gradient of bias": [asked, dbias] }[mode];
    if (panels.childElementCount !== shown.length || shown.some((grid, k) => panels.children[k] !== grid.panel)) panels.replaceChildren(...shown.map((grid) => grid.panel));
    const chosen = (a, b) => ({ chosen: a === i && b === j });
    x.show(n.x, (a, b) => ({ used: mode === "Output" ? a === i : b === i }));
    weight.show(n.weight, (a, b) => ({ used: mode === "Output" ? b === j : a === j }));
    bias.show([n.bias], (_, b) => ({ used: b === j }));
    asked.show(n.dy, (a, b) => ({ used: mode === "Gradient of x" ? a === i : b === j }));
    y.show(n.y, chosen); dx.show(n.dx, chosen); dweight.show(n.dweight, chosen); dbias.show([n.dbias], chosen);
    const terms = {
      Output: () => range(inputs).map((k) => [n.x[i][k], n.weight[k][j]]),
      "Gradient of x": () => range(outputs).map((o) => [n.dy[i][o], n.weight[j][o]]),
      "Gradient of weight": () => range(samples).map((m) => [n.x[m][i], n.dy[m][j]]),
      "Gradient of bias": () => range(samples).map((m) => [n.dy[m][j]]),
    }[mode]().map((factors) => factors.map((number) => factor(number)).join("·"));
    const why = {
      Output: "A sample's numbers, each times its weight for this output.",
      "Gradient of x": "This input took part in every output of its sample, each time through another weight.",
      "Gradient of weight": "This weight took part in this output of every sample, each time with another input.",
      "Gradient of bias": "This bias was added to this output of every sample, so it gets all that is asked there.",
    }[mode];
    line.replaceChildren(strong(`${results[mode]}[${mode === "Gradient of bias" ? j : `${i}, ${j}`}] = ${text(result()[i][j])}`), ` = ${terms.join(" + ")}${mode === "Output" ? ` + bias ${factor(n.bias[j])}` : ""}. ${why}`);
  };
  draw();
};
