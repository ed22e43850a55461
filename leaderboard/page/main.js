// Everything is drawn from the state; the state changes by the reader, or by the address.
const unique = (values) => [...new Set(values)];

function exported() {
  return sortedRows().map((row) => {
    const one = { method: row.method, model: settingOf(row).model, facts: settingOf(row).facts, place_low: row.place?.[0] ?? null, place_high: row.place?.[1] ?? null };
    for (const axis of Object.keys(data.axes)) ["", "_low", "_high"].forEach((end, i) => { one[`${axis}${end}`] = row[axis]?.[i] ?? null; });
    return { ...one, tier: row.tier, seeds: row.seeds.length, seconds: row.seconds, checked: row.checked, submission: row.submission?.name ?? null };
  });
}

// A spreadsheet takes what begins with one of these for a formula.
const inCsv = (value) => {
  const text = value === null ? "" : String(value), safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

function save(name, kind, text) {
  const link = make("a", null, { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function draw() {
  drawTable();
  drawComparison();
  drawMatrix();
  const one = data.settings[settingShown()];
  for (const node of document.querySelectorAll(".setting")) node.textContent = one ? `${one.facts} on ${one.model}` : "";
  return Promise.all([drawTrade(), drawCurves()]).then(() => { document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1); });
}

function controls() {
  for (const key of ["model", "facts"]) options(byId(key), [...unique(data.settings.map((one) => one[key])).map((one) => [one, one.split("@")[0]]), ["*", "all"]], state[key]);
  options(byId("checked"), LEVELS.slice(1).map((one) => [one, one]), state.checked);
  byId("method").value = state.method;
  byId("ranked").checked = Boolean(state.ranked);
  for (const key of ["against", "shown"]) byId(key).value = state[key];
}

readAddress();
controls();
for (const key of ["model", "facts", "checked", "against", "first", "second", "attack", "shown"]) byId(key).addEventListener("change", (event) => change({ [key]: event.target.value }));
byId("method").addEventListener("input", (event) => change({ method: event.target.value }));
byId("ranked").addEventListener("change", (event) => change({ ranked: event.target.checked ? "1" : "" }));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("json").addEventListener("click", () => save("leaderboard.json", "application/json", JSON.stringify(exported(), null, 1)));
byId("csv").addEventListener("click", () => {
  const rows = exported(), keys = Object.keys(rows[0] ?? {});
  save("leaderboard.csv", "text/csv", [keys, ...rows.map((row) => keys.map((key) => row[key]))].map((line) => line.map(inCsv).join(",")).join("\n"));
});
byId("source").textContent = `Made by unlearnbench leaderboard build ${data.folders.join(" ")}`;
addEventListener("hashchange", () => {
  if (!location.hash.includes("=") && location.hash.length > 1) return; // the link to the table
  readAddress();
  controls();
  draw();
});
dark.addEventListener("change", draw);
let resized;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(draw, 200); });
draw();
