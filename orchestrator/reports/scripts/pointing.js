// The point of a chart that is nearest to the pointer or the finger, with a tip beside it. It stands still while one scrolls.

const pointing = (() => {
  const MARK = 10; // pixels around a mark in which it is what one points at
  const DRAG = 4; // pixels: what is pressed and moved so far is no click
  const tip = make("div", { id: "tip", role: "tooltip", hidden: true });

  function place(x, y) {
    const room = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - room.width - 4))}px`;
    tip.style.top = `${y + 18 + room.height > innerHeight ? Math.max(4, y - room.height - 12) : y + 18}px`;
  }

  function hide() {
    tip.hidden = true;
  }

  selection.listen(hide);
  addEventListener("scroll", hide, { passive: true, capture: true });

  /** Show lines of text, the first one as a heading, in front of whatever is open. */
  function show(lines, x, y) {
    tip.replaceChildren(...lines.map((line, i) => make(i ? "div" : "b", {}, line)));
    tip.hidden = false;
    const [front = document.body] = [...document.querySelectorAll("dialog[open]")].slice(-1);
    if (tip.parentElement !== front) front.append(tip);
    place(x, y);
  }

  /** Show lines beneath an element. */
  function say(element, lines) {
    const { left, bottom } = element.getBoundingClientRect();
    show(lines, left - 14, bottom - 10);
  }

  /**
   * Have a chart show what is nearest.
   * points: rows with x and y in the units of the axes, of which one with a mark wins where several are near; shown: called with the nearest one, or null; of: the trials that a row is of; tell: its lines of text.
   */
  function follow(view, points, { shown = () => {}, of = (point) => (point.n === undefined ? [] : [point.n]), tell, opened = () => {}, reach = 60 }) {
    const [x, y] = [view.scale("x"), view.scale("y")];
    const isSeen = ([left, top]) => left >= -1 && left <= view.width() + 1 && top >= -1 && top <= view.height() + 1;
    const spots = points.map((point) => [spread(x, point.x), spread(y, point.y), point]).filter(isSeen);
    tracked(view, nearest, { shown, of, tell, opened });

    function nearest(atX, atY) {
      let [best, least] = [null, reach * reach];
      for (const [sx, sy, point] of spots) {
        let away = (sx - atX) ** 2 + ((sy - atY) / 1.5) ** 2;
        if (point.mark && away < MARK * MARK) away -= MARK * MARK;
        if (away < least) [best, least] = [point, away];
      }
      return best;
    }
  }

  /** Have a chart show the row of the mark that is beneath the pointer, in whichever part of the chart. */
  function beneath(view, isRow, ways) {
    let row = null;
    for (const kind of ["pointermove", "pointerdown"]) view.addEventListener(kind, (_, item) => (row = item?.datum && isRow(item.datum) ? item.datum : null));
    tracked(view, () => row, ways);
  }

  /** Where a scale has a value: in the middle, where it has room for one. */
  const spread = (scale, value) => scale(value) + (scale.bandwidth ? scale.bandwidth() / 2 : 0);

  /** Where the plot of a chart begins in its SVG. */
  function origin(view) {
    const [[x, y], { left, top }] = [view.origin(), view.padding()];
    return [x + left, y + top];
  }

  /** Have a chart show what is beneath the pointer: nearest gives that, or null, for a place in pixels of the plot. */
  function tracked(view, nearest, { shown = () => {}, of, tell, opened = () => {} }) {
    const element = view.container();
    let now = null;
    let pressed = [0, 0];

    function turn(best) {
      if (best === now) return;
      now = best;
      highlight.set(best ? of(best) : []);
      shown(best);
    }

    function move(event) {
      if (event.buttons && event.pointerType === "mouse" && event.type === "pointermove") return leave(); // it draws a brush
      const drawn = element.querySelector("svg").getBoundingClientRect();
      const [left, top] = origin(view);
      turn(nearest(event.clientX - drawn.left - left, event.clientY - drawn.top - top));
      if (now) show(tell(now), event.clientX, event.clientY);
      else hide();
    }

    function leave() {
      if (!now) return; // the tip is another chart's
      turn(null);
      hide();
    }

    function click(event) {
      const isDragged = Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > DRAG;
      if (event.detail && now && !isDragged) opened(now, event);
    }

    element.addEventListener("pointermove", move);
    element.addEventListener("pointerdown", move); // a finger that only touches
    element.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]));
    element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
    element.addEventListener("click", click);
    gone(view).addEventListener("abort", leave); // what it told is drawn no more
    addEventListener("scroll", leave, { passive: true, signal: gone(view) });
    document.addEventListener("pointerdown", (event) => !element.contains(event.target) && leave(), { signal: gone(view) });
  }

  const ended = new WeakMap();

  /** Tells when a view is drawn no more. */
  function gone(view) {
    if (!ended.has(view)) {
      const controller = new AbortController();
      ended.set(view, controller);
      const finalize = view.finalize.bind(view);
      view.finalize = () => {
        controller.abort();
        return finalize();
      };
    }
    return ended.get(view).signal;
  }

  return { follow, beneath, tracked, spread, origin, gone, hide, say };
})();
