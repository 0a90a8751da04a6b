// The charts that come with the page, and what it does on paper.

async function drawAll() {
  for (const spec of document.querySelectorAll("script.spec")) {
    const place = document.getElementById(spec.dataset.for);
    const given = JSON.parse(spec.textContent);
    const figure = place.closest("figure");
    let view = await drawing.embed(place, given);
    const again = async () => {
      view.finalize();
      view = await drawing.embed(place, { ...given, height: enlarging.tall(figure, given.height) });
    };
    const rows = () => Object.values(given.datasets ?? {}).flat();
    const buttons = saving.buttons(spec.dataset.title, () => view, rows);
    if (typeof given.height === "number") buttons.prepend(enlarging.button(spec.dataset.title, figure, again));
    place.before(buttons);
    await new Promise((next) => setTimeout(next)); // let the page scroll between two charts
  }
}

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.file, .columns)")) folded.open = true;
});

(async () => {
  pictures.start();
  tables.start();
  words.mark();
  const place = document.getElementById("explorer");
  if (place && trials.all.length) await explorer.start(place);
  await drawAll();
  watching.start();
  document.documentElement.dataset.drawn = "all";
})();
