// The trials that are pointed at, in a chart or in the table: all of these show them at once, above what they draw.

const highlight = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const RADIUS = 7; // of a ring around a point
  const heard = new Set();
  let now = [];

  function set(list) {
    if (list.join() === now.join()) return;
    now = list;
    for (const hear of heard) hear(now);
  }

  function listen(hear, signal) {
    heard.add(hear);
    signal?.addEventListener("abort", () => heard.delete(hear));
  }

  /** Have a chart show them. of: the outline of a trial in pixels of the plot, as the path of an SVG, or nothing. */
  function on(view, of) {
    const plot = document.createElementNS(SVG, "svg"); // it cuts off what is beyond the axes of a chart
    const path = document.createElementNS(SVG, "path");
    plot.append(path);
    plot.setAttribute("class", "pointed");

    function show(list) {
      const outline = list.map((n) => of(trials.all[n]) ?? "").join("");
      if (!outline) return plot.remove();
      const [left, top] = pointing.origin(view);
      for (const [name, value] of Object.entries({ x: left - RADIUS, y: top - RADIUS, width: view.width() + 2 * RADIUS, height: view.height() + 2 * RADIUS })) plot.setAttribute(name, value);
      path.setAttribute("transform", `translate(${RADIUS} ${RADIUS})`);
      path.setAttribute("d", outline);
      view.container().querySelector("svg").append(plot);
    }
    listen(show, pointing.gone(view));
    show(now);
  }

  const number = (value) => value.toFixed(1);

  return {
    set,
    listen,
    on,
    line: (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${number(x)},${number(y)}`).join(""),
    ring: (x, y) => `M${number(x - RADIUS)},${number(y)}a${RADIUS},${RADIUS} 0 1 0 ${2 * RADIUS},0a${RADIUS},${RADIUS} 0 1 0 ${-2 * RADIUS},0`,
  };
})();
