"use strict";

// On a narrow screen Furo's menus are opened by labels, which keys do not reach. Their icons become buttons.
for (const icon of document.querySelectorAll(":is(.nav-overlay-icon, .toc-overlay-icon) > .icon")) {
  const { control } = icon.parentElement;
  const say = () => icon.setAttribute("aria-expanded", control.checked);
  icon.tabIndex = 0;
  icon.setAttribute("role", "button");
  icon.setAttribute("aria-label", control.getAttribute("aria-label"));
  icon.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      control.click();
    }
  });
  control.addEventListener("change", say);
  say();
}
