"use strict";

// Light or dark: what the system wants, until the button is pressed.
{
  const button = document.getElementById("theme"), root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let dark = system.matches;
  const show = () => { button.textContent = dark ? "☀" : "☾"; };
  system.addEventListener("change", () => { if (!root.style.colorScheme) { dark = system.matches; show(); } });
  button.addEventListener("click", () => { dark = !dark; root.style.colorScheme = dark ? "dark" : "light"; show(); });
  show();
}

// The same work in three tiers: choosing a step marks its lines in every column and brings them into view.
for (const work of document.querySelectorAll(".work")) {
  const lines = [...work.querySelectorAll(".line[data-steps]")], buttons = [...work.querySelectorAll("[data-step]")];
  const choose = (step, chosen) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.step === step);
    for (const line of lines) line.classList.toggle("marked", line.dataset.steps.split(" ").includes(step));
    for (const box of work.querySelectorAll(".tier > div")) {
      const first = box.querySelector(".marked");
      if (first && first !== chosen) box.scrollTop += first.getBoundingClientRect().top - box.getBoundingClientRect().top - 64;
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => choose(button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.step));
  }
  for (const line of lines) line.addEventListener("click", () => {
    const box = line.closest(".tier > div"), before = box.scrollTop;
    choose(line.dataset.steps.split(" ")[0], line);
    box.scrollTop = before;  // what was clicked stays where it is
  });
}
