"use strict";

// What layers do that are called DropBlock, and the two that the paper compares it with. Each has a gamma, a grid of
// anchors, a block, and how far before its anchor the block starts: line 6 and the exact law follow from these four.

/** The paper's: seeds only where their block fits. */
function paper(gamma, block, feat) {
  const clipped = clipBlock(block, feat);
  return { gamma, block: clipped, feat, anchors: validRegion(clipped, feat), before: feat.map(() => 0) };
}

/** Seeds on the whole map, the block centred at its seed, so that it may hang over the border. */
function onFullMap(gamma, block, feat) {
  const clipped = clipBlock(block, feat);
  return { gamma, block: clipped, feat, anchors: feat, before: clipped.map((side) => side >> 1) };
}

/** Each layer with its name and what it does, at one keep_prob, block and map; `gamma` is the one that was chosen. */
function formulations({ keepProb, gamma, block, feat, calibrated }) {
  const eq1 = equation1(keepProb, block, feat);
  const drop = 1 - keepProb;
  const units = product(clipBlock(block, feat));
  const ones = feat.map(() => 1);
  return [
    {
      id: "paper",
      name: "DropBlock, as the paper has it",
      does: `${calibrated ? "The calibrated gamma" : "Eq. (1)"}; seeds only where their block fits.`,
      ...paper(gamma, block, feat),
    },
    {
      id: "full-map",
      name: "Seeds on the whole map",
      does: "Eq. (1), but a seed may fall anywhere, and its block hangs over the border. timm's layer does this.",
      ...onFullMap(eq1, block, feat),
    },
    {
      id: "one-factor",
      name: "No correction for the valid region",
      does: "Eq. (1) without its second factor: gamma is (1 − keep_prob) / block_size², and seeds on the whole map.",
      ...onFullMap(drop / units, block, feat),
    },
    {
      id: "twice",
      name: "The correction applied twice",
      does: "gamma is (1 − keep_prob) / block_size⁴, and seeds on the whole map.",
      ...onFullMap(drop / units / units, block, feat),
    },
    {
      id: "line-5",
      name: "Line 5 to the letter",
      does: "Line 5 draws ones with probability gamma, and line 6 expands the zeros: nearly all is dropped.",
      ...paper(1 - eq1, block, feat),
    },
    {
      id: "dropout",
      name: "Dropout",
      does: "Each unit for itself: block_size 1.",
      ...paper(equation1(keepProb, ones, feat), ones, feat),
    },
    {
      id: "spatial-dropout",
      name: "SpatialDropout",
      does: "Whole channels: a block that covers the full feature map.",
      ...paper(equation1(keepProb, feat, feat), feat, feat),
    },
  ];
}

/** A layer's seeds and mask for `samples` of `maps` each. */
function drawMasks(layer, seed, samples, maps) {
  const seeds = sampleSeeds({ seed, samples, maps, valid: layer.anchors, gamma: layer.gamma });
  return { seeds, mask: growBlocks(seeds, samples * maps, layer.block, layer.feat, layer.anchors, layer.before) };
}

/** How many of a layer's anchors cover each unit. */
function coverOf(layer) {
  return coverCounts(layer.block, layer.feat, layer.anchors, layer.before);
}
