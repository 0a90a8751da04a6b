// Any metric by epoch: of each trial, as mean and band over the seeds of a configuration, or the best before all others.

const curves = (() => {
  const MOST = 150; // lines
  const MANY = 20; // trials, or bands: more would be a tangle
  const BEST = 5; // lines in strong colours before many pale ones
  const LONG = 10; // points of a curve that may be smoothed
  const LEAST = 8; // pixels of a box to zoom to
  const DOUBLE = 300; // milliseconds in which a click may become a double one
  let frame = null;
  let way = "each"; // how lines are drawn: as asked, or as suits their number
  const asked = { metric: "", lines: "", smooth: "", zoom: "" }; // a way, neighbours to each side, the ends of both axes

  function start() {
    const metrics = [...trials.curves.keys()];
    if (!metrics.length) return null;
    asked.metric = metrics[0];
    frame = drawing.framed("Curves by epoch", { id: "curves", draw });
    controls();
    selection.listen(drawing.settled(draw));
    return { frame, draw, controls, ...keeping(asked, { metric: "metric", lines: "lines", smooth: "smooth", zoom: "zoom" }, (value, name) => ({ metric: trials.curves.has(value), lines: ways().some(([one]) => one === value), smooth: /^([1-9]|10)$/.test(value), zoom: value.split(",").length === 4 && value.split(",").every((end) => Number.isFinite(Number(end))) })[name]) };
  }

  const hasSeeds = () => trials.configurations.length < trials.all.length;

  /** The ways in which lines may be drawn, with their names. */
  const ways = () => [["each", "each trial"], ...(hasSeeds() ? [["means", "mean over seeds"]] : []), ...(trials.all.length > MANY && trials.compared()?.goal ? [["best", "the best in colour"]] : [])];

  function controls() {
    const names = [...trials.curves.keys()];
    const brief = apart(names, 30);
    const pairs = names.map((name, i) => [name, brief[i]]);
    const isLong = [...trials.curves.get(asked.metric).values()].some((line) => line.values.length > LONG);
    const set = (name) => (value) => {
      asked[name] = value;
      if (name === "metric") asked.zoom = "";
      controls();
      draw();
      links.note();
    };
    renew(
      frame.bar,
      choice("metric", pairs, asked.metric, set("metric")),
      ...(ways().length > 1 ? [choice("lines", ways(), way, set("lines"))] : []),
      isLong || asked.smooth ? make("label", { class: "choice" }, "smooth ", make("input", { type: "range", min: 0, max: 10, value: asked.smooth || 0, "aria-label": "smooth", oninput: smooth })) : null,
      scales.tick("log y", `curve:${asked.metric}`),
      scales.tick("log x", "epoch"),
      asked.zoom ? button("reset zoom", () => set("zoom")("")) : null,
    );
  }

  const later = drawing.settled(() => [draw(), links.note()]);

  function smooth(event) {
    asked.smooth = Number(event.target.value) ? event.target.value : "";
    later();
  }

  /** The trials whose lines are drawn: those chosen, then those that match, as the table has them; how many there are; the best of them. */
  function drawn() {
    const known = trials.curves.get(asked.metric);
    const chosen = selection.state.chosen.map((n) => trials.all[n]);
    const rest = trials.all.filter((trial) => selection.matching.has(trial.n) && !selection.isChosen(trial.n));
    const all = [...chosen, ...rest].filter((trial) => known.has(trial.n));
    const suited = ways().map(([one]) => one).filter((one) => one !== "each")[0] ?? "each"; // to many
    const before = way;
    way = asked.lines || (all.length > MANY ? suited : "each");
    if (way !== before) controls();
    const best = way === "best" ? bestOf(all) : [];
    if (way !== "means") return [[...new Set([...best, ...drawing.few(all, MOST)])].reverse(), all.length, best];
    const kept = new Set(drawing.few([...grouped(all).values()].map(([first]) => first), MOST).map((trial) => trial.group));
    return [all.filter((trial) => kept.has(trial.group)), all.length, best];
  }

  /** Those chosen, then the best by what is compared. */
  function bestOf(list) {
    const { at, goal } = trials.compared();
    const sign = goal === "maximize" ? -1 : 1;
    const ranked = list.filter((trial) => trial.state === "completed" && !trial.breaks && trial.values[at] !== null).sort((a, b) => sign * (a.values[at] - b.values[at]));
    return [...new Set([...list.filter((trial) => selection.isChosen(trial.n)), ...ranked.slice(0, BEST)])].slice(0, drawing.GROUPS);
  }

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  function pointsOf(trial) {
    const { epochs, values } = trials.curves.get(asked.metric).get(trial.n);
    const side = (i) => Math.min(Number(asked.smooth), i, values.length - 1 - i); // the same to both, else ends would be bent
    return epochs.map((epoch, i) => ({ x: epoch, y: mean(values.slice(i - side(i), i + side(i) + 1)), n: trial.n })).filter(({ x }) => x > 0 || !scales.isLog("epoch"));
  }

  function lines(list, best) {
    return list.flatMap((trial) => pointsOf(trial).map((point) => ({ ...point, colour: drawing.colouring.of(trial), name: trials.brief(trial), over: selection.isChosen(trial.n), pale: way === "best" && !best.includes(trial) })));
  }

  /** Of each configuration the mean of the seeds that got to an epoch, and from the least to the greatest of them. */
  function means(list) {
    const groups = Map.groupBy ? Map.groupBy(list, (trial) => trial.group) : grouped(list);
    return [...groups].flatMap(([group, members]) => {
      const at = new Map();
      for (const { x, y } of members.flatMap(pointsOf)) at.set(x, [...(at.get(x) ?? []), y]);
      return [...at].sort(([a], [b]) => a - b).map(([x, values]) => ({
        x,
        y: mean(values),
        low: Math.min(...values),
        high: Math.max(...values),
        seeds: values.length,
        group,
        n: members[0].n,
        colour: drawing.colouring.key === "parameter:seed" ? null : meanColour(members),
        name: trials.briefGroups[group],
        over: members.some((trial) => selection.isChosen(trial.n)),
      }));
    });
  }

  function meanColour(members) {
    const values = members.map((trial) => drawing.colouring.of(trial)).filter((value) => value !== null);
    if (!values.length || typeof values[0] !== "number") return values[0] ?? null;
    return mean(values);
  }

  function grouped(list) {
    const groups = new Map();
    for (const trial of list) groups.set(trial.group, [...(groups.get(trial.group) ?? []), trial]);
    return groups;
  }

  /** Where trials ended before their time: an explosion with its last finite value, a pruned trial, a failure. */
  function ends(list) {
    return list
      .filter((trial) => ["loss explosion", "pruned", "failed"].includes(trial.state))
      .map((trial) => {
        const points = pointsOf(trial);
        const last = points[points.length - 1];
        return last && { ...last, state: trial.state, mark: true, name: trials.brief(trial) };
      })
      .filter(Boolean);
  }

  async function draw() {
    const [list, count, best] = drawn();
    if (!list.length) return frame.empty(`No selected trial has a curve of ${asked.metric}.`);
    const isMeans = way === "means";
    const rows = isMeans ? means(list) : lines(list, best);
    if (!rows.length) return frame.empty("No epoch of this is above 0, which a logarithmic axis needs.");
    const many = new Set(rows.map((row) => row.name)).size;
    const [isFew, hasBands] = [many <= drawing.GROUPS, isMeans && many <= MANY];
    const colour = best.length ? { condition: { test: "datum.pale", value: "var(--line)" }, ...named(best.map(trials.brief)) } : isFew ? named(rows.map((row) => row.name)) : drawing.colouring.encoding();
    const part = asked.zoom ? asked.zoom.split(",").map(Number) : [];
    const up = `curve:${asked.metric}`;
    const x = { field: "x", type: "quantitative", title: scales.title("epoch", "epoch"), scale: scale(scales.isLog("epoch"), rows.map((row) => row.x), part.slice(0, 2)), axis: { tickMinStep: 1, format: "~g", labelFlush: true } };
    const y = { field: "y", type: "quantitative", title: scales.title(shownName(), up), scale: scale(scales.isLog(up), rows.flatMap((row) => (isMeans ? [row.low, row.high] : [row.y])), part.slice(2)), axis: { labelOverlap: true, format: ".6~g" } };
    const by = { field: isMeans ? "group" : "n", type: "nominal" };
    const isOver = rows.some((row) => row.over);
    const strong = { condition: [{ test: "datum.over", value: 3 }, { test: "datum.pale", value: 0.8 }], value: isFew || best.length ? 2 : 1.1 };
    const clear = { condition: [{ test: "datum.over", value: 1 }, { test: "datum.pale", value: 0.9 }], value: isOver && !best.length ? 0.25 : isFew || best.length ? 1 : 0.5 };
    const last = ends(list);
    const states = ["loss explosion", "pruned", "failed"].filter((state) => last.some((end) => end.state === state));
    const marks = { "loss explosion": ["M-1,-1L1,1M1,-1L-1,1", "var(--bad)"], pruned: ["M-1,0L1,0", "var(--ink)"], failed: ["triangle-down", "var(--c2)"] };
    const layer = [
      ...(hasBands ? [{ mark: { type: "area", clip: true, opacity: isFew ? 0.18 : 0.06 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour, detail: by } }] : []),
      { params: [{ name: "zoom", select: { type: "interval", encodings: ["x", "y"], clear: false } }], mark: { type: "line", clip: true, invalid: "show" }, encoding: { x, y, color: colour, detail: by, size: strong, opacity: clear } },
      {
        data: { values: last },
        mark: { type: "point", strokeWidth: 2, size: 60, filled: false, clip: true },
        encoding: {
          x,
          y,
          shape: { field: "state", type: "nominal", title: "ended", scale: { domain: states, range: states.map((state) => marks[state][0]) }, legend: { orient: "bottom", columns: drawing.isNarrow() ? 1 : 3, symbolStrokeColor: "var(--ink)" } },
          stroke: { field: "state", type: "nominal", scale: { domain: states, range: states.map((state) => marks[state][1]) }, legend: null },
        },
      },
      { data: { name: "at", values: [] }, mark: { type: "point", filled: true, size: 90, color: "var(--ink)" }, encoding: { x, y } },
    ];
    if (!last.length) layer.splice(-2, 1);
    const spec = { width: "container", height: frame.tall(340), description: `${asked.metric} by epoch`, data: { name: "lines", values: rows }, layer, resolve: { scale: { stroke: "independent" } } };
    const view = await frame.draw(spec, () => saved(rows));
    if (!view) return;
    zooming(view);
    highlight.on(view, (trial) => outline(view, trial));
    pointing.follow(view, [...rows, ...last], {
      shown: (row) => view.data("at", row ? [{ x: row.x, y: row.y }] : []).runAsync(),
      of: (row) => (row.seeds ? list.filter((trial) => trial.group === row.group).map((trial) => trial.n) : [row.n]),
      tell: (row) => told(row),
      opened: (row) => !row.seeds && opening(trials.all[row.n]),
    });
    say(list, count, best, hasBands);
  }

  let opens = 0;

  /** Open a trial; within a part of the chart, once it is sure that it is no double click. */
  function opening(trial) {
    opens = setTimeout(() => links.go({ trial: trial.id }), asked.zoom ? DOUBLE : 0);
  }

  /** A box that is drawn becomes all of the chart; a double click brings the rest back. */
  function zooming(view) {
    const part = (ends) => {
      asked.zoom = ends.map((end) => Number(end.toPrecision(4))).join(",");
      controls();
      draw();
      links.note();
    };
    const drawn = () => {
      const { x, y } = view.signal("zoom") ?? {};
      const isWide = (ends, scale) => ends && Math.abs(scale(ends[0]) - scale(ends[1])) > LEAST;
      if (isWide(x, view.scale("x")) && isWide(y, view.scale("y"))) part([...[...x].sort((a, b) => a - b), ...[...y].sort((a, b) => a - b)]);
      else view.signal("zoom_tuple", null).runAsync();
    };
    view.container().addEventListener("pointerdown", () => addEventListener("pointerup", () => setTimeout(drawn), { once: true, signal: pointing.gone(view) }));
    view.container().addEventListener("dblclick", () => {
      clearTimeout(opens);
      if (asked.zoom) part([]);
    });
  }

  /** The line of a trial, also of one that is not among those drawn. */
  function outline(view, trial) {
    if (!trials.curves.get(asked.metric).has(trial.n)) return "";
    const [x, y] = [view.scale("x"), view.scale("y")];
    return highlight.line(pointsOf(trial).map((point) => [x(point.x), y(point.y)]));
  }

  /** A scale that has all values; an axis with but one of them has room around it. */
  function scale(log, values, [from, to]) {
    if (from < to && !(log && from <= 0)) return { ...(log ? { type: "log" } : { type: "linear", zero: false }), domain: [from, to], nice: false };
    let [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
    if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    return { ...(log ? { type: "log" } : { type: "linear", zero: false }), domain: [low, high], nice: false, padding: 6 };
  }

  function told(row) {
    const value = `epoch ${row.x}: ${asked.metric} ${figure(row.y)}${asked.smooth ? ", moving mean" : ""}`;
    if (row.seeds) return [row.name, `${value} (${figure(row.low)} to ${figure(row.high)}, ${row.seeds} seed${row.seeds === 1 ? "" : "s"})`];
    const trial = trials.all[row.n];
    return [row.name, value, ...(trial.state === "completed" ? [] : [`${trial.state}${trial.reason ? `: ${shortened(trial.reason, 90)}` : ""}`])];
  }

  function named(given) {
    const names = [...new Set(given)];
    return { field: "name", type: "nominal", title: null, scale: { domain: names, range: drawing.colours }, legend: { orient: "bottom", columns: names.some((name) => name.length > 20) || drawing.isNarrow() ? 1 : 2, labelLimit: drawing.isNarrow() ? 300 : 420, symbolType: "stroke" } };
  }

  function say(list, count, best, hasBands) {
    const few = best.length ? ` In colour: ${selection.state.chosen.length ? "those chosen, and " : ""}the best by ${trials.compared().title}.` : "";
    const line = way === "means" ? `A line is the mean of a configuration's seeds that got to an epoch${hasBands ? ", its band goes from the least to the greatest of them" : ""}` : "A line is a trial";
    const marks = ends(list).length ? "; marks are where a trial ended before its time" : "";
    const smoothed = asked.smooth ? ` Each trial's values are means with up to ${asked.smooth} neighbours to each side, of which those at the ends have fewer.` : "";
    const some = list.length < count ? ` ${list.length} of the ${count.toLocaleString("en")} selected trials are drawn.` : "";
    const notes = [...new Set(trials.sweeps.flatMap((sweep) => [sweep.notes[asked.metric], sweep.curves.note]).filter(Boolean))];
    frame.say([`${line}${marks}.${few}${smoothed}${some}`, ...notes, `Point at a line, or touch it, to read its value${way === "means" ? "" : "; click to open its trial"}. Draw a box to zoom; a double click shows all again.`].join(" "));
  }

  /** The metric, or what is drawn in its place. */
  const shownName = () => `${asked.metric}${asked.smooth ? ", moving mean" : ""}`;

  const saved = (rows) =>
    rows.map((row) =>
      row.seeds
        ? { configuration: trials.configurations[row.group], epoch: row.x, [shownName()]: row.y, low: row.low, high: row.high, seeds: row.seeds }
        : { run: trials.all[row.n].id ?? "", trial: trials.named_in_full(trials.all[row.n]), epoch: row.x, [shownName()]: row.y },
    );

  return { start };
})();
