"""What each process does that torchrun starts in test_full_size.py: several runs, each in a child of its own.

A child is a fork, so that the imports, which take longer than the runs, are paid for once. To a run it is as if
torchrun had just started it: each has a port of its own, by which its processes find one another.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from docs.experiments.full_size import classification, detection, segmentation
from docs.experiments.full_size.training import Run
from dropblock_torch import DropBlock2d

COMMANDS = {"classification": classification.main, "detection": detection.main, "segmentation": segmentation.main}
KILLED = 5  # the step within which one process is killed


def child(script: str, arguments: list[str], is_killed: bool) -> None:
    """A run, which leaves beside its folder how many units each call of a layer dropped in this process."""
    dropped: list[int] = []
    forward, step = DropBlock2d.forward, Run._step

    def counted(layer: DropBlock2d, x: Any) -> Any:
        y = forward(layer, x)
        if layer.training:
            dropped.append(int(((y == 0) & (x != 0)).sum()))
        return y

    def killed(run: Run, number: int) -> None:
        if is_killed and number == KILLED and run.ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        step(run, number)

    DropBlock2d.forward, Run._step = counted, killed
    COMMANDS[script](arguments, standalone_mode=False)
    out = Path(arguments[arguments.index("--out") + 1])
    out.with_name(f"{out.name}-dropped-{os.environ['RANK']}.json").write_text(json.dumps(dropped))


def main(plan: list[tuple[int, str, list[str], bool]]) -> None:
    for number, (port, script, arguments, is_killed) in enumerate(plan):
        os.environ |= {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "False"}
        pid = os.fork()
        if not pid:
            try:
                child(script, arguments, is_killed)
            except BaseException as error:
                print(f"{script}: {error!r}", file=sys.stderr, flush=True)
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        wanted = (signal.SIGKILL if os.environ["RANK"] == "1" else 1 << 8) if is_killed else 0
        if status != wanted:
            raise SystemExit(f"run {number} ended with status {status}, not {wanted}")


if __name__ == "__main__":
    if sys.argv[1] == "restarted":  # one run, by torchrun's own restart of both processes
        child(*json.loads(sys.argv[2]), is_killed=os.environ["TORCHELASTIC_RESTART_COUNT"] == "0")
    else:
        main(json.loads(sys.argv[1]))
