"use strict";

// The page of docs/playground/ in a frame, for tests/docs/test_playground_page.py: opened, changed, looked at.

function until(holds, what) {
  return new Promise((resolve, reject) => {
    let tries = 0;
    const look = () => {
      if (holds()) resolve();
      else if (++tries > 500) reject(new Error(`waited in vain until ${what}`));
      else setTimeout(look, 20);
    };
    look();
  });
}

/** The page in a new frame, once all is drawn. */
async function open(width, hash = "") {
  const frame = document.createElement("iframe");
  Object.assign(frame, { width, height: 900, src: PAGE + hash });
  document.body.append(frame);
  const page = frame.contentWindow;
  const isLoaded = () => page.location.href !== "about:blank" && page.document.readyState === "complete";
  await until(isLoaded, "the page is loaded");
  page.addEventListener("error", (event) => answer({ error: event.message }));
  const find = (selector) => page.document.querySelector(selector);
  const isDrawn = () => find("#summary")?.textContent && find("#photo-says").textContent;
  await until(() => isDrawn() && !find("#layers").textContent.includes("…"), "the page is drawn");
  return { frame, page, find };
}

function textOf({ find }, selector) {
  return find(selector).textContent;
}

async function put({ page, find }, selector, value) {
  find(selector).value = value;
  find(selector).dispatchEvent(new page.Event("input", { bubbles: true }));
  find(selector).dispatchEvent(new page.Event("change", { bubbles: true }));
  await until(() => page.eval("frame") === null, "the change is shown");
}

/** The masks that are shown, and the Python that the page says draws them. */
function shown(one) {
  return { mask: one.page.eval("drawing.mask.join('')"), python: textOf(one, "#python") };
}

/** What stands out beyond the right edge. */
function overflow({ page }) {
  return page.document.documentElement.scrollWidth - page.document.documentElement.clientWidth;
}
