// Names beside points, none upon another: the first that fit, in the order given; the others are in the table below.
const LETTER = 6.6, LINE = 13; // of 11 pixels, with room to spare

function placeLabels(points, width, height) {
  const taken = points.map((one) => box(one.x * width, (1 - one.y) * height, 9, 9));
  const labels = [];
  for (const point of points.filter((one) => one.kind !== "other")) {
    const x = point.x * width, y = (1 - point.y) * height, wide = point.method.length * LETTER, aside = wide / 2 + 9;
    const places = [[0, -13], [aside, 0], [-aside, 0], [0, 13], [aside, -13], [-aside, -13], [aside, 13], [-aside, 13]];
    const found = places.map(([dx, dy]) => box(x + dx, y + dy, wide, LINE)).find((one) => one.left > -30
      && one.right < width + 150 && one.top > -20 && one.bottom < height && !taken.some((other) => meet(one, other)));
    if (!found) continue;
    taken.push(found);
    labels.push({ method: point.method, x: (found.left + found.right) / 2 / width, y: 1 - (found.top + found.bottom) / 2 / height });
  }
  return labels;
}

function box(x, y, wide, high) {
  return { left: x - wide / 2, right: x + wide / 2, top: y - high / 2, bottom: y + high / 2 };
}

function meet(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
