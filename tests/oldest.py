"""Print constraints.txt with the oldest versions that pyproject.toml allows of what is tested there.

`make test-oldest` installs from them: the core's dependencies and Hypothesis, of which the suite uses private names.
ml-dtypes goes to its lower bound too: newer ones refuse the oldest NumPy.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def oldest_constraints() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    of_suite = project["optional-dependencies"]["conformance"]
    stated = project["dependencies"] + [r for r in of_suite if r.startswith(("hypothesis", "ml-dtypes"))]
    lower = dict(requirement.split(">=") for requirement in stated)
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert lower.keys() <= pins.keys(), f"constraints.txt does not pin {sorted(lower.keys() - pins.keys())}"
    return "".join(f"{name}=={version}\n" for name, version in (pins | lower).items())


if __name__ == "__main__":
    print(oldest_constraints(), end="")
