// The view of one trial: what it was, how it ended and why, its curves, the end of its log, and how to run it again.

const trialView = (() => {
  const MOST_CURVES = 8;
  const MOST_ALIKE = 6;

  function pairs(rows) {
    return make("dl", {}, rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  }

  const part = (title, ...content) => make("section", {}, make("h3", {}, title), content);

  function params(trial) {
    const varied = trials.of("parameter").map((column) => [column.title, trial.values[column.at] === null ? null : figure(trial.values[column.at])]);
    const same = Object.entries(trials.sweeps[trial.sweep].same);
    return part("Parameters", pairs(varied), same.length ? make("details", {}, make("summary", {}, `${same.length} ${same.length === 1 ? "parameter that is" : "parameters that are"} the same in all trials`), pairs(same)) : []);
  }

  function metrics(trial) {
    const rows = [...trials.of("compared"), ...trials.of("metric")].map((column) => [column.title, trial.values[column.at] === null ? null : figure(trial.values[column.at])]);
    return rows.some(([, value]) => value !== null) ? part("Metrics", pairs(rows)) : null;
  }

  function outcome(trial) {
    const { explosion, reason, epochs, seconds } = trial;
    const at = explosion ? [["epoch", explosion.epoch], ["step", explosion.step], ["last finite loss", explosion.last_finite_loss]].filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => `${name} ${figure(value)}`).join(", ") : "";
    return make(
      "div",
      {},
      make("p", {}, make("b", { class: `state ${words.kind(trial.state)}` }, trial.state), reason ? `: ${reason}` : "", at ? ` (${at})` : "", "."),
      trial.breaks ? make("p", {}, `It breaks a constraint: ${trial.breaks}.`) : null,
      make("p", { class: "soft" }, words.of(trial.state)),
      pairs([["epochs", epochs === undefined ? null : figure(epochs)], ["time", seconds === undefined ? null : `${figure(seconds)} s`]]),
    );
  }

  /** Curves of these trials in one chart for each metric, the compared one first. */
  function curveFigures(list) {
    const names = [...trials.curves.keys()].filter((name) => list.some((trial) => trials.curves.get(name).has(trial.n)));
    return names.slice(0, MOST_CURVES).map((name) => {
      const frame = drawing.framed(`${name} by epoch`, { level: 4, draw: () => frame.later() });
      const rows = list.flatMap((trial) => {
        const line = trials.curves.get(name).get(trial.n);
        return line ? line.epochs.map((epoch, i) => ({ x: epoch, y: line.values[i], trial: trials.brief(trial) })) : [];
      });
      frame.later = async () => {
        const names = list.map(trials.brief);
        const x = { field: "x", type: "quantitative", title: "epoch", axis: { format: "~g", tickMinStep: 1 }, scale: { nice: false, padding: 6 } };
        const y = { field: "y", type: "quantitative", title: name, scale: { zero: false, padding: 6 } };
        const color = { field: "trial", type: "nominal", title: null, scale: { domain: names, range: drawing.colours }, legend: list.length > 1 ? { orient: "bottom", columns: 1, labelLimit: drawing.isNarrow() ? 300 : 420 } : null };
        const dash = list.length > 1 ? { strokeDash: { ...color, scale: { domain: names, range: [[1, 0], [5, 3], [2, 2], [8, 3, 2, 3], [10, 4], [1, 4]] } } } : {};
        const shape = rows.length > 40 ? {} : { point: { size: 25 } };
        const view = await frame.draw({ width: "container", height: frame.tall(180), description: `${name} by epoch`, data: { values: rows }, mark: { type: "line", ...shape }, encoding: { x, y, color, ...dash } }, () => rows);
        if (view) pointing.follow(view, rows, { tell: (row) => [row.trial, `epoch ${row.x}: ${name} ${figure(row.y)}`] });
      };
      return frame;
    });
  }

  /** A text as a shell reads it as one word. */
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

  function commands(trial) {
    const { sweep, file, store } = trials.sweeps[trial.sweep];
    const isLeft = ["failed", "interrupted"].includes(trial.state);
    const id = quoted(trial.id);
    const lines = [
      ...(isLeft ? [[`sweep launch ${quoted(file)}${store}`, "tries it again, from its last checkpoint, so that the sweep is complete"]] : []),
      [`sweep rerun ${quoted(sweep)} ${id}${store}`, "has the next launch run it anew from its start, in place of this run"],
      [`sweep replay ${id}${store}`, "trains it once more here, to look into it: with the same numbers; it records nothing, and the sweep stays as it is"],
      [`sweep logs ${id}${store}`, "shows all that it printed"],
    ];
    return part(isLeft ? "To run it again" : "Commands", lines.map(([line, text]) => make("p", { class: "command" }, make("code", {}, line), copied(line, "copy"), make("span", { class: "soft" }, ` ${text}`))));
  }

  /** That its post-mortem or log is not on the page, where that has some of others. */
  function leftOut(trial) {
    const part = trial.state === "loss explosion" ? "post_mortem" : ["failed", "infeasible"].includes(trial.state) ? "log" : "";
    const text = trial[part] ? "" : trials.sweeps[trial.sweep].left_out[part];
    return text ? make("p", { class: "soft" }, text) : null;
  }

  /** Where all the rest of a trial is. */
  function rest(trial) {
    const { store, mlflow } = trials.sweeps[trial.sweep];
    const link = table.mlflow(trial, "All the rest of it in MLflow");
    const served = mlflow.server || !link ? null : make("span", { class: "soft" }, "which opens while ", make("code", {}, `sweep ui${store}`), " runs ", copied(`sweep ui${store}`, "copy the command"));
    return make("p", { class: "run" }, "run ", copied(trial.id), " ", link, served);
  }

  function others(trial) {
    const compared = trials.compared();
    const sign = compared?.goal === "maximize" ? 1 : -1;
    const ranked = compared ? trials.all.filter((one) => one.id && one.values[compared.at] !== null && one.state === "completed" && !one.breaks) : [];
    const best = ranked.length ? ranked.reduce((a, b) => (sign * b.values[compared.at] > sign * a.values[compared.at] ? b : a)) : null;
    const chosen = selection.state.chosen.map((n) => trials.all[n]).filter((one) => one !== trial && one.id);
    const list = [...new Set([...(best && best !== trial ? [best] : []), ...chosen])].slice(0, 6);
    if (!list.length) return null;
    return make("p", {}, "Compare with ", list.map((one, i) => [i ? ", " : "", make("a", { href: `#compare=${trial.id},${one.id}` }, `${one === best ? "the best: " : ""}${one.brief}`)]).flat(), ".");
  }

  /** Trials that ended for the same reason, but for its numbers. */
  function alike(trial) {
    const kind = (one) => `${one.state} ${(one.reason ?? "").replace(/[-+]?[\d.]+(e[-+]?\d+)?/g, "")}`;
    const list = trials.all.filter((one) => one !== trial && one.id && one.reason && kind(one) === kind(trial));
    if (!trial.reason || trial.state === "completed" || !list.length) return null;
    const links = list.slice(0, MOST_ALIKE).map((one, i) => [i ? ", " : "", make("a", { href: `#trial=${one.id}` }, one.brief)]);
    const more = list.length > MOST_ALIKE ? `, and ${(list.length - MOST_ALIKE).toLocaleString("en")} more` : "";
    return make("p", {}, "Ended alike: ", links.flat(), more, ".");
  }

  function show(trial) {
    const frames = curveFigures([trial]);
    const drawn = pictures.of(trial);
    const isGood = trial.state === "completed";
    const content = [
      rest(trial),
      outcome(trial),
      isGood ? null : commands(trial),
      alike(trial),
      others(trial),
      trial.post_mortem ? part("What went wrong", make("p", {}, trial.post_mortem)) : null,
      trial.log ? part("The end of its log", make("pre", { tabindex: "0" }, make("code", {}, trial.log))) : null,
      leftOut(trial),
      make("div", { class: "two" }, params(trial), metrics(trial)),
      frames.length ? part("Curves", make("div", { class: "charts several" }, frames.map((frame) => frame.figure))) : null,
      drawn.length ? part("Pictures", make("div", { class: "gallery" }, drawn)) : null,
      isGood ? commands(trial) : null,
      trial.resources ? part("Resources", pairs(Object.entries(trial.resources).map(([name, value]) => [name.replaceAll("_", " "), figure(value)]))) : null,
      Object.keys(trial.ran).length ? part("Code and environment", pairs(Object.entries(trial.ran))) : null,
    ];
    return { title: trials.named_in_full(trial), content, frames };
  }

  return { show, curveFigures, pairs, part };
})();
