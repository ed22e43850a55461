// What the reader has chosen. It is in the address, so that a view can be sent to somebody.
const LEVELS = data.levels;
const first = data.settings[0] || { model: "", facts: "" };
const DEFAULTS = {
  model: first.model, facts: first.facts, method: "", checked: "recomputed", ranked: "", sort: "S", down: "1",
  against: "R", first: "", second: "", attack: "", shown: "S", all: "",
};
const state = { ...DEFAULTS };

function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(DEFAULTS)) state[key] = said.get(key) ?? DEFAULTS[key];
}

function change(what) {
  Object.assign(state, what);
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) if (value !== DEFAULTS[key]) said.set(key, value);
  history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
  draw();
}

const settingOf = (row) => data.settings[row.setting];

function shownRows() {
  const wanted = state.method.toLowerCase(), least = LEVELS.indexOf(state.checked);
  return data.rows.filter((row) => {
    const setting = settingOf(row);
    return (state.model === "*" || setting.model === state.model) && (state.facts === "*" || setting.facts === state.facts)
      && row.method.toLowerCase().includes(wanted) && LEVELS.indexOf(row.checked) >= least && (!state.ranked || row.place);
  });
}

// Charts and comparisons are within one table: the first that is shown; -1 where there is none.
const settingShown = () => data.settings.findIndex((one) =>
  (state.model === "*" || one.model === state.model) && (state.facts === "*" || one.facts === state.facts));
