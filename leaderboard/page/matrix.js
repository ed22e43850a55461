// Localizers × objectives: the best of each pair, with its adversary where it has one.
function drawMatrix() {
  const setting = settingShown(), axis = state.shown;
  const rows = data.rows.filter((row) => row.setting === setting && row.parts.localizer && row.parts.objective && row[axis]);
  const wheres = [...new Set(rows.map((row) => row.parts.localizer))].sort(), hows = [...new Set(rows.map((row) => row.parts.objective))].sort();
  fill(byId("matrix"), ["Localizer ╲ objective", ...hows], wheres.map((where) => [where, ...hows.map((how) => {
    const mine = rows.filter((row) => row.parts.localizer === where && row.parts.objective === how).sort((a, b) => b[axis][0] - a[axis][0]);
    const cell = make("td", mine.length ? number(mine[0][axis][0], 2) : "");
    if (mine.length) {
      cell.style.setProperty("--strength", (0.45 * Math.max(0, Math.min(1, mine[0][axis][0]))).toFixed(3));
      cell.title = mine.map((row) => `${row.method}: ${number(row[axis][0])}`).join("\n");
    }
    return cell;
  })]));
}
