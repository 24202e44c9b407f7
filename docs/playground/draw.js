"use strict";

// Pictures of maps: a canvas with a square for each unit, in the style sheet's colours, and its words.

/** A colour of the style sheet, as the chosen theme has it. */
function ink(name) {
  const probe = document.getElementById("ink");
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** The side of a unit in a picture of about `size` pixels, so that units are whole pixels and edges sharp. */
function unitSide([height, width], size) {
  return Math.max(1, Math.floor(size / Math.max(height, width)));
}

/** Size a canvas for a map and say in words what it shows; returns its pen and the side of a unit. */
function prepare(canvas, feat, size, words) {
  const side = unitSide(feat, size);
  [canvas.height, canvas.width] = feat.map((units) => units * side);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  return [canvas.getContext("2d"), side];
}

/** Paint each unit of a map by `colourOf(index)`, with a gap between units where there is room. */
function paintUnits(pen, [height, width], side, colourOf) {
  const gapWidth = side >= 6 ? 1 : 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const colour = colourOf(row * width + column);
      if (colour === null) continue;
      pen.fillStyle = colour;
      pen.fillRect(column * side, row * side, side - gapWidth, side - gapWidth);
    }
  }
}

function drawMask(canvas, mask, feat, size, words) {
  const [pen, side] = prepare(canvas, feat, size, words);
  const [kept, dropped] = [ink("kept"), ink("dropped")];
  paintUnits(pen, feat, side, (unit) => (mask[unit] ? kept : dropped));
}

/** Mark seeds at the centres of their blocks, as Fig. 2 does; a block of even side has its centre at side / 2. */
function drawSeeds(pen, seeds, anchors, block, side) {
  pen.fillStyle = ink("seed");
  pen.strokeStyle = ink("seed-edge");
  seeds.forEach((isSeed, anchor) => {
    if (!isSeed) return;
    const row = Math.floor(anchor / anchors[1]) + (block[0] >> 1), column = (anchor % anchors[1]) + (block[1] >> 1);
    pen.beginPath();
    pen.arc((column + 0.5) * side, (row + 0.5) * side, Math.max(3, side * 0.3), 0, 2 * Math.PI);
    pen.fill();
    if (side >= 6) pen.stroke();
  });
}

/** Fig. 2 (a): the region in which seeds are sampled, and the seeds. */
function drawRegion(canvas, layer, seeds, size, words) {
  const { anchors, block, feat } = layer;
  const [pen, side] = prepare(canvas, feat, size, words);
  const [kept, region] = [ink("kept"), ink("region")];
  paintUnits(pen, feat, side, (unit) => {
    const row = Math.floor(unit / feat[1]) - (block[0] >> 1), column = (unit % feat[1]) - (block[1] >> 1);
    return row >= 0 && row < anchors[0] && column >= 0 && column < anchors[1] ? region : kept;
  });
  drawSeeds(pen, seeds, anchors, block, side);
}

/** Fig. 2 (b): every seed expanded to its block. */
function drawBlocks(canvas, layer, seeds, mask, size, words) {
  drawMask(canvas, mask, layer.feat, size, words);
  drawSeeds(canvas.getContext("2d"), seeds, layer.anchors, layer.block, unitSide(layer.feat, size));
}

/** A map of probabilities, from the least to the largest of them. */
function drawProbabilities(canvas, probabilities, feat, size, words) {
  const [pen, side] = prepare(canvas, feat, size, words);
  const least = Math.min(...probabilities), span = Math.max(...probabilities) - least;
  const [low, high] = [ink("low"), ink("high")];
  paintUnits(pen, feat, side, (unit) => {
    const part = span > 0 ? (probabilities[unit] - least) / span : 1;
    return `color-mix(in srgb, ${high} ${100 * part}%, ${low})`;
  });
}

/** Fig. 1: a photo, over it the active units in green, and black where units are dropped; `mask` may be null. */
function drawActivation(canvas, photo, activation, mask, [height, width], words) {
  [canvas.width, canvas.height] = [photo.width, photo.height];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  const pen = canvas.getContext("2d");
  pen.filter = "grayscale(1)";
  pen.drawImage(photo, 0, 0);
  pen.filter = "none";
  const edge = (unit, units, length) => Math.round((unit * length) / units);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const unit = row * width + column;
      const [x, y] = [edge(column, width, photo.width), edge(row, height, photo.height)];
      const isKept = mask === null || mask[unit] === 1;
      pen.fillStyle = isKept ? `rgb(0 200 83 / ${0.8 * activation[unit]})` : "rgb(0 0 0)";
      pen.fillRect(x, y, edge(column + 1, width, photo.width) - x, edge(row + 1, height, photo.height) - y);
    }
  }
}
