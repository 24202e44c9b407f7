"use strict";

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A word is a whole number from 0 to 2^32 - 1.

const PHILOX_ROUNDS = 10;
const PHILOX_MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const PHILOX_KEY_STEPS = [0x9e3779b9, 0xbb67ae85];

/** The high word of the product of two words. By halves of 16 bits, since a number holds whole numbers up to 2^53. */
function highWord(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16); // less than 2^32
  const carried = a0 * b1 + (middle & 0xffff); // less than 2^32
  return (a1 * b1 + (middle >>> 16) + (carried >>> 16)) >>> 0;
}

/** Four random words for a counter of four words and a key of two. */
function philox(counter, key) {
  let [a, b, c, d] = counter, [k0, k1] = key;
  for (let round = 0; round < PHILOX_ROUNDS; round++) {
    const high0 = highWord(a, PHILOX_MULTIPLIERS[0]), low0 = Math.imul(a, PHILOX_MULTIPLIERS[0]) >>> 0;
    const high1 = highWord(c, PHILOX_MULTIPLIERS[1]), low1 = Math.imul(c, PHILOX_MULTIPLIERS[1]) >>> 0;
    a = (high1 ^ b ^ k0) >>> 0;
    b = low1;
    c = (high0 ^ d ^ k1) >>> 0;
    d = low0;
    k0 = (k0 + PHILOX_KEY_STEPS[0]) >>> 0;
    k1 = (k1 + PHILOX_KEY_STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** The key of a seed of 64 bits, a BigInt: its low word, then its high word. */
function philoxKey(seed) {
  return [Number(seed & 0xffffffffn), Number(seed >> 32n)];
}
