// Permalinks: what stands behind # in the page's address, and the views of trials that it opens.

const links = (() => {
  const dialog = make("dialog", { class: "view", "aria-labelledby": "view-title" });
  const asked = () => new URLSearchParams(location.hash.slice(1));
  const isOurs = () => ["trial", "compare", "where", "find", "without", "chosen", "x", "y", "metric"].some((name) => asked().has(name));
  let open = [];

  function go({ trial, compare }) {
    if (trial) location.hash = `trial=${trial}`;
    else if (compare) location.hash = `compare=${compare.join(",")}`;
  }

  /** The selection, and what the charts show, as the address has it. */
  function state() {
    const made = selection.write();
    if (scatter.axes.x) [made.set("x", scatter.axes.x), made.set("y", scatter.axes.y)];
    if (curves.asked.metric) made.set("metric", curves.asked.metric);
    return made.toString();
  }

  function note() {
    if (!dialog.open) history.replaceState(null, "", `#${state()}`);
  }

  function close() {
    if (dialog.open) dialog.close();
  }

  function show({ title, content, frames }) {
    for (const frame of open) frame.view?.finalize();
    open = frames;
    const head = make(
      "header",
      {},
      make("h2", { id: "view-title", tabindex: "-1" }, title),
      make("span", { class: "buttons" }, copied(location.href, "copy link"), button("close", close)),
    );
    dialog.replaceChildren(head, make("div", { class: "view-content" }, content.filter(Boolean)));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    return frames.reduce((before, frame) => before.then(frame.later), Promise.resolve());
  }

  function missing(id) {
    return { title: "No such trial", content: [make("p", {}, `The page has no trial whose run is ${id}.`)], frames: [] };
  }

  /** Show what the address asks for. */
  function follow() {
    const wanted = asked();
    if (wanted.has("trial")) {
      const trial = trials.found(wanted.get("trial"));
      return show(trial ? trialView.show(trial) : missing(wanted.get("trial")));
    }
    if (wanted.has("compare")) {
      const ids = wanted.get("compare").split(",");
      const [a, b] = ids.map(trials.found);
      return show(a && b ? compareView.show(a, b) : missing(a ? ids[1] : ids[0]));
    }
    close();
    if (isOurs()) {
      selection.read(wanted);
      for (const name of ["x", "y"]) if (trials.named(wanted.get(name))) scatter.axes[name] = wanted.get(name);
      if (trials.curves.has(wanted.get("metric"))) curves.asked.metric = wanted.get("metric");
      scatter.read();
      curves.read();
    }
  }

  return {
    start() {
      document.body.append(dialog);
      dialog.addEventListener("close", () => {
        for (const frame of open) frame.view?.finalize();
        open = [];
        pointing.hide();
        if (asked().has("trial") || asked().has("compare")) history.pushState(null, "", `#${state()}`);
      });
      dialog.addEventListener("click", (event) => event.target === dialog && close());
      addEventListener("hashchange", follow);
      selection.listen(note);
    },
    go,
    note,
    follow,
  };
})();
