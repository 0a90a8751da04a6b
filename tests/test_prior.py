"""What a search learns from trials of other sweeps and of CSV files: `prior`."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from reading import children
from test_search import record

from orchestrator import samplers
from orchestrator.errors import InputError
from orchestrator.events import Infeasibility
from orchestrator.prior import planned
from orchestrator.samplers import Sampler
from orchestrator.samplers.prior import ENOUGH, MOST, NOTHING, Prior, prior_of
from orchestrator.samplers.proposals import Proposals
from orchestrator.spec import SweepSpec, Values, load
from orchestrator.spec.sweep_spec import PriorSource
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.csv_file import trials_of
from orchestrator.trials.observation import Observation
from orchestrator.trials.prior_trial import PriorTrial
from orchestrator.trials.record import Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

FILE = """
name: {name}
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: {cap}
seed: {seed}
parameters:
  x: {{min: 0.1, max: 10, distribution: log_uniform_values}}
  epochs: 3
{more}
"""
BEST = 0.7  # of x


def file(name: str = "mine", method: str = "tpe", cap: int = 6, seed: int = 0, more: str = "") -> str:
    return FILE.format(name=name, method=method, cap=cap, seed=seed, more=more)


def completed(value: float) -> Observation:
    return Observation(Outcome.COMPLETED, (value,), -1.0)


def height(x: float) -> float:
    return 1 - (x - BEST) ** 2


def known(x: float, seen: Observation | None = None, **params: Any) -> PriorTrial:
    return PriorTrial(
        {"x": x, "mode": "fine", "epochs": 3, "seed": 0, "pause": 0.0, **params}, seen or completed(height(x))
    )


def prior_from(spec: SweepSpec, *trials: PriorTrial, source: str = "before") -> Prior:
    return prior_of(spec, [(PriorSource(source, 0, sweep=source), trials)])


class Informed:
    """A search by one worker that begins with a prior."""

    def __init__(self, spec: SweepSpec, prior: Prior, history: Mapping[str, Record] | None = None) -> None:
        self.sampler: Sampler = samplers.of(spec, prior)
        self.history = dict(history or {})
        self.sampler.replay(self.history, [])
        self.asked: list[Trial] = []

    def run(self, trials: int = 100, outcome_of: Callable[[Trial], Observation] | None = None) -> "Informed":
        while len(self.asked) < trials and (trial := self.sampler.ask()):
            self.asked.append(trial)
            seen = outcome_of(trial) if outcome_of else completed(height(trial.params["x"]))
            self.sampler.tell(trial, seen)
            self.history[trial.trial_key] = record(trial, seen)
        return self

    @property
    def keys(self) -> list[str]:
        return [trial.trial_key for trial in self.asked]


X = {"x": 1.0}
GRID = [0.1 * 100 ** (i / 19) for i in range(20)]


@pytest.mark.slow
def test_a_search_with_a_prior_is_near_the_optimum_at_once(write: Write) -> None:
    """Nothing was tuned on these seeds, nor on this problem."""
    misses: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(7000, 7006):
        spec = load(write(file(cap=4, seed=seed)))
        for knows in misses:
            search = Informed(spec, prior_from(spec, *map(known, GRID)) if knows else NOTHING).run()
            misses[knows].append(min(abs(trial.params["x"] - BEST) for trial in search.asked))
    assert median(misses[True]) < 0.1
    assert median(misses[True]) < median(misses[False]) / 2


@pytest.mark.parametrize("method", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("epochs", [3, 20])
@pytest.mark.parametrize("cut", [1, pytest.param(ENOUGH + 1, marks=pytest.mark.slow)])
def test_a_search_with_a_prior_that_was_cut_off_goes_on_as_if_it_never_was(
    write: Write, method: str, epochs: int, cut: int
) -> None:
    spec = load(write(file(method=method, cap=ENOUGH + 3 if cut > ENOUGH else 4)))
    prior = prior_from(
        spec, *(known(x, epochs=epochs) for x in GRID), known(9, Observation(Outcome.EXPLODED, None, 1.0))
    )
    untouched = Informed(spec, prior).run()
    first = Informed(spec, prior).run(cut)
    second = Informed(spec, prior, first.history).run()
    assert first.keys + second.keys == untouched.keys
    numbers = [trial.proposal.number for trial in untouched.asked if trial.proposal]
    assert numbers[:4] == [*range(4)]
    assert numbers == sorted({*numbers})  # a number is left out where the sampler proposed what it had before


@pytest.mark.slow
@pytest.mark.parametrize("cut", [3, 8])
def test_a_search_that_meets_all_there_is_goes_on_as_if_it_never_was_cut_off(write: Write, cut: int) -> None:
    """Entries to start with, a prior of two kinds, explosions, the infeasible, and seeds of which one is lost."""
    more = "  pause: {min: 0.0, max: 1.0}\nseeds: [0, 1]\nstart_with: [{x: 0.2}, {x: 9, pause: 0.9}]"
    spec = load(write(file(method="auto", cap=14, more=more)))
    prior = prior_from(spec, *(known(x, epochs=3 if i % 2 else 20, pause=0.3) for i, x in enumerate(GRID)))

    def outcome(trial: Trial) -> Observation:
        x, pause, seed = (trial.params[name] for name in ("x", "pause", "seed"))
        if pause > 0.7:
            return Observation(Outcome.INFEASIBLE, infeasible=Infeasibility("memory", pause if seed else None))
        if x < 0.3 or (x > 2 and seed):
            return Observation(Outcome.EXPLODED, None, 0.5)
        return completed(height(x) + seed / 10)

    untouched = Informed(spec, prior).run(outcome_of=outcome)
    first = Informed(spec, prior).run(cut, outcome)
    second = Informed(spec, prior, first.history).run(outcome_of=outcome)
    assert first.keys + second.keys == untouched.keys
    assert {record.outcome for record in untouched.history.values()} == {
        Outcome.COMPLETED,
        Outcome.EXPLODED,
        Outcome.INFEASIBLE,
    }


@pytest.mark.slow
def test_explosions_of_a_prior_are_kept_away_from_by_their_margins(write: Write) -> None:
    spec = load(write(file(cap=8)))
    exploded = [known(x, Observation(Outcome.EXPLODED, None, x - 1)) for x in GRID if x > 1]
    better = [known(x, completed(x)) for x in GRID if x <= 1]
    search = Informed(spec, prior_from(spec, *better, *exploded)).run(
        outcome_of=lambda trial: (
            completed(trial.params["x"]) if trial.params["x"] <= 1 else Observation(Outcome.EXPLODED, None, 0.5)
        )
    )
    assert sum(trial.params["x"] > 1.2 for trial in search.asked) <= 1
    assert all(trial.params["x"] > 0.4 for trial in search.asked)


def test_where_a_constant_differs_the_best_is_tried_first_and_its_height_counts(write: Write) -> None:
    spec = load(write(file(cap=6)))
    higher = [known(x, completed(5 + height(x)), epochs=20) for x in GRID]
    prior = prior_from(spec, *higher)
    search = Informed(spec, prior).run()
    assert abs(search.asked[0].params["x"] - BEST) == min(abs(x - BEST) for x in GRID)
    study = search.sampler._proposals._study  # type: ignore[attr-defined]
    assert max(trial.value for trial in study.trials[: len(GRID)]) == pytest.approx(
        search.history[search.keys[0]].metrics["best_score"]
    )
    assert prior.remarks[1] == (
        "prior: 20 trials have epochs 20, here 3: the best configuration of these is tried here first, and the "
        "difference is added to their values"
    )


@pytest.mark.slow
def test_a_prior_of_other_constants_that_misleads_is_forgotten(write: Write) -> None:
    spec = load(write(file(cap=ENOUGH + 8)))
    misleading = [known(x, completed(5 + x), epochs=20) for x in GRID]
    search = Informed(spec, prior_from(spec, *misleading)).run()
    assert search.asked[0].params["x"] == 10
    assert min(abs(trial.params["x"] - BEST) for trial in search.asked) < 0.5
    assert len(search.sampler._proposals._study.trials) == len(search.asked)  # type: ignore[attr-defined]


def test_where_the_best_of_another_constant_explodes_values_of_its_kind_are_not_used(write: Write) -> None:
    spec = load(write(file(cap=3)))
    prior = prior_from(spec, *(known(x, completed(5 + x), epochs=20) for x in GRID))
    search = Informed(spec, prior).run(outcome_of=lambda _: Observation(Outcome.EXPLODED, None, 1.0))
    values = [trial.value for trial in search.sampler._proposals._study.trials if trial.state.name == "COMPLETE"]  # type: ignore[attr-defined]
    assert values == []


def test_seeds_of_one_configuration_count_with_their_mean(write: Write) -> None:
    spec = load(write(file()))
    prior = prior_from(spec, known(1.0, completed(0.2), seed=1), known(1.0, completed(0.4), seed=2))
    (one,) = prior.configurations
    assert one.seeds.means == (pytest.approx(0.3),)
    assert prior.remarks == ("prior: 2 of 2 trials of before",)


def test_a_seed_of_a_prior_that_exploded_counts_as_the_worst_value_of_its_kind(write: Write) -> None:
    spec = load(write(file()))
    lost = known(1.0, Observation(Outcome.EXPLODED, None, 1.0), seed=2)
    prior = prior_from(
        spec, known(1.0, completed(0.9)), known(1.0, completed(0.7), seed=1), lost, known(2.0, completed(0))
    )
    told: list[Values | None] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proposals, "tell", lambda self, number, values, *_: told.append(values))
        patch.setattr(Proposals, "ask", lambda *_: (0, {}))
        samplers.of(spec, prior)
    assert told == [(pytest.approx(1.6 / 3),), (0,)]


def test_what_breaks_a_constraint_in_a_prior_is_a_limit_and_is_not_what_is_tried_first(
    write: Write, folder: Path
) -> None:
    rows = "x,epochs,score,cost\n0.5,20,0.9,9\n5,20,0.8,3\n2,3,0.95,9\n"
    (folder / "runs.csv").write_text(rows)
    spec = load(write(file(more="prior: [runs.csv]\nconstraints: {cost: {max: 8}}")))
    prior = planned(spec, None, has_begun=False)
    assert [one.seeds.broken for one in prior.configurations] == [["cost"], [], ["cost"]]
    assert Informed(spec, prior).run(1).asked[0].params["x"] == 5


def test_what_is_not_taken_is_said_with_its_reason(write: Write) -> None:
    spec = load(write(file(more="  mode: {values: [fine, text]}")))
    trials = [known(1.0), known(20.0), known(0.01), known(1.0, mode="nan"), known(1.0, Observation(Outcome.FAILED))]
    trials += [known(1.0, Observation(Outcome.COMPLETED, None)), PriorTrial({"mode": "fine"}, completed(1.0))]
    assert prior_from(spec, *trials).remarks == (
        "prior: 1 of 7 trials of before: 2 have x outside of its range, 1 has another mode, 1 has failed, "
        "2 do not fit for other reasons",
    )
    assert prior_from(spec).remarks == ("prior: before has no trial that has ended",)


def test_a_parameter_that_is_not_varied_there_has_its_default(write: Write) -> None:
    spec = load(write(file(more="  mode: {values: [fine, text]}\n  pause: {min: 0.0, max: 1.0, when: {mode: text}}")))
    prior = prior_from(
        spec, known(1.0, pause=7.0), known(1.0, mode="text", pause=0.5), known(1.0, mode="text", pause=7.0)
    )
    assert [one.values for one in prior.configurations] == [
        {"x": 1.0, "mode": "fine"},
        {"x": 1.0, "mode": "text", "pause": 0.5},
    ]


def test_what_is_tried_here_first_has_the_steps_and_types_of_this_file(write: Write) -> None:
    """A whole number that came as 3.0 would be another trial, and no number of epochs."""
    steps = "  pause: {min: 0.0, max: 1.0, distribution: q_uniform, q: 0.1}\n  mode: text"
    spec = load(write(file(more=steps).replace("epochs: 3", "epochs: {min: 1, max: 9}")))
    prior = prior_from(spec, known(2, epochs=3.0, pause=0.22), known(2.0, epochs=3, pause=0.2))
    assert len(prior.configurations) == 1
    trial = Informed(spec, prior).run(1).asked[0]
    assert repr([trial.params[name] for name in ("x", "epochs", "pause")]) == "[2.0, 3, 0.2]"


def test_rows_are_taken_as_wholes(write: Write) -> None:
    spec = load(write(file(more="zip: {mode: [fine, text], pause: [0.0, 0.1]}")))
    prior = prior_from(spec, known(1.0, mode="text", pause=0.1), known(1.0, mode="text", pause=0.0))
    assert [one.values for one in prior.configurations] == [{"x": 1.0, "zip": 1}]
    assert "1 has values of no row of zip" in prior.remarks[0]


def test_a_huge_prior_is_thinned_out_evenly(write: Write) -> None:
    spec = load(write(file()))
    prior = prior_from(spec, *(known(0.1 + i / 100) for i in range(2 * MOST)))
    assert len(prior.configurations) == MOST
    assert "prior: of 600 configurations every so many is taken, 300 in all" in prior.remarks
    assert prior.configurations[1].values == {"x": pytest.approx(0.12)}


def test_of_many_kinds_of_constants_the_most_frequent_are_taken(write: Write) -> None:
    spec = load(write(file()))
    trials = [known(1 + j / 10, epochs=10 + i) for i in range(5) for j in range(6 - i)]
    prior = prior_from(spec, *trials)
    assert prior.remarks[0] == "prior: 15 of 20 trials of before: 5 have further values of constants"
    assert len(prior.remarks) == 4


@pytest.mark.parametrize(
    ("text", "params", "outcome", "value", "margin"),
    [
        ("x,epochs,outcome,score\n0.5,3,completed,0.7\n", {"x": 0.5, "epochs": 3}, "completed", (0.7,), None),
        ("params.x,metrics.score,status\n5e-1,0.7,FINISHED\n", {"x": 0.5}, "completed", (0.7,), None),
        ("params.x,metrics.score,metrics.best_score,tags.outcome\n1,0.7,0.9,completed\n", X, "completed", (0.9,), None),
        ("x,score\n1,0.7\n", X, "completed", (0.7,), None),
        ("x,score\n1,nan\n", X, "completed", None, None),
        ("x,score,outcome,explosion_margin\n1,,loss explosion,0.4\n", X, "loss explosion", None, 0.4),
        ("x,score,status\n1,0.7,FAILED\n", X, "failed", None, None),
        ("x,score,best_score,outcome,last_epoch\n1,0.5,0.6,pruned,4\n", X, "pruned", (0.5,), None),
        ("\ufeffx,score,mode\n1,0.7,text\n", {"x": 1.0, "mode": "text"}, "completed", (0.7,), None),
    ],
)  # fmt: skip
def test_rows_of_a_file_are_trials(
    write: Write, folder: Path, text: str, params: dict[str, Any], outcome: str, value: Any, margin: float | None
) -> None:
    spec = load(write(file()))
    (folder / "runs.csv").write_text(text, "utf-8")
    (trial,) = trials_of(folder / "runs.csv", spec.function, spec.objectives, ["x"])
    assert trial.params == params
    assert str(trial.seen.outcome) == outcome
    assert (trial.seen.values, trial.seen.margin) == (value, margin)


def test_rows_that_have_not_ended_are_no_trials(write: Write, folder: Path) -> None:
    spec = load(write(file()))
    (folder / "runs.csv").write_text("x,score,outcome\n1,0.5,running\n2,0.6,interrupted\n3,0.7,completed\n")
    trials = trials_of(folder / "runs.csv", spec.function, spec.objectives, ["x"])
    assert [trial.params["x"] for trial in trials] == [3.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (None, "runs.csv there is no such file"),
        (b"", "runs.csv has no rows"),
        (b"x,score\n", "runs.csv has no rows"),
        (b"y,score\n1,2\n", "runs.csv has no column x; "),
        (b"x,scores\n1,2\n", "runs.csv has no column score; did you mean scores?"),
        (b"\xff\xfe\x00", "runs.csv is not UTF-8"),
        (b"x,score\n1," + b"2" * 200_000, "runs.csv cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_learned_from_is_a_mistake_with_its_line(
    write: Write, folder: Path, sweep: Sweep, content: bytes | None, mistake: str
) -> None:
    if content is not None:
        (folder / "runs.csv").write_bytes(content)
    planned = sweep("plan", write(file(more="prior: [runs.csv]")))
    assert planned.returncode == 2
    assert "toy.yaml:11: prior[0]: " in planned.stderr
    assert mistake in planned.stderr


@pytest.mark.parametrize(
    ("method", "prior", "mistake"),
    [
        ("random", "[a]", "prior: does not work with method random; use auto, tpe or gp"),
        ("cmaes", "[a]", "prior: does not work with method cmaes"),
        ("tpe", "[mine]", r"prior\[0\]: is this sweep itself"),
        ("tpe", "[a, a]", r"prior\[1\]: a appears twice"),
        ("tpe", "a", "prior: input should be a list"),
        ("tpe", "[]", "prior: .*; give it something, or delete the key"),
        ("tpe", '[""]', r"prior\[0\]: "),
    ],
)
def test_a_prior_that_cannot_be_is_refused(write: Write, method: str, prior: str, mistake: str) -> None:
    with pytest.raises(InputError, match=f"toy.yaml:11: {mistake}"):
        load(write(file(method=method, more=f"prior: {prior}")))


@pytest.mark.slow
def test_a_sweep_that_is_not_there_is_a_mistake_before_anything_is_made(store: str, write: Write, sweep: Sweep) -> None:
    path = write(file(more="prior: [befor]"))
    for call in ("plan", "launch"):
        done = sweep(call, path)
        assert done.returncode == 2
        assert "toy.yaml:11: prior[0]: the store has no sweep befor; it has none" in done.stderr
    assert "has no sweep mine" in sweep("status", "mine").stderr


@pytest.mark.slow
def test_a_launch_learns_from_another_sweep_and_does_not_count_it(store: str, write: Write, sweep: Sweep) -> None:
    before = write(file("before", "random", cap=8).replace("max: 10", "max: 100"), "before.yaml")
    assert sweep("launch", before, "--quiet").returncode == 0
    path = write(file(cap=3, more="prior: [before]"))
    planned = sweep("plan", path)
    taken = sum(float(run.data.params["x"]) <= 10 for run in children(store, "before"))
    assert 0 < taken < 8
    said = f"prior: {taken} of 8 trials of before: {8 - taken} ha"
    assert said in planned.stdout
    assert "to run: 3 of 3" in planned.stdout
    launched = sweep("launch", path, "--workers", "1")
    assert launched.returncode == 0, launched.stderr
    assert said in launched.stdout
    assert len(children(store, "mine")) == 3


@pytest.mark.slow
def test_a_search_that_is_killed_proposes_what_an_untouched_one_does_though_the_prior_has_grown(
    folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    assert sweep("launch", write(file("before", "random", cap=8), "before.yaml"), "--quiet").returncode == 0
    path = write(file(cap=6, more="  pause: 0.05\nprior: [before]"))
    (folder / "untouched").mkdir()
    shutil.copytree(folder / "mlruns", folder / "untouched" / "mlruns")
    calm = f"sqlite:///{folder / 'untouched' / 'mlruns' / 'mlflow.db'}"
    assert sweep("launch", path, "--workers", "1", "--tracking-uri", calm).returncode == 0
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launch:
        assert launch.stdout is not None
        started = 0
        for line in launch.stdout:
            started += ": started" in line
            if started == 3:
                break
        launch.send_signal(signal.SIGKILL)
    assert sweep("launch", write(file("before", "random", cap=16), "before.yaml"), "--quiet").returncode == 0
    assert sweep("launch", path, "--workers", "1").returncode == 0

    def proposals(uri: str) -> list[tuple[str, str]]:
        return sorted((run.data.tags["proposal"], run.data.params["x"]) for run in children(uri, "mine"))

    assert len(proposals(store)) == 6
    assert proposals(store) == proposals(calm)


@pytest.mark.slow
def test_a_report_is_read_as_it_was_written(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    assert sweep("launch", write(file("before", "random", cap=4), "before.yaml"), "--quiet").returncode == 0
    made = sweep("report", "before.yaml")
    (sheet,) = [line for line in made.stdout.splitlines() if line.endswith(".csv")]
    planned = sweep("plan", write(file(cap=3, more=f"prior: [{sheet}]")))
    assert f"prior: 4 of 4 trials of {sheet}\n" in planned.stdout, planned.stderr
