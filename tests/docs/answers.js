"use strict";

// What docs/playground/ computes for each of CASES, as tests/docs/test_playground.py compares it with NumPy.

function bitsOf(x) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

function answerFor({ seed, samples, maps, feat, block, keepProb, gammaScale, sampleOffset, stream }) {
  const gamma = equation1(keepProb, block, feat, gammaScale);
  const clipped = clipBlock(block, feat);
  const valid = validRegion(block, feat);
  const seeds = sampleSeeds({ seed: BigInt(seed), samples, maps, valid, gamma, sampleOffset, stream });
  const t = thresholdWord(gamma);
  return {
    gamma: bitsOf(gamma),
    calibrated: bitsOf(calibratedGamma(keepProb, block, feat)),
    t,
    thresholds: thresholds(t, segmentsOf(valid).length),
    seeds: seeds.join(""),
    mask: growBlocks(seeds, samples * maps, clipped, feat).join(""),
    expected: expectedKeep(gamma, coverCounts(clipped, feat)),
  };
}

answer({
  // The published known answers of Philox4x32-10.
  philox: [
    philox([0, 0, 0, 0], [0, 0]),
    philox(Array(4).fill(0xffffffff), Array(2).fill(0xffffffff)),
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
  ],
  schedule: SCHEDULES.map((arguments_) => bitsOf(scheduledKeepProb(...arguments_))),
  thresholds: THRESHOLDS.map(({ gamma, length }) => thresholds(thresholdWord(gamma), length)),
  cases: CASES.map(answerFor),
  layers: LAYERS.map((setting) => formulations(setting).map((layer) => ({
    id: layer.id,
    gamma: layer.gamma,
    cover: coverOf(layer),
    dropped: 1 - expectedKeep(layer.gamma, coverOf(layer)),
    ...Object.fromEntries(Object.entries(drawMasks(layer, 1n, 2, 3)).map(([name, bytes]) => [name, bytes.join("")])),
  }))),
});
