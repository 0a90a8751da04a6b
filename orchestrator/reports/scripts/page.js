// The charts that come with the page, and what it does on paper.

async function drawAll() {
  for (const spec of document.querySelectorAll("script.spec")) {
    const place = document.getElementById(spec.dataset.for);
    const given = JSON.parse(spec.textContent);
    const view = await drawing.embed(place, given);
    const rows = () => Object.values(given.datasets ?? {}).flat();
    place.before(saving.buttons(spec.dataset.title, () => view, rows));
    await new Promise((next) => setTimeout(next)); // let the page scroll between two charts
  }
}

/** Pictures enlarge by a click, or by the keyboard. */
function enlarge() {
  document.addEventListener("click", (event) => {
    const image = event.target.closest?.("button.enlarge")?.querySelector("img");
    if (!image) return;
    const caption = image.closest("figure").querySelector("figcaption")?.textContent ?? "";
    const large = make("img", { src: image.src, alt: image.alt, class: image.className });
    const dialog = make("dialog", { class: "picture", "aria-label": image.alt }, make("p", {}, caption), large, button("close", () => dialog.close()));
    dialog.addEventListener("click", (clicked) => clicked.target === dialog && dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.file, .columns)")) folded.open = true;
});

(async () => {
  enlarge();
  const place = document.getElementById("explorer");
  if (place && trials.all.length) await explorer.start(place);
  await drawAll();
  watching.start();
  document.documentElement.dataset.drawn = "all";
})();
