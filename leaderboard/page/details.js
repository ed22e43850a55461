// What is behind a row: every task, every run, what was submitted, and what is wrong with it.
const opened = new Set();

function methodCell(row) {
  const cell = make("th", null, { scope: "row" });
  const button = make("button", row.method, { type: "button", "aria-expanded": String(opened.has(row)) });
  button.addEventListener("click", () => {
    if (!opened.delete(row)) opened.add(row);
    drawTable();
    [...document.querySelectorAll("#table tbody th button")].find((one) => one.textContent === row.method)?.focus();
  });
  cell.append(button);
  if (row.unranked) cell.append(make("span", ` ${row.unranked === "superseded" ? "superseded" : "not ranked"}`, { class: "flag", title: row.unranked }));
  else if (row.invalid.length && !row.seeds.length) cell.append(make("span", " invalid", { class: "flag" }));
  return cell;
}

function detailOf(row) {
  const line = make("tr", null, { class: "detail" }), cell = make("td", null, { colspan: COLUMNS.length });
  const said = [
    ...row.invalid.map((text) => `invalid: ${text}`),
    ...row.lacks.map((text) => `not ranked, since it lacks: ${text}`),
    ...(row.unranked ? [`not ranked: ${row.unranked}`] : []),
    ...row.warnings,
    ...Object.entries(row.parts).map(([axis, name]) => `${axis}: ${name}`),
    ...(row.share === null ? [] : [`may write to ${Math.round(100 * row.share)} % of the weights in the blocks`]),
    ...(row.submission ? [`submitted by ${row.submission.by} as ${row.submission.name}: ${row.submission.about}`,
      `${row.submission.trials} settings tried, judged by ${row.submission.on}`] : []),
  ];
  const list = make("ul");
  for (const text of said) list.append(make("li", text));
  if (row.submission && row.submission.url) {
    const item = make("li");
    item.append(make("a", row.submission.url, { href: row.submission.url, rel: "noopener noreferrer" }));
    list.append(item);
  }
  const tasks = make("table"), runs = make("table");
  fill(tasks, ["Task", "Metric", "Value", "Error", "From untouched", "Seeds"], Object.entries(row.tasks).map(([task, one]) =>
    [task, one.metric, number(one.value), number(one.error), number(one.difference), `${one.seeds}`]));
  fill(runs, ["Seed", "Status", "Checked", "Made", "Result", "Record"], row.runs.map((run) => {
    const link = make("td");
    link.append(make("a", run.path, { href: `${run.path.split("/").map(encodeURIComponent).join("/")}/result.json` }));
    return [`${run.seed}`, run.status, run.checked, run.at, run.result.slice(7, 19), link];
  }));
  cell.append(list, tasks, runs);
  line.append(cell);
  return line;
}
