// Elements of the page. Text is only ever text: nothing here reads HTML.

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const button = (text, does, attributes = {}) => make("button", { type: "button", onclick: does, ...attributes }, text);

/** A select of [value, text] pairs, with its name before it. */
function choice(name, pairs, value, does) {
  const options = pairs.map(([one, text]) => make("option", { value: one, selected: String(one) === String(value) }, text));
  return make("label", { class: "choice" }, `${name} `, make("select", { onchange: (event) => does(event.target.value) }, options));
}

function tick(name, isOn, does) {
  return make("label", { class: "tick" }, make("input", { type: "checkbox", checked: isOn, onchange: (event) => does(event.target.checked) }), ` ${name}`);
}

/** A text that a click copies. */
function copied(text, shown = text) {
  const done = () => {
    const before = one.textContent;
    one.textContent = "copied";
    setTimeout(() => (one.textContent = before), 900);
  };
  const one = button(shown, () => copy(text).then(done), { class: "copy", title: `Copy ${text}` });
  return one;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen" }); // a page from disk may not have the clipboard
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A number as people read it. */
function figure(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(5)));
}

/** Names that share a beginning and an end, without them: what is left tells them apart. */
function shortened(name, longest = 28) {
  if (name.length <= longest) return name;
  const end = Math.floor(longest / 2);
  return `${name.slice(0, longest - end - 1)}…${name.slice(-end)}`;
}
