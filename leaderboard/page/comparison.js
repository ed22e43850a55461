// Two methods of one table: how much higher the first is, from draws that all methods share.
function differencesOf(setting, first, second) {
  const { methods, pairs } = data.differences[setting] ?? { methods: [] }, i = methods.indexOf(first), j = methods.indexOf(second);
  if (i < 0 || j < 0 || i === j) return null;
  const [low, high] = i < j ? [i, j] : [j, i], count = methods.length;
  const pair = pairs[low * count - (low * (low + 1)) / 2 + high - low - 1]; // row by row above the diagonal
  return i < j ? pair : pair.map(([value, from, to]) => [value, from, to].map((one) => (one === null ? null : -one)))
    .map(([value, from, to]) => [value, to, from]);
}

function drawComparison() {
  const setting = settingShown(), { methods } = data.differences[setting] ?? { methods: [] };
  const others = methods.filter((one) => one !== "none" && one !== "oracle");
  const names = methods.map((one) => [one, one]);
  options(byId("first"), names, methods.includes(state.first) ? state.first : others[0]);
  options(byId("second"), names, methods.includes(state.second) ? state.second : others[1]);
  [state.first, state.second] = [byId("first").value, byId("second").value];
  const found = differencesOf(setting, state.first, state.second), axes = Object.entries(data.axes);
  const where = data.settings[setting];
  const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`; // a name may be anything, and commands are copied
  const submitted = data.rows.some((row) => row.setting === setting && row.submission && [state.first, state.second].includes(row.method));
  // `compare` says the second minus the first, and this page how much more the first is.
  byId("command").textContent = submitted || !where ? "unlearnbench compare FOLDER FOLDER, of the runs of each"
    : `unlearnbench compare ${[state.second, state.first].map(quoted).join(" ")} --results ${quoted(data.folders[0])} --model ${quoted(where.model)} --facts ${quoted(where.fact_set)}`;
  if (!found) {
    byId("verdict").textContent = "Two different methods that are ranked can be compared.";
    return byId("differences").replaceChildren();
  }
  const told = axes.map(([, name], i) => [name, found[i]]).filter(([, one]) => one[1] > 0 || one[2] < 0)
    .map(([name, one]) => `${one[0] > 0 ? "more" : "less"} ${name} by ${number(Math.abs(one[0]), 2)}`);
  byId("verdict").textContent = told.length ? `${state.first} is ${told.join(", ")} than ${state.second}; 95 % of draws say so, each by itself.`
    : `No difference between ${state.first} and ${state.second} is outside 95 % of the draws.`;
  fill(byId("differences"), ["Axis", state.first, state.second, "Difference", "95 %"], axes.map(([key, name], i) => {
    const value = (method) => number(data.rows.find((row) => row.setting === setting && row.method === method)?.[key]?.[0]);
    return [`${key} ${name}`, value(state.first), value(state.second), number(found[i][0]), `${number(found[i][1], 2)} to ${number(found[i][2], 2)}`];
  }));
}
