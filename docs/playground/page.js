"use strict";

// The page: settings from the address, controls that change them, figures that show them.

const QUIET = 300; // milliseconds without a change before the live region speaks, and many maps are observed

const form = document.getElementById("controls");
let settings = initialSettings();
let address = ""; // as it was last read or written
let drawing = null;
let photo = null;
let resting = null; // the timer of both
let frame = null; // the frame in which changed settings are shown

function show() {
  cancelAnimationFrame(frame);
  frame = null;
  settings.channel = Math.min(settings.channel, settings.channels - 1);
  drawing = drawingOf(settings);
  showText("equation", equationText(drawing));
  showText("block-note", blockNote(drawing));
  showText("line8", line8Text(drawing));
  showText("python", pythonText(drawing));
  showFigure2(drawing);
  showChannels(drawing, (channel) => {
    change("channel", channel);
    remember();
  });
  showKeepMap(drawing);
  showSchedule(drawing);
  showLayers(drawing);
  showPhoto(drawing, photo);
  clearTimeout(resting);
  resting = setTimeout(() => {
    showText("summary", summary(drawing));
    observeFrom(0);
  }, QUIET);
}

/** Observe one layer after another, so that a hand that moves again is not kept waiting. */
function observeFrom(number) {
  showObserved(drawing, drawing.layers[number]);
  if (number + 1 < drawing.layers.length) resting = setTimeout(observeFrom, 0, number + 1);
}

function change(name, value) {
  settings = { ...settings, [name]: value };
  if (frame === null) frame = requestAnimationFrame(show); // a slider changes more often than the screen
}

/** Put the settings into the address, as a step that the browser's back button undoes. */
function remember() {
  address = formatHash(settings);
  location.hash = address; // a step only where it differs
  showText("address-wrong", "");
}

function readAddress() {
  address = location.hash;
  const read = parseHash(address);
  settings = read.settings;
  showText("address-wrong", read.errors.join(" "));
  showSettings(form, settings);
  show();
}

function press(id, changed) {
  document.getElementById(id).addEventListener("click", () => {
    settings = { ...settings, ...changed() };
    showSettings(form, settings);
    show();
    remember();
  });
}

/** Colours: as the system has them, or light, or dark; remembered by the browser where it may. */
function makeThemeSwitch() {
  const choice = document.getElementById("theme");
  const apply = () => {
    document.documentElement.dataset.theme = choice.value;
    if (drawing !== null) show();
  };
  try {
    choice.value = localStorage.getItem("theme") ?? "system";
  } catch {
    choice.value = "system"; // a browser that remembers nothing
  }
  choice.addEventListener("change", () => {
    apply();
    try {
      localStorage.setItem("theme", choice.value);
    } catch {
      // As above.
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

makeThemeSwitch();
makeControls(form, change, remember);
document.getElementById("skip").addEventListener("click", () => document.getElementById("figures").focus());
form.addEventListener("submit", (event) => event.preventDefault());
press("next-seed", () => ({ seed: BigInt.asUintN(64, settings.seed + 1n) }));
press("reset", initialSettings);
addEventListener("hashchange", () => {
  if (location.hash !== address) readAddress(); // not what the page itself wrote
});
readAddress();

const image = new Image();
image.addEventListener("load", () => {
  photo = { image, features: featuresOf(image) };
  showPhoto(drawing, photo);
});
image.src = PHOTO;
