// What a reader has chosen, as a permalink has it: only what differs from how the page begins, and only what it knows.

/**
 * The two sides of a permalink for the choices of a chart.
 * asked: the choices, as the chart begins; names: what each is called in an address; isKnown: whether there is such a choice.
 */
function keeping(asked, names, isKnown) {
  const usual = { ...asked };
  return {
    write: () =>
      Object.entries(names)
        .filter(([one]) => asked[one] !== usual[one])
        .map(([one, name]) => [name, asked[one]]),
    read(given) {
      for (const [one, name] of Object.entries(names)) {
        const wanted = given.get(name);
        asked[one] = wanted !== null && isKnown(wanted, one) ? wanted : usual[one];
      }
    },
  };
}
