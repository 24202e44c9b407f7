"use strict";

// The page's figures, each drawn anew from a drawing (drawing.js).

const SIZE = 280; // of a large picture, in pixels
const SMALL = 64; // of a small one

function showText(id, text) {
  document.getElementById(id).textContent = text;
}

function showFigure2({ settings, feat, paper, chosen, seeds, mask }) {
  const anchors = product(paper.anchors);
  const [mapSeeds, mapMask] = [oneMap(seeds, chosen, anchors), oneMap(mask, chosen, product(feat))];
  const found = counted(countOnes(mapSeeds), "seed");
  const region = `${paper.anchors.join(" × ")} of ${feat.join(" × ")} units`;
  const words = [`The valid seed region, ${region}, with ${found}.`];
  const dropped = percent(1 - countOnes(mapMask) / mapMask.length);
  words.push(`The mask: ${found} dropped ${dropped} of the map.`);
  drawRegion(document.getElementById("region"), paper, mapSeeds, SIZE, words[0]);
  drawBlocks(document.getElementById("blocks"), paper, mapSeeds, mapMask, SIZE, words[1]);
  const name = settings.per_channel ? `channel ${settings.channel + 1}` : "the mask that all channels share";
  showText("fig2-says", `Shown is ${name}: ${found} in a valid region of ${region}; ${dropped} of the map is dropped.`);
}

/** A radio button with its mask for each channel; the buttons stay, so that the focus does. */
function showChannels({ settings, feat, seeds, mask, maps, paper }, onChoose) {
  const list = document.getElementById("channels-list");
  while (list.children.length > settings.channels) list.lastChild.remove();
  while (list.children.length < settings.channels) {
    const channel = list.children.length;
    const input = element("input", { type: "radio", name: "channel", value: channel, autocomplete: "off" });
    input.addEventListener("change", () => onChoose(channel));
    list.append(element("label", {}, input, element("canvas"), element("span")));
  }
  [...list.children].forEach((label, channel) => {
    const map = maps === 1 ? 0 : channel;
    const mapMask = oneMap(mask, map, product(feat));
    const found = countOnes(oneMap(seeds, map, product(paper.anchors)));
    const dropped = percent(1 - countOnes(mapMask) / mapMask.length);
    const [input, canvas, caption] = label.children;
    input.checked = channel === settings.channel;
    input.setAttribute("aria-label", `Channel ${channel + 1}: ${counted(found, "seed")}, ${dropped} dropped`);
    drawMask(canvas, mapMask, feat, SMALL, "");
    canvas.removeAttribute("role");
    canvas.removeAttribute("aria-label");
    canvas.setAttribute("aria-hidden", "true"); // the radio button says it
    caption.textContent = `${channel + 1}: ${dropped}`;
  });
}

function showKeepMap({ feat, keep }) {
  const least = short(Math.min(...keep)), most = short(Math.max(...keep));
  const mean = short(exactSum(keep) / keep.length);
  const corner = `The corner unit is kept with probability ${short(keep[0])}`;
  const words = `${corner}, the least kept with ${least}; the mean over the map is ${mean}.`;
  drawProbabilities(document.getElementById("keep-map"), keep, feat, SIZE, `The exact keep map. ${words}`);
  showText("keep-says", words);
  showText("keep-least", least);
  showText("keep-most", most);
}

