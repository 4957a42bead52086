// What figures share: elements, grids of numbers, sliders and steps. A figure is figures.NAME = (box, data) => ...;
// it leaves what it shows in box.numbers, and computes as the engine does: a test compares the two.
const figures = {};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function drawing(tag, attributes = {}, ...children) {  // the same for SVG
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A number as people read it: up to `digits` decimals, a real minus sign.
function text(number, digits = 2) {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "nan" : number > 0 ? "∞" : "−∞";
  const rounded = Number(number.toFixed(digits));
  return String(Object.is(rounded, -0) ? 0 : rounded).replace("-", "−");
}

// A number inside a product or a sum: in brackets when it is negative.
const factor = (number, digits = 2) => (Number(number.toFixed(digits)) < 0 ? `(${text(number, digits)})` : text(number, digits));

const make = (rows, columns, value) =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => value(i, j)));
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const largest = (matrix) => Math.max(...matrix.flat().map(Math.abs), 1e-9);

// Numbers in rows and columns, as a table that can be walked through with the arrow keys.
//   choose(i, j)  a cell was clicked or walked to; without it the cells are only shown
//   edit(i, j, number)  makes the cells fields to type in
class Grid {
  constructor(title, { choose = null, edit = null, digits = 2 } = {}) {
    this.choose = choose; this.edit = edit; this.digits = digits;
    this.heading = element("h4", {}, title);
    this.table = element("div", { class: "grid", role: choose ? "grid" : "table", "aria-label": title, tabindex: !choose && !edit && 0 });
    this.panel = element("div", { class: "panel" }, this.heading, this.table);
    if (choose) this.table.addEventListener("keydown", (event) => this.walk(event));
  }

  // values: rows of numbers. look(i, j) -> {used, partner, chosen, outside, text}, all optional.
  show(values, look = () => ({})) {
    if (!this.cells || this.cells.length !== values.length || this.cells[0].length !== values[0].length) this.build(values);
    const scale = largest(values);
    values.forEach((row, i) => row.forEach((value, j) => {
      const cell = this.cells[i][j], { used, partner, chosen, outside, text: shown } = look(i, j);
      cell.classList.toggle("used", !!used);
      cell.classList.toggle("partner", !!partner);
      cell.classList.toggle("outside", !!outside);
      const strength = Math.round((45 * Math.abs(value)) / scale);
      cell.style.background = outside ? "" : `color-mix(in oklab, var(--${value < 0 ? "negative" : "positive"}) ${strength}%, var(--paper))`;
      if (this.choose) { cell.setAttribute("aria-selected", !!chosen); cell.tabIndex = chosen ? 0 : -1; }
      if (!this.edit) cell.textContent = shown ?? text(value, this.digits);
      else if (document.activeElement !== cell.firstChild) cell.firstChild.value = Number(value.toFixed(4));
    }));
    if (this.choose && !this.table.querySelector('[tabindex="0"]')) this.cells[0][0].tabIndex = 0;
  }

  build(values) {
    this.table.style.gridTemplateColumns = `repeat(${values[0].length}, max-content)`;
    this.cells = values.map((row, i) => row.map((_, j) => {
      const cell = element("div", { class: "cell", role: this.choose ? "gridcell" : "cell" });
      if (this.choose) cell.addEventListener("click", () => { this.choose(i, j); cell.focus(); });
      if (this.edit) cell.append(element("input", {
        type: "number", step: "any", "aria-label": `${this.heading.textContent}, row ${i}, column ${j}`,
        oninput: (event) => { if (event.target.value !== "" && event.target.validity.valid) this.edit(i, j, Number(event.target.value)); },
      }));
      return cell;
    }));
    this.table.replaceChildren(...this.cells.map((row) => element("div", { class: "row", role: "row" }, ...row)));
  }

  walk(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key], at = this.cells.flatMap((row, i) => row.map((cell, j) => [cell, i, j])).find(([cell]) => cell === event.target);
    if (!move || !at) return;
    event.preventDefault();
    const i = at[1] + move[0], j = at[2] + move[1];
    if (this.cells[i]?.[j]) { this.choose(i, j); this.cells[i][j].focus(); }
  }
}

// A slider with its name and value. Returns the label; .set(value) moves it without a call of `change`, .rename(name)
// says what it stands for now.
function slider(name, { min, max, step = 1, value, digits = 2 }, change) {
  const shown = element("output", {}, text(value, digits));
  const input = element("input", { type: "range", min, max, step, value, "aria-label": name });
  input.addEventListener("input", () => { shown.textContent = text(Number(input.value), digits); change(Number(input.value)); });
  const label = element("label", {}, name, input, shown);
  label.set = (number) => { input.value = number; shown.textContent = text(number, digits); };
  label.rename = (other) => { label.firstChild.textContent = other; input.setAttribute("aria-label", other); };
  return label;
}

