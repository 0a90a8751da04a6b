// What a parameter does: the metric over each parameter, of grids and of searches alike.

const effects = (() => {
  const MOST = 12; // parameters
  const MOST_POINTS = 800;
  const MOST_MEANS = 6; // that a caption tells
  const MARGIN = 0.08; // of the range: how far beyond the worst value explosions stand
  let place = null;
  let about = null;
  let bar = null;
  const asked = { metric: "" };
  const frames = new Map();

  const metrics = () => trials.shown.filter((column) => column.isNumber && ["compared", "metric"].includes(column.kind));

  function start() {
    const varied = trials.varied().slice(0, MOST);
    if (!varied.length || !metrics().length) return null;
    asked.metric = trials.compared().key;
    bar = make("div", { class: "controls" });
    place = make("div", { class: "charts several" });
    for (const column of varied) {
      const frame = drawing.framed(column.title, { level: 4, draw: () => one(column, trials.named(asked.metric), frame) });
      frames.set(column, frame);
      place.append(frame.figure);
    }
    controls();
    selection.listen(drawing.settled(draw));
    const heading = make("h3", { class: "chart-title", id: "effects" }, "What each parameter does ", make("a", { class: "anchor", href: "#effects", "aria-label": "link to What each parameter does" }, "#"));
    about = make("p", { class: "soft" });
    return { element: make("div", { class: "full" }, heading, bar, about, place), draw, controls, ...keeping(asked, { metric: "effects" }, (key) => metrics().includes(trials.named(key))) };
  }

  function controls() {
    const pairs = metrics().map((column) => [column.key, column.brief]);
    renew(
      bar,
      choice("metric", pairs, asked.metric, (key) => {
        asked.metric = key;
        controls();
        draw();
        links.note();
      }),
      scales.tick("log y", asked.metric),
    );
  }

  /** Which trials are drawn, and how others are. */
  function which() {
    const [some, all] = [selection.matching.size, trials.all.length];
    if (some === all) return "All trials: write a value above a column of the table to see the trials alone that have it.";
    const fast = [...selection.state.where].filter(([key]) => trials.named(key)).map(([key, text]) => `${trials.named(key).title} ${text}`);
    return `${some.toLocaleString("en")} of ${all.toLocaleString("en")} trials${fast.length ? `, with ${fast.join(" and ")}` : ""}.`;
  }

  /** What marks mean, where there are trials that have them. */
  function marked() {
    const has = (state) => trials.all.some((trial) => trial.state === state);
    const exploded = has("loss explosion") ? "Crosses are explosions, beyond the worst value. " : "";
    return `${exploded}${has("pruned") ? "Squares were pruned, and have what they had come to by then. " : ""}${has("failed") ? "What failed is left out. " : ""}`;
  }

  async function draw() {
    const up = trials.named(asked.metric);
    about.textContent = `${which()} ${marked()}A line joins the means of values that several trials share.`;
    for (const [column, frame] of frames) await one(column, up, frame);
  }

  async function one(column, up, frame) {
    // where a parameter means nothing to a trial, it has no value
    const list = trials.all.filter((trial) => selection.matching.has(trial.n) && trial.values[column.at] !== null);
    const valued = list.filter((trial) => trial.values[up.at] !== null && trials.counts(trial));
    if (!valued.length) return frame.empty(`No selected trial has a ${up.title} and a ${column.title}.`);
    const values = valued.map((trial) => trial.values[up.at]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const [below, above] = around(low, high, scales.isLog(up.key));
    const edge = up.goal === "maximize" ? below : above;
    const row = (trial, y) => ({ n: trial.n, x: trial.values[column.at], y, colour: drawing.colouring.of(trial), state: trial.state, over: selection.isChosen(trial.n) });
    const points = drawing.few(valued, MOST_POINTS).map((trial) => row(trial, trial.values[up.at]));
    const crosses = drawing.few(list.filter((trial) => trial.state === "loss explosion"), MOST_POINTS).map((trial) => row(trial, edge));
    const x = drawing.axis(column, "x");
    const y = { ...drawing.axis(up, "y"), axis: { tickCount: 5, labelOverlap: "greedy", format: ".6~g" } };
    y.scale.domain = [Math.min(low, crosses.length ? edge : low), Math.max(high, crosses.length ? edge : high)];
    if (x.type === "quantitative") x.scale.domain = column.low === column.high ? [column.low - 1, column.low + 1] : [column.low, column.high];
    if (low === high) y.scale.domain = [below, above];
    const means = joined(column, up, valued);
    const spec = {
      width: "container",
      height: frame.tall(220),
      description: `${up.title} over ${column.title}`,
      data: { values: points },
      layer: [
        { data: { values: means }, mark: { type: "line", color: "var(--ink)", strokeWidth: 1.5, opacity: 0.6 }, encoding: { x, y } },
        { mark: { type: "point", filled: true, size: 32, opacity: 0.6, invalid: "show" }, encoding: { x, y, shape: drawing.shape, color: { ...drawing.colouring.encoding(), legend: null }, size: { condition: { test: "datum.over", value: 130 }, value: 32 } } },
        { data: { values: crosses }, mark: { type: "point", style: "exploded", shape: "M-1,-1L1,1M1,-1L-1,1" }, encoding: { x, y } },
      ],
    };
    const view = await frame.draw(spec, () => [...points, ...crosses].map((point) => ({ run: trials.all[point.n].id, trial: trials.all[point.n].label, [column.title]: point.x, [up.title]: trials.all[point.n].values[up.at], outcome: trials.all[point.n].state })));
    if (!view) return;
    highlight.on(view, (trial) => (trials.counts(trial) ? scatter.outline(view, trial, [column, up]) : ""));
    pointing.follow(view, [...points, ...crosses], { tell: (point) => scatter.told(trials.all[point.n], [column, up]), opened: (point) => links.go({ trial: trials.all[point.n].id }), reach: 24 });
    frame.say(said(column, up, list, valued, means));
  }

  /** The ends of an axis that goes beyond values on both sides. */
  function around(low, high, isLog) {
    const away = MARGIN * (high - low || Math.abs(low) || 1);
    const factor = Math.max((high / low) ** MARGIN, 1 + MARGIN);
    return isLog ? [low / factor, high * factor] : [low - away, high + away];
  }

  function joined(column, up, valued) {
    if (column.distinct.length > 20 || column.distinct.length === valued.length) return [];
    const sums = new Map();
    for (const trial of valued) {
      const [sum, count] = sums.get(trial.values[column.at]) ?? [0, 0];
      sums.set(trial.values[column.at], [sum + trial.values[up.at], count + 1]);
    }
    const found = [...sums].map(([x, [sum, count]]) => ({ x, y: sum / count, count }));
    return column.isNumber ? found.sort((a, b) => a.x - b.x) : found;
  }

  function said(column, up, list, valued, means) {
    const exploded = list.filter((trial) => trial.state === "loss explosion").length;
    const sign = up.goal === "maximize" ? 1 : -1;
    const best = valued.reduce((a, b) => (sign * b.values[up.at] > sign * a.values[up.at] ? b : a));
    const first = up.goal ? `The best value, ${figure(best.values[up.at])}, is at ${figure(best.values[column.at])}.` : "";
    const several = means.length > 1 && means.length <= MOST_MEANS ? ` Means: ${means.map(({ x, y }) => `${figure(Number(y.toPrecision(4)))} at ${figure(x)}`).join(", ")}.` : "";
    return `${first}${several}${exploded ? ` ${exploded} of ${list.length} exploded.` : ""}`;
  }

  return { start };
})();
