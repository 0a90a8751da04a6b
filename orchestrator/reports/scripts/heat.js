// A metric over two parameters as colour, for each value of a third one where that is asked for; explosions are marked.

const heat = (() => {
  const BINS = 7; // of a parameter with more values
  const MOST_FACETS = 6;
  const FACET = 300; // pixels: the least width of one
  let frame = null;
  const asked = { x: "", y: "", each: "", metric: "" };

  const metrics = () => trials.shown.filter((column) => column.isNumber && ["compared", "metric"].includes(column.kind));

  function start() {
    const varied = trials.varied();
    if (varied.length < 2 || !metrics().length) return null;
    [asked.x, asked.y, asked.metric] = [varied[0].key, varied[1].key, trials.compared().key];
    frame = drawing.framed("Two parameters at once", { id: "heat", draw });
    controls();
    selection.listen(drawing.settled(draw));
    const known = (key, name) => (name === "metric" ? metrics() : trials.varied()).includes(trials.named(key));
    return { frame, draw, controls, ...keeping(asked, { x: "heat-x", y: "heat-y", each: "heat-each", metric: "heat-metric" }, known) };
  }

  function controls() {
    const pairs = trials.varied().map((column) => [column.key, column.brief]);
    const set = (name) => (key) => {
      asked[name] = key;
      controls();
      draw();
      links.note();
    };
    renew(
      frame.bar,
      choice("x", pairs, asked.x, set("x")),
      choice("y", pairs, asked.y, set("y")),
      ...(pairs.length > 2 ? [choice("for each", [["", "(all at once)"], ...pairs], asked.each, set("each"))] : []),
      choice("metric", metrics().map((column) => [column.key, column.brief]), asked.metric, set("metric")),
      scales.tick("log colour", asked.metric),
    );
  }

  /** The cells of a parameter: its values, or ranges of them where there are too many. */
  function cells(column) {
    if (!column.isNumber || column.distinct.length <= 12) {
      return { names: column.distinct.map((value) => figure(value)), of: (value) => (value === null ? null : figure(value)) };
    }
    const on = scales.isLog(column.key) ? Math.log : (value) => value;
    const back = scales.isLog(column.key) ? Math.exp : (value) => value;
    const [low, high] = [on(column.low), on(column.high)];
    const short = (value) => figure(Number(value.toPrecision(2)));
    const names = Array.from({ length: BINS }, (_, i) => `${short(back(low + (i * (high - low)) / BINS))} to ${short(back(low + ((i + 1) * (high - low)) / BINS))}`);
    return { names, of: (value) => (value === null ? null : names[Math.min(BINS - 1, Math.floor(((on(value) - low) / (high - low)) * BINS))]) };
  }

  function rows(x, y, each, up) {
    const [byX, byY, byEach] = [cells(x), cells(y), each && cells(each)];
    const found = new Map();
    for (const trial of trials.all) {
      if (!selection.matching.has(trial.n)) continue;
      const [a, b, c] = [byX.of(trial.values[x.at]), byY.of(trial.values[y.at]), each ? byEach.of(trial.values[each.at]) : ""];
      if (a === null || b === null || c === null) continue;
      const key = JSON.stringify([a, b, c]);
      const cell = found.get(key) ?? { x: a, y: b, each: c, sum: 0, count: 0, exploded: 0, failed: 0, trials: 0 };
      const value = trial.values[up.at];
      if (value !== null && trials.counts(trial)) [cell.sum, cell.count] = [cell.sum + value, cell.count + 1];
      if (trial.state === "loss explosion") cell.exploded += 1;
      if (trial.state === "failed") cell.failed += 1;
      if (trial.state !== "not run") cell.trials += 1;
      found.set(key, cell);
    }
    const drawn = [...found.values()].filter((cell) => cell.trials).map(({ sum, ...cell }) => ({ ...cell, mean: cell.count ? sum / cell.count : null, number: cell.count && !cell.exploded ? String(Number((sum / cell.count).toPrecision(3))) : "", text: cell.exploded ? `${cell.exploded}/${cell.trials}` : "" }));
    return [drawn, byX.names, [...byY.names].reverse(), byEach?.names ?? []];
  }

  async function draw() {
    const [x, y, each, up] = [asked.x, asked.y, asked.each, asked.metric].map((key) => trials.named(key));
    if (x === y || each === x || each === y) return frame.empty("Choose parameters that differ.");
    const [cellsDrawn, across, upwards, facets] = rows(x, y, each, up);
    const data = each ? cellsDrawn.filter((cell) => facets.slice(0, MOST_FACETS).includes(cell.each)) : cellsDrawn;
    if (!data.length) return frame.empty("No selected trial has both parameters.");
    const count = each ? Math.min(MOST_FACETS, facets.length) : 1;
    frame.figure.classList.toggle("full", Boolean(each));
    const room = frame.place.clientWidth - 40;
    const wide = 9 + 7 * Math.max(...data.map((cell) => cell.number.length)); // pixels that a cell's number takes
    const columns = each ? Math.max(1, Math.min(count, Math.floor(room / Math.max(FACET, across.length * wide + 90)))) : 1;
    const width = Math.max(120, Math.min(frame.tall(300) > 300 ? Infinity : 620, room / columns - (each ? 24 : 0) - 90 / columns));
    const hasRoom = width / across.length > 34;
    const axis = { labelAngle: across.some((name) => name.length * 7 > width / across.length) ? -45 : 0, labelLimit: 150, labelOverlap: false, grid: false };
    const places = {
      x: { field: "x", type: "nominal", title: x.brief, sort: across, scale: { domain: across }, axis },
      y: { field: "y", type: "nominal", title: y.brief, sort: upwards, scale: { domain: upwards }, axis: { labelLimit: 110, grid: false } },
    };
    const means = data.map((cell) => cell.mean).filter((mean) => mean !== null);
    const hasNumbers = width / across.length >= wide;
    const isLog = scales.isLog(up.key);
    const domain = means.length ? [Math.min(...means), Math.max(...means)] : [0, 1];
    const share = scales.between(isLog, ...domain);
    for (const one of data) one.isLight = up.goal === "minimize" ? share(one.mean) < 0.4 : share(one.mean) > 0.6; // viridis there
    const cell = {
      width,
      height: frame.tall(Math.max(90, Math.min(300, 44 * upwards.length))),
      layer: [
        { transform: [{ filter: "datum.mean === null" }], mark: { type: "rect", stroke: "var(--paper)", color: "var(--grid)" }, encoding: places },
        {
          mark: { type: "rect", stroke: "var(--paper)" },
          encoding: {
            ...places,
            color: { field: "mean", type: "quantitative", title: scales.title(up.title, up.key), scale: { type: isLog ? "log" : "linear", domain: domain[0] === domain[1] ? (isLog ? [domain[0] / 2, domain[0] * 2] : [domain[0] - 0.5, domain[0] + 0.5]) : domain, scheme: "viridis", reverse: up.goal === "minimize" }, legend: means.length ? { orient: each ? "top" : "bottom", direction: "horizontal" } : null },
          },
        },
        ...(hasNumbers ? [{ mark: { type: "text", fontSize: 11 }, encoding: { ...places, text: { field: "number" }, color: { condition: { test: "datum.isLight", value: "black" }, value: "white" } } }] : []),
        { transform: [{ filter: "datum.exploded > 0" }], mark: { type: "point", shape: "M-1,-1L1,1M1,-1L-1,1", size: 70, strokeWidth: 3.5, stroke: "var(--paper)", yOffset: hasRoom ? -8 : 0 }, encoding: places },
        { transform: [{ filter: "datum.exploded > 0" }], mark: { type: "point", shape: "M-1,-1L1,1M1,-1L-1,1", size: 70, strokeWidth: 2, stroke: "var(--bad)", yOffset: hasRoom ? -8 : 0 }, encoding: places },
        { transform: [{ filter: `datum.exploded > 0 && ${hasRoom}` }], mark: { type: "text", fontSize: 11, fontWeight: "bold", dy: 8, fill: "var(--paper)", stroke: "var(--paper)", strokeWidth: 3, strokeJoin: "round" }, encoding: { ...places, text: { field: "text" } } },
        { transform: [{ filter: `datum.exploded > 0 && ${hasRoom}` }], mark: { type: "text", fontSize: 11, fontWeight: "bold", dy: 8, fill: "var(--ink)" }, encoding: { ...places, text: { field: "text" } } },
      ],
    };
    const spec = each
      ? { description: title(x, y, up), data: { values: data }, facet: { field: "each", type: "nominal", title: each.brief, sort: facets, header: { labelLimit: 200, labelColor: "var(--soft)", titleColor: "var(--soft)" } }, columns, spec: cell }
      : { description: title(x, y, up), data: { values: data }, ...cell };
    const view = await frame.draw(spec, () => cellsDrawn.map((one) => ({ [x.title]: one.x, [y.title]: one.y, ...(each ? { [each.title]: one.each } : {}), [`mean ${up.title}`]: one.mean, trials: one.trials, explosions: one.exploded })));
    if (!view) return;
    if (!each) highlight.on(view, (trial) => outline(view, trial, [x, y]));
    pointing.beneath(view, (one) => one.trials, {
      of: () => [],
      tell: (one) => [`${x.title} ${one.x}, ${y.title} ${one.y}${each ? `, ${each.title} ${one.each}` : ""}`, `mean ${up.title} ${figure(one.mean)}, of ${one.count} trial${one.count === 1 ? "" : "s"}`, ...["exploded", "failed"].filter((name) => one[name]).map((name) => `${one[name]} of ${one.trials} ${name}`)],
    });
    const left = each && facets.length > MOST_FACETS ? ` The first ${MOST_FACETS} of ${facets.length} values are drawn.` : "";
    const exploded = data.some((one) => one.exploded) ? " A cross marks cells with explosions: how many of how many trials." : "";
    const grey = means.length < data.length ? " Grey: none has a value." : "";
    frame.say(`Means of the selected trials; what failed is left out.${exploded}${grey}${left}`);
  }

  /** The border of the cell that a trial is in. */
  function outline(view, trial, columns) {
    const [[x, across], [y, upwards]] = columns.map((column, i) => [cells(column).of(trial.values[column.at]), view.scale(i ? "y" : "x")]);
    if (x === null || y === null || across(x) === undefined || upwards(y) === undefined) return "";
    return `M${across(x)},${upwards(y)}h${across.bandwidth()}v${upwards.bandwidth()}h${-across.bandwidth()}Z`;
  }

  const title = (x, y, up) => `${up.title} over ${x.title} and ${y.title}`;

  return { start };
})();
