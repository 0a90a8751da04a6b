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
  return make("label", { class: "choice" }, `${name} `, make("select", { "aria-label": name, onchange: (event) => does(event.target.value) }, options));
}

function tick(name, isOn, does) {
  return make("label", { class: "tick" }, make("input", { type: "checkbox", checked: isOn, onchange: (event) => does(event.target.checked) }), ` ${name}`);
}

/** Put others in the place of controls; the one that has the keyboard's focus keeps it. */
function renew(place, ...children) {
  const all = () => [...place.querySelectorAll("select, input, button, summary")];
  const at = all().indexOf(document.activeElement);
  place.replaceChildren(...children.flat().filter(Boolean));
  if (at >= 0) all()[at]?.focus();
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

/** A text for what takes HTML alone. */
const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

/** A number as people read it. */
function figure(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(5)));
}

/** A text without its middle, where there is no room for it. */
function shortened(name, longest = 28) {
  if (name.length <= longest) return name;
  const end = Math.floor(longest / 2);
  return `${name.slice(0, longest - end - 1)}…${name.slice(-end)}`;
}

/** Labels with their values whole: names of parameters are as short as there is room for, as far as they stay different. */
function briefed(labels, longest) {
  const named = /(?<=^| )([^\s=]+)=/g;
  const long = labels.filter((label) => label.length > longest);
  if (!long.length) return labels;
  const names = [...new Set(labels.flatMap((label) => [...label.matchAll(named)].map(([, name]) => name)))];
  const most = long.sort((a, b) => b.length - a.length).slice(0, 20);
  const renamed = (label, texts) => label.replace(named, (_, name) => `${texts.get(name)}=`);
  let found = new Map(names.map((name) => [name, name]));
  for (let size = Math.max(0, ...names.map((name) => name.length)) - 1; size >= 5; size -= 1) {
    const short = apart(names, size);
    if (new Set(short).size < names.length) continue;
    const texts = new Map(names.map((name, i) => [name, short[i]]));
    found = texts;
    if (most.every((label) => renamed(label, texts).length <= longest)) break;
  }
  return apart(labels.map((label) => renamed(label, found)), Math.floor(1.4 * longest)); // values rather have more room
}

/** Texts without their middle; those that would look alike, from where they differ. */
function apart(texts, longest) {
  const groups = new Map();
  for (const text of new Set(texts)) groups.set(shortened(text, longest), [...(groups.get(shortened(text, longest)) ?? []), text]);
  const found = new Map();
  for (const [cut, alike] of groups) {
    let shared = 0;
    while (alike.length > 1 && alike.every((text) => text[shared] === alike[0][shared])) shared += 1;
    const beginning = alike[0].slice(0, Math.min(shared, Math.floor(longest / 4)));
    for (const text of alike) found.set(text, alike.length === 1 ? cut : `${beginning}…${shortened(text.slice(shared), longest - beginning.length - 1)}`);
  }
  return texts.map((text) => found.get(text));
}
