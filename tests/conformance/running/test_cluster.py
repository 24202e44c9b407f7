"""On a Dask cluster: the results are those of a run here, and a worker that is lost loses none of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

distributed = pytest.importorskip("distributed")

from dropblock_conformance import Report, Result  # noqa: E402  # after the skip
from dropblock_conformance.cli import main  # noqa: E402
from dropblock_conformance.running import cluster as cluster_module  # noqa: E402
from dropblock_conformance.running.campaign import Progress, reports  # noqa: E402
from dropblock_conformance.running.cluster import process_for, run_on_cluster  # noqa: E402
from dropblock_conformance.running.journal import Journal  # noqa: E402
from dropblock_conformance.running.order import Order, UnavailableError  # noqa: E402
from dropblock_conformance.running.process import Isolated  # noqa: E402

from ..support import Children, timeless, wait_until  # noqa: E402

CHECKS = ("mode.inference", "seed.same", "mask.shared", "scale.claimed", "law.full_map")
MODULE = """
import os, time
from pathlib import Path
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

honest = Honest()
right = honest.subject("right")
known = MUTANTS["ScaleByKeepProb"].build().subject("wrong"), [Deviation("scale.claimed", "a habit", effect=(0, 5))]
waiting, go, loaded = (Path(__file__).with_name(name) for name in ("waiting", "go", "loaded"))

def wait(x, *, training, **arguments):
    while not training and not go.exists():
        waiting.with_suffix(".new").write_text(str(os.getppid()))
        waiting.with_suffix(".new").rename(waiting)
        time.sleep(0.01)
    return honest.call(x, training=training, **arguments)

dying = Subject("dying", lambda x, **arguments: os._exit(3))
patient = Subject("patient", wait, honest.claims, honest.grad, honest.schedule)

