// Which numbers stand on logarithmic axes: as the data ask for it, or as a reader has it; in all charts alike.

const scales = (() => {
  const LEAST = 50; // the greatest value by the least one: below that, a logarithm parts nothing
  const SQUEEZED = 0.1; // of a linear axis
  const asked = new Map(); // what a reader has switched, by what an axis is of
  const heard = [];
  const curves = new Map(); // whether a metric by epoch can be, and should be, logarithmic

  /** Whether half of these values, in ascending order, would share the lowest tenth of a linear axis. */
  function isSqueezed(values) {
    const [low, middle, high] = [values[0], values[Math.floor((values.length - 1) / 2)], values[values.length - 1]];
    return low > 0 && high >= LEAST * low && middle - low < SQUEEZED * (high - low);
  }

  function ofCurves(metric) {
    if (!curves.has(metric)) {
      const values = Float64Array.from([...(trials.curves.get(metric)?.values() ?? [])].flatMap((line) => line.values)).sort();
      curves.set(metric, { can: values.length > 0 && values[0] > 0, should: isSqueezed(values) });
    }
    return curves.get(metric);
  }

  function axisOf(key) {
    if (key === "epoch") return { can: true, should: false };
    if (key.startsWith("curve:")) return ofCurves(key.slice("curve:".length));
    const column = trials.named(key);
    return { can: Boolean(column?.isNumber && column.low > 0 && column.low < column.high), should: column?.wantsLog ?? false };
  }

  const isLog = (key) => asked.get(key) ?? axisOf(key).should;

  function set(key, isOn) {
    if (isOn === axisOf(key).should) asked.delete(key);
    else asked.set(key, isOn);
    for (const hear of heard) hear();
  }

  return {
    isSqueezed,
    isLog,
    listen: (hear) => heard.push(hear),
    /** A switch of an axis; none where a logarithm cannot be. */
    tick: (name, key) => (axisOf(key).can ? tick(name, isLog(key), (isOn) => set(key, isOn)) : null),
    title: (text, key) => (isLog(key) ? `${text} (log)` : text),
    /** Gives positions of values on an axis, from 0 to 1. */
    between(isLog, low, high) {
      const on = isLog ? Math.log : (number) => number;
      return (value) => (on(value) - on(low)) / (on(high) - on(low));
    },
    /** The value of a column at a position on its axis. */
    valueAt(column, share) {
      if (!isLog(column.key)) return column.low + share * (column.high - column.low);
      return column.low * (column.high / column.low) ** share;
    },
    write: () => [...asked].map(([key, isOn]) => ["log", `${key}~${isOn ? "on" : "off"}`]),
    read(given) {
      asked.clear();
      for (const one of given.getAll("log")) {
        const [, key, state] = /^(.*)~(on|off)$/s.exec(one) ?? [];
        if (key && axisOf(key).can && (state === "on") !== axisOf(key).should) asked.set(key, state === "on");
      }
    },
  };
})();
