"""More or fewer trials at once while a sweep runs, and none."""

import time
from pathlib import Path

import pytest
from reading import outcomes
from test_json import document
from test_launch import Sweep, Write, started

from orchestrator.progress.live import LiveProgress
from orchestrator.requests.calls import Resize
from orchestrator.requests.steering import Steering
from orchestrator.system.interrupt import Interrupt
from orchestrator.terminal.view import facts
from orchestrator.trackers import Store
from orchestrator.trial import Trial


class Bounded:
    """An executor of which nothing is asked but how many slots it may have."""

    most_slots = 4


@pytest.fixture
def steering(interrupt: Interrupt) -> Steering:
    return Steering("toy", interrupt, lambda _: None)


def test_the_number_of_workers_is_told_to_the_loop_once(steering: Steering) -> None:
    steering.start(Trial("toys:train", 1, {}, "x=1"))
    with steering.over(Bounded()):
        assert steering.answer(Resize(3)).lines == ("toy has 3 at once from now on; 1 run, and go on to their end",)
        assert (steering.workers(), steering.workers(), steering.is_paused) == (3, None, False)
        assert steering.answer(Resize(0)).lines[0].startswith("toy is paused: 1 run, and go on to their end; ")
        assert (steering.workers(), steering.is_paused) == (0, True)
        steering.answer(Resize(1))
        assert (steering.workers(), steering.is_paused) == (1, False)


def test_more_than_fit_are_refused_with_how_many_do(steering: Steering) -> None:
    with steering.over(Bounded()):
        answer = steering.answer(Resize(5))
    assert answer.status == 2
    assert answer.lines == ("no more than 4 can run at once where toy runs, by what each takes",)
    assert steering.workers() is None


def test_where_no_trial_can_begin_there_are_no_workers_to_have(steering: Steering, interrupt: Interrupt) -> None:
    assert steering.answer(Resize(1)).status == 2
    with steering.over(Bounded()):
        interrupt.request()
        assert steering.answer(Resize(1)).status == 2
    assert steering.workers() is None


def test_the_view_says_that_a_sweep_is_paused() -> None:
    progress = LiveProgress("toy", None)
    progress.begin(2, [], {})
    for workers, said in ((0, "paused"), (3, "3 at once")):
        progress.take_workers(workers)
        assert said in [fact.plain for fact in facts(progress.status())]
    assert "paused" not in [fact.plain for fact in facts(progress.status())]


@pytest.fixture
def held(folder: Path, write: Write) -> Path:
    """A sweep whose trials run until there is a file `go`."""
    (folder / "waiting.py").write_text(
        "import time\nfrom pathlib import Path\nfrom toys import Config\n\n\ndef train(config: Config):\n"
        "    epoch = 0\n    while epoch == 0 or not Path('go').exists():\n        epoch += 1\n        time.sleep(0.1)\n"
        "        yield {'epoch': epoch, 'train_loss': 1 / epoch}\n"
    )
    return write("trial: waiting:train\nparameters: {x: {values: [1, 2, 3]}}\n")


def ended(store: str) -> int:
    return sum(record.outcome is not None for record in Store(store).records("toy"))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_paused_sweep_begins_nothing_until_it_goes_on(
    store: str, folder: Path, held: Path, sweep: Sweep, executor: str
) -> None:
    process = started(folder, held, "--workers", "1", "--executor", executor)
    paused = sweep("workers", held, 0)
    assert paused.stdout == "toy is paused: 1 run, and go on to their end; `sweep workers toy N` goes on\n", paused
    while "paused" not in (said := sweep("status", "toy")).stdout:
        assert said.returncode == 0
    (folder / "go").touch()
    while not ended(store):
        time.sleep(0.1)
    time.sleep(0.5)
    assert len(Store(store).records("toy")) == 1
    most = 1 if executor == "inline" else 2
    assert sweep("workers", "toy", most).stdout == f"toy has {most} at once from now on; nothing runs\n"
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "asked by hand: toy is paused" in out
    assert not {"paused", "at once"} & {*sweep("status", "toy").stdout.split()}
    assert [*outcomes(store, "toy").values()] == ["completed"] * 3


@pytest.mark.slow
def test_a_paused_sweep_can_be_ended(store: str, folder: Path, held: Path, sweep: Sweep) -> None:
    process = started(folder, held, "--workers", "1")
    told = document(sweep("workers", held, 0, "--json"))
    assert told["lines"] == ["toy is paused: 1 run, and go on to their end; `sweep workers toy N` goes on"]
    refused = sweep("stop", held, "x=99", "--json")
    assert (refused.returncode, document(refused)["mistakes"][0][:24]) == (2, "toy has no trial x=99; d")
    (folder / "go").touch()
    while not ended(store):
        time.sleep(0.1)
    told = document(sweep("stop", held, "--json"))
    assert (told["kind"], len(told["lines"])) == ("answer", 1)
    process.communicate(timeout=100)
    assert process.returncode == 130
    assert [*outcomes(store, "toy").values()] == ["completed"]
