// Which trials are selected. The table and all charts show this one selection, and each of them may change it.

const selection = (() => {
  const heard = [];
  const state = { find: "", without: new Set(), where: new Map(), chosen: [] };
  let matching = null; // known once it is asked for
  let waits = false;

  function compute() {
    const tests = [...state.where].map(([key, text]) => [trials.named(key), text]).filter(([column]) => column);
    const made = tests.map(([column, text]) => [column.at, query.test(column, text)]).filter(([, test]) => test);
    const wanted = state.find.trim().toLowerCase();
    return new Set(
      trials.all
        .filter(
          (trial) =>
            !state.without.has(trial.state) &&
            made.every(([at, test]) => test(trial.values[at])) &&
            (!wanted || searched(trial).includes(wanted)),
        )
        .map((trial) => trial.n),
    );
  }

  function searched(trial) {
    trial.text ??= [trial.label, trial.state, trial.reason, trial.id, trial.log, ...trial.values].join(" ").toLowerCase();
    return trial.text;
  }

  function tell(why) {
    matching = null;
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      for (const hear of heard) hear(why);
    });
  }

  return {
    state,
    listen: (hear) => heard.push(hear),
    get matching() {
      return (matching ??= compute());
    },
    get isAll() {
      return this.matching.size === trials.all.length;
    },
    isChosen: (n) => state.chosen.includes(n),
    find(text) {
      state.find = text;
      tell();
    },
    show(outcome, isOn) {
      if (isOn) state.without.delete(outcome);
      else state.without.add(outcome);
      tell();
    },
    /** Only trials whose value of a column is as a text asks; an empty one asks nothing. */
    where(key, text) {
      if (text.trim()) state.where.set(key, text.trim());
      else state.where.delete(key);
      tell();
    },
    choose(n, isOn) {
      state.chosen = state.chosen.filter((other) => other !== n);
      if (isOn) state.chosen.push(n);
      tell();
    },
    clear() {
      state.find = "";
      state.without.clear();
      state.where.clear();
      tell("cleared");
    },
    /** As a permalink has it. */
    write() {
      const made = new URLSearchParams();
      for (const [key, text] of state.where) made.append("where", `${key}~${text}`);
      if (state.find) made.set("find", state.find);
      for (const outcome of state.without) made.append("without", outcome);
      const ids = state.chosen.map((n) => trials.all[n].id).filter(Boolean);
      if (ids.length) made.set("chosen", ids.join(","));
      return made;
    },
    read(given) {
      state.where = new Map(given.getAll("where").map((one) => [one.slice(0, one.indexOf("~")), one.slice(one.indexOf("~") + 1)]));
      state.find = given.get("find") ?? "";
      state.without = new Set(given.getAll("without"));
      const chosen = (given.get("chosen") ?? "").split(",").map(trials.found).filter(Boolean);
      state.chosen = [...new Set(chosen)].map((trial) => trial.n);
      tell("read");
    },
  };
})();
