"use strict";

// Eq. (1): from keep_prob to gamma, and the calibrated gamma that keeps what keep_prob says. All numbers are doubles,
// and the order of evaluation is the specification's (rules R2 and R11), so that the bits are NumPy's.

/** A block larger than the map is clipped to it, axis by axis (rule R3). */
function clipBlock(block, feat) {
  return block.map((side, axis) => Math.min(side, feat[axis]));
}

/** The valid seed region: anchors along each axis whose whole block lies in the map. */
function validRegion(block, feat) {
  return clipBlock(block, feat).map((side, axis) => feat[axis] - side + 1);
}

/** Eq. (1) for any number of axes, at most 1. */
function equation1(keepProb, block, feat, gammaScale = 1) {
  const anchors = validRegion(block, feat);
  const ratio = product(feat) / product(clipBlock(block, feat).map((side, axis) => side * anchors[axis]));
  return Math.min(1, gammaScale * (1 - keepProb) * ratio);
}

/** The gamma whose expected keep fraction is keep_prob: the exact law solved by halving, to the last bit. */
function calibratedGamma(keepProb, block, feat) {
  const drop = 1 - keepProb;
  if (drop === 0 || drop === 1) return drop;
  const tally = tallyOf(coverCounts(clipBlock(block, feat), feat));
  const units = product(feat);
  let low = drop / Math.max(...tally.keys());
  let high = drop;
  for (;;) {
    const middle = low + (high - low) / 2;
    if (!(low < middle && middle < high)) return high;
    const dropped = exactSum([...tally].map(([n, count]) => count * atLeastOne(middle, n)));
    if (dropped < drop * units) low = middle;
    else high = middle;
  }
}

/** 1 - (1 - gamma)^n, the probability of a seed among n anchors, by squaring and without cancellation. */
function atLeastOne(gamma, n) {
  let drop = 0;
  for (let bit = 31 - Math.clz32(n); bit >= 0; bit--) {
    drop = drop * (2 - drop); // n doubles: 1 - (1 - d)^2
    if ((n >> bit) & 1) drop = drop + gamma * (1 - drop); // n grows by one
  }
  return drop;
}

/** The exact sum of doubles, rounded once, as Python's math.fsum: by partial sums that share no bit (Shewchuk 1997). */
function exactSum(values) {
  let partials = [];
  for (let x of values) {
    const next = [];
    for (let y of partials) {
      if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x];
      const high = x + y;
      const low = y - (high - x);
      if (low !== 0) next.push(low);
      x = high;
    }
    partials = [...next, x];
  }
  let total = partials.pop() ?? 0;
  let low = 0;
  while (partials.length && low === 0) {
    const x = total, y = partials.pop();
    total = x + y;
    low = y - (total - x);
  }
  // Half to even, where what is left tips the balance.
  if (partials.length && Math.sign(low) === Math.sign(partials.at(-1))) {
    const twice = low * 2, x = total + twice;
    if (twice === x - total) total = x;
  }
  return total;
}
