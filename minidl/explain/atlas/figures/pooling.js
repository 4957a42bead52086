// Max and mean pooling of one image of one channel: y = pool(x, size, stride, pad), and where its gradient goes.
const pooling = (kind) => (box, data) => {
  const x = data.x, h = x.length, w = x[0].length;
  const state = { mode: "Output", size: 2, stride: 2, pad: 0, at: 1 };
  const outputs = (length) => Math.floor((length + 2 * state.pad - state.size) / state.stride) + 1;
  const inside = (row, column) => row >= 0 && row < h && column >= 0 && column < w;

  // The places of x under the window at (i, j), padding included, in row order.
  const under = (i, j) => make(state.size, state.size, (ki, kj) => [i * state.stride + ki - state.pad, j * state.stride + kj - state.pad]).flat();
  const winner = (i, j) => under(i, j).filter(([row, column]) => inside(row, column)).reduce((best, place) => (x[place[0]][place[1]] > x[best[0]][best[1]] ? place : best));
  const share = () => 1 / state.size ** 2;
  // How much of output (i, j) each pixel under its window has: all or nothing for max, the same for mean.
  const parts = (i, j) => {
    const first = kind === "max" ? winner(i, j) : null;
    return under(i, j).map(([row, column]) => ({ row, column, part: first ? Number(row === first[0] && column === first[1]) : share() }));
  };

  const compute = () => {
    const rows = outputs(h), columns = outputs(w), dx = make(h, w, () => 0), dy = make(rows, columns, (i, j) => ((3 * i + 2 * j) % 5) - 2);
    const y = make(rows, columns, (i, j) => sum(parts(i, j).map(({ row, column, part }) => (part && inside(row, column) ? part * x[row][column] : 0))));
    dy.forEach((line, i) => line.forEach((number, j) => parts(i, j).forEach(({ row, column, part }) => { if (inside(row, column)) dx[row][column] += part * number; })));
    return { x, size: state.size, stride: state.stride, pad: state.pad, y, dy, dx };
  };

  const places = () => (state.mode === "Output" ? box.numbers.y : x);
  const go = (k) => { state.at = k; draw(); };
  const choose = (mode) => (i, j) => { if (state.mode === mode) go(i * places()[0].length + j); };
  const image = new Grid("Image x"), output = new Grid("Output y", { choose: choose("Output") });
  const pixels = new Grid("Image x", { choose: choose("Gradient") });
  const asked = new Grid("What is asked of the output, dy"), gradient = new Grid("Gradient dx", { choose: choose("Gradient") });
  const line = note(), panels = element("div", { class: "panels" });
  const pad = slider("pad", { min: 0, max: 2, value: 0 }, (value) => { state.pad = Math.min(value, state.size - 1); pad.set(state.pad); state.at = 0; draw(); });
  box.append(
    element("div", { class: "controls" }, choice(["Output", "Gradient"], state.mode, (mode) => { state.mode = mode; state.at = 0; draw(); })),
    element("div", { class: "controls" },
      slider("window", { min: 1, max: 4, value: 2 }, (value) => { state.size = value; state.pad = Math.min(state.pad, value - 1); pad.set(state.pad); state.at = 0; draw(); }),
      slider("stride", { min: 1, max: 4, value: 2 }, (value) => { state.stride = value; state.at = 0; draw(); }), pad),
    steps(() => places().flat().length, () => state.at, go), panels, line);

  const draw = () => {
    box.numbers = compute();
    const { y, dy, dx } = box.numbers, width = places()[0].length, i = Math.floor(state.at / width), j = state.at % width, p = state.pad;
    const shown = state.mode === "Output" ? [image, output] : [asked, pixels, gradient];
    if (panels.childElementCount !== shown.length || shown.some((grid, k) => panels.children[k] !== grid.panel)) panels.replaceChildren(...shown.map((grid) => grid.panel));
    const here = (a, b) => a === i && b === j;
    // The windows that hold the chosen pixel, and how much of each it has.
    const holding = dy.flatMap((row, a) => row.map((_, b) => [a, b, parts(a, b).find((one) => one.row === i && one.column === j)])).filter(([, , found]) => found);
    const seen = state.mode === "Output" ? parts(i, j) : [];
    image.show(make(h + 2 * p, w + 2 * p, (a, b) => (inside(a - p, b - p) ? x[a - p][b - p] : 0)), (a, b) => {
      const one = seen.find(({ row, column }) => row === a - p && column === b - p);
      return { used: one && one.part, partner: one && !one.part, outside: !inside(a - p, b - p) };
    });
    if (state.mode === "Output") {
      output.show(y, (a, b) => ({ chosen: here(a, b) }));
      const numbers = seen.map(({ row, column }) => (inside(row, column) ? text(x[row][column]) : kind === "max" ? "(padding never wins)" : "0"));
      line.replaceChildren(strong(`y[${i}, ${j}] = ${text(y[i][j])}`), kind === "max"
        ? ` is the largest of ${numbers.join(", ")}, and stands at x[${winner(i, j).join(", ")}]. At a tie, the first one in row order wins.`
        : ` = (${numbers.join(" + ")}) / ${state.size ** 2}. Padding counts as zeros, as in Flux and PyTorch.`);
    } else {
      asked.show(dy, (a, b) => { const found = holding.find(([c, d]) => a === c && b === d); return { used: found && found[2].part, partner: found && !found[2].part }; });
      gradient.show(dx, (a, b) => ({ chosen: here(a, b) }));
      const inWindows = holding.flatMap(([a, b]) => parts(a, b));
      pixels.show(x, (a, b) => {
        const found = inWindows.filter(({ row, column }) => row === a && column === b);
        return { used: found.some(({ part }) => part), partner: found.length && !found.some(({ part }) => part), chosen: here(a, b) };
      });
      const terms = holding.filter(([, , { part }]) => part).map(([a, b]) => (kind === "max" ? factor(dy[a][b]) : `${factor(dy[a][b])}/${state.size ** 2}`));
      line.replaceChildren(strong(`dx[${i}, ${j}] = ${text(dx[i][j])}`), `${terms.length ? ` = ${terms.join(" + ")}` : ""}. This pixel is in ${holding.length} window${holding.length === 1 ? "" : "s"}, `,
        kind === "max" ? `and wins in ${terms.length || "none"}. Only a winner gets the gradient.` : "and gets the same part of each one's gradient as all others there.");
    }
  };
  draw();
};
figures.max_pool2d = pooling("max");
figures.mean_pool2d = pooling("mean");
