// The pictures of trials: small ones that the page has, and those in full size that stand beside it.

const pictures = (() => {
  const MOST_CHOSEN = 8; // trials whose pictures stand side by side
  const here = new Map([...document.querySelectorAll("main button.enlarge[data-path]")].map((one) => [one.dataset.path, one.querySelector("img")]));

  const address = (path) => path.split("/").map(encodeURIComponent).join("/");

  /** Of which seed a picture is, and after which epoch it was made. */
  function whose(trial) {
    const seed = trial.values[trials.seed()];
    const known = [...(seed === undefined || seed === null ? [] : [`seed ${seed}`]), ...(trial.epochs === undefined ? [] : [`epoch ${trial.epochs}`])];
    return known.length ? ` (${known.join(", ")})` : "";
  }

  /** A picture in a figure: the small one where the page has it, else the one beside the page. */
  function framed(trial, [title, path, small], name = "") {
    const known = here.get(path);
    const caption = `${name}${title}${whose(trial)}`;
    const gone = () => figure.replaceWith(make("p", { class: "soft" }, `${caption}: the picture is not beside the page; MLflow has it.`));
    const image = make("img", { src: known?.src ?? small ?? address(path), class: known?.className, alt: `${title}, of ${trials.named_in_full(trial)}`, onerror: gone });
    const figure = make("figure", {}, make("button", { type: "button", class: "enlarge", "data-path": path, "aria-label": `enlarge: ${image.alt}` }, image), make("figcaption", {}, caption));
    return figure;
  }

  const of = (trial) => (trial.pictures ?? []).map((one) => framed(trial, one));

  /** Show the pictures of chosen trials, kind by kind, each with the name of its trial. */
  function show(place, chosen) {
    const some = chosen.filter((trial) => trial.pictures).slice(-MOST_CHOSEN);
    const which = some.map((trial) => trial.n).join();
    if (place.dataset.of === which) return;
    place.dataset.of = which;
    const titles = [...new Set(some.flatMap((trial) => trial.pictures.map(([title]) => title)))];
    const all = titles.flatMap((title) => some.flatMap((trial) => trial.pictures.filter((one) => one[0] === title).map((one) => [trial, one])));
    place.replaceChildren(...all.map(([trial, one]) => framed(trial, one, `${trials.brief(trial)}: `)));
  }

  /** The first picture of a trial that the page has itself, as small as a row of the table. */
  function thumbnail(trial) {
    const [, path, small] = trial.pictures.find(([, path, small]) => here.has(path) || small) ?? [];
    const known = here.get(path);
    return path && make("img", { src: known?.src ?? small, class: `thumbnail ${known?.className ?? ""}`, alt: "" });
  }

  function enlarge(one) {
    const image = one.querySelector("img");
    const note = make("p", { class: "soft" });
    const large = make("img", { src: image.src, alt: image.alt, class: image.className });
    const caption = one.closest("figure").querySelector("figcaption")?.textContent ?? "";
    const dialog = make("dialog", { class: "picture", "aria-label": image.alt }, make("p", {}, caption), large, note, button("close", () => dialog.close()));
    dialog.addEventListener("click", (clicked) => clicked.target === dialog && dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    if (!one.dataset.path) return;
    const full = make("img", {
      src: address(one.dataset.path),
      alt: image.alt,
      onload: () => large.replaceWith(full),
      onerror: () => (note.textContent = "This is the small one: the picture in full size is not beside the page."),
    });
  }

  return {
    of,
    show,
    thumbnail,
    /** Have all pictures enlarge by a click, or by the keyboard. */
    start() {
      document.addEventListener("click", (event) => {
        const one = event.target.closest?.("button.enlarge");
        if (one) enlarge(one);
      });
    },
  };
})();
