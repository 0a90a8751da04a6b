// All trials of the page, of one sweep or of several: their columns, and their values by column.

const trials = (() => {
  const SHORTEST = 8; // letters of a run's id that is cut short
  const documents = [...document.querySelectorAll("script.trials")].map((one) => JSON.parse(one.textContent));
  const columns = [];
  const all = [];
  const keys = new Map();
  const configurations = [];
  const curves = new Map(); // by metric, lines of a trial: epochs and values

  function column(key, made) {
    if (!keys.has(key)) {
      keys.set(key, columns.length);
      columns.push({ key, values: [], ...made });
    }
    return columns[keys.get(key)];
  }

  // the best epoch of one sweep's metric and the last one of another's are not the same column
  const keyOf = (one) => `${one.kind}:${one.kind === "compared" ? one.title : one.name}`;

  if (documents.length > 1) column("sweep", { kind: "about", title: "sweep" });
  for (const kind of ["parameter", "compared", "front", "metric"]) {
    for (const one of documents.flatMap((sweep) => sweep.columns)) {
      if (one.kind === kind) column(keyOf(one), one);
    }
  }
  column("epochs", { kind: "about", title: "epochs" });
  column("seconds", { kind: "about", title: "seconds" });
  column("start", { kind: "about", title: "order of start" });

  documents.forEach((sweep, place) => {
    const first = all.length;
    for (const given of sweep.trials) {
      const trial = { ...given, n: all.length, sweep: place, values: new Array(columns.length).fill(null) };
      trial.group = configurations.length + given.configuration;
      sweep.columns.forEach((one, at) => (trial.values[keys.get(keyOf(one))] = given.values[at]));
      for (const name of ["epochs", "seconds", "start"]) trial.values[keys.get(name)] = given[name] ?? null;
      if (keys.has("sweep")) trial.values[keys.get("sweep")] = sweep.sweep;
      trial.ran = sweep.environments[given.environment] ?? {};
      all.push(trial);
    }
    configurations.push(...sweep.configurations.map((name) => (documents.length > 1 ? `${sweep.sweep}: ${name}` : name)));
    for (const [number, metric, epochs, values] of sweep.curves.lines) {
      const name = sweep.curves.metrics[metric];
      if (!curves.has(name)) curves.set(name, new Map());
      curves.get(name).set(first + number, { epochs: sweep.curves.epochs[epochs], values });
    }
  });

  columns.forEach((one, at) => {
    one.at = at;
    const known = all.map((trial) => trial.values[at]).filter((value) => value !== null);
    one.isEmpty = known.length === 0;
    one.distinct = [...new Set(known)];
    one.isNumber = known.length > 0 && known.every((value) => typeof value === "number");
    if (one.isNumber) {
      one.low = Math.min(...one.distinct.slice(0, 1e5));
      one.high = Math.max(...one.distinct.slice(0, 1e5));
      one.distinct.sort((a, b) => a - b);
      const isWide = one.kind === "parameter" ? one.log === true || one.high / one.low >= 50 : scales.isSqueezed(known.sort((a, b) => a - b));
      one.wantsLog = one.low > 0 && isWide;
    }
  });

  /** The trial of a run; its id may be cut short where no other run begins so. */
  function found(id) {
    const exact = all.find((trial) => trial.id === id);
    if (exact || id.length < SHORTEST) return exact;
    const like = all.filter((trial) => trial.id?.startsWith(id));
    return like.length === 1 ? like[0] : undefined;
  }

  // where there is little room
  briefed(all.map((trial) => trial.label), innerWidth < 640 ? 26 : 40).forEach((text, n) => (all[n].brief = text));
  apart(columns.map((one) => one.title), 30).forEach((text, at) => (columns[at].brief = text));
  const briefGroups = briefed(configurations, innerWidth < 640 ? 26 : 40);
  const shown = columns.filter((one) => !one.isEmpty);
  return {
    all,
    columns,
    shown,
    curves,
    configurations,
    sweeps: documents,
    isSeveral: documents.length > 1,
    of: (kind) => shown.filter((one) => one.kind === kind),
    named: (key) => (keys.has(key) ? columns[keys.get(key)] : undefined),
    found,
    varied: () => shown.filter((one) => one.kind === "parameter" && one.distinct.length > 1 && one.name !== "seed"),
    seed: () => keys.get("parameter:seed"),
    /** What trials are compared by first; else the first metric that there is. */
    compared: () => shown.find((one) => one.kind === "compared") ?? shown.find((one) => one.kind === "metric" && one.isNumber),
    briefGroups,
    /** Whether what a trial has come to counts as a result of its parameters. */
    counts: (trial) => ["completed", "pruned"].includes(trial.state),
    brief: (trial) => (documents.length > 1 ? `${shortened(documents[trial.sweep].sweep, 20)}: ${trial.brief}` : trial.brief),
    named_in_full: (trial) => (documents.length > 1 ? `${documents[trial.sweep].sweep}: ${trial.label}` : trial.label),
  };
})();
