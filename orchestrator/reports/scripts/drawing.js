// How every chart of the page is drawn, by Vega; and the frame around a chart: its controls, its caption, its buttons.

const drawing = (() => {
  const config = JSON.parse(document.getElementById("config").textContent);
  const options = {
    renderer: "svg",
    actions: false,
    ast: true, // expressions are interpreted, so that the page's policy need not allow eval
    config,
    tooltip: { theme: "custom", disableDefaultStyle: true },
  };
  const isNarrow = () => innerWidth < 640;
  const GROUPS = 8; // colours that can be told apart
  const colours = Array.from({ length: GROUPS }, (_, i) => `var(--c${i + 1})`);

  async function embed(place, spec, mode = "vega-lite") {
    const drawn = await vegaEmbed(place, spec, { ...options, mode });
    return drawn.view;
  }

  /** A figure with a heading, controls, a place for a chart, and a caption; draw: has it drawn again, in the room that it has then. */
  function framed(title, { controls = [], level = 3, id, wide = false, draw } = {}) {
    let view = null;
    let rows = () => [];
    const place = make("div", { class: "chart" });
    const caption = make("figcaption");
    const bar = make("div", { class: "controls" }, controls);
    const anchor = id && make("a", { class: "anchor", href: `#${id}`, "aria-label": `link to ${title}` }, "#");
    const heading = make(`h${level}`, { class: "chart-title", id }, title, anchor && " ", anchor);
    const save = saving.buttons(title, () => view, () => rows());
    const figure = make("figure", { class: wide ? "full" : "" }, make("div", { class: "chart-head" }, heading, save), bar, place, caption);
    save.prepend(enlarging.button(title, figure, draw));
    let begun = 0;
    return {
      figure,
      place,
      bar,
      heading,
      get view() {
        return view;
      },
      tall: (usual) => enlarging.tall(figure, usual),
      say: (text) => (caption.textContent = text),
      /** Draw a specification in place of the last one; of several at once, the last one stands. */
      async draw(spec, data, mode) {
        const own = ++begun;
        const fresh = make("div", { class: "chart" });
        const drawn = await embedAside(place, fresh, spec, mode);
        if (own !== begun) {
          drawn.finalize();
          fresh.remove();
          return null;
        }
        view?.finalize();
        for (const old of [...place.children]) if (old !== fresh) old.remove();
        fresh.classList.remove("aside");
        place.style.minHeight = "";
        [view, rows] = [drawn, data];
        return drawn;
      },
      empty(text) {
        begun += 1;
        view?.finalize();
        view = null;
        caption.textContent = "";
        place.replaceChildren(make("p", { class: "soft" }, text));
      },
    };
  }

  async function embedAside(place, fresh, spec, mode) {
    if (place.childElementCount) {
      fresh.classList.add("aside"); // as wide as the chart that it is to replace, and unseen
      place.style.minHeight = `${place.offsetHeight}px`;
    }
    place.append(fresh);
    return embed(fresh, spec, mode);
  }

  /** How trials are coloured, everywhere alike: by a column, or by their outcome. */
  const colouring = {
    key: "",
    /** Colour by a column until a reader has it otherwise. */
    begin(key, keys) {
      this.key = key;
      Object.assign(this, keeping(this, { key: "colour" }, (one) => keys.includes(one)));
    },
    get column() {
      return trials.named(this.key);
    },
    of(trial) {
      return this.key === "state" ? trial.state : trial.values[this.column?.at] ?? null;
    },
    scale() {
      const column = this.column;
      const isFew = column && column.isNumber && column.kind === "parameter" && column.distinct.length <= GROUPS;
      if (column?.isNumber && !isFew) {
        const domain = column.low === column.high ? [column.low, column.low + 1] : [column.low, column.high];
        return { type: scales.isLog(column.key) ? "log" : "linear", domain, range: ["#3f74c4", "#8f63b8", "#dd6a2c"], interpolate: "rgb" };
      }
      const values = this.key === "state" ? [...new Set(trials.all.map((trial) => trial.state))] : (column?.distinct ?? [""]);
      return { type: "ordinal", domain: values, range: values.map((value, i) => outcomeColour(value) ?? colours[i % GROUPS]) };
    },
    /** Vega-Lite's encoding of a field, but for rows of other colours; trials without a value are pale. */
    encoding(others = []) {
      const { type, interpolate, ...scale } = this.scale();
      const isNumber = type !== "ordinal";
      const title = this.key === "state" ? "outcome" : this.column && scales.title(this.column.title, type === "ordinal" ? "" : this.key);
      return {
        condition: [...others, { test: "datum.colour === null", value: "var(--soft)" }],
        field: "colour",
        type: isNumber ? "quantitative" : "nominal",
        title,
        scale: isNumber ? { ...scale, type, interpolate } : scale,
        legend: scale.domain.length > 12 ? null : isNumber ? { orient: "bottom", direction: "horizontal", gradientLength: isNarrow() ? 110 : 200 } : { orient: "bottom", columns: isNarrow() ? 1 : 3, labelLimit: 220 },
      };
    },
  };

  function outcomeColour(value) {
    if (colouring.key !== "state") return undefined;
    return { completed: "var(--accent)", "loss explosion": "var(--bad)", pruned: "var(--c6)", failed: "var(--c2)" }[value];
  }

  /** Vega-Lite's scale and axis of a column: a number, also on a logarithmic axis, or one of several values. */
  function axis(column, field) {
    const isChoice = !column.isNumber;
    const labels = { labelLimit: 110, labelExpr: isChoice ? "length(datum.label) > 24 ? slice(datum.label, 0, 11) + '…' + slice(datum.label, -12) : datum.label" : undefined };
    if (isChoice) return { field, type: "nominal", title: column.brief, sort: null, axis: { ...labels, labelAngle: 0, labelOverlap: true } };
    const isFew = column.kind === "parameter" && column.distinct.length <= 8;
    const isAlone = column.low === column.high;
    return {
      field,
      type: "quantitative",
      title: scales.title(column.brief, column.key),
      scale: { ...(scales.isLog(column.key) ? { type: "log" } : { type: "linear", zero: false }), nice: false, padding: isAlone ? 0 : 8 },
      axis: { labelFlush: !isFew, labelOverlap: "greedy", labelSeparation: isFew ? 1 : undefined, labelAngle: isFew && isNarrow() && column.distinct.length > 4 ? -45 : undefined, ...(isFew ? { values: column.distinct } : { tickCount: 6 }), format: ".6~g" },
    };
  }

  const marks = { "loss explosion": ["crosses exploded", "M-1,-1L1,1M1,-1L-1,1"], pruned: ["squares were pruned", "square"], failed: ["triangles failed", "triangle-down"] };

  /** The shapes of points by how their trials ended. */
  const shape = { condition: Object.entries(marks).map(([state, [, path]]) => ({ test: `datum.state === '${state}'`, value: path })), value: "circle" };

  /** What shapes there are among rows, in a sentence. */
  function told(rows) {
    const texts = Object.entries(marks).filter(([state]) => rows.some((row) => row.state === state)).map(([, [text]]) => text);
    const text = texts.join(", ");
    return text && ` ${text[0].toUpperCase()}${text.slice(1)}.`;
  }

  /** At most so many trials, evenly spaced, the chosen ones among them. */
  function few(list, most) {
    if (list.length <= most) return list;
    const step = (list.length - 1) / (most - 1);
    const kept = new Set(Array.from({ length: most }, (_, i) => list[Math.round(i * step)]));
    for (const trial of list) if (selection.isChosen(trial.n)) kept.add(trial);
    return [...kept];
  }

  /** A function that runs once what calls it has stopped calling: while one brushes, only what is quick follows. */
  function settled(does, wait = 180) {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(does, wait);
    };
  }

  return { embed, isNarrow, settled, framed, colouring, axis, few, shape, told, colours, GROUPS };
})();
