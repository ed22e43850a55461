// Vega-Lite, as SVG, through its expression interpreter: nothing is compiled from text.
const dark = matchMedia("(prefers-color-scheme: dark)");
const COLOURS = ["#2f7fd1", "#d9661f", "#8a8f98", "#2a9d6f", "#b0529f"];
const DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3]];
const GLYPHS = ["●", "■", "◆", "▲", "✚"]; // the same, for the legend: colour alone tells nothing to some
const SHAPES = ["circle", "square", "diamond", "triangle-up", "cross"];

function theme() {
  const ink = dark.matches ? "#e6e9ee" : "#1c2430", line = dark.matches ? "#333b47" : "#d8dde5";
  const text = { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 13 };
  return { background: null, axis: { ...text, gridColor: line, domainColor: line, tickColor: line }, legend: { ...text, symbolSize: 90 },
    view: { stroke: line }, text: { fill: ink, fontSize: 11 }, font: "system-ui, sans-serif" };
}

const HEIGHT = 360;
const widthOf = (id) => Math.max(260, Math.min(900, byId(id).clientWidth - 190));

function show(id, description, spec) {
  const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", description, width: widthOf(id), height: HEIGHT, config: theme(), ...spec };
  return window.vegaEmbed(byId(id), whole, { ast: true, renderer: "svg", actions: false, mode: "vega-lite", hover: false })
    .catch((error) => byId(id).replaceChildren(make("p", `This chart cannot be drawn: ${error.message}`)));
}

function drawTrade() {
  const axis = state.against, setting = settingShown(), long = data.axes[axis];
  const points = shownRows().filter((row) => row.setting === setting && row.F && row[axis]).map((row) => ({
    method: row.method, kind: row.reference ? "reference" : row.tier === 1 ? "tier 1" : "other",
    x: row.F[0], xlow: row.F[1], xhigh: row.F[2], y: row[axis][0], ylow: row[axis][1], yhigh: row[axis][2] }));
  fill(byId("trade-data"), ["Method", "F forgotten", "95 %", `${axis} ${long}`, "95 %"], points.map((one) =>
    [one.method, number(one.x), `${number(one.xlow, 2)} to ${number(one.xhigh, 2)}`, number(one.y), `${number(one.ylow, 2)} to ${number(one.yhigh, 2)}`]));
  const x = { field: "x", type: "quantitative", title: "F forgotten →", scale: { domain: [0, 1] } };
  const y = { field: "y", type: "quantitative", title: `${axis} ${long} →`, scale: { domain: [0, 1] } };
  const kinds = ["tier 1", "other", "reference"];
  const faint = { opacity: 0.35, strokeWidth: 1.5 };
  const colour = { field: "kind", type: "nominal", title: null, scale: { domain: kinds, range: COLOURS.slice(0, 3) },
    legend: { orient: "bottom", symbolOpacity: 1 } }; // names stand where it would be beside the plot
  return show("trade", `${points.length} methods by what they forget and by ${long}`, { data: { values: points }, layer: [
    { mark: { type: "rule", ...faint, aria: false }, encoding: { x: { ...x, field: "xlow" }, x2: { field: "xhigh" }, y, color: colour } },
    { mark: { type: "rule", ...faint, aria: false }, encoding: { y: { ...y, field: "ylow" }, y2: { field: "yhigh" }, x, color: colour } },
    { mark: { type: "point", filled: true, size: 90, opacity: 1 }, encoding: { x, y, color: colour,
      shape: { field: "kind", type: "nominal", scale: { domain: kinds, range: SHAPES.slice(0, 3) }, legend: { orient: "bottom" } },
      tooltip: [{ field: "method" }, { field: "x", title: "F", format: ".3f" }, { field: "y", title: axis, format: ".3f" }] } },
    { data: { values: placeLabels(points, widthOf("trade"), HEIGHT) }, mark: { type: "text", aria: false }, encoding: { x, y, text: { field: "method" } } },
  ] });
}

function drawCurves() {
  const setting = settingShown(), rows = data.rows.filter((row) => row.setting === setting);
  const attacks = [...new Set(rows.flatMap((row) => Object.keys(row.curves)))];
  options(byId("attack"), attacks.map((one) => [one, one]), state.attack);
  const attack = byId("attack").value, of = (name) => rows.find((row) => row.method === name)?.curves[attack];
  const one = of(state.first), two = of(state.second), base = of("none"), oracle = of("oracle"), lines = [];
  const add = (name, curve, values) => curve?.x.forEach((x, i) => values[i] === undefined || lines.push({ line: name, x, y: values[i] }));
  add(state.first, one, one?.y ?? []);
  add(state.second, two, two?.y ?? []);
  add("untouched", base, base?.y ?? []);
  add("never saw them", oracle, oracle?.y ?? []);
  add("never-known facts", one, one?.never ?? []);
  const plain = [...new Set(lines.map((point) => point.line))], names = plain.map((name, i) => `${GLYPHS[i]} ${name}`);
  for (const point of lines) point.line = names[plain.indexOf(point.line)];
  const axis = (one ?? base ?? oracle)?.axis ?? "step";
  const xs = [...new Set(lines.map((point) => point.x))].sort((a, b) => a - b);
  fill(byId("curves-data"), ["Line", ...xs.map((x) => `${axis} ${x}`)], names.map((name) =>
    [name, ...xs.map((x) => number(lines.find((point) => point.line === name && point.x === x)?.y))]));
  if (!lines.length) return byId("curves").replaceChildren(make("p", "Neither method was attacked in a way that has a curve."));
  const nominal = { field: "line", type: "nominal", title: null };
  const kinds = (range) => ({ scale: { domain: names, range: names.map((_, i) => range[i % range.length]) } });
  return show("curves", `What is answered along ${attack}`, { data: { values: lines }, encoding: {
    x: { field: "x", type: "quantitative", title: axis }, y: { field: "y", type: "quantitative", title: "facts answered", scale: { domain: [0, 1] } } }, resolve: { legend: { color: "independent" } },
    layer: [{ mark: { type: "line", strokeWidth: 2 }, encoding: { color: { ...nominal, ...kinds(COLOURS), legend: null },
      strokeDash: { ...nominal, ...kinds(DASHES), legend: null } } },
      { mark: { type: "point", filled: true, size: 70, opacity: 1 }, encoding: { color: { ...nominal, ...kinds(COLOURS) }, shape: { ...nominal, ...kinds(SHAPES) },
        tooltip: [{ field: "line" }, { field: "x", title: axis }, { field: "y", title: "answered", format: ".3f" }] } }] });
}
