// The loss of the scores of a few classes against a label, its gradient, and why softmax and log belong together.
figures.softmax_cross_entropy = (box, data) => {
  const { classes } = data, count = classes.length, single = Math.fround;
  const state = { x: [...data.x], label: 0, smoothing: 0 };

  const compute = () => {
    const { x, label, smoothing } = state, top = Math.max(...x), total = sum(x.map((score) => Math.exp(score - top)));
    const targets = classes.map((_, k) => (k === label ? 1 - smoothing : 0) + smoothing / count);
    const logs = x.map((score) => score - top - Math.log(total)), y = logs.map(Math.exp);
    return {
      x, targets, y, logs, loss: -sum(targets.map((target, k) => (target ? target * logs[k] : 0))),
      dx: y.map((probability, k) => probability * sum(targets) - targets[k]),
    };
  };

  // The same loss in float32, in the two ways that go wrong. Every step is rounded as a float32 is.
  const naive = ({ x, targets }) => {
    const exponentials = x.map((score) => single(Math.exp(single(score)))), total = exponentials.reduce((a, b) => single(a + b), 0);
    return -sum(targets.map((target, k) => (target ? target * Math.log(single(exponentials[k] / total)) : 0)));
  };
  const twoSteps = ({ x, targets }) => {
    const top = Math.max(...x), exponentials = x.map((score) => single(Math.exp(single(score - top)))), total = exponentials.reduce((a, b) => single(a + b), 0);
    return -sum(targets.map((target, k) => (target ? target * Math.log(single(exponentials[k] / total)) : 0)));
  };

  const go = (k) => { state.label = k; label.set(classes[k]); draw(); };
  const probabilities = new Bars("Probabilities: softmax(x)", classes, { choose: go });
  const targets = new Bars("Targets t", classes);
  const gradient = new Bars("Gradient dx = softmax(x) − t", classes);
  const label = menu("label", classes, classes[0], (name) => go(classes.indexOf(name)));
  const ways = element("p", { class: "note", "aria-live": "polite" }), line = note();
  const set = (k) => (value) => { state.x[k] = value; draw(); };

  box.append(
    element("div", { class: "controls" }, label, slider("label smoothing", { min: 0, max: 0.5, step: 0.05, value: 0 }, (value) => { state.smoothing = value; draw(); })),
    element("div", { class: "controls" }, ...classes.map((name, k) => slider(name, { min: -120, max: 120, step: 1, value: state.x[k] }, set(k)))),
    steps(() => count, () => state.label, go),
    element("div", { class: "panels" }, probabilities.panel, targets.panel, gradient.panel), line, ways);

  const draw = () => {
    const numbers = compute(), { targets: t, logs, loss, dx, y } = numbers;
    box.numbers = numbers;
    probabilities.show(y, { chosen: state.label });
    targets.show(t);
    gradient.show(dx, { signed: true });
    const terms = t.map((target, k) => [target, k]).filter(([target]) => target).map(([target, k]) => `${text(target)}·${factor(logs[k], 3)}`);
    line.replaceChildren(strong(`loss = ${text(loss, 4)}`), ` = −(${terms.join(" + ")}): the logarithms of the probabilities, weighted with the targets. `,
      "Guessing all classes alike would cost log ", String(count), ` = ${text(Math.log(count), 3)}. Every gradient is between −1 and 1, however wrong the scores are.`);
    ways.replaceChildren("The same in float32. exp without taking off the largest score: ", strong(text(naive(numbers), 4)),
      "; softmax first, its logarithm afterwards: ", strong(text(twoSteps(numbers), 4)), "; in one, as here: ", strong(text(loss, 4)),
      ". Move a score beyond 90, and then the label's far below the others.");
  };
  draw();
};
