"use strict";

/** keep_prob at a training step: linear from 1 to its target over `steps` steps (rule R12); both ends are exact. */
function scheduledKeepProb(keepProb, step, steps) {
  if (step >= steps) return keepProb;
  if (step === 0) return 1;
  return Math.max(1 - (step / steps) * (1 - keepProb), keepProb); // rounding may step over the end
}
