"""The figures and the page, together: the page shows the figures that could be drawn."""

from pathlib import Path

from docs.experiments.figures import FIGURES
from docs.experiments.page import written
from docs.experiments.pictures import PICTURES
from docs.experiments.results import Results


def draw(results: Results, page: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.svg"):
        path.unlink()
    for name, figure in {**FIGURES, **PICTURES}.items():
        figure(results, folder / f"{name}.svg")
    page.write_text(written(results, {path.stem for path in folder.glob("*.svg")}))
