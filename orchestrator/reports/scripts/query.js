// What a reader asks of a column, as a text: 0.1..0.5, >3, one of 0.1, 0.5; of a text =conv|fc, or letters that it has.

const query = (() => {
  const LONGEST = 200; // letters of a number, a bound or a range
  const number = String.raw`([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)`;
  const range = new RegExp(`^${number}?\\s*\\.\\.\\s*${number}?$`, "i");
  const bound = new RegExp(`^(>=|<=|>|<|=)?\\s*${number}$`, "i");
  const spans = {
    ">=": (than) => ({ low: than, high: Infinity }),
    "<=": (than) => ({ low: -Infinity, high: than }),
    ">": (than) => ({ low: than, high: Infinity, isOpen: true }),
    "<": (than) => ({ low: -Infinity, high: than, isOpen: true }),
    "=": (than) => ({ low: than, high: than }),
  };

  /** Between what a number, a bound or a range asks values to be; null where a text is none of them. */
  function span(given) {
    const text = given.trim();
    if (text.length > LONGEST) return null;
    const ends = range.exec(text);
    if (ends && (ends[1] ?? ends[2]) !== undefined) return { low: Number(ends[1] ?? -Infinity), high: Number(ends[2] ?? Infinity) };
    const than = bound.exec(text);
    return than && spans[than[1] ?? "="](Number(than[2]));
  }

  function within({ low, high, isOpen }) {
    const holds = isOpen ? (value) => value > low && value < high : (value) => value >= low && value <= high;
    const asShown = (value) => (Number.isInteger(value) ? value : Number(figure(value))); // people copy what they see
    return isOpen ? (value) => holds(value) && holds(asShown(value)) : (value) => holds(value) || holds(asShown(value));
  }

  function ofNumber(text) {
    const found = text.split(",").map(span);
    if (found.includes(null)) return null;
    const tests = found.map(within);
    return (value) => typeof value === "number" && tests.some((test) => test(value));
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
    help: (column) => (column.isNumber ? "0.1 or 0.1, 0.5 or 1..5 or >3, >=3, <3, <=3" : "letters that it has, or =this|that"),
    /** Whether a value is as a text asks; null where the text is not understood. */
    test: (column, text) => (column.isNumber ? ofNumber(text) : ofText(text)),
    range: (low, high) => [low, high].map((end) => (end === null ? "" : Number(end.toPrecision(4)))).join(".."),
    among: (values) => `=${values.join("|")}`,
    /** The ends of what a text asks of numbers, or null. */
    ends: (text) => {
      const found = text && span(text);
      return found ? [found.low, found.high] : null;
    },
  };
})();
