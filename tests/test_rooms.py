"""Imports go one way: no module imports, anywhere in it, from a room above its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A room is a package or a module; what stands on one line may not import one another.
FLOORS = {
    "conformance/dropblock_conformance": [
        ["subject", "level"],
        ["result", "judging"],
        ["checks", "pipe"],
        ["subjects"],
        ["running"],
        ["reports"],
        ["commands"],
        ["cli", "worker", "pytest_entry"],
        ["__init__", "__main__"],
    ],
    "conformance/dropblock_conformance/subjects": [["bridges"], ["ours", "third_party"], ["__init__"]],
    "adapters/dropblock_torch": [
        ["engines", "arguments"],
        ["ops", "distributed", "observed"],
        ["keys"],
        ["eager", "traced"],
        ["functional"],
        ["modules"],
        ["schedule", "replacement", "summary"],
        ["placement"],
        ["__init__", "trainers"],
    ],
    "adapters/dropblock_torch/placement": [
        ["recipes", "tracing", "hooks"],
        ["norms", "sums"],
        ["where", "skips"],
        ["sites"],
        ["plan"],
        ["add"],
        ["__init__"],
    ],
}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path.relative_to(ROOT / package).with_suffix("").parts[0], path


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, at its top or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", FLOORS)
def test_no_room_imports_from_one_above_it_or_beside_it(package: str) -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS[package]) for room in rooms}
    assert {room for room, _ in modules(package)} == set(floor), "a room without a floor"
    home = ".".join(Path(package).parts[1:])
    for room, path in modules(package):
        for name in imported(path):
            if name.startswith(f"{home}."):
                other = name.removeprefix(f"{home}.").split(".")[0]
                other = other if other in floor else "__init__"
                assert other == room or floor[other] < floor[room], f"{path} imports {name}, from {other}"


def cycle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle of modules that import one another, if there is one."""
    while leaves := [name for name, others in arrows.items() if not others]:
        arrows = {name: others.difference(leaves) for name, others in arrows.items() if name not in leaves}
    return sorted(arrows)


@pytest.mark.parametrize(
    "package", ["dropblock_core", *sorted(f"adapters/{p.name}" for p in ROOT.glob("adapters/drop*"))]
)
def test_no_circle_of_imports(package: str) -> None:
    home = Path(package).name
    paths = {
        ".".join((home, *path.relative_to(ROOT / package).with_suffix("").parts)): path for _, path in modules(package)
    }
    known = {name.removesuffix(".__init__"): name for name in paths}
    arrows = {
        name: {known[n] for whole in imported(path) for n in (whole, whole.rpartition(".")[0]) if n in known} - {name}
        for name, path in paths.items()
    }
    for name, others in arrows.items():
        others.discard(
            known[home]
        )  # a package's front imports its modules, and `from package import module` is no use of it
        assert name
    assert cycle(arrows) == []


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (
            "dropblock_core",
            ("dropblock_torch", "dropblock_jax", "dropblock_tf", "dropblock_keras", "dropblock_conformance"),
        ),
        ("adapters", ("dropblock_conformance",)),
    ],
)
def test_the_core_knows_no_adapter_and_no_adapter_the_suite(below: str, above: tuple[str, ...]) -> None:
    for _, path in modules(below):
        assert not [name for name in imported(path) if name.split(".")[0] in above], path