def once():
    if loaded.exists():
        raise RuntimeError("no second time")
    loaded.touch()
    return Subject("once", lambda x, *, training, **arguments: x if training else os._exit(3))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where MODULE is found, here and by workers that are started later."""
    folder = tmp_path_factory.mktemp("subjects")
    (folder / "dask_dropblock.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


def cluster_of(processes: bool) -> Any:
    """Two workers with one thread each, on this machine."""
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=":0", silence_logs="CRITICAL"
    )


# Workers in this process do as well where none is to be lost, and need not be started.
@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.exhaustive)])
def cluster(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with cluster_of(request.param) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def address(cluster: str, idle: list[Isolated]) -> str:
    """The address of a cluster, of which no process is left where its workers are in this one."""
    return cluster


@pytest.fixture
def idle(folder: Path) -> Iterator[list[Isolated]]:
    """The processes that are kept for their next check, as in a worker."""
    yield cluster_module._idle
    for process in cluster_module._idle:
        process.close()
    cluster_module._idle.clear()


def order(attribute: str, *checks: str) -> Order:
    name = attribute if ":" in attribute else f"dask_dropblock:{attribute}"
    return Order(name, "quick", seed=3, checks=checks or CHECKS, subjects_in_run=2)


def test_the_results_are_those_of_a_run_here(address: str) -> None:
    given = order("known")
    (there,) = reports([given], run_on_cluster([given], Journal(), address))
    here = given.run()
    assert timeless(there.results) == timeless(here.results())
    assert len(there.results) == len(CHECKS)
    for field in ("subject", "claims", "profile", "seed", "alpha", "plan", "versions", "unavailable"):
        assert getattr(there, field) == getattr(here.opening(), field)


def test_one_that_cannot_be_had_is_reported_and_the_others_finish(address: str) -> None:
    orders = [order("no_such_module:subject"), order("right", "seed.same")]
    events = list(run_on_cluster(orders, Journal(), address))
    assert len(events) == 3
    missing, right = reports(orders, events)
    assert missing.unavailable is not None
    assert "No module named 'no_such_module'" in missing.unavailable
    assert right.conforms


def test_one_that_cannot_be_had_again_is_told_once_and_is_no_report_of_what_was_seen(
    address: str, folder: Path
) -> None:
    (folder / "loaded").unlink(missing_ok=True)
    orders = [order("once", "mode.inference", "mode.keep_prob_one", "seed.same", "output.dtype")]
    events = list(run_on_cluster(orders, Journal(), address))
    assert [isinstance(event.what, UnavailableError) for event in events].count(True) == 1
    (report,) = reports(orders, events)
    assert report.unavailable is not None
    assert "no second time" in report.unavailable
    assert not report.as_declared


def test_one_that_dies_again_and_again_is_given_up(address: str) -> None:
    checks = (*CHECKS, "mode.keep_prob_one", "output.dtype", "seed.lasting")
    given = order("dying", *checks)
    events = list(run_on_cluster([given], Journal(), address))
    (report,) = reports([given], events)
    assert sorted(result.id for result in report.results) == sorted(checks)
    assert {result.outcome for result in report.results} == {"crashed"}
    died = sum("died" in result.evidence for result in report.results)
    assert 3 <= died <= 4  # the other worker was at its next one
    assert sum("given_up" in result.evidence for result in report.results) == len(checks) - died


def test_what_the_journal_has_is_not_asked_again(address: str, tmp_path: Path) -> None:
    given, other = order("right", "seed.same", "scale.claimed"), order("known", "seed.same")
    run = given.run()
    journal = tmp_path / "journal"
    for what in (run.opening(), run.result(run.checks[0])):
        Journal(journal).put(given, what)
    for what in (other.run().opening(), *other.run().results()):
        Journal(journal).put(other, what)
    events = list(run_on_cluster([given, other], Journal(journal), address))
    assert {event.order for event in events} == {given}
    assert [event.what.id for event in events if isinstance(event.what, Result)] == ["scale.claimed"]


@pytest.mark.exhaustive
def test_a_worker_that_is_lost_loses_no_result(folder: Path) -> None:
    given = order("patient")
    found: list[Progress] = []
    with (
        cluster_of(processes=True) as cluster,
        closing(run_on_cluster([given], Journal(), cluster.scheduler_address)) as events,
    ):
        for event in events:
            found.append(event)
            if isinstance(event.what, Result) and not (folder / "go").exists():  # from the other worker
                wait_until((folder / "waiting").exists)
                os.kill(int((folder / "waiting").read_text()), signal.SIGKILL)
                (folder / "go").touch()
    assert sum(isinstance(event.what, Report) for event in found) == 1
    (report,) = reports([given], found)
    assert timeless(report.results) == timeless(given.run().results())


@pytest.mark.exhaustive
def test_from_the_command_line(address: str) -> None:
    options = ["--profile", "quick", "--check", "seed.same", "--dask", address, "numpy"]
    result = CliRunner().invoke(main, ["run", "--verbose", *options], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0
    assert "numpy: conforms" in result.output


# --- on one worker --------------------------------------------------------------------------------------------------


def test_a_process_is_kept_for_its_subject_and_makes_room_for_another(idle: list[Isolated]) -> None:
    children = Children()
    given, other = order("right", "seed.same"), order("known", "seed.same")
    assert replace(cluster_module.opening(given), sources={}) == given.run().opening()
    (process,) = children.new()
    assert cluster_module.result(given, "seed.same").outcome == "conforms"
    assert children.new() == {process}
    assert replace(cluster_module.opening(other), sources={}) == other.run().opening()
    (another,) = children.new()
    assert another != process


def test_two_threads_have_a_process_each_of_one_subject(idle: list[Isolated]) -> None:
    given = order("right", "seed.same")
    with process_for(given) as one, process_for(given) as two:
        assert one is not two
    assert set(idle) == {one, two}
    with process_for(given) as again, process_for(given) as another:
        assert {again, another} == {one, two}


def test_a_process_that_fails_is_not_kept(idle: list[Isolated]) -> None:
    children = Children()
    with pytest.raises(UnavailableError):
        cluster_module.opening(order("absent"))
    assert idle == []
    assert not children.new()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere://127.0.0.1:1"])
def test_where_no_scheduler_answers_the_command_is_wrong(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.1)
    result = CliRunner().invoke(main, ["run", "numpy", "--check", "seed.same", "--dask", address])
    assert (result.exit_code, f"no Dask scheduler answers at '{address}'" in " ".join(result.output.split())) == (
        2,
        True,
    )
