// The tables in a sweep's part of the page: a heading sorts, of many rows the first ones are shown, and those of
// configurations are shown as far as their trials are selected.

const tables = (() => {
  const text = (row, at) => row.cells[at].textContent.trim();
  const valueOf = (row, at) => Number.parseFloat(text(row, at)); // of a mean ± its interval: the mean

  function compare(a, b, at) {
    const [x, y] = [valueOf(a, at), valueOf(b, at)];
    if (Number.isNaN(x) && Number.isNaN(y)) return text(a, at).localeCompare(text(b, at));
    return x - y;
  }

  /** Sort by a column: the best value first, where one is marked, else the least; then the other way round. */
  function sort(table, heading) {
    const [at, body] = [heading.cellIndex, table.tBodies[0]];
    const rows = [...body.rows];
    const known = rows.filter((row) => !Number.isNaN(valueOf(row, at)));
    const isText = known.length === 0;
    const best = known.find((row) => row.cells[at].querySelector("strong"));
    const isMost = best && known.every((row) => valueOf(row, at) <= valueOf(best, at));
    const before = heading.ariaSort;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    const order = before ? (before === "ascending" ? "descending" : "ascending") : isMost ? "descending" : "ascending";
    heading.ariaSort = order;
    const isIn = (row) => isText || !Number.isNaN(valueOf(row, at)); // what has no value comes last
    rows.sort((a, b) => isIn(b) - isIn(a) || (isIn(a) ? compare(a, b, at) * (order === "ascending" ? 1 : -1) : 0));
    body.append(...rows);
  }

  /** Fold the last rows away; gives what says how many these are. */
  function fold(table) {
    const one = button("", () => [table.classList.remove("folded"), one.remove()], { class: "more" });
    table.classList.add("folded");
    table.parentElement.after(one);
    return () => {
      const more = [...table.tBodies[0].rows].filter((row) => !row.hidden).length - Number(table.dataset.most);
      one.hidden = more <= 0;
      one.textContent = `${more} more rows`;
    };
  }

  /** Have a table show the configurations of which a trial is selected, and say so. */
  function follow(table, folded) {
    const rows = [...table.tBodies[0].rows];
    const sweep = [...document.querySelectorAll("main > section[id^='sweep-']")].indexOf(table.closest("section"));
    const note = make("p", { class: "soft", role: "status" });
    table.parentElement.before(note);
    const hear = () => {
      const left = new Set(trials.all.filter((trial) => trial.sweep === sweep && selection.matching.has(trial.n)).map((trial) => String(trial.configuration)));
      for (const row of rows) row.hidden = !left.has(row.dataset.configuration);
      const seeds = trials.sweeps[sweep].trials.length > trials.sweeps[sweep].configurations.length ? ", with their figures over all of their seeds" : "";
      note.textContent = selection.isAll ? "" : `${rows.filter((row) => !row.hidden).length} of this table's ${rows.length} rows are shown: those of which a trial is selected above${seeds}.`;
      folded();
    };
    selection.listen(hear);
    hear();
  }

  return {
    start() {
      for (const table of document.querySelectorAll("main > section > .scroll > table")) {
        const folded = table.dataset.most ? fold(table) : () => {};
        if (table.querySelector("[data-configuration]")) follow(table, folded);
        else folded();
        if (table.tBodies[0].rows.length < 3) continue;
        for (const heading of table.tHead.rows[0].cells) {
          heading.replaceChildren(button(heading.textContent, () => sort(table, heading), { class: "sort", title: "Sort by this column" }));
        }
      }
    },
  };
})();
