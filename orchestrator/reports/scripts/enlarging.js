// A chart with the whole window to itself; Esc brings it back to its place.

const enlarging = (() => {
  const LEGEND = 150; // pixels that a chart needs beneath its axes

  const isLarge = (figure) => figure.parentElement?.matches("dialog.large");

  function open(title, figure, draw, one) {
    const place = make("span", { hidden: true });
    const dialog = make("dialog", { class: "large", "aria-label": title });
    figure.before(place);
    dialog.append(figure);
    document.body.append(dialog);
    dialog.showModal();
    one.textContent = "close";
    dialog.addEventListener("close", () => {
      place.replaceWith(figure);
      dialog.remove();
      one.textContent = "enlarge";
      one.focus();
      draw();
    });
    draw();
  }

  return {
    button(title, figure, draw) {
      const one = button("enlarge", () => (isLarge(figure) ? figure.parentElement.close() : open(title, figure, draw, one)), { class: "enlarging", title: "Give it the whole window; Esc leaves it" });
      return one;
    },
    /** The height of a chart: its usual one, or what the window has left. */
    tall: (figure, usual) => (isLarge(figure) ? Math.max(usual, innerHeight - (figure.offsetHeight - figure.querySelector(".chart").offsetHeight) - LEGEND) : usual),
  };
})();
