// Trials side by side: what differs in parameters, metrics, curves, pictures, environment and code.

const compareView = (() => {
  const MOST = 6;
  const COUNTS = { 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six" };

  const isUnlike = ([, ...values]) => new Set(values).size > 1;
  const isKnown = ([, ...values]) => values.some((value) => value !== null && value !== undefined);

  const rowsOf = (columns, list) => columns.map((column) => [column.title, ...list.map((trial) => trial.values[column.at])]).filter(isKnown);

  function difference(x, y) {
    if (typeof x !== "number" || typeof y !== "number" || x === y) return "";
    const away = y - x;
    const share = x && Math.abs(away / x) < 1e4 ? ` (${away > 0 ? "+" : ""}${((100 * away) / Math.abs(x)).toFixed(1)}%)` : "";
    return `${away > 0 ? "+" : ""}${figure(Number(away.toPrecision(4)))}${share}`;
  }

  /** A row for each name, a column for each trial; with differences, each number has below it how far it is from the first one. */
  function grid(title, rows, list, { differs = false } = {}) {
    if (!rows.length) return null;
    const head = make("tr", {}, ["", ...list.map(trials.brief)].map((name) => make("th", { scope: "col" }, name)));
    const cell = (value, i, first) => make("td", {}, figure(value), differs && i ? make("div", { class: "soft" }, difference(first, value)) : null);
    const body = rows.map(([name, ...values]) => make("tr", {}, make("th", { scope: "row" }, name), values.map((value, i) => cell(value, i, values[0]))));
    return trialView.part(title, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, make("table", {}, make("thead", {}, head), make("tbody", {}, body))));
  }

  function environments(list) {
    const names = [...new Set(list.flatMap((trial) => Object.keys(trial.ran)))];
    return names.map((name) => [name, ...list.map((trial) => trial.ran[name] ?? null)]).filter(isUnlike);
  }

  function seen(list) {
    const all = list.map(pictures.of);
    if (!all.some((some) => some.length)) return null;
    return trialView.part("Pictures", make("div", { class: "two" }, all.map((some, i) => make("div", {}, make("p", { class: "soft" }, trials.brief(list[i])), some.length ? some : make("p", { class: "soft" }, "There is no picture of it.")))));
  }

  function show(list) {
    const params = rowsOf(trials.of("parameter"), list);
    const alike = params.filter((row) => !isUnlike(row));
    const metrics = rowsOf([...trials.of("compared"), ...trials.of("metric"), trials.named("epochs"), trials.named("seconds")], list);
    const frames = trialView.curveFigures(list);
    const ended = [["outcome", ...list.map((trial) => trial.state)], ["reason", ...list.map((trial) => trial.reason ?? null)]].filter(isKnown);
    const content = [
      make("p", {}, list.map((trial) => make("a", { class: "one", href: `#trial=${trial.id}` }, trials.named_in_full(trial)))),
      grid("Parameters that differ", params.filter(isUnlike), list) ?? make("p", {}, "No parameter differs."),
      alike.length ? make("details", {}, make("summary", {}, `${alike.length} ${alike.length === 1 ? "parameter that varies in the sweep and is" : "parameters that vary in the sweep and are"} the same here`), trialView.pairs(alike.map(([name, x]) => [name, figure(x)]))) : null,
      grid("How they ended", ended, list),
      grid("Metrics, with differences to the first one", metrics, list, { differs: true }),
      frames.length ? trialView.part("Curves", make("div", { class: "charts several" }, frames.map((frame) => frame.figure))) : null,
      seen(list),
      grid("Code and environment that differ", environments(list), list) ?? make("p", { class: "soft" }, "They ran with the same code and environment, as far as the store says."),
    ];
    return { title: `${COUNTS[list.length]} trials side by side`, content, frames };
  }

  return { show, MOST };
})();
