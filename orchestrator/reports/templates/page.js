"use strict";
const read = (element) => JSON.parse(element.textContent);
const options = {
  mode: "vega-lite",
  renderer: "svg",
  actions: false,
  ast: true, // expressions are interpreted, so that the page's policy need not allow eval
  config: read(document.getElementById("config")),
  tooltip: { theme: "custom", disableDefaultStyle: true },
};

async function draw() {
  for (const spec of document.querySelectorAll("script.spec")) {
    await vegaEmbed(document.getElementById(spec.dataset.for), read(spec), options);
    await new Promise((next) => setTimeout(next)); // let the page scroll between two charts
  }
  document.documentElement.dataset.drawn = "all";
}

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.file)")) folded.open = true;
});
draw();
