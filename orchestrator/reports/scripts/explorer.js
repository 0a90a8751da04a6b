// The part of the page in which all trials are explored: its controls, its table, its charts.

const explorer = (() => {
  function outcomes() {
    const counts = new Map();
    for (const trial of trials.all) counts.set(trial.state, (counts.get(trial.state) ?? 0) + 1);
    return [...counts].map(([state, count]) => {
      const one = tick(`${state} ${count.toLocaleString("en")}`, true, (isOn) => selection.show(state, isOn));
      return make("span", { "data-state": state }, one, " ", words.hint(state, words.of(state)));
    });
  }

  function colours() {
    const pairs = [...trials.shown.filter((column) => column.distinct.length > 1).map((column) => [column.key, column.brief]), ["state", "outcome"]];
    drawing.colouring.begin(trials.isSeveral ? "sweep" : (trials.compared()?.key ?? "state"), pairs.map(([key]) => key));
    const place = make("span");
    const set = (key, redraw) => {
      drawing.colouring.key = key;
      redraw();
      links.note();
    };
    return { place, controls: (redraw) => renew(place, choice("colour by", pairs, drawing.colouring.key, (key) => set(key, redraw))) };
  }

  async function start(place) {
    const colour = colours();
    const grid = make("div", { class: "trials-table" });
    const find = make("input", { type: "search", "aria-label": "find in all columns", placeholder: "find", oninput: (event) => selection.find(event.target.value) });
    const states = outcomes();
    const count = make("output", { class: "count", "aria-live": "polite" });
    const compare = make("span", { class: "compare" });
    const seen = make("div", { class: "gallery seen" });
    const bar = make("div", { class: "controls" }, find, make("fieldset", { class: "outcomes" }, make("legend", { class: "unseen" }, "outcomes"), states));
    const below = make("div", { class: "controls below" }, count, compare);
    const served = table.isServed() ? make("p", { class: "soft" }, "Links to MLflow open while ", make("code", {}, "sweep ui"), " runs.") : [];
    place.append(...[bar, below, seen, grid, served].flat());
    const drawn = table.draw(grid);
    await new Promise((done) => drawn.on("tableBuilt", done));
    bar.append(
      table.columnsMenu(),
      button("reset", selection.clear, { title: "Show all trials again" }),
      button("CSV of the rows", () => saving.download("trials.csv", saving.csv(table.lines()), "text/csv")),
    );

    function update() {
      const [some, all] = [selection.matching.size, trials.all.length];
      const unread = [...selection.state.where].filter(([key, text]) => trials.named(key) && !query.test(trials.named(key), text));
      const ignored = unread.map(([key, text]) => `; not understood above ${trials.named(key).title}: ${text}`).join("");
      count.textContent = (some === all ? `${all.toLocaleString("en")} trials` : `${some.toLocaleString("en")} of ${all.toLocaleString("en")} trials are selected`) + ignored;
      if (find !== document.activeElement) find.value = selection.state.find;
      for (const one of states) one.querySelector("input").checked = !selection.state.without.has(one.dataset.state);
      const chosen = selection.state.chosen.map((n) => trials.all[n]);
      const names = chosen.map((trial) => make("span", { class: "chosen" }, trial.brief, button("×", () => selection.choose(trial.n, false), { "aria-label": `let go of ${trial.label}` })));
      const begun = chosen.filter((trial) => trial.id);
      const last = begun.slice(-compareView.MOST);
      const text = last.length < begun.length ? `compare the last ${last.length} side by side` : "compare side by side";
      pictures.show(seen, chosen);
      compare.replaceChildren(...names, ...(last.length > 1 ? [button(text, () => links.go({ compare: last.map((trial) => trial.id) }), { class: "strong" })] : []));
    }
    selection.listen(update);
    update();

    const parts = [curves.start(), scatter.start(), effects.start(), parallel.start(), heat.start()].filter(Boolean);
    const redraw = async () => {
      colour.controls(redraw);
      for (const part of parts) part.controls?.();
      for (const part of parts) await part.draw();
    };
    bar.append(colour.place);
    scales.listen(() => [redraw(), links.note()]);
    place.append(words.list(), make("div", { class: "charts explored" }, parts.map((part) => part.element ?? part.frame.figure)));
    links.start([selection, scales, drawing.colouring, table, ...parts], redraw);
    colour.controls(redraw);
    for (const part of parts) {
      part.controls?.();
      await part.draw();
      document.documentElement.dataset.first = "drawn";
      await new Promise((next) => setTimeout(next)); // let the page answer between two charts
    }
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) [width] = [innerWidth, redraw()];
    });
  }

  return { start };
})();