// One of several, by a menu. Returns the label; .set(option) as above.
function menu(name, options, value, change) {
  const select = element("select", { "aria-label": name }, ...options.map((option) => element("option", { value: option }, option)));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  const label = element("label", {}, name, select);
  label.set = (option) => { select.value = option; };
  return label;
}

// One of a few, by buttons of which one is pressed.
function choice(options, value, change) {
  const buttons = options.map((option) => element("button", { type: "button", "aria-pressed": String(option === value) }, option));
  buttons.forEach((button, k) => button.addEventListener("click", () => {
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    change(options[k]);
  }));
  return element("span", { role: "group", class: "choice" }, ...buttons);
}

// Step through something that has count() places: first, back, forward, and on by itself.
//   place() -> where it is now; go(k) moves there
function steps(count, place, go) {
  let timer = null;
  const move = (k) => go(Math.max(0, Math.min(count() - 1, k)));
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  const play = element("button", { type: "button", onclick: () => {
    if (timer) return stop();
    if (place() === count() - 1) move(0);
    play.textContent = "Pause";
    timer = setInterval(() => { if (place() >= count() - 1) stop(); else move(place() + 1); }, 600);
  } }, "Play");
  const button = (name, act) => element("button", { type: "button", onclick: () => { stop(); act(); } }, name);
  return element("div", { class: "steps" },
    button("First", () => move(0)), button("Back", () => move(place() - 1)),
    button("Forward", () => move(place() + 1)), play);
}

// The line that says in words and numbers what is shown; read aloud when it changes.
const note = () => element("p", { class: "note sum", "aria-live": "polite" });
const strong = (content) => element("b", {}, content);

// Bars under one another, each with its name and number; those of negative numbers go to the left.
//   choose(k)  a bar was clicked; without it the bars are only shown
class Bars {
  constructor(title, names, { choose = null, digits = 3 } = {}) {
    this.digits = digits;
    this.bars = names.map((name, k) => {
      const bar = element("span", { class: "bar" }), number = element("span", { class: "number" });
      const row = element(choose ? "button" : "div", choose ? { type: "button", class: "bar-row", onclick: () => choose(k) } : { class: "bar-row" },
        element("span", { class: "name" }, name), element("span", { class: "track" }, bar), number);
      return { row, bar, number };
    });
    this.panel = element("div", { class: "panel bars", role: "group", "aria-label": title }, element("h4", {}, title), ...this.bars.map(({ row }) => row));
  }

  // scale: the number whose bar is as long as the track (half of it where `signed`)
  show(values, { scale = 1, signed = false, chosen = -1 } = {}) {
    values.forEach((value, k) => {
      const { row, bar, number } = this.bars[k], length = Math.min(1, Math.abs(value) / scale) * (signed ? 50 : 100) || 0;
      bar.style.width = `${length}%`;
      bar.style.left = signed ? `${value < 0 ? 50 - length : 50}%` : "0";
      bar.style.background = `var(--${value < 0 ? "negative" : "positive"})`;
      number.textContent = text(value, this.digits);
      if (row.tagName === "BUTTON") row.setAttribute("aria-pressed", String(k === chosen));
    });
  }
}

// Numbers as dots on a line from low to high, and marks with names, such as their mean.
class NumberLine {
  constructor(title, low, high) {
    this.low = low; this.high = high;
    this.picture = drawing("svg", { viewBox: "0 0 480 86", role: "img", "aria-label": title, width: 480 });
    this.panel = element("div", { class: "panel" }, element("h4", {}, title), this.picture);
  }

  show(values, { marks = {}, chosen = -1 } = {}) {
    const place = (value) => 12 + 456 * Math.min(1.02, Math.max(-0.02, (value - this.low) / (this.high - this.low)));
    const parts = [drawing("line", { x1: 12, x2: 468, y1: 52, y2: 52, stroke: "var(--muted)" })];
    for (let tick = Math.ceil(this.low); tick <= this.high; tick += Math.ceil((this.high - this.low) / 10)) {
      parts.push(drawing("line", { x1: place(tick), x2: place(tick), y1: 48, y2: 56, stroke: "var(--muted)" }),
        drawing("text", { x: place(tick), y: 74, "text-anchor": "middle" }, text(tick)));
    }
    for (const [name, value] of Object.entries(marks)) {
      parts.push(drawing("line", { x1: place(value), x2: place(value), y1: 20, y2: 56, stroke: "var(--chosen)", "stroke-width": 2 }),
        drawing("text", { x: place(value), y: 14, "text-anchor": "middle" }, name));
    }
    values.forEach((value, k) => parts.push(drawing("circle", {
      cx: place(value), cy: 42, r: k === chosen ? 8 : 6, fill: `var(--${k === chosen ? "chosen" : "accent"})`, "fill-opacity": 0.75,
    })));
    this.picture.replaceChildren(...parts);
  }
}
