// Two trials side by side: what differs in parameters, metrics, curves, pictures, environment and code.

const compareView = (() => {
  function rowsOf(columns, a, b) {
    return columns.map((column) => [column.title, a.values[column.at], b.values[column.at]]).filter(([, x, y]) => x !== null || y !== null);
  }

  function difference(x, y) {
    if (typeof x !== "number" || typeof y !== "number") return "";
    const away = y - x;
    const share = x && Math.abs(away / x) < 1e4 ? ` (${away > 0 ? "+" : ""}${((100 * away) / Math.abs(x)).toFixed(1)}%)` : "";
    return `${away > 0 ? "+" : ""}${figure(Number(away.toPrecision(4)))}${share}`;
  }

  function grid(title, rows, [a, b], { differs = false } = {}) {
    if (!rows.length) return null;
    const head = make("tr", {}, ["", ...[a, b].map((trial) => trials.brief(trial)), ...(differs ? ["second minus first"] : [])].map((name) => make("th", { scope: "col" }, name)));
    const body = rows.map(([name, x, y]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, figure(x)), make("td", {}, figure(y)), differs ? make("td", {}, difference(x, y)) : null));
    return trialView.part(title, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, make("table", {}, make("thead", {}, head), make("tbody", {}, body))));
  }

  function environments(a, b) {
    const names = [...new Set([...Object.keys(a.ran), ...Object.keys(b.ran)])];
    return names.map((name) => [name, a.ran[name] ?? null, b.ran[name] ?? null]).filter(([, x, y]) => x !== y);
  }

  function seen(a, b) {
    const [left, right] = [a, b].map(pictures.of);
    if (!left.length && !right.length) return null;
    return trialView.part("Pictures", make("div", { class: "two" }, [left, right].map((list) => make("div", {}, list.length ? list : make("p", { class: "soft" }, "There is no picture of it.")))));
  }

  function show(a, b) {
    const params = rowsOf(trials.of("parameter"), a, b);
    const unlike = params.filter(([, x, y]) => x !== y);
    const alike = params.filter(([, x, y]) => x === y);
    const metrics = rowsOf([...trials.of("compared"), ...trials.of("metric"), trials.named("epochs"), trials.named("seconds")], a, b);
    const frames = trialView.curveFigures([a, b]);
    const other = environments(a, b);
    const ended = [["outcome", a.state, b.state], ["reason", a.reason ?? null, b.reason ?? null]].filter(([, x, y]) => x !== null || y !== null);
    const content = [
      make("p", {}, [a, b].map((trial) => make("a", { class: "one", href: `#trial=${trial.id}` }, trials.named_in_full(trial)))),
      grid("Parameters that differ", unlike, [a, b]) ?? make("p", {}, "No parameter differs."),
      alike.length ? make("details", {}, make("summary", {}, `${alike.length} ${alike.length === 1 ? "parameter that varies in the sweep and is" : "parameters that vary in the sweep and are"} the same here`), trialView.pairs(alike.map(([name, x]) => [name, figure(x)]))) : null,
      grid("How they ended", ended, [a, b]),
      grid("Metrics", metrics, [a, b], { differs: true }),
      frames.length ? trialView.part("Curves", make("div", { class: "charts several" }, frames.map((frame) => frame.figure))) : null,
      seen(a, b),
      grid("Code and environment that differ", other, [a, b]) ?? make("p", { class: "soft" }, "They ran with the same code and environment, as far as the store says."),
    ];
    return { title: "Two trials side by side", content, frames };
  }

  return { show };
})();
