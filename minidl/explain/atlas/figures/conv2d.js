// Convolution of one image of one channel with one filter: y = conv2d(x, weight, bias, stride, pad, dilation).
figures.conv2d = (box, data) => {
  const state = { mode: "Output", filter: Object.keys(data.filters)[0], stride: 1, pad: 0, dilation: 1, bias: 0, at: 0 };
  state.weight = data.filters[state.filter].map((row) => [...row]);
  const x = data.x, h = x.length, w = x[0].length, size = state.weight.length;

  // The row (or column) of x under tap k of the window at output i.
  const under = (i, k) => i * state.stride + k * state.dilation - state.pad;
  const outputs = (length) => Math.floor((length + 2 * state.pad - state.dilation * (size - 1) - 1) / state.stride) + 1;
  const pixel = (i, j) => (i >= 0 && i < h && j >= 0 && j < w ? x[i][j] : 0);
  // Every (output i, j, tap ki, kj, row, column) of the convolution that fits a condition.
  const parts = (fits) => {
    const found = [];
    for (let i = 0; i < outputs(h); i++) for (let j = 0; j < outputs(w); j++)
      for (let ki = 0; ki < size; ki++) for (let kj = 0; kj < size; kj++) {
        const part = { i, j, ki, kj, row: under(i, ki), column: under(j, kj) };
        if (fits(part)) found.push(part);
      }
    return found;
  };

  const compute = () => {
    const { weight } = state, rows = outputs(h), columns = outputs(w);
    const y = make(rows, columns, () => state.bias), dy = make(rows, columns, (i, j) => ((3 * i + 2 * j) % 5) - 2);
    const dx = make(h, w, () => 0), dweight = make(size, size, () => 0);
    for (const { i, j, ki, kj, row, column } of parts(() => true)) {
      y[i][j] += pixel(row, column) * weight[ki][kj];
      dweight[ki][kj] += pixel(row, column) * dy[i][j];
      if (row >= 0 && row < h && column >= 0 && column < w) dx[row][column] += dy[i][j] * weight[ki][kj];
    }
    return { x, weight, bias: state.bias, stride: state.stride, pad: state.pad, dilation: state.dilation, y, dy, dx, dweight, dbias: sum(dy.flat()) };
  };

  const places = () => ({ Output: box.numbers.y, "Gradient of x": x, "Gradient of weight": state.weight })[state.mode];
  const go = (k) => { state.at = k; draw(); };
  const chooser = (mode) => (i, j) => {
    if (state.mode !== mode) return;
    go(i * places()[0].length + j);
  };
  const image = new Grid("Image x", { choose: (i, j) => chooser("Gradient of x")(i - state.pad, j - state.pad) });
  const weight = new Grid("Filter weight", { edit: (i, j, number) => { state.weight[i][j] = number; filter.set("your own"); draw(); } });
  const weightShown = new Grid("Filter weight", { choose: chooser("Gradient of weight") });
  const output = new Grid("Output y", { choose: chooser("Output") });
  const change = new Grid("What is asked of the output, dy");
  const dimage = new Grid("Gradient dx", { choose: chooser("Gradient of x") });
  const dweight = new Grid("Gradient dweight", { choose: chooser("Gradient of weight") });
  const line = note();

  const filter = menu("Filter", [...Object.keys(data.filters), "your own"], state.filter, (name) => {
    if (data.filters[name]) state.weight = data.filters[name].map((row) => [...row]);
    draw();
  });
  const panels = element("div", { class: "panels" });
  const modes = choice(["Output", "Gradient of x", "Gradient of weight"], state.mode, (mode) => { state.mode = mode; state.at = 0; draw(); });
  const set = (name) => (value) => { state[name] = value; state.at = 0; draw(); };
  box.append(
    element("div", { class: "controls" }, modes),
    element("div", { class: "controls" }, filter,
      slider("stride", { min: 1, max: 3, value: 1 }, set("stride")), slider("pad", { min: 0, max: 2, value: 0 }, set("pad")),
      slider("dilation", { min: 1, max: 3, value: 1 }, set("dilation")),
      slider("bias", { min: -10, max: 10, value: 0 }, set("bias"))),
    steps(() => places().flat().length, () => state.at, go), panels, line);

  const padded = (values, look) => {  // the image with its padding around it
    const p = state.pad, inside = (i, j) => i >= p && i < h + p && j >= p && j < w + p;
    image.show(make(h + 2 * p, w + 2 * p, (i, j) => (inside(i, j) ? values[i - p][j - p] : 0)),
      (i, j) => ({ ...look(i - p, j - p), outside: !inside(i, j) }));
  };

  const draw = () => {
    box.numbers = compute();
    const { y, dy, dx, dweight: dw } = box.numbers, width = places()[0].length;
    const at = { i: Math.floor(state.at / width), j: state.at % width }, { i, j } = at;
    const mode = state.mode, has = (list, test) => list.some(test);
    const list = parts({
      Output: (part) => part.i === i && part.j === j,
      "Gradient of x": (part) => part.row === i && part.column === j,
      "Gradient of weight": (part) => part.ki === i && part.kj === j,
    }[mode]);
    const usesPixel = (row, column) => has(list, (part) => part.row === row && part.column === column);
    const usesTap = (ki, kj) => has(list, (part) => part.ki === ki && part.kj === kj);
    const usesOutput = (oi, oj) => has(list, (part) => part.i === oi && part.j === oj);
    const here = (a, b) => a === i && b === j;
    const shown = {
      Output: [image, weight, output], "Gradient of x": [change, weightShown, dimage], "Gradient of weight": [image, change, dweight],
    }[mode];
    if (panels.childElementCount !== shown.length || shown.some((grid, k) => panels.children[k] !== grid.panel)) {
      panels.replaceChildren(...shown.map((grid) => grid.panel));
    }
    padded(x, (row, column) => ({ used: usesPixel(row, column) }));
    weight.show(state.weight, (ki, kj) => ({ used: true }));
    weightShown.show(state.weight, (ki, kj) => ({ used: usesTap(ki, kj) }));
    change.show(dy, (oi, oj) => ({ used: usesOutput(oi, oj) }));
    if (mode === "Output") output.show(y, (oi, oj) => ({ chosen: here(oi, oj) }));
    if (mode === "Gradient of x") dimage.show(dx, (row, column) => ({ chosen: here(row, column) }));
    if (mode === "Gradient of weight") dweight.show(dw, (ki, kj) => ({ chosen: here(ki, kj) }));
    say(list, i, j);
  };

  const say = (list, i, j) => {
    const { dy, y, dx, dweight: dw } = box.numbers;
    const product = (a, b) => `${factor(a)}·${factor(b)}`;
    const [name, total, terms, why] = {
      Output: () => [`y[${i}, ${j}]`, y[i][j],
        list.map((part) => product(pixel(part.row, part.column), state.weight[part.ki][part.kj])),
        "Each number of the patch times the weight that lies on it."],
      "Gradient of x": () => [`dx[${i}, ${j}]`, dx[i][j],
        list.map((part) => product(dy[part.i][part.j], state.weight[part.ki][part.kj])),
        `This pixel was in ${list.length} patch${list.length === 1 ? "" : "es"}; from each it gets dy times the weight that lay on it.`],
      "Gradient of weight": () => [`dweight[${i}, ${j}]`, dw[i][j],
        list.filter((part) => pixel(part.row, part.column) && dy[part.i][part.j]).map((part) => product(pixel(part.row, part.column), dy[part.i][part.j])),
        "This weight took part in every output, each time on another pixel; products that are 0 are left out."],
    }[state.mode]();
    const bias = state.mode === "Output" && state.bias ? ` + bias ${factor(state.bias)}` : "";
    line.replaceChildren(strong(`${name} = ${text(total)}`), ` = ${terms.join(" + ") || "0"}${bias}. ${why}`);
  };
  box.numbers = compute();
  draw();
};