/** keep_prob over the steps, and what is really kept. */
function showSchedule({ settings, keepProb, feat, paper }) {
  const { keep_prob, step, steps, block_size, calibrated } = settings;
  const end = Math.max(steps, step, 1);
  const last = 1.1 * end;
  const block = [block_size, block_size];
  const floor = Math.min(keep_prob, 0.95);
  const place = (at, share) =>
    [10 + (280 * at) / last, 10 + (100 * (1 - share)) / (1 - floor)].map((x) => x.toFixed(1)).join();
  const keptAt = (at) => {
    const wanted = scheduledKeepProb(keep_prob, at, steps);
    return calibrated ? wanted : expectedKeep(equation1(wanted, block, feat), paper.cover);
  };
  const places = Array.from({ length: 51 }, (_, i) => (i * last) / 50);
  const line = (f, at) => at.map((x) => place(x, f(x))).join(" ");
  const target = (x) => scheduledKeepProb(keep_prob, x, steps);
  document.getElementById("schedule-line").setAttribute("points", line(target, [0, steps, last]));
  document.getElementById("schedule-kept").setAttribute("points", line(keptAt, places));
  const [x, y] = place(step, keepProb).split(",");
  document.getElementById("schedule-now").setAttribute("cx", x);
  document.getElementById("schedule-now").setAttribute("cy", y);
  showText("schedule-floor", short(floor));
  const label = document.getElementById("schedule-last");
  label.textContent = `step ${end}`;
  label.setAttribute("x", place(end, 1).split(",")[0]);
  const words = `At step ${step}, keep_prob is ${short(keepProb)}, and ${percent(1 - paper.expected)} is kept.`;
  document.getElementById("schedule").setAttribute("aria-label", `keep_prob over the training steps. ${words}`);
  showText("schedule-says", words);
}

/** The table of wrong layers, alive: what each is expected to drop, and its mask. */
function showLayers({ keepProb, layers, feat }) {
  const body = document.getElementById("layers");
  while (body.children.length < layers.length) {
    const says = element("th", { scope: "row" }, element("strong"), element("span"));
    body.append(element("tr", {}, says, element("td", {}, element("canvas")), element("td"), element("td")));
  }
  layers.forEach((layer, i) => {
    const [says, picture, expected, observed] = body.children[i].children;
    body.children[i].id = `layer-${layer.id}`;
    says.firstChild.textContent = layer.name;
    says.lastChild.textContent = ` ${layer.does} gamma is ${short(layer.gamma)}.`;
    const dropped = percent(1 - countOnes(layer.chosenMask) / layer.chosenMask.length);
    drawMask(picture.firstChild, layer.chosenMask, feat, SMALL, `${layer.name}: a mask with ${dropped} dropped.`);
    expected.textContent = percent(layer.expected);
    observed.textContent = "…";
  });
  showText("layers-asked", `Asked to drop 1 − keep_prob = ${percent(1 - keepProb)}.`);
}

/** What a layer of the table drops in many maps. */
function showObserved({ settings, maps }, layer) {
  const { share, error, observedMaps } = observe(layer, settings.seed, maps);
  const spread = error > 0 ? ` ± ${percent(error)}` : "";
  document.getElementById(`layer-${layer.id}`).lastChild.textContent = percent(share) + spread;
  showText("layers-maps", observedMaps);
}

/** Fig. 1: a feature map of the photo whole, under dropout, and under DropBlock. `photo` is null until it is read. */
function showPhoto({ settings, feat, layers }, photo) {
  if (photo === null) return;
  const direction = settings.channel % DIRECTIONS.length;
  const activation = pool(photo.features[direction], feat);
  const total = activation.reduce((a, b) => a + b, 0);
  const left = ({ chosenMask }) =>
    percent(total > 0 ? activation.reduce((sum, x, unit) => sum + x * chosenMask[unit], 0) / total : 0);
  const draw = (id, mask, words) => {
    drawActivation(document.getElementById(id), photo.image, activation, mask, feat, words);
  };
  const [byBlocks, byUnits] = [layers[0], layers.find(({ id }) => id === "dropout")];
  draw("photo-whole", null, "A photo of a cat, with the active units of the feature map in green.");
  const words = (layer, what) => `The same under ${what} are black, and ${left(layer)} of the activation is left.`;
  draw("photo-dropout", byUnits.chosenMask, words(byUnits, "dropout: single units"));
  draw("photo-dropblock", byBlocks.chosenMask, words(byBlocks, "DropBlock: whole blocks"));
  showText(
    "photo-says",
    `Channel ${settings.channel + 1} answers to edges that get brighter towards the ${DIRECTIONS[direction]}. ` +
      `Of its activation, dropout leaves ${left(byUnits)} and DropBlock ${left(byBlocks)}, before line 8.`,
  );
}
