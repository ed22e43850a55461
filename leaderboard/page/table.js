// The table: sorted by any column, two hundred rows at once.
const MOST = 200;
const middle = (axis) => (row) => (row[axis] ? row[axis][0] : null);
const COLUMNS = [
  { key: "place", title: "Place", of: (row) => (row.place ? row.place[0] + row.place[1] / 1000 : null),
    text: (row) => (row.place ? (row.place[0] === row.place[1] ? `${row.place[0]}` : `${row.place[0]}–${row.place[1]}`) : "–") },
  { key: "method", title: "Method", of: (row) => row.method },
  { key: "model", title: "Model", of: (row) => settingOf(row).model, text: (row) => settingOf(row).model.split("@")[0] },
  { key: "facts", title: "Fact set", of: (row) => settingOf(row).facts, text: (row) => settingOf(row).facts },
  { key: "S", title: "S score", of: middle("S"), quantity: true, down: true },
  { key: "F", title: "F forgotten", of: middle("F"), quantity: true, down: true },
  { key: "R", title: "R kept", of: middle("R"), quantity: true, down: true },
  { key: "B", title: "B robust", of: middle("B"), quantity: true, down: true },
  { key: "tier", title: "Tier", of: (row) => row.tier,
    text: (row) => (row.tier === null ? "–" : `${row.tier} (${Math.round(100 * row.front)} %)`) },
  { key: "seeds", title: "Seeds", of: (row) => row.seeds.length, text: (row) => `${row.seeds.length}`, down: true },
  { key: "seconds", title: "Seconds", of: (row) => row.seconds, text: (row) => number(row.seconds, 1) },
  { key: "checked", title: "Checked", of: (row) => LEVELS.indexOf(row.checked), down: true },
];

function sortedRows() {
  const column = COLUMNS.find((one) => one.key === state.sort) || COLUMNS[4], sign = state.down ? -1 : 1;
  return shownRows().map((row) => [column.of(row), row]).sort(([a, x], [b, y]) => {
    if (a === b) return x.method < y.method ? -1 : x.method > y.method ? 1 : x.setting - y.setting;
    if (a === null || b === null) return a === null ? 1 : -1; // what has no value comes last, in both directions
    return a < b ? -sign : sign;
  }).map(([, row]) => row);
}

function drawHead() {
  const row = make("tr");
  for (const column of COLUMNS) {
    const sorted = state.sort === column.key;
    const cell = make("th", null, { scope: "col", "aria-sort": sorted ? (state.down ? "descending" : "ascending") : null });
    const button = make("button", column.title, { type: "button", "data-sort": column.key });
    button.addEventListener("click", () => {
      change({ sort: column.key, down: sorted ? (state.down ? "" : "1") : column.down ? "1" : "" });
      document.querySelector(`[data-sort="${column.key}"]`).focus();
    });
    cell.append(button);
    row.append(cell);
  }
  byId("table").tHead.replaceChildren(row);
}

function cellOf(column, row) {
  if (column.key === "method") return methodCell(row);
  if (column.key === "checked") {
    const cell = make("td");
    cell.append(make("span", row.checked, { class: `badge ${row.checked}` }));
    return cell;
  }
  if (!column.quantity) return make("td", column.text(row));
  const one = row[column.key], cell = make("td", one ? `${number(one[0])} ` : "–", { class: "number" });
  if (one) {
    cell.style.setProperty("--share", `${Math.round(100 * Math.max(0, Math.min(1, one[0])))}%`);
    cell.append(make("span", interval(one), { class: "interval" }));
  }
  return cell;
}

function drawTable() {
  drawHead();
  const rows = sortedRows(), visible = state.all ? rows : rows.slice(0, MOST), body = byId("table").tBodies[0];
  body.replaceChildren();
  for (const row of visible) {
    const line = make("tr", null, { class: `${row.reference ? "reference " : ""}${row.place ? "" : "unranked"}` });
    line.append(...COLUMNS.map((column) => cellOf(column, row)));
    body.append(line);
    if (opened.has(row)) body.append(detailOf(row));
  }
  byId("table").caption.textContent = "Methods, with 95 % intervals. A button in the head sorts; a method’s name opens what is behind it.";
  byId("count").textContent = `${rows.length} of ${data.rows.length} rows`;
  const more = byId("more");
  more.replaceChildren();
  if (visible.length < rows.length) {
    const button = make("button", `Show all ${rows.length}`, { type: "button" });
    button.addEventListener("click", () => change({ all: "1" }));
    more.append(button);
  }
  const settings = [...new Set(rows.map((row) => row.setting))];
  byId("notes").replaceChildren(...settings.flatMap((index) => {
    const one = data.settings[index];
    return [`${one.facts} on ${one.model}: ${one.details}`, ...one.notes].map((text) => make("p", text));
  }));
}
