// The point of a chart that is nearest to the pointer or the finger, with a tip beside it. It stands still while one scrolls.

const pointing = (() => {
  const MARK = 10; // pixels around a mark in which it is what one points at
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
   * points: rows with x and y in the units of the axes, of which one with a mark wins where several are near; shown: called with the nearest one, or null; tell: its lines of text.
   */
  function follow(view, points, { shown = () => {}, tell, opened = () => {}, reach = 60 }) {
    const element = view.container();
    const [x, y] = [view.scale("x"), view.scale("y")];
    const spread = (scale, value) => scale(value) + (scale.bandwidth ? scale.bandwidth() / 2 : 0);
    const spots = points.map((point) => [spread(x, point.x), spread(y, point.y), point]);
    let now = null;

    function nearest(event) {
      const drawn = element.querySelector("svg").getBoundingClientRect();
      const [left, top] = view.origin();
      const [atX, atY] = [event.clientX - drawn.left - left, event.clientY - drawn.top - top];
      let [best, least] = [null, reach * reach];
      for (const [sx, sy, point] of spots) {
        let away = (sx - atX) ** 2 + ((sy - atY) / 1.5) ** 2;
        if (point.mark && away < MARK * MARK) away -= MARK * MARK;
        if (away < least) [best, least] = [point, away];
      }
      return best;
    }

    function move(event) {
      const best = nearest(event);
      if (best !== now) shown((now = best));
      if (!best) return hide();
      show(tell(best), event.clientX, event.clientY);
    }

    function leave() {
      if (!now) return; // the tip is another chart's
      shown((now = null));
      hide();
    }

    element.addEventListener("pointermove", move);
    element.addEventListener("pointerdown", move); // a finger that only touches
    element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
    element.addEventListener("click", (event) => event.detail && now && opened(now, event));
    gone(view).addEventListener("abort", () => now && hide()); // what it told is drawn no more
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

  return { follow, hide, say };
})();
