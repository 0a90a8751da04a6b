"""Slots on other machines, without an engine: links that are cut, agents that are lost."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import driving
import psutil
import pytest
import remote
from driving import attempts, drive, epochs, final, trial
from processes import alive, all_gone

from orchestrator import executors, functions
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Progress, Started
from orchestrator.executors.contract import OnPlaces
from orchestrator.executors.limits import MOST_NODES, ActiveTrial, Limits, WorkerLoss
from orchestrator.executors.ray import check_lasts, packing
from orchestrator.executors.ray.gateway import lack
from orchestrator.executors.ray.packing import pack
from orchestrator.executors.remote.calling import SECONDS_TO_STAND_STILL
from orchestrator.executors.remote.engine import Gone
from orchestrator.executors.remote.environment import carried
from orchestrator.executors.remote.executor import MARKER, RemoteExecutor
from orchestrator.executors.remote.greeting import Address, RefusedError, dial
from orchestrator.executors.remote.link import MOST_UNDER_WAY, Link
from orchestrator.executors.remote.listening import AgentListener
from orchestrator.places import Places
from orchestrator.spec.executor_forms import ExecutorForm, RayForm
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources
from orchestrator.trial import Outcome, Trial
from orchestrator.worker.runner import Task

# Links


@pytest.fixture
def listener() -> Iterator[tuple[AgentListener, Link]]:
    """A listener that knows one agent, and this side of its link."""
    link = Link()
    listener = AgentListener("127.0.0.1", lambda name: link if name == "known" else None)
    yield listener, link
    listener.close()


@pytest.fixture
def theirs() -> Iterator[Link]:
    """The agent's side of it."""
    link = Link()
    yield link
    link.detach()


def dialled(listener: AgentListener, link: Link, name: str = "known", address: Address | None = None) -> None:
    """Dial, as an agent does in a process of its own, while the listener is at work."""
    errors: list[BaseException] = []

    def call() -> None:
        try:
            dial(address or listener.address, name, link)
        except (OSError, RefusedError) as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while thread.is_alive():
        listener.pump()
        time.sleep(0.001)
    if errors:
        raise errors[0]


def moved(listener: AgentListener, *links: Link) -> None:
    for _ in range(20):
        listener.pump()
        for link in links:
            link.pump()


def taken(link: Link) -> list[bytes]:
    return [*iter(link.receive, None)]


def test_nothing_is_lost_and_nothing_comes_twice_where_a_connection_is_cut(
    listener: tuple[AgentListener, Link], theirs: Link
) -> None:
    server, ours = listener
    ours.send(b"before there is a connection")
    dialled(server, theirs)
    for number in range(3):
        theirs.send(b"up %d" % number)
        moved(server, theirs)
        assert theirs.connection
        theirs.connection.shutdown(socket.SHUT_RDWR)
        theirs.send(b"up %d, into a cut" % number)
        ours.send(b"down %d" % number)
        moved(server, theirs)
        dialled(server, theirs)
    moved(server, theirs)
    assert taken(theirs) == [b"before there is a connection", b"down 0", b"down 1", b"down 2"]
    assert taken(ours) == [part for n in range(3) for part in (b"up %d" % n, b"up %d, into a cut" % n)]


def test_who_sends_more_than_is_taken_has_no_room(listener: tuple[AgentListener, Link], theirs: Link) -> None:
    server, ours = listener
    dialled(server, theirs)
    sent = 0
    while theirs.has_room:
        theirs.send(bytes(2**20))
        sent += 2**20
        moved(server, theirs)
    assert sent == MOST_UNDER_WAY
    assert sum(map(len, taken(ours))) == sent
    moved(server, theirs)
    assert theirs.has_room


def test_who_has_not_the_key_and_who_is_not_wanted_are_not_let_in(listener: tuple[AgentListener, Link]) -> None:
    server, ours = listener
    stranger = Address(server.address.host, server.address.port, "00" * 32)
    with pytest.raises(OSError):  # noqa: PT011 - closed, or reset
        dialled(server, Link(), address=stranger)
    with pytest.raises(RefusedError, match="has gone on without this agent"):
        dialled(server, Link(), "unknown")
    assert ours.connection is None


