// Any two columns against each other. A box selects; a click opens the trial.

const scatter = (() => {
  const MOST = 2000;
  let frame = null;
  const axes = { x: "", y: "" };

  function columns() {
    return trials.shown.filter((column) => column.distinct.length > 1);
  }

  function start() {
    const list = columns();
    const compared = trials.of("compared");
    axes.y = (compared[0] ?? trials.compared() ?? list[0])?.key ?? "";
    const up = trials.named(axes.y);
    const goes = (column) => column !== up && trials.all.some((trial) => trial.values[column.at] !== null && trial.values[up.at] !== null);
    axes.x = ([compared[1], ...trials.varied(), ...list].find((column) => column && goes(column)) ?? up)?.key ?? "";
    frame = drawing.framed("Any two columns", { id: "scatter", draw });
    controls();
    selection.listen(update);
    return { frame, draw, controls, ...keeping(axes, { x: "x", y: "y" }, (key) => columns().includes(trials.named(key))) };
  }

  function controls() {
    const pairs = columns().map((column) => [column.key, column.brief]);
    renew(
      frame.bar,
      choice("x", pairs, axes.x, (key) => set("x", key)),
      choice("y", pairs, axes.y, (key) => set("y", key)),
      scales.tick("log y", axes.y),
      scales.tick("log x", axes.x),
    );
  }

  function set(name, key) {
    axes[name] = key;
    controls();
    draw();
    links.note();
  }

  function rows() {
    const [x, y] = [trials.named(axes.x), trials.named(axes.y)];
    const list = trials.all.filter((trial) => trial.values[x.at] !== null && trial.values[y.at] !== null);
    return drawing.few(list, MOST).map((trial) => ({
      n: trial.n,
      x: trial.values[x.at],
      y: trial.values[y.at],
      colour: drawing.colouring.of(trial),
      state: trial.state,
      mark: !trials.counts(trial),
      shown: selection.isChosen(trial.n) ? 2 : selection.matching.has(trial.n) ? 1 : 0,
    }));
  }

  async function draw() {
    const [x, y] = [trials.named(axes.x), trials.named(axes.y)];
    if (!x || !y) return frame.empty("There are no two columns to draw.");
    const data = rows();
    if (!data.length) return frame.empty(`No trial has both ${x.title} and ${y.title}.`);
    const spec = {
      width: "container",
      height: frame.tall(300),
      description: `${y.title} over ${x.title}, a point for each trial`,
      data: { name: "trials", values: data },
      params: [{ name: "box", select: { type: "interval", encodings: ["x", "y"] } }],
      mark: { type: "point", filled: true, size: 45, invalid: "show" },
      encoding: {
        x: drawing.axis(x, "x"),
        y: drawing.axis(y, "y"),
        color: drawing.colouring.encoding([{ test: "datum.shown === 0", value: "var(--line)" }]),
        opacity: { condition: [{ test: "datum.shown > 1", value: 1 }, { test: "datum.shown > 0", value: 0.75 }], value: 0.3 },
        size: { condition: { test: "datum.shown > 1", value: 140 }, value: 45 },
        shape: drawing.shape,
        stroke: { condition: [{ test: "datum.shown > 1", value: "var(--ink)" }, { test: "datum.state === 'loss explosion'", value: "var(--bad)" }, { test: "datum.state === 'failed'", value: "var(--c2)" }] },
        strokeWidth: { condition: { test: "datum.state === 'loss explosion' || datum.state === 'failed'", value: 2 }, value: 1 },
      },
    };
    const view = await frame.draw(spec, saved);
    if (!view) return;
    view.addSignalListener("box", (_, value) => boxed(value, x, y));
    highlight.on(view, (trial) => outline(view, trial, [x, y]));
    const points = data.filter((row) => row.shown > 0 || data.length < 500);
    pointing.follow(view, points, { tell: (row) => told(trials.all[row.n], [x, y]), opened: (row, event) => event.target.closest(".mark-symbol") && links.go({ trial: trials.all[row.n].id }), reach: 24 });
    const missing = trials.all.length - data.length;
    const without = missing > 0 ? ` ${missing.toLocaleString("en")} trial${missing === 1 ? " has" : "s have"} no value of both, or ${missing === 1 ? "is" : "are"} not drawn.` : "";
    frame.say(`Draw a box to select trials everywhere; click a point to open its trial.${drawing.told(data)}${without}`);
  }

  /** A ring around the point of a trial that has both values. */
  function outline(view, trial, columns) {
    const values = columns.map((column) => trial.values[column.at]);
    return values.includes(null) ? "" : highlight.ring(...["x", "y"].map((name, i) => pointing.spread(view.scale(name), values[i])));
  }

  function told(trial, list) {
    const state = trial.state === "completed" ? [] : [trial.state];
    return [trials.brief(trial), ...list.map((column) => `${column.title}: ${figure(trial.values[column.at])}`), ...state];
  }

  function boxed(value, x, y) {
    for (const [column, ends] of [[x, value?.x], [y, value?.y]]) {
      if (!ends?.length) selection.where(column.key, "");
      else if (column.isNumber) selection.where(column.key, query.range(Math.min(...ends), Math.max(...ends)));
      else selection.where(column.key, query.among(ends));
    }
  }

  const saved = () => rows().map((row) => ({ run: trials.all[row.n].id ?? "", trial: trials.all[row.n].label, [trials.named(axes.x).title]: row.x, [`${trials.named(axes.y).title}`]: row.y, outcome: trials.all[row.n].state }));

  function update(why) {
    if (!frame.view) return;
    if (why === "cleared" || why === "read") return draw(); // without its box
    frame.view.data("trials", rows()).runAsync();
  }

  return { start, told, outline };
})();
