"use strict";

// The settings: their names, ranges and words, and how they are written in the address after the #.

const INTEGER = "whole";
const SETTINGS = [
  {
    name: "keep_prob",
    initial: 0.9,
    range: [0, 1, 0.01],
    says: "The probability of keeping a unit “in traditional dropout” (section 3). The paper tries 0.75 to 0.95.",
  },
  {
    name: "block_size",
    initial: 7,
    range: [1, 32, 1],
    kind: INTEGER,
    says:
      "The side of the block that is dropped: 1 resembles dropout, the full map resembles SpatialDropout. A block " +
      "larger than the map is clipped to it.",
  },
  {
    name: "height",
    initial: 14,
    range: [1, 64, 1],
    kind: INTEGER,
    says: "Rows of the feature map: feat_size in Eq. (1), which is for square maps; here each axis has its own.",
  },
  { name: "width", initial: 14, range: [1, 64, 1], kind: INTEGER, says: "Units in a row of the feature map." },
  { name: "channels", initial: 8, range: [1, 32, 1], kind: INTEGER, says: "Feature maps in the layer’s output A." },
  {
    name: "step",
    initial: 100,
    range: [0, 1000, 1],
    kind: INTEGER,
    says: "The training step. Scheduled DropBlock lowers keep_prob linearly from 1 at step 0 to the value above.",
  },
  {
    name: "steps",
    initial: 100,
    range: [0, 1000, 1],
    kind: INTEGER,
    says: "The step at which that value is reached. With 0 it holds from the start.",
  },
  {
    name: "seed",
    initial: 0n,
    says: "64 bits. NumPy, PyTorch, JAX, TensorFlow and Keras draw this very mask from the same seed.",
  },
  {
    name: "per_channel",
    initial: true,
    title: "Masks",
    choices: [[true, "one for each channel"], [false, "one that all channels share"]],
    says: "Algorithm 1 has a mask for each channel, “which tends to work better”.",
  },
  {
    name: "calibrated",
    initial: false,
    title: "gamma",
    choices: [[false, "by Eq. (1)"], [true, "calibrated"]],
    says:
      "Blocks overlap, so Eq. (1) is “only an approximation” and keeps more than keep_prob. The calibrated gamma " +
      "keeps just that.",
  },
  { name: "channel", initial: 0, range: [0, 31, 1], kind: INTEGER },
];

function initialSettings() {
  return Object.fromEntries(SETTINGS.map(({ name, initial }) => [name, initial]));
}

/** The value that a text stands for; an Error that says what is wrong with it otherwise. */
function parseSetting({ name, initial, range, kind, choices }, text) {
  const written = text.trim();
  if (choices) {
    const choice = choices.find(([value]) => String(value) === written);
    if (!choice) throw new Error(`${name}=${written} is neither true nor false.`);
    return choice[0];
  }
  if (typeof initial === "bigint") {
    if (!/^\d{1,20}$/.test(written) || BigInt(written) >= 2n ** 64n) {
      throw new Error(`${name}=${written} is not a whole number from 0 to 2^64 − 1.`);
    }
    return BigInt(written);
  }
  const [least, most] = range;
  const value = written === "" ? NaN : Number(written);
  if (!(least <= value && value <= most) || (kind === INTEGER && !Number.isInteger(value))) {
    const told = written && `=${written}`; // a browser hides from us what is no number
    throw new Error(`${name}${told} is not a ${kind ? `${kind} ` : ""}number from ${least} to ${most}.`);
  }
  return value;
}

/** The settings as the address has them, all of them. */
function formatHash(settings) {
  return `#${SETTINGS.map(({ name }) => `${name}=${settings[name]}`).join("&")}`;
}

/** The settings of an address, and what was wrong with it; what it does not say, or says wrongly, is as at first. */
function parseHash(hash) {
  const settings = initialSettings();
  const errors = [];
  for (const [name, text] of new URLSearchParams(hash.slice(1))) {
    const setting = SETTINGS.find((one) => one.name === name);
    try {
      if (!setting) throw new Error(`There is no setting ${name}.`);
      settings[name] = parseSetting(setting, text);
    } catch (error) {
      errors.push(setting ? `${error.message} ${setting.initial} is used instead.` : error.message);
    }
  }
  settings.channel = Math.min(settings.channel, settings.channels - 1);
  return { settings, errors };
}
