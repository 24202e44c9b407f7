"use strict";

// The exact law (rule R11): a unit covered by the blocks of n anchors is kept with probability (1 - gamma)^n.

/**
 * The number of anchors that cover each unit of a map, row by row. By default the anchors are the paper's: a block
 * starts at its anchor, and fits. Other layers have anchors on the whole map, and blocks that start `before` them.
 */
function coverCounts(block, feat, anchors = validRegion(block, feat), before = feat.map(() => 0)) {
  const axes = feat.map((size, axis) =>
    Array.from({ length: size }, (_, unit) => {
      const last = Math.min(unit + before[axis], anchors[axis] - 1);
      const first = Math.max(unit + before[axis] - block[axis] + 1, 0);
      return Math.max(last - first + 1, 0);
    }),
  );
  return axes.reduce((outer, axis) => outer.flatMap((n) => axis.map((m) => n * m)), [1]);
}

/** The probability that each unit is kept, row by row. */
function keepMap(gamma, counts) {
  return counts.map((n) => (1 - gamma) ** n);
}

/** The expected fraction of kept units: the mean of the keep map. */
function expectedKeep(gamma, counts) {
  return exactSum([...tallyOf(counts)].map(([n, units]) => units * (1 - gamma) ** n)) / counts.length;
}

/** How many units are covered by n anchors, for each n. */
function tallyOf(counts) {
  const tally = new Map();
  for (const n of counts) tally.set(n, (tally.get(n) ?? 0) + 1);
  return tally;
}
