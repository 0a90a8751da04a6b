// What a reader asks of a column, as a text: 0.1..0.5, >3, =conv|fc, or letters that it has.

const query = (() => {
  const number = String.raw`([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)`;
  const range = new RegExp(`^\\s*${number}?\\s*\\.\\.\\s*${number}?\\s*$`, "i");
  const bound = new RegExp(`^\\s*(>=|<=|>|<|=)?\\s*${number}\\s*$`, "i");
  const holds = {
    ">=": (value, than) => value >= than,
    "<=": (value, than) => value <= than,
    ">": (value, than) => value > than,
    "<": (value, than) => value < than,
    "=": (value, than) => value === than,
  };

  function ofNumber(text) {
    const ends = text.includes("..") && range.exec(text);
    if (ends) {
      const [low, high] = [ends[1] === undefined ? -Infinity : Number(ends[1]), ends[2] === undefined ? Infinity : Number(ends[2])];
      return (value) => typeof value === "number" && value >= low && value <= high;
    }
    const than = bound.exec(text);
    if (than) return (value) => typeof value === "number" && holds[than[1] ?? "="](value, Number(than[2]));
    return ofText(text);
  }

  function ofText(text) {
    if (text.startsWith("=")) {
      const among = new Set(text.slice(1).split("|"));
      return (value) => among.has(String(value ?? ""));
    }
    const wanted = text.toLowerCase();
    return (value) => value !== null && String(value).toLowerCase().includes(wanted);
  }

  return {
    test: (column, text) => (column.isNumber ? ofNumber(text) : ofText(text)),
    range: (low, high) => [low, high].map((end) => (end === null ? "" : Number(end.toPrecision(4)))).join(".."),
    among: (values) => `=${values.join("|")}`,
    /** The ends of a range, or null. */
    ends: (text) => {
      const found = text && range.exec(text);
      return found ? [found[1] === undefined ? null : Number(found[1]), found[2] === undefined ? null : Number(found[2])] : null;
    },
  };
})();
