// The only ways in which data reaches the page: as text.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== null && text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  return node;
}

function cells(tag, texts, attributes = {}) {
  const row = make("tr");
  for (const text of texts) row.append(text instanceof Node ? text : make(tag, text, attributes));
  return row;
}

function fill(table, headers, lines) {
  const head = make("thead"), body = make("tbody");
  head.append(cells("th", headers, { scope: "col" }));
  for (const line of lines) {
    const row = cells("td", line.slice(1));
    row.prepend(make("th", line[0], { scope: "row" }));
    body.append(row);
  }
  table.replaceChildren(head, body);
}

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => make("option", text, { value })));
  select.value = values.some(([value]) => value === chosen) ? chosen : (values[0] || [""])[0];
}

const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−"));
const interval = (one) => (one === null ? "" : `[${number(one[1], 2)}, ${number(one[2], 2)}]`);
