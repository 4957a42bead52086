// Dropout: which numbers fall out is decided by a hash of (seed, step, mask) and the number's place.
figures.dropout = (box, data) => {
  const rows = data.x.length, columns = data.x[0].length, x = data.x;
  const state = { mode: "Output", rate: 0.5, seed: 0, step: 0, at: 0, training: true };

  // Shuffle 32 bits; Math.imul multiplies as 32-bit integers do.
  const mix = (bits) => {
    bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
    bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
    return (bits ^ (bits >>> 16)) >>> 0;
  };
  const start = () => [state.seed, state.step, 0].reduce((bits, part) => mix((bits + part) | 0), 0);

  const compute = () => {
    const first = start(), threshold = Math.floor(state.rate * 2 ** 32);
    const hashes = make(rows, columns, (i, j) => mix((i * columns + j) ^ first));
    const through = (values) => make(rows, columns, (i, j) => (hashes[i][j] < threshold ? 0 : values[i][j] / (1 - state.rate)));
    const dy = make(rows, columns, (i, j) => ((i + 2 * j) % 5) - 2);
    return { x, rate: state.rate, seed: state.seed, step: state.step, hashes, threshold, y: through(x), dy, dx: through(dy) };
  };

  const go = (step) => { state.step = step; draw(); };
  const choose = (i, j) => { state.at = i * columns + j; draw(); };
  const input = new Grid("x", { choose }), output = new Grid("y in training", { choose });
  const asked = new Grid("What is asked of the output, dy", { choose }), gradient = new Grid("Gradient dx", { choose });
  const line = note(), panels = element("div", { class: "panels" }), means = element("p", { class: "note", "aria-live": "polite" });
  box.append(
    element("div", { class: "controls" }, choice(["Output", "Gradient"], state.mode, (mode) => { state.mode = mode; draw(); })),
    element("div", { class: "controls" },
      slider("rate", { min: 0, max: 0.9, step: 0.05, value: 0.5 }, (rate) => { state.rate = rate; draw(); }),
      slider("seed", { min: 0, max: 20, value: 0 }, (seed) => { state.seed = seed; draw(); })),
    steps(() => 100, () => state.step, go), panels, line, means);

  const draw = () => {
    const n = compute(), i = Math.floor(state.at / columns), j = state.at % columns, dropped = (a, b) => n.hashes[a][b] < n.threshold;
    box.numbers = n;
    const [from, to, source, result] = state.mode === "Output" ? [input, output, n.x, n.y] : [asked, gradient, n.dy, n.dx];
    if (panels.children[0] !== from.panel) panels.replaceChildren(from.panel, to.panel);
    const look = (a, b) => ({ chosen: a === i && b === j, outside: dropped(a, b) });
    from.show(source, (a, b) => ({ chosen: a === i && b === j }));
    to.show(result, look);
    const share = n.hashes[i][j] / 2 ** 32, name = state.mode === "Output" ? "y" : "dx", taken = source[i][j];
    line.replaceChildren(strong(`${name}[${i}, ${j}] = ${text(result[i][j])}`),
      dropped(i, j)
        ? `: the hash of (seed ${state.seed}, step ${state.step}, mask 0) and place ${state.at} is ${text(share, 3)} of its range, below the rate ${text(state.rate)}: dropped.`
        : ` = ${factor(taken)} / (1 − ${text(state.rate)}): the hash of (seed ${state.seed}, step ${state.step}, mask 0) and place ${state.at} is ${text(share, 3)} of its range, not below the rate ${text(state.rate)}: kept.`);
    const mean = (matrix) => sum(matrix.flat()) / (rows * columns);
    means.replaceChildren(`Step ${state.step}: ${n.hashes.flat().filter((hash) => hash < n.threshold).length} of ${rows * columns} are dropped. Mean of ${state.mode === "Output" ? "x" : "dy"} `,
      strong(text(mean(source))), ", of what comes out ", strong(text(mean(result))), ". Forward goes to the next training step, with a mask of its own; dividing by 1 − rate keeps the mean the same on average.");
  };
  draw();
};
