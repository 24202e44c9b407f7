"use strict";

// All that the page shows at some settings, as numbers: nothing here knows the page.

// Observed shares are of this many maps, or as many as have this many units.
const OBSERVED_MAPS = 1024;
const OBSERVED_UNITS = 2 ** 21;

function drawingOf(settings) {
  const { keep_prob, block_size, height, width, step, steps, calibrated, per_channel, channels, channel } = settings;
  const keepProb = scheduledKeepProb(keep_prob, step, steps);
  const feat = [height, width];
  const block = [block_size, block_size];
  const gamma = calibrated ? calibratedGamma(keepProb, block, feat) : equation1(keepProb, block, feat);
  const maps = per_channel ? channels : 1;
  const chosen = per_channel ? channel : 0; // the map of the channel that is looked at
  const layers = formulations({ keepProb, gamma, block, feat, calibrated }).map((layer) => {
    const cover = coverOf(layer);
    const { seeds, mask } = drawMasks(layer, settings.seed, 1, maps);
    const chosenMask = oneMap(mask, chosen, product(feat));
    return { ...layer, cover, expected: 1 - expectedKeep(layer.gamma, cover), seeds, mask, chosenMask };
  });
  const [{ seeds, mask, cover }] = layers;
  const keep = keepMap(gamma, cover);
  return { settings, keepProb, feat, gamma, maps, chosen, layers, paper: layers[0], seeds, mask, keep };
}

/** The share that a layer drops in the first maps of the stream, and twice its standard error. */
function observe(layer, seed, maps) {
  const units = product(layer.feat);
  const samples = Math.max(1, Math.floor(Math.min(OBSERVED_MAPS, OBSERVED_UNITS / units) / maps));
  const { mask } = drawMasks(layer, seed, samples, maps);
  const shares = Array.from({ length: samples * maps }, (_, map) => 1 - countOnes(oneMap(mask, map, units)) / units);
  const mean = shares.reduce((a, b) => a + b) / shares.length;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (shares.length - 1);
  return { share: mean, error: 2 * Math.sqrt(variance / shares.length), observedMaps: shares.length };
}

/** The bytes of one map of several. */
function oneMap(bytes, map, size) {
  return bytes.subarray(map * size, (map + 1) * size);
}
