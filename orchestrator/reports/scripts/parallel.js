// Parallel coordinates: a line for each trial through all of its values. A brush along an axis selects.

const parallel = (() => {
  const MOST_AXES = 10;
  const MOST_LINES = 1500;
  const NARROWEST = 76; // pixels of an axis
  const ROOM = { left: 64, right: 48, top: 8, bottom: 42 };
  const LEAST = 3; // pixels of half a brush for a single value
  const EDGE = 0.02; // of an axis: a brush that ends so near to its end goes on beyond it
  const REACH = 12; // pixels between the pointer and a line
  const SAME = 0.7; // pixels: lines that are so near to each other cannot be told apart
  const MOST_TOLD = 5; // trials that a tip names
  let frame = null;
  let axes = [];
  let height = 300;
  let brushes = []; // of each axis: the text of the filter that its brush shows, and where it was put
  let drawnFor = "";
  const logs = make("div", { class: "ticks" });

  function wanted() {
    const shown = new Set(table.visible());
    const among = [...trials.of("parameter"), ...trials.of("compared"), ...trials.of("metric")].filter(
      (column) => shown.has(column) && column.distinct.length > 1,
    );
    const several = trials.named("sweep");
    const list = several ? [several, ...among] : among;
    const compared = list.filter((column) => column.kind === "compared"); // it stands last, where lines end
    return [...list.filter((column) => column.kind !== "compared").slice(0, MOST_AXES - compared.length), ...compared];
  }

  /** Where a value stands on its axis, from 0 at the bottom to 1. */
  function position(column, value) {
    if (value === null || value === undefined) return null;
    if (!column.isNumber) return (column.distinct.indexOf(value) + 0.5) / column.distinct.length;
    return scales.between(scales.isLog(column.key), column.low, column.high)(value);
  }

  function rows() {
    const drawn = drawing.few(trials.all.filter((trial) => trial.state !== "not run"), MOST_LINES);
    const step = 1 / Math.max(1, axes.length - 1);
    return drawn.map((trial) => ({ n: trial.n, path: path(trial, (i) => (i * step).toFixed(4), (share) => (1 - share).toFixed(4)), colour: drawing.colouring.of(trial), ...standing(trial) }));
  }

  const places = (trial) => axes.map((column) => position(column, trial.values[column.at]));

  /** The line of a trial, broken where it has no value. */
  function path(trial, across, up) {
    let pen = "M";
    let line = "";
    places(trial).forEach((share, i) => {
      if (share !== null) line += `${pen}${across(i)},${up(share)}`;
      pen = share === null ? "M" : "L";
    });
    return line;
  }

  /** Gives the trials of `list` whose lines are nearest to a place: several where they lie on each other. */
  function nearest(list, step) {
    const lines = list.map((trial) => [trial, places(trial)]);
    let last = { list: [] };
    return (x, y) => {
      const i = Math.max(0, Math.min(axes.length - 2, Math.floor(x / step)));
      const part = Math.max(0, Math.min(1, x / step - i));
      const near = lines
        .filter(([trial, shares]) => shares[i] !== null && shares[i + 1] !== null && selection.matching.has(trial.n))
        .map(([trial, shares]) => [trial, Math.abs(height * (1 - shares[i] - part * (shares[i + 1] - shares[i])) - y)]);
      const least = near.reduce((less, [, away]) => Math.min(less, away), REACH);
      const found = near.filter(([, away]) => away < REACH && away - least < SAME).map(([trial]) => trial);
      if (!found.length) return null;
      if (found.length !== last.list.length || found.some((trial, at) => trial !== last.list[at])) last = { list: found };
      return last;
    };
  }

  function told({ list }) {
    const compared = trials.compared();
    if (list.length === 1) return [trials.brief(list[0]), ...axes.map((column) => `${column.title}: ${figure(list[0].values[column.at])}`)];
    const some = list.slice(0, MOST_TOLD).map((trial) => `${trials.brief(trial)}${compared ? `: ${figure(trial.values[compared.at])}` : ""}`);
    return [`${list.length.toLocaleString("en")} trials`, ...some, ...(list.length > MOST_TOLD ? [`and ${(list.length - MOST_TOLD).toLocaleString("en")} more; point where their lines part`] : [])];
  }

  function follow(view, data) {
    const step = view.width() / (axes.length - 1);
    highlight.on(view, (trial) => path(trial, (i) => (i * step).toFixed(1), (share) => (height * (1 - share)).toFixed(1)));
    pointing.tracked(view, nearest(data.map(({ n }) => trials.all[n]), step), {
      of: ({ list }) => list.map((trial) => trial.n),
      tell: told,
      opened: ({ list }, event) => list.length === 1 && !event.target.closest('[class*="zone"]') && links.go({ trial: list[0].id }),
    });
  }

  function standing(trial) {
    const isIn = selection.matching.has(trial.n);
    const isChosen = selection.isChosen(trial.n);
    return { shown: isChosen ? 2 : isIn ? 1 : 0 };
  }

  function spec(data) {
    const count = axes.length;
    const at = (i) => `width * ${i} / ${Math.max(1, count - 1)}`;
    const { interpolate, ...scale } = drawing.colouring.scale();
    const titles = apart(axes.map((column) => column.title), Math.max(9, Math.floor(Math.max(frame.place.clientWidth / count, NARROWEST) / (count > 4 ? 3.6 : 7))));
    const signals = axes.flatMap((column, i) => [
      {
        name: `brush${i}`,
        value: initial(column),
        on: [
          { events: `@zone${i}:pointerdown`, update: "[clamp(y(), 0, height), clamp(y(), 0, height)]" },
          { events: `[@zone${i}:pointerdown, window:pointerup] > window:pointermove`, update: `[brush${i}[0], clamp(y(), 0, height)]` },
          { events: `@zone${i}:dblclick`, update: "[0, 0]" },
        ],
      },
    ]);
    return {
      $schema: "https://vega.github.io/schema/vega/v6.json",
      description: "Parallel coordinates of all trials",
      // as wide as there is room, or as scrolls there: a scaled chart misreads pointers
      width: Math.max(frame.place.clientWidth, NARROWEST * count) - ROOM.left - ROOM.right,
      height,
      autosize: { type: "none" },
      padding: ROOM,
      signals,
      data: [{ name: "trials", values: data }],
      scales: [
        { name: "colour", ...scale, ...(interpolate ? { interpolate } : {}) },
        ...axes.map((column, i) => ({
          name: `a${i}`,
          type: column.isNumber ? (scales.isLog(column.key) ? "log" : "linear") : "point",
          domain: column.isNumber ? [column.low, column.high] : column.distinct,
          ...(column.isNumber && !scales.isLog(column.key) ? { zero: false } : {}),
          range: [{ signal: "height" }, 0],
          ...(column.isNumber ? {} : { padding: 0.5 }),
        })),
      ],
      axes: axes.map((column, i) => ({
        scale: `a${i}`,
        orient: "left",
        offset: { signal: `-(${at(i)})` },
        ...(column.isNumber && column.distinct.length <= 8 ? { values: column.distinct, format: column.kind === "parameter" ? ".6~g" : ".4~g" } : { tickCount: 5 }),
        labelLimit: 80,
        labelOverlap: "greedy",
        zindex: 1,
        grid: false,
        encode: { labels: { update: { fill: { value: "var(--ink)" }, text: { signal: "length('' + datum.label) > 16 ? slice(datum.label, 0, 8) + '…' + slice(datum.label, -7) : datum.label" } } } },
      })),
      marks: [
        {
          type: "path",
          name: "lines",
          from: { data: "trials" },
          encode: {
            update: {
              path: { field: "path" },
              scaleX: { signal: "width" },
              scaleY: { signal: "height" },
              stroke: [{ test: "datum.shown === 0", value: "var(--line)" }, { test: "datum.colour === null", value: "var(--soft)" }, { scale: "colour", field: "colour" }],
              strokeWidth: [{ test: "datum.shown > 1", value: 3.5 }, { value: 1 }],
              strokeOpacity: [{ test: "datum.shown > 1", value: 1 }, { test: "datum.shown > 0", value: data.length > 400 ? 0.35 : 0.6 }, { value: 0.25 }],
              fill: { value: null },
              zindex: { field: "shown" },
            },
          },
        },
        ...axes.map((_, i) => ({
          type: "rect",
          name: `brushed${i}`,
          interactive: false,
          encode: {
            update: {
              x: { signal: `${at(i)} - 8` },
              width: { value: 16 },
              y: { signal: `min(brush${i}[0], brush${i}[1])` },
              y2: { signal: `max(brush${i}[0], brush${i}[1])` },
              fill: { value: "var(--accent)" },
              fillOpacity: { value: 0.25 },
              stroke: { value: "var(--accent)" },
              strokeOpacity: { signal: `brush${i}[0] === brush${i}[1] ? 0 : 1` },
            },
          },
        })),
        ...axes.map((column, i) => ({
          type: "rect",
          name: `zone${i}`,
          encode: {
            update: {
              x: { signal: `${at(i)} - 16` },
              width: { value: 32 },
              y: { value: 0 },
              y2: { signal: "height" },
              fill: { value: "transparent" },
              cursor: { value: "ns-resize" },
              description: { value: `brush ${column.title}` },
            },
          },
        })),
        ...axes.map((column, i) => ({
          type: "text",
          interactive: false,
          encode: {
            update: {
              x: { signal: at(i) },
              y: { signal: `height + ${count > 4 && i % 2 ? 32 : 18}` },
              align: { value: column.title.length < 9 ? "center" : i === 0 ? "left" : i === count - 1 ? "right" : "center" },
              dx: { value: column.title.length < 9 ? 0 : i === 0 ? -36 : i === count - 1 ? 36 : 0 },
              text: { value: scales.title(titles[i], column.key) },
              fill: { value: "var(--soft)" },
              fontSize: { value: 12 },
            },
          },
        })),
      ],
    };
  }

  function controls() {
    renew(logs, axes.map((column) => scales.tick(column.brief, column.key)));
  }

  const filter = (column) => selection.state.where.get(column.key) ?? "";
  const shown = (column) => ({ text: filter(column), at: initial(column) });

  /** The brush that a filter of the column looks like. */
  function initial(column) {
    const text = filter(column);
    const ends = column.isNumber && query.ends(text);
    if (!ends) return [0, 0];
    const inside = (value) => Math.min(column.high, Math.max(column.low, value));
    const [low, high] = ends.map((end) => height * (1 - position(column, inside(end))));
    return low - high < 2 * LEAST ? [low + LEAST, high - LEAST] : [low, high];
  }

  function brushed(column, [a, b]) {
    const [high, low] = [1 - Math.min(a, b) / height, 1 - Math.max(a, b) / height];
    if (high - low < 0.005) return selection.where(column.key, "");
    if (column.isNumber) {
      return selection.where(column.key, query.range(low <= EDGE ? null : scales.valueAt(column, low), high >= 1 - EDGE ? null : scales.valueAt(column, high)));
    }
    const inside = column.distinct.filter((value) => position(column, value) >= low && position(column, value) <= high);
    selection.where(column.key, inside.length ? query.among(inside) : "");
  }

  async function draw() {
    axes = wanted();
    height = frame.tall(300);
    controls();
    drawnFor = signature();
    if (axes.length < 2) return frame.empty("There is only one column to draw.");
    const data = rows();
    const view = await frame.draw(spec(data), () => saved(), "vega");
    if (!view) return;
    follow(view, data);
    brushes = axes.map((column) => shown(column));
    axes.forEach((column, i) =>
      view.addSignalListener(`brush${i}`, (_, value) => {
        if (String(value) === String(brushes[i].at)) return; // nobody has drawn it
        brushed(column, value);
        brushes[i] = { text: filter(column), at: value };
      }),
    );
    const all = trials.all.length;
    const drawn = data.length < all ? ` ${data.length.toLocaleString("en")} of ${all.toLocaleString("en")} trials are drawn.` : "";
    frame.say(
      `A line is a trial; the axes are the table's columns. Draw along an axis, or write a range above a column of the table, to select trials everywhere; click an axis to let go. Point at a line to see which trial it is; click to open it.${drawn}`,
    );
  }

  function saved() {
    return trials.all
      .filter((trial) => selection.matching.has(trial.n))
      .map((trial) => ({ run: trial.id ?? "", trial: trial.label, outcome: trial.state, ...Object.fromEntries(axes.map((column) => [column.title, trial.values[column.at]])) }));
  }

  const signature = () => `${wanted().map((column) => column.key)} ${drawing.colouring.key} ${frame.place.clientWidth}`;

  /** Show what is selected: the lines are as they were, only some of them are fainter. */
  function update() {
    if (!frame.view) return;
    if (signature() !== drawnFor) return draw();
    const view = frame.view;
    axes.forEach((column, i) => {
      if (brushes[i].text === filter(column)) return;
      brushes[i] = shown(column);
      view.signal(`brush${i}`, brushes[i].at);
    });
    view.data("trials", rows()).runAsync();
  }

  return {
    start() {
      frame = drawing.framed("Parallel coordinates", { id: "parallel", wide: true, draw, controls: [make("details", { class: "columns" }, make("summary", {}, "Log axes"), logs)] });
      frame.figure.classList.add("parallel");
      selection.listen(update);
      table.whenColumnsChange(draw);
      return { frame, draw, controls };
    },
  };
})();
