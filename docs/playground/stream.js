"use strict";

// The stream of seeds (rule R13 of docs/spec.md): which words are drawn, and what they mean. Instead of a number for
// each anchor, the gaps between seeds are drawn, in segments of at most 32 anchors.

/** How the anchors of one map fall into segments; `valid` is the number of anchors along each axis. */
function segmentsOf(valid) {
  const width = valid.at(-1);
  const rows = product(valid.slice(0, -1));
  const packed = Math.min(rows, Math.floor(32 / width)); // whole rows in a segment; 0 where a row has several segments
  const cuts = Math.ceil(width / 32); // segments that a longer row is cut into
  return {
    rows,
    width,
    length: packed * width || 32,
    perMap: packed ? Math.ceil(rows / packed) : rows * cuts,
    rowAndColumn: (segment, position) =>
      packed
        ? [segment * packed + Math.floor(position / width), position % width]
        : [Math.floor(segment / cuts), (segment % cuts) * 32 + position],
  };
}

function product(sizes) {
  return sizes.reduce((a, b) => a * b, 1);
}

/** To the nearest whole number, half to even, as Python rounds. */
function roundHalfEven(x) {
  const low = Math.floor(x);
  const above = x - low;
  return above > 0.5 || (above === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/** t: gamma as a multiple of 2^-32, at least 1; 0 for gamma = 0, which draws nothing. */
function thresholdWord(gamma) {
  return gamma > 0 ? Math.max(1, roundHalfEven(gamma * 2 ** 32)) : 0;
}

/** T_j = floor((1 - gamma)^j * 2^32) for j = 1 to `length`. In integers of 64 bits, so that every machine agrees. */
function thresholds(t, length) {
  const q = 2n ** 32n - BigInt(t);
  const table = [q];
  while (table.length < length) table.push((table.at(-1) * q) >> 32n);
  return table.map(Number);
}

/** gap(u): how many anchors are passed over before the next seed. The thresholds fall, so counting ends early. */
function gap(u, table) {
  let count = 0;
  while (count < table.length && u < table[count]) count++;
  return count;
}

/**
 * The seeds of a batch, as NumPy has them bit for bit: bytes [samples, maps, ...valid], 1 at an anchor that is a seed.
 * `seed` is a BigInt of 64 bits; `valid` has the number of anchors along each axis.
 */
function sampleSeeds({ seed, samples = 1, maps, valid, gamma, sampleOffset = 0, stream = 0 }) {
  const segments = segmentsOf(valid);
  const anchors = product(valid);
  const seeds = new Uint8Array(samples * maps * anchors);
  const t = thresholdWord(gamma);
  if (t === 0) return seeds;
  const table = thresholds(t, segments.length);
  const key = philoxKey(seed);
  for (let n = 0; n < samples; n++) {
    let words = []; // of four neighbouring segments: words[k] are their k-th draws
    for (let s = 0; s < maps * segments.perMap; s++) {
      const lane = s % 4, group = Math.floor(s / 4), map = Math.floor(s / segments.perMap);
      if (lane === 0) words = [];
      let position = -1;
      for (let k = 0; position < segments.length - 1; k++) {
        words[k] ??= philox([group, sampleOffset + n, k, stream], key);
        position += 1 + gap(words[k][lane], table);
        if (position >= segments.length) break;
        const [row, column] = segments.rowAndColumn(s % segments.perMap, position);
        if (row < segments.rows && column < segments.width) {
          seeds[(n * maps + map) * anchors + row * segments.width + column] = 1;
        }
      }
    }
  }
  return seeds;
}