def test_a_connection_that_comes_as_another_is_cut_may_have_its_number(
    listener: tuple[AgentListener, Link], theirs: Link
) -> None:
    server, ours = listener
    dialled(server, theirs)
    assert ours.connection
    assert theirs.connection
    number = ours.connection.fileno()
    theirs.connection.shutdown(socket.SHUT_RDWR)
    with socket.create_connection((server.address.host, server.address.port)):
        server.pump()
        assert ours.connection is None
        assert number in {key.fd for key in server._selector.get_map().values()}  # so it was what is to be held here
    dialled(server, theirs)
    ours.send(b"goes on")
    moved(server, theirs)
    assert taken(theirs) == [b"goes on"]


def test_an_agent_that_never_reaches_its_orchestrator_says_so_and_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    lines = "from orchestrator.executors.remote import agent, calling; calling.SECONDS_TO_REACH = 0; agent.main()"
    address = json.dumps(asdict(Address("127.0.0.1", port, "00")))
    command = [sys.executable, "-c", lines, "--name", "known"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdin
        assert agent.stderr
        agent.stdin.write(address)
        agent.stdin.flush()
        assert agent.wait(60) == 1
        assert agent.stderr.read() == f"cannot reach 127.0.0.1:{port} from {socket.gethostname()}\n"


# The loop

Open = Callable[..., tuple[RemoteExecutor, remote.LocalEngine]]
# Goes on once three of it run.
TOGETHER = """
import time
from pathlib import Path
from toys import Config

def train(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}
    Path(f"runs-{config.x}").touch()
    deadline = time.monotonic() + 60
    while len(list(Path().glob("runs-*"))) < 3:
        if time.monotonic() > deadline:
            raise TimeoutError("the others do not run")
        time.sleep(0.05)
    yield {"epoch": 2, "train_loss": 1.0}
"""
# Goes on from its checkpoint; hangs once where it is told to.
ONCE = """
import os, time
from toys import Config

def train(config: Config, workdir):
    kept = workdir / "checkpoint"
    for epoch in range(int(kept.read_text()) + 1 if kept.exists() else 1, config.epochs + 1):
        time.sleep(0.05)
        if config.mode == "hang" and epoch == 3 and not (workdir / "hung").exists():
            (workdir / "hung").touch()
            time.sleep(600)
        yield {"epoch": epoch, "train_loss": 1.0}
        kept.with_suffix(".new").write_text(str(epoch))
        kept.with_suffix(".new").replace(kept)
"""


class ScarceEngine(remote.LocalEngine):
    """Has machines for a few agents alone: all others wait, or end at once as they are told to."""

    def __init__(self, temporary: Path, room: int, machines: int, gone: Callable[[str], Gone] | None = None) -> None:
        super().__init__(temporary, room)
        self.ended: list[str] = []
        self.places = machines
        self._gone = gone

    def begin(self, name: str, address: Address) -> None:
        if len(self.agents) < self.places:
            super().begin(name, address)
            return
        self.begun.append(name)
        if self._gone:
            self.pending.append(self._gone(name))

    def end(self, name: str) -> None:
        self.ended.append(name)
        super().end(name)


@pytest.fixture
def open_(folder: Path, interrupt: Interrupt) -> Iterator[Open]:
    with ExitStack() as opened:

        def open_(
            function: str = "toys:train",
            workers: int = 1,
            room: int = 1,
            engine: remote.LocalEngine | None = None,
            on_places: OnPlaces = lambda places: None,
            on_remark: Callable[[str], None] = lambda remark: None,
            apart: bool = True,
            **limits: Any,
        ) -> tuple[RemoteExecutor, remote.LocalEngine]:
            engine = engine or remote.LocalEngine(folder / "nodes", room)
            told = {"on_places": on_places, "on_remark": on_remark}
            made = driving.setup(function, interrupt, limits=limits, workers=workers, **told)
            executor = remote.executor(made, folder / "nodes", apart=apart, engine=engine)
            return opened.enter_context(executor), engine

        yield open_


def heard_of(executor: RemoteExecutor) -> Iterator[tuple[Trial, Event]]:
    while not executor.idle:
        yield from executor.events()


def running(executor: RemoteExecutor, engine: remote.LocalEngine) -> tuple[str, psutil.Process]:
    """The agent in which a trial runs."""
    name = next(name for name, slot in executor._agents.items() if slot.runs)
    return name, psutil.Process(engine.agents[name].pid)


@pytest.mark.slow
def test_a_trial_whose_machine_is_lost_goes_on_elsewhere_and_that_is_no_retry(open_: Open, folder: Path) -> None:
    executor, engine = open_(retries=0)
    slow = trial(epochs=6, pause=0.2)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2 and len(attempts(heard)) == 1:
                engine.lose(engine.begun[0])
    assert final(heard).outcome is Outcome.COMPLETED
    assert len(attempts(heard)) == 2
    assert sorted({*epochs(heard)}) == [1, 2, 3, 4, 5, 6]
    assert (folder / slow.trial_key / "artifacts" / "note.txt").is_file()
    assert "on another machine (1 lost of the 3" in (folder / slow.trial_key / "log.txt").read_text()


@pytest.mark.slow
def test_the_time_that_a_trial_waits_for_a_machine_is_not_of_its_trial_timeout(open_: Open, folder: Path) -> None:
    engine = ScarceEngine(folder / "nodes", room=0, machines=1)
    executor, _ = open_(engine=engine, trial_timeout=1.0)
    waits = trial()
    executor.submit(waits, folder / waits.trial_key)
    threading.Timer(3.0, setattr, (engine, "room", 1)).start()
    (heard,) = drive(executor, [], folder).values()
    assert final(heard).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_what_runs_when_the_engine_is_lost_ends_as_interrupted(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, engine = open_(workers=2)
    slow, waits = trial(x=1.0, epochs=50, pause=0.2), trial(x=2.0)
    for t in (slow, waits):
        executor.submit(t, folder / t.trial_key)
    heard: dict[str, list[Event]] = {slow.label: [], waits.label: []}

    def lost() -> list[Gone]:
        raise SweepError("the connection is lost")

    with pytest.raises(SweepError, match="the connection is lost"):  # noqa: PT012
        while True:
            for t, event in executor.events():
                heard[t.label].append(event)
                if isinstance(event, Progress):
                    monkeypatch.setattr(engine, "news", lost)
    assert [final(events).outcome for events in heard.values()] == [Outcome.INTERRUPTED] * 2
    monkeypatch.undo()


@pytest.mark.slow
def test_a_node_keeps_no_folder_of_a_trial_that_has_ended_or_was_lost(open_: Open, folder: Path) -> None:
    executor, engine = open_(retries=1)
    kept = trial(x=1.0, epochs=2)
    for t in (kept, trial(mode="kill"), trial(x=2.0)):
        drive(executor, [t], folder)
    assert len(engine.begun) == 1
    assert (folder / kept.trial_key / "artifacts" / "note.txt").is_file()
    deadline = time.monotonic() + 10
    while found := [*(folder / "nodes").glob("*/*/trials/*")]:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.slow
def test_a_trial_begins_in_a_worker_that_lives_though_the_one_before_died_unseen(open_: Open, folder: Path) -> None:
    executor, engine = open_(retries=0)
    drive(executor, [trial(x=1.0)], folder)
    agent = psutil.Process(engine.agents[engine.begun[0]].pid)
    agent.suspend()
    workers = agent.children(recursive=True)
    for worker in workers:
        worker.kill()
    while not all(worker.status() == psutil.STATUS_ZOMBIE for worker in workers if worker.is_running()):
        time.sleep(0.01)
    late = trial(x=2.0)
    executor.submit(late, folder / late.trial_key)
    next(executor.events(), None)  # it is begun
    agent.resume()
    assert final(drive(executor, [], folder)[late.label]).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_a_trial_that_is_stopped_while_its_files_are_on_their_way_ends_after_its_epoch(
    open_: Open, folder: Path
) -> None:
    executor, _ = open_()
    slow = trial(epochs=200, pause=0.1)
    drive(executor, [trial(x=2.0)], folder)  # so that its machine is there
    (folder / slow.trial_key).mkdir()
    (folder / slow.trial_key / "checkpoint").write_bytes(b"what it goes on from" * 1000)
    executor.submit(slow, folder / slow.trial_key)
    assert next(executor.events(), None) is None  # it is begun
    executor.stop(slow, "by hand")
    end = final(drive(executor, [], folder)[slow.label])
    assert (end.outcome, end.reason) == (Outcome.PRUNED, "by hand")


@pytest.mark.slow
def test_an_agent_that_was_given_up_and_lives_is_not_heard_and_ends(open_: Open, folder: Path) -> None:
    executor, engine = open_(retries=0)
    slow = trial(epochs=6, pause=0.2)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    given_up: subprocess.Popen[bytes] | None = None
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2 and given_up is None:
                given_up = engine.agents[engine.begun[0]]
                given_up.send_signal(signal.SIGSTOP)
                engine.pending.append(Gone(engine.begun[0], "its machine is lost"))
            elif given_up and isinstance(event, Started):
                given_up.send_signal(signal.SIGCONT)  # with what its worker has done meanwhile
    assert given_up
    assert given_up.wait(30) == 0  # by itself: nobody has killed it
    assert len(engine.begun) == 2
    assert len(attempts(heard)) == 2
    assert final(heard).outcome is Outcome.COMPLETED
    again = heard.index(attempts(heard)[1])
    assert epochs(heard[again:]) == [1, 2, 3, 4, 5, 6]  # the toy keeps no checkpoint


@pytest.mark.slow
@pytest.mark.parametrize("how", ["lost", "hangs"])
def test_a_trial_goes_on_in_a_shared_folder_only_once_nothing_writes_into_it(
    open_: Open, folder: Path, how: str
) -> None:
    (folder / "once.py").write_text(ONCE)
    executor, engine = open_("once:train", workers=2, room=2, apart=False, retries=1, stall_seconds=1.0)
    while len(executor.slots) < 2:
        executor._wait(())
    once = Trial("once:train", 1, {"mode": "hang" if how == "hangs" else "fine", "epochs": 200}, "once")
    executor.submit(once, folder / "once")
    heard: list[Event] = []
    for _, event in heard_of(executor):
        heard.append(event)
        first, *others = attempts(heard)
        assert not others or not alive(first.pid)
        if isinstance(event, Progress) and event.epoch == 2 and how == "lost" and not others:
            name, agent = running(executor, engine)
            agent.suspend()  # so that its trial works on while it is out of reach
            engine.pending.append(Gone(name, "its machine is lost"))
            threading.Timer(4.0, agent.resume).start()
    assert final(heard).outcome is Outcome.COMPLETED
    assert len(attempts(heard)) == 2


@pytest.mark.slow
def test_a_trial_in_a_shared_folder_stands_still_while_nothing_is_heard_of_its_launch(
    open_: Open, folder: Path
) -> None:
    (folder / "once.py").write_text(ONCE)
    executor, _ = open_("once:train", apart=False)
    executor.submit(Trial("once:train", 1, {"epochs": 400}, "once"), folder / "once")
    kept = folder / "once" / "checkpoint"
    heard: list[Event] = []
    for _, event in heard_of(executor):
        heard.append(event)
        if isinstance(event, Progress) and event.epoch == 2:
            deadline, was = time.monotonic() + 30, ""
            while (now := kept.read_text()) != was:
                assert time.monotonic() < deadline
                was = now
                time.sleep(2)
            assert int(was) < 400
    assert final(heard).outcome is Outcome.COMPLETED
    assert epochs(heard) == [*range(1, 401)]


@pytest.mark.slow
def test_a_trial_that_stands_still_as_its_agent_is_killed_ends(open_: Open, folder: Path) -> None:
    (folder / "once.py").write_text(ONCE)
    executor, engine = open_("once:train", apart=False)
    executor.submit(Trial("once:train", 1, {"epochs": 100}, "once"), folder / "once")
    heard: list[Event] = []
    for _, event in heard_of(executor):
        heard.append(event)
        first, *others = attempts(heard)
        if isinstance(event, Progress) and event.epoch == 2 and not others:
            _, agent = running(executor, engine)
            worker = psutil.Process(first.pid).parents()[0]
            for pid in (worker.pid, first.pid):
                os.kill(pid, signal.SIGSTOP)
            agent.kill()
            assert all_gone([worker.pid, first.pid])
    assert final(heard).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_a_launch_begins_nothing_in_a_shared_folder_at_which_agents_of_a_killed_one_may_be(
    open_: Open, folder: Path
) -> None:
    (folder / "once.py").write_text(ONCE)
    (folder / f"{MARKER}left").write_text("of a launch that was killed")
    before = time.monotonic()
    executor, _ = open_("once:train", apart=False)
    executor.submit(Trial("once:train", 1, {}, "once"), folder / "once")
    heard: list[Event] = []
    for _, event in heard_of(executor):
        heard.append(event)
        assert time.monotonic() >= before + SECONDS_TO_STAND_STILL
    assert final(heard).outcome is Outcome.COMPLETED
    assert not (folder / f"{MARKER}left").exists()


@pytest.mark.slow
def test_more_trials_run_as_machines_come_and_how_many_are_awaited_is_told(open_: Open, folder: Path) -> None:
    told: list[Places] = []
    (folder / "together.py").write_text(TOGETHER)
    executor, engine = open_("together:train", workers=3, room=1, on_places=told.append)
    trials = [Trial("together:train", 1, {"x": x}, f"{x}") for x in (1.0, 2.0, 3.0)]
    for each in trials:
        executor.submit(each, folder / each.trial_key)
    heard: dict[str, list[Event]] = {each.label: [] for each in trials}
    while not executor.idle:
        for each, event in executor.events():
            heard[each.label].append(event)
            if isinstance(event, Progress):
                engine.room = 5
    assert [final(events).outcome for events in heard.values()] == [Outcome.COMPLETED] * 3
    assert len(engine.begun) == 3  # as many as workers, though there is room for more
    assert (told[0].ready, told[0].awaited) == (0, 3)
    assert (1, 2) in {(places.ready, places.awaited) for places in told}
    assert (told[-1].ready, told[-1].awaited, told[-1].waiting) == (3, 0, 0)


@pytest.mark.slow
def test_machines_are_asked_for_only_while_trials_may_come_and_given_back_where_none_has(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.executors.remote.executor.SECONDS_IDLE", 1.0)
    monkeypatch.setattr("orchestrator.executors.remote.executor.SECONDS_UNNEEDED", 0.2)
    engine = ScarceEngine(folder / "nodes", room=3, machines=2)
    executor, _ = open_(workers=3, engine=engine)
    first, second, waits = engine.begun
    drive(executor, [trial(x=2.0), trial(x=3.0, epochs=8, pause=0.5), trial(x=4.0)], folder)
    assert engine.ended[0] == waits
    assert {*engine.ended} in ({waits, first}, {waits, second})  # the idle one, while another had a trial
    assert len(engine.begun) == 3
    heard = drive(executor, [trial(x=x, epochs=6, pause=0.5) for x in (5.0, 6.0)], folder)
    assert [final(events).outcome for events in heard.values()] == [Outcome.COMPLETED] * 2
    assert len(engine.begun) > 3


@pytest.mark.slow
@pytest.mark.parametrize("is_final", [False, True])
def test_a_machine_on_which_nothing_can_run_is_tried_later_and_later_while_others_serve(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, is_final: bool
) -> None:
    said: list[str] = []
    engine = ScarceEngine(
        folder / "nodes", room=2, machines=1, gone=lambda name: Gone(name, "its disk is full", False, True, is_final)
    )
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.executors.remote.executor.LONGEST_PAUSE", 0.0)
        engine._gone, gone = None, engine._gone
        executor, _ = open_(workers=2, engine=engine, on_remark=said.append)
        drive(executor, [trial(x=1.0)], folder)
        engine._gone = gone
        engine.pending.append(gone(engine.begun[1]))
        drive(executor, [trial(x=x, epochs=20, pause=0.1) for x in (2.0, 3.0)], folder)
        assert len(engine.begun) > 7
        assert said == ["a machine cannot run trials, and is tried again every minute: its disk is full"]
    begun = len(engine.begun)
    heard = drive(executor, [trial(x=x, epochs=20, pause=0.1) for x in (4.0, 5.0)], folder)
    assert [final(events).outcome for events in heard.values()] == [Outcome.COMPLETED] * 2
    assert len(engine.begun) <= begun + 1


@pytest.mark.slow
def test_a_machine_that_is_lost_with_all_that_began_there_is_no_failure_of_theirs(open_: Open, folder: Path) -> None:
    engine = ScarceEngine(folder / "nodes", room=8, machines=0)
    executor, _ = open_(workers=8, engine=engine)
    engine.pending = [Gone(name, "its machine is lost") for name in engine.begun]
    engine.places, engine.room = 1, 1
    heard = drive(executor, [trial()], folder)
    assert [final(events).outcome for events in heard.values()] == [Outcome.COMPLETED]
    assert len(engine.begun) == 9


@pytest.mark.slow
def test_the_machine_counts_as_prepared_on_which_that_was(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = remote.LocalEngine(folder / "nodes", room=2, machines=2)
    executor, _ = open_(workers=2, engine=engine)
    while len(executor.slots) < 2:
        executor._wait(())
    _, chosen = executor.slots
    monkeypatch.setattr(executor, "_first_slot", lambda: chosen)
    executor.prepare([{"x": 1.0}])
    assert [slot.machine for slot in executor.slots] == [chosen.machine]


def test_where_no_agent_can_begin_the_launch_ends_with_what_the_last_one_said(open_: Open, folder: Path) -> None:
    executor, engine = open_()
    executor.submit(trial(), folder / "t")
    engine.pending.append(Gone(engine.begun[0], "No module named 'pydantic'", is_final=True))
    with pytest.raises(SweepError, match="no trial can run: No module named 'pydantic'"):
        drive(executor, [], folder)


def test_a_trial_under_which_three_machines_were_lost_without_a_new_epoch_has_failed() -> None:
    run = ActiveTrial(trial(), Task("toys:train", {}, Path(), DivergenceRule()), Limits(retries=0))
    loss = WorkerLoss("its machine is lost", is_of_node=True)
    for epoch in (1, 2):
        run.die(loss)
        run.die(loss)
        assert not run.is_given_up
        assert run.has_one_attempt_left
        run.has_reached(epoch)
    for _ in range(MOST_NODES):
        assert not run.is_given_up
        run.die(loss)
    assert run.is_given_up
    assert run.given_up("its machine is lost").reason == (
        "3 machines were lost under it without a new epoch, which may be its doing: its machine is lost"
    )


def test_what_is_about_this_machine_does_not_go_along() -> None:
    environment = {"PATH": "/bin", "HOME": "/root", "LD_PRELOAD": "x", "PYTHONPATH": "y", "RAY_ADDRESS": "z"}
    environment |= {"PYTHONSAFEPATH": "1", "LC_ALL": "C", "SLURM_JOB_ID": "1", "PMIX_RANK": "0", "BASH_ENV": "x"}
    goes = {"WANDB_MODE": "offline", "MY_DATA": "/data", "LCLS_DATA": "/lcls", "LDA_TOPICS": "5", "PYTHONHASHSEED": "0"}
    assert carried({**environment, **goes}) == goes


# The file, or the command


def test_the_file_says_where_trials_run_and_the_command_goes_before_it() -> None:
    file = ExecutorForm(ray=RayForm(address="head:6379", cpus=2))
    place = executors.place_of(file, None, ["cpus=4", "gpus=0.25"])
    assert place.name == "ray"
    assert place.options == RayForm(address="head:6379", cpus=4, gpus=0.25)
    assert place.takes(Resources(cpus=1)) == Resources(4, 0.25)
    assert place.in_words(Resources()) == "ray, each trial with 4 cores and 0.25 GPUs"
    assert executors.place_of(file, "process", []) == executors.HERE
    assert executors.place_of(None, None, []) == executors.HERE
    assert executors.place_of(None, "ray", []).takes(Resources(gpus=2)) == Resources(1, 2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ray", "cpu=2", "--set-executor cpu=2: ray has no option cpu; did you mean cpus?"),
        ("ray", "cpus=two", "--set-executor cpus=two: input should be a valid integer"),
        ("ray", "gpus=1.5", "--set-executor gpus=1.5: should be a whole number of GPUs"),
        ("ray", "cpus", "--set-executor cpus: write NAME=VALUE"),
        ("process", "cpus=2", "--set-executor cpus=2: the process executor has no options"),
    ],
)
def test_an_option_that_cannot_be_is_said_with_the_nearest_name(name: str, text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        executors.place_of(None, name, [text])
    assert str(error.value).startswith(said)


def test_the_plan_says_where_trials_would_run(
    sweep: Callable[..., Any], write: Callable[[str], Path], folder: Path
) -> None:
    path = write("trial: toys:train\nparameters: {x: {values: [1.0, 2.0]}}\nexecutor: {ray: {cpus: 2, gpus: 0.5}}\n")
    planned = sweep("plan", path)
    assert "where: ray, each trial with 2 cores and 0.5 GPUs" in planned.stdout
    assert "where:" not in sweep("plan", path, "--executor", "process").stdout


@pytest.mark.slow
def test_a_sweep_that_has_finished_needs_no_cluster_and_one_that_goes_on_does(
    write: Callable[..., Path], sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = write("trial: toys:train\nparameters: {x: {values: [1.0, 2.0]}}")
    assert sweep("launch", path).returncode == 0
    done = sweep("launch", path, "--executor", "slurm")
    assert done.returncode == 0, done.stderr
    write("trial: toys:train\nparameters: {x: {values: [1.0, 2.0, 3.0]}}")
    assert sweep("launch", path, "--executor", "slurm").returncode == 2


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{ray: {cpu: 2}}", "executor.ray.cpu: unknown key; did you mean cpus?"),
        ("{rya: {}}", "executor.rya: unknown key; did you mean ray?"),
        ("{}", "executor: names no executors; name one"),
        ("{ray: {gpus: 1.5}}", "executor.ray.gpus: should be a whole number of GPUs"),
    ],
)
def test_a_block_that_cannot_be_is_said_with_its_line(
    sweep: Callable[..., Any], write: Callable[[str], Path], folder: Path, block: str, said: str
) -> None:
    refused = sweep("plan", write(f"trial: toys:train\nparameters: {{x: {{values: [1.0]}}}}\nexecutor: {block}\n"))
    assert refused.returncode == 2
    assert said in refused.stderr
    assert ":3: " in refused.stderr


# What goes to the machines


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's, with what is to go along and what is not."""
    for path in ("mlruns/mlflow.db", "data/mnist.bin", ".git/config", ".venv/bin/python", ".env", ".env.local"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    for path in ("sweeps/my.yaml", "package/data/vocabulary.txt", "package/__pycache__/x.pyc", "package/code.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def names(package: Path) -> set[str]:
    """What is in a package, of the folder of the user."""
    return {name[2:] for name in ZipFile(package).namelist() if name.startswith("0/")} - {""}


def test_code_goes_along_and_data_stores_and_secrets_stay(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("packed")
    function = functions.find("toys:train", functions.modules_of("toys:train", [project / "sweeps", project]))
    package = pack(function, [], place / "one.zip")
    assert names(package.file) == {"toys.py", "sweeps/my.yaml", "package/data/vocabulary.txt", "package/code.py"}
    assert package.code == {str(project / "sweeps"): "0/sweeps", str(project): "0"}
    assert package.current == "0"
    assert {"ours/orchestrator/__main__.py", "ours/orchestrator/py.typed"} <= {*ZipFile(package.file).namelist()}
    (project / "elsewhere").symlink_to(place)  # which does not go along: it is often data
    again = pack(function, [], place / "two.zip")
    assert again.file.read_bytes() == package.file.read_bytes()  # so Ray takes it once
    monkeypatch.chdir(project / "data")
    assert f"{pack(function, [], place / 'below.zip').current}/" in ZipFile(place / "below.zip").namelist()
    monkeypatch.chdir(project)
    named = pack(function, ["../.env", "../data"], place / "three.zip")
    assert names(named.file) - names(package.file) == {".env", "data/mnist.bin"}


def test_a_package_that_is_too_large_names_what_is_large_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 2**24)
    (project / "weights.bin").write_bytes(bytes(2**24))
    with pytest.raises(InputError, match=r"more than the 16 MiB that Ray takes, among it .*weights.bin \(17 MB\)"):
        pack(functions.find("toys:train"), [], tmp_path_factory.mktemp("packed") / "one.zip")
    with pytest.raises(InputError, match=r"executor.ray.include: .*nothing is not there"):
        pack(functions.find("toys:train"), ["nothing"], tmp_path_factory.mktemp("packed") / "one.zip")


def test_a_sweep_is_launched_from_beside_its_file(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "package")
    beside = project / "package" / ".." / "sweeps"
    (project / "sweeps" / "own.py").write_text("from toys import train")
    for folder in ("package/mlruns", "results/work", "sweeps/data"):
        (project / folder).mkdir(parents=True)
        (project / folder / "large.bin").write_text("stays")
    (project / "results" / "mlflow.db").write_text("stays")
    function = functions.find("own:train", functions.modules_of("own:train", [beside, beside / ".."]))
    packed = pack(function, [], tmp_path_factory.mktemp("packed") / "one.zip", project / "results" / "work")
    assert packed.code == {str(beside): "0/sweeps", str(beside / ".."): "0", str(project / "package"): "0/package"}
    assert packed.current == "0/package"
    assert {"sweeps/own.py", "toys.py"} <= names(packed.file)
    assert not [name for name in names(packed.file) if name.endswith(("large.bin", ".db"))]
    (project / "package" / "work").mkdir()
    for name in ("own.db-wal", "work/large.bin"):
        (project / "package" / name).write_text("stays")
    for name, table in (("own.db", "alembic_version"), ("other.sqlite", "alembic_version"), ("words.db", "words")):
        with closing(sqlite3.connect(project / "package" / name)) as database:
            database.execute(f"CREATE TABLE {table} (x)")
    packed = pack(function, [], tmp_path_factory.mktemp("packed") / "two.zip", project / "package" / "work")
    assert {"package/code.py", "package/words.db"} <= names(packed.file)
    stay = {"package/own.db", "package/own.db-wal", "package/other.sqlite", "package/work/large.bin"}
    assert not stay & names(packed.file)


def test_an_included_file_is_in_a_folder_that_goes_along(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "vocabulary.txt"
    elsewhere.write_text("words")
    with pytest.raises(InputError, match=r"executor.ray.include: .*vocabulary.txt is in no folder that goes along"):
        pack(functions.find("toys:train"), [str(elsewhere)], tmp_path_factory.mktemp("packed") / "one.zip")


def test_folders_that_are_links_go_along_and_links_that_lead_around_or_nowhere_do_not(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    (shared / "code.py").write_text("code")
    (shared / "around").symlink_to(project)
    (project / "linked").symlink_to(shared)
    (project / "again").symlink_to(shared)
    (shared / "data").mkdir()
    (shared / "data" / "words.txt").write_text("words")
    (project / "data" / "linked").symlink_to(shared / "data")
    (project / "nowhere").symlink_to(shared / "nothing")
    function = functions.find("toys:train", functions.modules_of("toys:train", [project]))
    packed = pack(function, ["data/linked/words.txt"], tmp_path_factory.mktemp("packed") / "one.zip")
    found = {name for name in names(packed.file) if name.startswith(("linked", "again", "nowhere", "data"))}
    assert found == {
        "linked/code.py",
        "linked/data/words.txt",
        "again/code.py",
        "again/data/words.txt",
        "data/linked/words.txt",
    }


# What a cluster has, and keeps


def test_a_folder_in_the_cache_of_jobs_is_refused_before_the_store_is_opened(
    tmp_path: Path, write: Callable[[str], Path], sweep: Callable[..., Any]
) -> None:
    check_lasts(tmp_path / "runtime_resources" / "mlruns" / "work" / "toy")
    cache = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    with pytest.raises(InputError, match="toy lies in Ray's cache, which Ray removes: name a store that lasts"):
        check_lasts(cache / "mlruns" / "work" / "toy")
    write("trial: toys:train\nparameters: {x: {values: [1.0]}}\n")
    refused = sweep("launch", "toy.yaml", "--executor", "ray", "--tracking-uri", f"sqlite:///{cache}/mlflow.db")
    assert refused.returncode == 2
    assert "lies in Ray's cache" in refused.stderr
    assert not cache.exists()


@pytest.mark.slow
def test_a_launch_connects_with_its_engine_once(
    folder: Path, store: str, write: Callable[[str], Path], sweep: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[remote.LocalEngine] = []

    def engine(*_: object) -> remote.LocalEngine:
        made.append(remote.LocalEngine(folder / "nodes"))
        return made[-1]

    monkeypatch.setattr("orchestrator.executors.ray.engine.RayEngine", engine)
    write("trial: toys:train\nparameters: {x: {values: [1.0, 2.0]}}\n")
    done = sweep("launch", "toy.yaml", "--executor", "ray", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert len(made) == 1
    assert made[0].agents == {}


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ([{"CPU": 4, "GPU": 1}], ""),
        ([], "a trial takes 2 cores, and no machine of the cluster has more than 0"),
        ([{"CPU": 1, "GPU": 1}], "a trial takes 2 cores, and no machine of the cluster has more than 1"),
        ([{"CPU": 4}], "a trial takes 1 GPUs, and no machine of the cluster has more than 0"),
        (
            [{"CPU": 4}, {"CPU": 1, "GPU": 1}],
            "a trial takes 2 cores and 1 GPUs, and no machine of the cluster has both",
        ),
    ],
)
def test_what_no_machine_has_is_said(machines: list[dict[str, float]], said: str) -> None:
    assert lack(machines, 2, 1) == said
