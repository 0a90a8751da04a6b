// The table of all trials: it sorts, filters and hides columns, and marks the trials that are chosen.

const table = (() => {
  const MOST_LETTERS = 60; // of a trial's name on a phone
  const REASON = [260, 160]; // pixels, and on a phone: what is longer is cut, and has a tip
  const MOST_METRICS = 6; // columns of metrics that are shown at first
  let made = null;
  let usual = null; // how it begins
  let ticks = new Map(); // of columns
  const inputs = new Map(); // of filters, by the key of a column

  function heading(column, key) {
    // a button, so that the keyboard can sort; what a trial function calls a metric stays text
    return () => {
      const sort = button(column.brief ?? column.title, () => {}, { class: "sort", title: meaning(column) });
      const text = column.text ?? words.of_column(column);
      const name = text ? make("span", {}, sort, " ", words.hint(column.title, text)) : sort;
      if (!key) return name;
      const input = make("input", {
        type: "text",
        size: 7,
        class: "filter",
        "aria-label": `only ${column.title}`,
        placeholder: column.isNumber ? "1..5, >8" : "letters",
        title: query.help(column),
        oninput: (event) => selection.where(key, event.target.value),
        onclick: (event) => event.stopPropagation(),
        onkeydown: (event) => event.stopPropagation(),
      });
      inputs.set(key, input);
      return make("div", { class: "heading" }, name, input);
    };
  }

  function meaning(column) {
    const goal = { maximize: "higher is better", minimize: "lower is better" }[column.goal];
    return [column.title, column.text, goal].filter(Boolean).join("; ");
  }

  /** Whether links to MLflow need somebody to serve it. */
  const isServed = () => trials.sweeps.some(({ mlflow }) => mlflow.runs && !mlflow.server);

  function columnsOf() {
    const metrics = trials.of("metric");
    const crowded = new Set(metrics.slice(MOST_METRICS));
    const first = trials.compared();
    return [
      {
        field: "chosen",
        titleFormatter: () => make("span", { title: "Choose trials, to see them in every chart and compare them" }, "✓"),
        formatter: (cell) => {
          const { n, trial } = cell.getData();
          return make("input", {
            type: "checkbox",
            checked: selection.isChosen(n),
            "aria-label": `choose ${trial.label}`,
            onchange: (event) => selection.choose(n, event.target.checked),
          });
        },
        headerSort: false,
        width: 44,
        hozAlign: "center",
      },
      {
        field: "label",
        titleFormatter: heading({ title: "trial" }),
        formatter: (cell) => {
          const { trial } = cell.getData();
          const name = drawing.isNarrow() && trial.label.length <= MOST_LETTERS ? trial.label : trial.brief; // there it has several lines
          return trial.id ? make("a", { href: `#trial=${trial.id}`, title: trial.label }, name) : make("span", { title: trial.label }, name);
        },
        minWidth: 130,
      },
      {
        field: "state",
        titleFormatter: heading({ title: "outcome", kind: "outcome" }),
        formatter: (cell) => make("span", { class: `state ${words.kind(cell.getValue())}`, title: words.of(cell.getValue()) }, cell.getValue()),
        minWidth: 110,
      },
      {
        field: "reason",
        titleFormatter: heading({ title: "reason" }),
        formatter: (cell) => make("span", { title: cell.getValue() ?? "" }, shortened(cell.getValue() ?? "", 300)), // and cut where the column ends
        visible: trials.all.some((trial) => trial.reason),
        width: REASON[Number(drawing.isNarrow())],
      },
      ...trials.shown.map((column) => ({
        field: `c${column.at}`,
        titleFormatter: heading(column, column.key),
        formatter: (cell) => make("span", { title: String(cell.getValue() ?? "none") }, shortened(figure(cell.getValue()), 40)),
        sorter: sorted,
        headerSortStartingDir: column.goal === "maximize" ? "desc" : "asc",
        visible: !crowded.has(column) && column.key !== "start",
        hozAlign: column.isNumber ? "right" : "left",
        cssClass: column === first ? "compared" : "",
        minWidth: 76,
      })),
      {
        field: "pictures",
        titleFormatter: heading({ title: "pictures" }),
        formatter: (cell) => {
          const { trial } = cell.getData();
          const count = trial.pictures?.length;
          return count ? make("a", { href: `#trial=${trial.id}`, "aria-label": `${count} pictures of ${trial.label}` }, pictures.thumbnail(trial) ?? String(count)) : "";
        },
        visible: trials.all.some((trial) => trial.pictures),
        headerSort: false,
        minWidth: 84,
      },
      {
        field: "id",
        titleFormatter: heading({ title: "run", text: isServed() ? "Its link to MLflow opens while sweep ui runs." : "" }),
        formatter: (cell) => {
          const { trial } = cell.getData();
          if (!trial.id) return "";
          return make("span", { class: "run" }, copied(trial.id, trial.id.slice(0, 8)), mlflow(trial));
        },
        headerSort: false,
        minWidth: 150,
      },
    ];
  }

  /** What has no value comes last, whichever way the others are sorted. */
  function sorted(a, b, rowA, rowB, column, direction) {
    const [isA, isB] = [a !== null && a !== undefined, b !== null && b !== undefined];
    if (!isA || !isB) return (isB - isA) * (direction === "asc" ? 1 : -1);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  }

  function mlflow(trial, text = "MLflow") {
    const { run, server } = trials.sweeps[trial.sweep].mlflow;
    if (!run) return null;
    const title = server ? "This run in MLflow" : "This run in MLflow, while `sweep ui` runs";
    return make("a", { href: run.replace("{id}", () => encodeURIComponent(trial.id)), target: "_blank", rel: "noopener", title }, text);
  }

  function rows() {
    return trials.all.map((trial) => ({
      n: trial.n,
      trial,
      label: trial.label,
      state: trial.state,
      reason: trial.reason,
      id: trial.id,
      ...Object.fromEntries(trials.shown.map((column) => [`c${column.at}`, trial.values[column.at]])),
    }));
  }

  /** What a column is called where no heading is. */
  const called = (field) => trials.columns[Number(/^c(\d+)$/.exec(field)?.[1])]?.brief ?? { chosen: "", label: "trial", state: "outcome", id: "run" }[field] ?? field;

  function draw(place) {
    const first = trials.compared();
    const isNarrow = matchMedia("(max-width: 40rem)").matches;
    const columns = columnsOf().map((column) => ({ ...column, titlePrint: escaped(called(column.field)) }));
    if (isNarrow) columns.splice(2, 0, ...columns.splice(columns.findIndex((column) => column.cssClass), 1));
    if (isNarrow) Object.assign(columns[1], { width: 150, variableHeight: true, cssClass: "wraps" });
    columns[0].frozen = columns[1].frozen = true;
    made = new Tabulator(place, {
      data: rows(),
      index: "n",
      columns,
      nestedFieldSeparator: false,
      layout: "fitDataFill",
      height: trials.all.length > 12 ? "27rem" : false,
      placeholder: "No trial is like this.",
      initialSort: first && first.kind === "compared" ? [{ column: `c${first.at}`, dir: first.goal === "maximize" ? "desc" : "asc" }] : [],
      printAsHtml: trials.all.length <= 500,
      printRowRange: "active",
      printStyled: false, // else it is printed in the colours of the dark
      columnHeaderVertAlign: "bottom",
    });
    made.on("tableBuilt", () => {
      made.setFilter((row) => selection.matching.has(row.n));
      selection.listen(update);
      update();
      usual = { sorts: sorts(), shown: new Set(made.getColumns().filter((column) => column.isVisible()).map(keyOf)) };
      made.on("rowMouseEnter", (_, row) => highlight.set([row.getData().n]));
      made.on("rowMouseLeave", () => highlight.set([]));
      highlight.listen(pointed);
      made.on("dataSorted", () => links.note());
      const holder = made.element.querySelector(".tabulator-tableholder");
      const look = () => made.element.classList.toggle("goes-on", holder.scrollWidth - holder.clientWidth - holder.scrollLeft > 2);
      holder.addEventListener("scroll", look);
      new ResizeObserver(look).observe(holder.firstElementChild);
      look();
    });
    return made;
  }

  function update() {
    for (const [key, input] of inputs) {
      const text = selection.state.where.get(key) ?? "";
      if (input !== document.activeElement && input.value !== text) input.value = text;
      const column = trials.named(key);
      const isRead = !text || query.test(column, text) !== null;
      input.setAttribute("aria-invalid", String(!isRead));
      input.title = isRead ? query.help(column) : `This is not understood. Write ${query.help(column)}.`;
    }
    made.refreshFilter();
    for (const box of made.element.querySelectorAll(".tabulator-row input[type=checkbox]")) {
      const row = made.getRow(box.closest(".tabulator-row"));
      if (row) box.checked = selection.isChosen(row.getData().n);
    }
    for (const row of made.getRows("visible")) row.getElement().classList.toggle("is-chosen", selection.isChosen(row.getData().n));
  }

  function pointed(list) {
    for (const row of made.getRows("visible")) row.getElement().classList.toggle("is-pointed", list.includes(row.getData().n));
  }

  /** A list of the columns, to show and hide each. */
  function columnsMenu() {
    const items = made
      .getColumns()
      .filter((column) => !["chosen", "label"].includes(column.getField()))
      .map((column) => {
        const one = tick(called(column.getField()), column.isVisible(), (isOn) => {
          if (isOn) column.show();
          else column.hide();
          for (const hear of changed) hear();
          links.note();
        });
        return [column, one];
      });
    ticks = new Map(items);
    return make("details", { class: "columns" }, make("summary", {}, "Columns"), make("div", { class: "ticks" }, [...ticks.values()]));
  }

  const keyOf = (column) => trials.columns[Number(/^c(\d+)$/.exec(column.getField())?.[1])]?.key ?? column.getField();

  const sorts = () => made.getSorters().map(({ column, dir }) => `${keyOf(column)}~${dir}`);

  /** Sort by what is written as keys of columns with their directions. */
  function sort(texts) {
    const known = new Map(made.getColumns().map((column) => [keyOf(column), column.getField()]));
    const wanted = texts.map((text) => /^(.*)~(asc|desc)$/s.exec(text)).filter((found) => known.has(found?.[1]));
    if (wanted.length) made.setSort(wanted.map(([, key, dir]) => ({ column: known.get(key), dir })));
  }

  /** How the rows stand, and which columns are shown, where that is not as it was at first. */
  function write() {
    const columns = made.getColumns().filter((column) => column.isVisible() !== usual.shown.has(keyOf(column)));
    const isSorted = sorts().join() !== usual.sorts.join();
    return [...columns.map((column) => [column.isVisible() ? "show" : "hide", keyOf(column)]), ...(isSorted ? sorts().map((text) => ["sort", text]) : [])];
  }

  function read(given) {
    const [shown, hidden] = [new Set(given.getAll("show")), new Set(given.getAll("hide"))];
    for (const [column, one] of ticks) {
      const key = keyOf(column);
      const isShown = shown.has(key) || (usual.shown.has(key) && !hidden.has(key));
      if (column.isVisible() !== isShown) column.toggle();
      one.querySelector("input").checked = isShown;
    }
    const wanted = given.has("sort") ? given.getAll("sort") : usual.sorts;
    if (wanted.join() !== sorts().join()) sort(wanted);
  }

  const changed = [];
  return {
    draw,
    write,
    read,
    columnsMenu,
    mlflow,
    isServed,
    meaning,
    whenColumnsChange: (hear) => changed.push(hear),
    /** The columns of values that are shown. */
    visible: () => trials.shown.filter((column) => made?.getColumn(`c${column.at}`)?.isVisible?.() ?? true),
    /** The rows that are shown, in their order, with their shown columns. */
    lines: () =>
      made.getData("active").map(({ trial }) => ({
        run: trial.id ?? "",
        trial: trial.label,
        outcome: trial.state,
        ...Object.fromEntries(table.visible().map((column) => [column.title, trial.values[column.at]])),
        reason: trial.reason ?? "",
      })),
  };
})();
