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
  const marked = [
    [/\bexplo(sions?|ded)\b/i, "explosion", known["loss explosion"]],
    [/\bpruned\b/i, "pruned", known.pruned],
    [/\bfront\b/i, "front", others.front],
    ...Object.entries(declared).filter(([word]) => !isMetric(word)).map(([word, text]) => [new RegExp(`(?<![\\p{L}\\p{N}_])${literal(word)}(?![\\p{L}\\p{N}_])`, "u"), word, text]),
  ];

  /** A button that tells what a word means: by the pointer, a finger, the keyboard. */
  function hint(word, text) {
    const tell = (event) => {
      event.stopPropagation(); // a heading would sort
      pointing.say(one, [word, text]);
    };
    const one = button("?", tell, { class: "hint", "aria-label": `${word}: ${text}`, onmouseenter: tell, onfocus: tell, onmouseleave: pointing.hide, onblur: pointing.hide });
    return one;
  }

  return {
    of: (state) => known[state] ?? "",
    /** What a column has that no trial function speaks of. */
    of_column: (column) => (column.kind === "front" ? others.front : ""),
    hint,
    /** A name of an outcome that a style sheet can have. */
    kind: (state) => state.replace(/[^a-z]+/g, "-"),
    /** Explain each word once in a sweep's part of the page: in its headings, its tables, its captions. */
    mark() {
      for (const sweep of document.querySelectorAll("main > section")) {
        const left = new Set(marked);
        for (const place of sweep.querySelectorAll(".part, th, dt, figcaption")) {
          if (place.closest("#explorer")) continue;
          for (const one of left) {
            const [at, word, text] = one;
            if (!at.test(place.textContent)) continue;
            left.delete(one);
            const anchor = place.querySelector(".anchor");
            if (anchor) anchor.before(hint(word, text), " ");
            else place.append(" ", hint(word, text));
          }
        }
      }
    },
    list() {
      const metrics = trials.shown.filter((column) => column.text).map((column) => [column.title, column.text]);
      const present = Object.entries(known).filter(([state]) => trials.all.some((trial) => trial.state === state));
      const named = new Set(metrics.map(([name]) => name));
      const rows = [...present, ...Object.entries(others), ...metrics, ...Object.entries(declared).filter(([word]) => !named.has(word))];
      return make(
        "details",
        { class: "words" },
        make("summary", {}, "What the words mean"),
        make("dl", {}, rows.map(([word, text]) => make("div", {}, make("dt", {}, word), make("dd", {}, text)))),
      );
    },
  };
})();
