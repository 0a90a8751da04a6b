// Permalinks: what stands behind # in the page's address, and the views of trials that it opens.

const links = (() => {
  const dialog = make("dialog", { class: "view", "aria-labelledby": "view-title" });
  const asked = () => new URLSearchParams(location.hash.slice(1));
  const names = ["where", "find", "without", "chosen", "log", "colour", "sort", "show", "hide", "metric", "lines", "smooth", "zoom", "x", "y", "effects", "heat-x", "heat-y", "heat-each", "heat-metric"];
  const isOurs = () => names.some((name) => asked().has(name));
  const isView = () => asked().has("trial") || asked().has("compare");
  let open = [];
  let parts = []; // of the page, which write and read what they show
  let redraw = () => {};

  function go({ trial, compare }) {
    if (trial) location.hash = `trial=${trial}`;
    else if (compare) location.hash = `compare=${compare.join(",")}`;
  }

  /** The selection, the table and the charts, as the address has them. */
  const state = () => new URLSearchParams(parts.flatMap((part) => [...part.write()])).toString();

  /** The page's own, without a bare # where nothing differs: Vega would not find the colours of its legends. */
  const address = () => `${location.pathname}${location.search}${state() ? `#${state()}` : ""}`;

  function read(wanted) {
    for (const part of parts) part.read(wanted);
  }

  /** Write the address anew: replaceState or pushState. */
  function write(how) {
    const shown = address();
    try {
      history[how](null, "", shown);
    } catch {
      // some browsers allow this only so often, or not in a frame: the page does without
    }
  }

  const note = drawing.settled(() => {
    if (parts.length && !isView() && (state() || isOurs())) write("replaceState");
  });

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
    if (!dialog.open) {
      document.body.append(dialog); // in front of a chart that is enlarged
      dialog.showModal();
    }
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
      const unknown = ids.find((id) => !trials.found(id));
      if (unknown !== undefined) return show(missing(unknown));
      const list = [...new Set(ids.map(trials.found))].slice(0, compareView.MOST);
      return show(list.length > 1 ? compareView.show(list) : trialView.show(list[0]));
    }
    close();
    if (!isOurs() || wanted.toString() === state()) return null;
    read(wanted);
    return redraw();
  }

  return {
    /** Show what the address asks for, or else what the page has shown before it was loaded again. */
    start(shown, again) {
      parts = shown.filter((part) => part.write);
      if (watching.kept.shown) read(new URLSearchParams(watching.kept.shown));
      follow();
      redraw = again;
      document.body.append(dialog);
      dialog.addEventListener("close", () => {
        for (const frame of open) frame.view?.finalize();
        open = [];
        pointing.hide();
        if (isView()) write("pushState");
      });
      dialog.addEventListener("click", (event) => event.target === dialog && close());
      addEventListener("hashchange", follow);
      selection.listen(note);
    },
    go,
    note,
    state,
  };
})();
