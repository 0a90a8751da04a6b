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

  return {
    of: (state) => known[state] ?? "",
    /** A name of an outcome that a style sheet can have. */
    kind: (state) => state.replace(/[^a-z]+/g, "-"),
    list() {
      const metrics = trials.shown.filter((column) => column.text).map((column) => [column.title, column.text]);
      const present = Object.entries(known).filter(([state]) => trials.all.some((trial) => trial.state === state));
      const rows = [...present, ...Object.entries(others), ...metrics];
      return make(
        "details",
        { class: "words" },
        make("summary", {}, "What the words mean"),
        make("dl", {}, rows.map(([word, text]) => make("div", {}, make("dt", {}, word), make("dd", {}, text)))),
      );
    },
  };
})();
