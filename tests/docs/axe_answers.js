"use strict";

(async () => {
  const found = [];
  for (const width of [400, 1280]) {
    for (const theme of ["light", "dark"]) {
      const one = await open(width);
      await put(one, "#theme", theme);
      await put(one, "#keep_prob", "wrong");
      const script = one.page.document.createElement("script");
      script.src = AXE;
      one.page.document.head.append(script);
      await until(() => one.page.axe, "axe is loaded");
      const { violations, passes } = await one.page.axe.run();
      found.push({
        violations: violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.failureSummary + node.html)]),
        passes: passes.length,
      });
      one.frame.remove();
    }
  }
  answer(found);
})();
