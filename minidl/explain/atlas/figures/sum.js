// Sums over everything but the channels, as a bias needs them for its gradient.
figures.sum = (box, data) => {
  const state = { mode: "Sums", x: data.x.map((row) => [...row]), dy: [...data.dy], at: 0 }, rows = data.x.length, channels = data.dy.length;
  const compute = () => ({
    x: state.x, dy: state.dy, y: state.dy.map((_, c) => sum(state.x.map((row) => row[c]))), dx: make(rows, channels, (_, c) => state.dy[c]),
  });
  const go = (k) => { state.at = k; draw(); };
  const values = new Grid("x: a row for each pixel, a column for each channel", { edit: (i, c, number) => { state.x[i][c] = number; draw(); } });
  const sums = new Grid("Sums y", { choose: (_, c) => go(c) });
  const asked = new Grid("What is asked of the sums, dy", { edit: (_, c, number) => { state.dy[c] = number; draw(); } });
  const gradient = new Grid("Gradient dx", { choose: (_, c) => go(c) }), line = note(), panels = element("div", { class: "panels" });
  box.append(
    element("div", { class: "controls" }, choice(["Sums", "Gradient"], state.mode, (mode) => { state.mode = mode; draw(); })),
    steps(() => channels, () => state.at, go), panels, line);
  const draw = () => {
    const n = box.numbers = compute(), k = state.at, shown = state.mode === "Sums" ? [values, sums] : [asked, gradient];
    if (panels.children[0] !== shown[0].panel) panels.replaceChildren(...shown.map((grid) => grid.panel));
    values.show(n.x, (_, c) => ({ used: c === k }));
    sums.show([n.y], (_, c) => ({ chosen: c === k }));
    asked.show([n.dy], (_, c) => ({ used: c === k }));
    gradient.show(n.dx, (i, c) => ({ used: c === k, chosen: i === 0 && c === k }));
    line.replaceChildren(...(state.mode === "Sums"
      ? [strong(`y[${k}] = ${text(n.y[k])}`), ` = ${n.x.map((row) => factor(row[k])).join(" + ")}. Everything that was asked of this channel's bias, anywhere.`]
      : [strong(`dx[:, ${k}] = ${text(n.dy[k])}`), " in every row: each was added once, so each gets all that is asked of the sum."]));
  };
  draw();
};
