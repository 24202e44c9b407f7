"use strict";

// Numbers and sentences.

/** A share in percent: 9.3%, 0.16%. */
function percent(share) {
  const value = 100 * share;
  if (value === 0) return "0%";
  return `${value >= 1 ? value.toFixed(1) : value.toPrecision(2)}%`;
}

/** A number to four digits that count: 0.00625. */
function short(x) {
  return String(Number(x.toPrecision(4)));
}

function counted(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** What is drawn, in a few sentences: the live region's text. */
function summary({ settings, keepProb, feat, gamma, maps, paper, seeds, mask }) {
  const { step, steps, block_size, calibrated, channels } = settings;
  const when = steps > step ? ` at step ${step} of ${steps}` : "";
  const dropped = mask.length - countOnes(mask);
  const shares = maps === 1 ? (channels === 1 ? "1 mask" : `1 mask for all ${channels} channels`) : `${maps} masks`;
  const map = feat.join(" × "), expected = percent(paper.expected);
  return [
    `keep_prob is ${short(keepProb)}${when}, so gamma is ${short(gamma)}, ${calibrated ? "calibrated" : "by Eq. (1)"}.`,
    `With block_size ${block_size} on maps of ${map}, ${expected} of the units are expected to be dropped.`,
    `In ${shares}, ${counted(countOnes(seeds), "seed")} dropped ${percent(dropped / mask.length)} of the units.`,
  ].join(" ");
}

/** Eq. (1) with its numbers. */
function equationText({ settings, keepProb, feat, gamma, paper }) {
  if (settings.calibrated) {
    return `gamma = ${short(gamma)}, so that the mean of the map below is keep_prob = ${short(keepProb)}`;
  }
  const times = (sizes) => sizes.join(" × ");
  const { block, anchors } = paper;
  const first = `(1 − ${short(keepProb)}) / (${times(block)})`, second = `(${times(feat)}) / (${times(anchors)})`;
  return `gamma = ${first} × ${second} = ${short(gamma)}`;
}

/** What was done to the block before it was used, if anything. */
function blockNote({ settings, paper }) {
  const isClipped = paper.block.some((side) => side < settings.block_size);
  return isClipped ? `The block is clipped to ${paper.block.join(" × ")}, since it exceeds the map.` : "";
}

/** Line 8, with its numbers. */
function line8Text({ mask }) {
  const kept = countOnes(mask);
  if (kept === 0) return "Line 8: nothing is kept, so A is all zeros.";
  const factor = `${mask.length} / ${kept} = ${short(mask.length / kept)}`;
  return `Line 8: what is kept is multiplied by count(M) / count_ones(M) = ${factor}.`;
}

/** The same masks in Python. */
function pythonText({ settings, keepProb, feat, gamma, maps }) {
  const [map, block] = [`(${feat.join(", ")})`, settings.block_size];
  const solved = settings.calibrated ? ", calibrated=True" : "";
  return [
    "from dropblock_core import block_mask, gamma, sample_seeds",
    "",
    `g = gamma(${keepProb}, ${block}, ${map}${solved})  # ${gamma}`,
    `seeds = sample_seeds(${settings.seed}, 1, ${maps}, ${map}, ${block}, g)`,
    `mask = block_mask(seeds, ${block}, ${map})  # [1, ${maps}, ${feat.join(", ")}], True = kept`,
  ].join("\n");
}
