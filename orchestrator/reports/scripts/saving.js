// What a reader takes away: the data behind a chart as CSV, and the chart as SVG and PNG, in the colours of paper.

const saving = (() => {
  function download(name, content, type) {
    const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /** A value as a cell of CSV; what a spreadsheet would compute has an apostrophe before it. */
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    let text = Array.isArray(value) ? value.join(" ") : String(value);
    if (/^\s*[=+\-@＝＋－＠\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function csv(rows) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    return [names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(cell).join(",")).join("\n") + "\n";
  }

  async function svg(view) {
    const colours = JSON.parse(document.getElementById("paper").textContent);
    const [first, ...rest] = (await view.toSVG()).split("var(--");
    return first + rest.map((text) => (colours[text.slice(0, text.indexOf(")"))] ?? "black") + text.slice(text.indexOf(")") + 1)).join("");
  }

  async function png(view) {
    const text = await svg(view);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = make("canvas", { width: image.width * 2, height: image.height * 2 });
    const drawn = canvas.getContext("2d");
    drawn.fillStyle = "white";
    drawn.fillRect(0, 0, canvas.width, canvas.height);
    drawn.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  /** The three buttons of a chart. */
  function buttons(name, view, rows) {
    const file = name.replace(/[^\p{L}\p{N}_.-]+/gu, " ").trim().slice(0, 80) || "chart";
    return make(
      "span",
      { class: "saving", role: "group", "aria-label": `save ${name}` },
      button("CSV", () => download(`${file}.csv`, csv(rows()), "text/csv")),
      button("SVG", async () => download(`${file}.svg`, await svg(view()), "image/svg+xml")),
      button("PNG", async () => download(`${file}.png`, await png(view()), "image/png")),
    );
  }

  return { buttons, csv, download, svg };
})();
