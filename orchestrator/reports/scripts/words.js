// Words that a newcomer may not know, explained where they stand.

const words = (() => {
  const known = {
    completed: "The trial trained to its end.",
    "loss explosion": "Training diverged: the loss grew without bound or became no number. A result of the configuration, not a failure of the program.",
    infeasible: "It cannot be trained here: it lacks memory or time, or its own function says so.",
    pruned: "Ended early by a rule, since it did worse than others at the same epoch.",
    failed: "The program broke. It is no result of the configuration; the trial can be run again.",
    interrupted: "It was cut off. The next launch goes on with it.",
    running: "It runs now.",
    "not run": "The file asks for it; it has not begun.",
  };
  const others = {
    trial: "One training, with all of its parameters fixed, its seed among them.",
    configuration: "The trials that differ in nothing but their seed.",
    seed: "What random numbers begin with. Trials that differ in it alone show how much chance there is.",
    metric: "A number that trials report, by epoch or at their end.",
    front: "The trials that no other one beats in all metrics that are compared (the Pareto front).",
    "best (of a metric)": "The best value of any epoch; without it, the value of the last epoch.",
  };
  const declared = Object.assign({}, ...trials.sweeps.map((sweep) => sweep.words)); // what trial functions say of theirs

  const literal = (word) => word.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
  const isMetric = (word) => trials.columns.some((column) => column.name === word && column.kind !== "parameter"); // the table has those
  const present = Object.entries(known).filter(([state]) => trials.all.some((trial) => trial.state === state));
  const told = present.map(([state, text]) => `${state}: ${text}`);
  const endings = [
    [/\bloss explosions?\b/i, "loss explosion", known["loss explosion"]],
    [/(?<!\bloss )\bexplo(sions?|ded)\b/i, "explosion", known["loss explosion"]],
    ...present.filter(([state]) => !["completed", "loss explosion"].includes(state)).map(([state, text]) => [new RegExp(`\\b${state}\\b`, "i"), state, text]),
  ];
  const named = [
    [/^outcome$/, "outcome", told],
    [/\bfront\b/i, "front", others.front],
    ...Object.entries(declared).filter(([word]) => !isMetric(word)).map(([word, text]) => [new RegExp(`(?<![\\p{L}\\p{N}_])${literal(word)}(?![\\p{L}\\p{N}_])`, "u"), word, text]),
  ];

  /** A button that tells what a word means: by the pointer, a finger, the keyboard. */
  function hint(word, text) {
    const tell = (event) => {
      event.stopPropagation(); // a heading would sort
      pointing.say(one, [word, text].flat());
    };
    const one = button("?", tell, { class: "hint", "aria-label": `${word}: ${[text].flat().join(" ")}`, onmouseenter: tell, onfocus: tell, onmouseleave: pointing.hide, onblur: pointing.hide });
    return one;
  }

  /** Explain the first of several words that stands in a place, behind it; whether it is there. */
  function explained(place, [at, word, text]) {
    const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode;
      const found = at.exec(node.data);
      if (!found) continue;
      const pressed = node.parentElement.closest("button"); // of which a hint can be no part
      if (!pressed) node.splitText(found.index + found[0].length);
      (pressed ?? node).after(" ", hint(word, text));
      return true;
    }
    return false;
  }

  return {
    of: (state) => known[state] ?? "",
    /** What a column has that no trial function speaks of. */
    of_column: ({ kind }) => ({ front: others.front, outcome: told })[kind] ?? "",
    hint,
    /** A name of an outcome that a style sheet can have. */
    kind: (state) => state.replace(/[^a-z]+/g, "-"),
    /** Explain words in a sweep's part of the page: each once, and outcomes at its head and below. */
    mark() {
      for (const sweep of document.querySelectorAll("main > section")) {
        const left = new Set(named);
        for (const places of [":scope > p, dt, dd", ".part, th, figcaption"]) {
          const open = new Set(endings);
          for (const place of sweep.querySelectorAll(places)) {
            if (place.closest("#explorer")) continue;
            for (const one of [...open, ...(place.matches("p, dd") ? [] : left)]) {
              if (explained(place, one)) [open, left].forEach((words) => words.delete(one));
            }
          }
        }
      }
    },
    list() {
      const metrics = trials.shown.filter((column) => column.text).map((column) => [column.title, column.text]);
      const columns = new Set(metrics.map(([name]) => name));
      const rows = [...present, ...Object.entries(others), ...metrics, ...Object.entries(declared).filter(([word]) => !columns.has(word))];
      return make(
        "details",
        { class: "words" },
        make("summary", {}, "What the words mean"),
        make("dl", {}, rows.map(([word, text]) => make("div", {}, make("dt", {}, word), make("dd", {}, text)))),
      );
    },
  };
})();
