"use strict";

// Line 6 of Algorithm 1: every seed zeroes its block.

/**
 * The mask M of some maps: bytes [maps, ...feat], 1 = kept. `seeds` are bytes [maps, ...anchors]; a block starts
 * `before` its seed and is cut where it hangs over the border. The paper's blocks start at the seed and always fit.
 */
function growBlocks(seeds, maps, block, feat, anchors = validRegion(block, feat), before = feat.map(() => 0)) {
  // Axis by axis: what is dropped along the axes before this one, then along this one.
  let dropped = seeds;
  const sizes = [...anchors];
  feat.forEach((size, axis) => {
    const inner = product(sizes.slice(axis + 1));
    const outer = maps * product(sizes.slice(0, axis));
    const grown = new Uint8Array(outer * size * inner);
    for (let o = 0; o < outer; o++) {
      for (let a = 0; a < sizes[axis]; a++) {
        const first = Math.max(a - before[axis], 0), end = Math.min(a - before[axis] + block[axis], size);
        for (let i = 0; i < inner; i++) {
          if (!dropped[(o * sizes[axis] + a) * inner + i]) continue;
          for (let unit = first; unit < end; unit++) grown[(o * size + unit) * inner + i] = 1;
        }
      }
    }
    dropped = grown;
    sizes[axis] = size;
  });
  return dropped.map((isDropped) => 1 - isDropped);
}

/** How many units are kept. */
function countOnes(mask) {
  return mask.reduce((sum, kept) => sum + kept, 0);
}
