"use strict";

async function settingsAndAddress() {
  const one = await open(1280);
  const found = { first: { ...shown(one), hash: one.page.location.hash, summary: textOf(one, "#summary") } };
  const rows = [...one.page.document.querySelectorAll("#layers tr")];
  found.layers = rows.map((row) => [...row.children].slice(2).map((cell) => cell.textContent));
  await put(one, "#keep_prob", "0.5");
  found.slider = one.find("#keep_prob + input").value;
  found.moved = { ...shown(one), hash: one.page.location.hash };
  await put(one, "#keep_prob", "1.5");
  found.refused = {
    ...shown(one),
    hash: one.page.location.hash,
    invalid: one.find("#keep_prob").getAttribute("aria-invalid"),
    wrong: textOf(one, "#keep_prob-wrong"),
  };
  one.find("#next-seed").click();
  await until(() => one.find("#seed").value === "1", "the next seed is there");
  found.next = shown(one);
  one.page.history.back();
  await until(() => one.find("#seed").value === "0", "back is done");
  found.back = { ...shown(one), invalid: one.find("#keep_prob").getAttribute("aria-invalid") };
  one.find("#channels-list label:nth-child(3) input").click();
  await until(() => one.page.location.hash.endsWith("channel=2"), "a channel is chosen");
  await until(() => one.page.eval("frame") === null, "the channel is shown");
  found.channel = textOf(one, "#fig2-says");
  one.frame.remove();
  return found;
}

async function links() {
  const found = [];
  for (const hash of HASHES) {
    const one = await open(400, hash);
    found.push({ ...shown(one), overflow: overflow(one), wrong: textOf(one, "#address-wrong") });
    one.frame.remove();
  }
  return found;
}

/** For each thing that a key can reach: whether it is seen when it is reached; pictures without words. */
async function access() {
  const one = await open(400);
  const { page } = one;
  page.focus();
  const unseen = [];
  for (const reached of page.document.querySelectorAll("a, button, input, select, pre")) {
    reached.focus();
    const framed = [reached, reached.closest("label")].filter(Boolean);
    const isSeen = framed.some((it) => page.getComputedStyle(it).outlineStyle !== "none");
    if (!isSeen || page.document.activeElement !== reached) unseen.push(reached.outerHTML.slice(0, 100));
  }
  one.find("#skip").click();
  const skipped = [page.document.activeElement.id, page.location.hash];
  const mute = [...page.document.querySelectorAll("canvas, svg")].filter(
    (picture) => !picture.getAttribute("aria-label") && picture.getAttribute("aria-hidden") !== "true",
  );
  const colours = {};
  for (const theme of ["light", "dark"]) {
    await put(one, "#theme", theme);
    const pixel = one.find("#blocks").getContext("2d").getImageData(0, 0, 1, 1).data;
    colours[theme] = [page.getComputedStyle(page.document.body).backgroundColor, [...pixel].join()];
  }
  one.frame.remove();
  return { unseen, skipped, mute: mute.map((picture) => picture.outerHTML), colours };
}

(async () => answer({ settings: await settingsAndAddress(), links: await links(), access: await access() }))();
