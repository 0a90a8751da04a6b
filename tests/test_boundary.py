"""Where training breaks: curves of which the threshold is known, whole launches, kills."""

import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import children, picture
from test_search import Search, record

from models.declaration import DECLARATION
from models.metrics import diagnose
from orchestrator import samplers
from orchestrator.comparison.boundary import Boundary, Finding
from orchestrator.comparison.psychometric import CHANCE, COARSE_CHANCE, Edge, Posterior, Scale
from orchestrator.errors import InputError
from orchestrator.plan import make
from orchestrator.reports import sections
from orchestrator.reports.boundary_charts import boundary_chart
from orchestrator.samplers.boundary import CAUTION, MOST_LOOKS
from orchestrator.samplers.information import Candidates
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.block_forms import LEAST_RISK
from orchestrator.trackers import Store
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
Load = Callable[..., SweepSpec]
Toy = Callable[[float], bool]

SPEC = """
trial: toys:cliff
method: boundary
run_cap: {cap}
parameters:
  x: {{min: 0.001, max: 1.0, distribution: log_uniform_values}}
"""
SECOND = "  pause: {{values: [0.0, 0.001, 0.002]}}\n"
ROWS = "configs: [{{}}, {{pause: 0.001}}, {{pause: 0.002, epochs: 5}}]\n"
FINE, BROKEN = Observation(Outcome.COMPLETED), Observation(Outcome.EXPLODED)
FEW, MANY = np.linspace(0, 1, 41), np.linspace(0, 1, 201)


@pytest.fixture
def spec(write: Write) -> Load:
    def loaded(text: str = SPEC, cap: int = 40, more: str = "") -> SweepSpec:
        return load(write((text + more).format(cap=cap)))

    return loaded


def logistic(threshold: float, spread: float, sign: int, chance: int) -> Toy:
    """Half of the trials explode at the threshold; from 10% of them to 90%, it is a spread."""
    rng = np.random.default_rng(chance)

    def explodes(position: float) -> bool:
        z = sign * (position - threshold) / (spread / 2 / math.log(9))
        return bool(rng.random() < 1 / (1 + math.exp(-min(max(z, -500), 500))))

    return explodes


def learned(toy: Toy, positions: np.ndarray, trials: int = 40) -> Posterior:
    """As the sampler learns, which looks everywhere first."""
    posterior, candidates = Posterior(), Candidates(positions, CAUTION)
    for number in range(trials):
        looks = number < MOST_LOOKS
        position = (number + 0.5) / MOST_LOOKS if looks else positions[np.argmax(candidates.gains(posterior))]
        posterior.observe(position, toy(position))
    return posterior


def edge(posterior: Posterior) -> Edge:
    (one,) = posterior.edges
    return one


def check_coverage(threshold: float, spread: float, sign: int, positions: np.ndarray) -> None:
    """In 50 repetitions: the intervals cover, and are narrow; the direction is right."""
    intervals = []
    for chance in range(50):
        posterior = learned(logistic(threshold, spread, sign, chance), positions)
        found = posterior.edges[0]
        intervals.append((found.low, found.high))
        assert found.rises == (sign > 0)
    assert sum(low - 1e-9 <= threshold <= high + 1e-9 for low, high in intervals) >= 45
    assert np.median([high - low for low, high in intervals]) < 0.05 + spread


@pytest.mark.slow
def test_the_interval_covers_the_threshold_in_nine_of_ten_repetitions() -> None:
    check_coverage(0.37, 0.2, 1, FEW)


@pytest.mark.long
@pytest.mark.parametrize(
    ("threshold", "spread", "sign"),
    [(0.5, 0.2, 1), (0.8, 0.4, 1), (0.37, 0.05, -1), (0.123, 0.1, -1), (0.613, 0.001, 1), (0.61, 0.001, -1)],
)
def test_the_interval_covers_thresholds_off_centre_of_any_slope_and_direction(
    threshold: float, spread: float, sign: int
) -> None:
    check_coverage(threshold, spread, sign, MANY)


def test_a_cliff_beyond_the_range_is_not_put_into_it() -> None:
    quiet = learned(lambda _: False, FEW, 20)
    assert edge(quiet).low < 0.05
    assert edge(quiet).high > 0.95
    assert quiet.estimate(0.2).safe
    assert edge(learned(lambda position: position > 0.99, MANY)).high >= 0.99


@pytest.mark.long
def test_chance_explosions_far_from_the_cliff_do_not_move_it() -> None:
    covered = 0
    for chance in range(40):
        cliff, rng = logistic(0.6, 0.1, 1, chance), np.random.default_rng((chance, 1))
        posterior = learned(lambda p, cliff=cliff, rng=rng: rng.random() < 0.03 or cliff(p), MANY)
        covered += edge(posterior).low <= 0.6 <= edge(posterior).high
    assert covered >= 36


@pytest.mark.slow
def test_the_safest_value_keeps_the_risk_and_lies_on_the_side_that_does_not_break() -> None:
    for sign in (1, -1):
        found = [learned(logistic(0.5, 0.2, sign, chance), FEW).estimate(0.2).safe for chance in range(2)]
        end, at = (0.0, 1) if sign > 0 else (1.0, 0)
        twenty_percent = 0.5 - sign * 0.2 * math.log(4) / math.log(81)
        assert all(len(regions) == 1 and regions[0][1 - at] == end for regions in found)
        kept = [sign * (twenty_percent - regions[0][at]) >= 0 for regions in found]
        assert all(kept)
        assert all(abs(regions[0][at] - twenty_percent) < 0.35 for regions in found)
    nothing = Posterior().estimate(0.05)
    assert (nothing.safe, nothing.is_nowhere_safe) == ((), True)


def seen(chance: tuple[int, ...]) -> Posterior:
    """Of 28 trials below a cliff at 0.6, these explode by chance; of 12 above it, all do."""
    posterior = Posterior()
    for number, position in enumerate(np.linspace(0, 0.56, 28)):
        posterior.observe(position, number in chance)
    for position in np.linspace(0.64, 1, 12):
        posterior.observe(position, True)
    return posterior


def test_nothing_is_promised_where_a_seed_in_ten_explodes_anywhere() -> None:
    anywhere = seen((3, 12, 21))
    found = anywhere.estimate(0.05)
    assert (found.safe, found.is_nowhere_safe) == ((), True)
    assert 0.05 < found.least < 0.25
    assert found.edges[0].low <= 0.6 <= found.edges[0].high
    assert seen(()).estimate(0.05).safe


def test_an_edge_is_halfway_up_to_a_rate_that_stays_below_one() -> None:
    for chance in range(2):
        rng, cliff = np.random.default_rng((chance, 3)), logistic(0.4, 0.1, 1, chance)
        seldom = learned(lambda p, cliff=cliff, rng=rng: rng.random() < 0.7 and cliff(p), MANY)
        assert edge(seldom).low <= 0.4 <= edge(seldom).high
        assert seldom.estimate(0.05).greatest < 0.95


def test_a_stable_island_has_two_edges_and_a_safe_middle() -> None:
    island = learned(lambda position: not 0.2 < position < 0.8, MANY)
    first, second = island.edges
    assert (first.rises, second.rises) == (False, True)
    assert first.low <= 0.2 <= first.high
    assert second.low <= 0.8 <= second.high
    ((low, high),) = island.estimate(0.2).safe
    assert 0.2 <= low < 0.35
    assert 0.65 < high <= 0.8


def test_a_band_in_which_training_explodes_has_two_edges_too() -> None:
    band = learned(lambda position: 0.4 < position < 0.7, MANY)
    first, second = band.edges
    assert (first.rises, second.rises) == (True, False)
    assert first.low <= 0.4 <= first.high
    assert second.low <= 0.7 <= second.high
    (below, above) = band.estimate(0.3).safe
    assert (below[0], above[1]) == (0, 1)


def test_with_hardly_a_slope_the_interval_admits_that_it_does_not_know() -> None:
    flat = learned(logistic(0.5, 4.0, 1, 0), MANY)
    assert edge(flat).high - edge(flat).low > 0.8
    assert edge(flat).low <= 0.5 <= edge(flat).high
    assert flat.estimate(0.2).is_nowhere_safe


def test_trials_at_the_same_time_are_spread_and_seldom_tell_the_same_twice() -> None:
    posterior, candidates = Posterior(), Candidates(MANY)
    for position in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
        posterior.observe(position, False)
    for position in (0.9, 0.7):
        posterior.observe(position, True)
    running: list[float] = []
    for number in range(8):
        running.append(float(MANY[np.argmax(candidates.gains(posterior, running, (0, number)))]))
    assert len(set(running)) >= 6
    assert max(running) - min(running) > 0.1


def test_scales_turn_values_to_positions_and_back() -> None:
    for scale in (Scale(1e-4, 1.0, log=True), Scale(-3, 5), Scale(1e-300, 1e300, log=True)):
        assert [scale.position(scale.low), scale.position(scale.high)] == pytest.approx([0, 1])
        assert scale.position(scale.value(0.3)) == pytest.approx(0.3)
        assert (scale.value(-1), scale.value(2)) == (scale.low, scale.high)
    assert Scale(1e-4, 1.0, log=True).width(0.25, 0.5) == pytest.approx(10)
    assert Scale(-3, 5).width(0.25, 0.5) == pytest.approx(2)
    assert Scale(1e-300, 1e300, log=True).width(-0.2, 1.2) > 1e300


def cliff(trial: Trial) -> Observation:
    """Explodes above x = 0.1, farther up for a longer pause."""
    return BROKEN if trial.params["x"] > 0.1 * (1 + 1000 * trial.params["pause"]) else FINE


def found(sampler: samplers.Sampler, search: Search, spec: SweepSpec) -> list[Finding]:
    return list(Boundary.of(spec, sampler.trials, search.history).findings)


def test_every_trial_is_new_has_a_seed_of_its_own_and_counts_against_the_budget(spec: Load) -> None:
    search = Search(spec(cap=12)).run(outcome_of=cliff)
    assert [trial.params["seed"] for trial in search.asked] == list(range(12))
    assert len(set(search.keys)) == 12
    assert not search.sampler.has_more
    (finding,) = found(search.sampler, search, spec(cap=12))
    assert finding.where.startswith("above 0.")
    assert finding.metrics()["threshold_low"] <= 0.1 <= finding.metrics()["threshold_high"]


def test_a_seed_that_is_given_stays(spec: Load) -> None:
    search = Search(spec(cap=6, more="  seed: 7\n")).run(outcome_of=cliff)
    assert [trial.params["seed"] for trial in search.asked] == [7] * 6
    assert len(set(search.keys)) == 6


@pytest.mark.parametrize("more", ["", SECOND, ROWS])
@pytest.mark.parametrize("cut", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_a_sweep_that_was_cut_off_goes_on_as_if_it_never_was(spec: Load, cut: int, more: str) -> None:
    untouched = Search(spec(cap=14, more=more)).run(outcome_of=cliff)
    first = Search(spec(cap=14, more=more)).run(cut, cliff)
    begun = first.sampler.ask()  # it ran when the launch was killed
    assert begun is not None
    noted = samplers.of(spec(cap=14, more=more))
    noted.replay(first.history, [begun])  # known from its work folder alone
    again = noted.ask()
    assert again is not None
    assert again.trial_key == begun.trial_key
    second = Search(spec(cap=14, more=more), {**first.history, begun.trial_key: record(begun, None)})
    assert first.keys + second.run(outcome_of=cliff).keys == untouched.keys


def test_several_workers_get_as_many_trials_and_each_is_told_once(spec: Load) -> None:
    sampler = samplers.of(spec(cap=20))
    running: list[Trial] = []
    values = []
    while sampler.has_more or running:
        while len(running) < 4 and (trial := sampler.ask()):
            running.append(trial)
            values.append(trial.params["x"])
        sampler.tell(done := running.pop(0), cliff(done))
    assert len(values) == len(sampler.trials) == 20
    assert len(set(values)) >= 10


def test_failed_trials_tell_nothing_and_are_tried_again_by_the_next_launch(spec: Load) -> None:
    failed = Search(spec(cap=6)).run(
        outcome_of=lambda trial: Observation(Outcome.FAILED) if trial.params["seed"] == 2 else cliff(trial)
    )
    assert len(failed.asked) == 6
    (finding,) = found(failed.sampler, failed, spec(cap=6))
    assert len(finding.curve.points) == 5
    again = Search(spec(cap=6), dict(failed.history)).run(outcome_of=cliff)
    assert again.keys == [failed.keys[2]]


def test_it_stops_at_the_width_asked_for_and_a_smaller_one_goes_on(spec: Load, store: str) -> None:
    wide = spec(more="boundary: {{width: 1.5}}\n")
    search = Search(wide).run(outcome_of=cliff)
    assert 5 < len(search.asked) < 30
    (finding,) = found(search.sampler, search, wide)
    assert finding.metrics()["threshold_high"] / finding.metrics()["threshold_low"] < 1.5
    assert not Search(wide, dict(search.history)).sampler.has_more
    narrow = spec(more="boundary: {{width: 1.2}}\n")
    assert Search(narrow, dict(search.history)).run(outcome_of=cliff).asked
    assert make(narrow, store, 1).proposals == 40


def test_a_plan_counts_what_failed_and_not_what_is_known_well_without_it(
    spec: Load, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = spec(more="boundary: {{width: 1.5}}\n")
    known = [*Search(wide).run(outcome_of=cliff).history.values()]
    failed = replace(known[0], outcome=Outcome.FAILED)
    monkeypatch.setattr(Store, "results", lambda self, name, objectives=(): [failed, *known[1:]])
    plan = make(wide, store, 4)
    assert (len(plan.pending), plan.proposals, plan.at_a_time) == (1, 0, 1)


def test_a_budget_below_what_is_known_asks_for_nothing_and_counts_all_of_it(spec: Load) -> None:
    known = Search(spec(cap=8)).run(outcome_of=cliff).history
    less = samplers.of(spec(cap=5))
    less.replay(known, [])
    assert (less.total, less.has_more) == (8, False)


def test_rows_that_come_to_the_same_are_no_second_parameter(spec: Load) -> None:
    search = Search(spec(cap=3, more="configs: [{{epochs: 5}}, {{epochs: 5}}]\n")).run(outcome_of=cliff)
    assert [trial.params["epochs"] for trial in search.asked] == [5, 5, 5]


@pytest.mark.slow
def test_each_value_of_a_second_parameter_has_its_own_cliff(spec: Load) -> None:
    both = spec(cap=60, more=SECOND + "boundary: {{width: 2}}\n")
    search = Search(both).run(outcome_of=cliff)
    findings = found(search.sampler, search, both)
    assert [dict(finding.curve.at) for finding in findings] == [{"pause": 0.0}, {"pause": 0.001}, {"pause": 0.002}]
    for finding, threshold in zip(findings, (0.1, 0.2, 0.3), strict=True):
        scale = finding.curve.scale
        (found_edge,) = finding.estimate.edges
        assert scale.value(found_edge.low) <= threshold <= scale.value(found_edge.high)
        assert scale.width(found_edge.low, found_edge.high) < 2
    assert "threshold/pause 0.001" in Boundary.of(both, search.sampler.trials, search.history).metrics()


@pytest.mark.slow
def test_each_row_of_configs_has_its_own_cliff(spec: Load) -> None:
    rows = spec(cap=60, more=ROWS + "boundary: {{width: 1.6}}\n")
    search = Search(rows).run(outcome_of=cliff)
    findings = found(search.sampler, search, rows)
    assert [finding.curve.title for finding in findings] == ["defaults", "pause=0.001", "epochs=5 pause=0.002"]
    for finding, threshold in zip(findings, (0.1, 0.2, 0.3), strict=True):
        scale = finding.curve.scale
        assert finding.curve.points
        (found_edge,) = finding.estimate.edges
        assert scale.value(found_edge.low) <= threshold <= scale.value(found_edge.high)
    assert (
        "threshold/configs epochs_5 pause_0.002" in Boundary.of(rows, search.sampler.trials, search.history).metrics()
    )


def test_rows_that_differ_in_type_alone_have_curves_and_metrics_of_their_own(spec: Load, folder: Path) -> None:
    (folder / "kinds.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n"
        "    seed: int = 0\n    kind: int | bool | str = 1\n\ndef train(config: Config):\n    return {}\n"
    )
    text = SPEC.replace("toys:cliff", "kinds:train")
    rows = spec(text, cap=40, more="configs: [{{}}, {{kind: true}}, {{kind: 'p|q'}}, {{kind: p_q}}]\n")
    search = Search(rows).run(outcome_of=lambda trial: BROKEN if trial.params["x"] > 0.1 else FINE)
    findings = found(search.sampler, search, rows)
    assert all(len(finding.curve.points) >= 5 for finding in findings)
    boundary = Boundary.of(rows, search.sampler.trials, search.history)
    thresholds = [name for name in boundary.metrics() if name.startswith("threshold/")]
    assert thresholds == [f"threshold/configs {of}" for of in ("defaults", "kind_True", "kind_p_q", "kind_p_q:2")]
    assert r"kind=p\|q" in boundary.markdown()


def test_a_function_without_seeds_is_asked_for_each_value_once(spec: Load, folder: Path) -> None:
    (folder / "sized.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    size: int = 1\n\n"
        "def train(config: Config):\n    return {'score': config.size}\n"
    )
    few = (
        SPEC.replace("toys:cliff", "sized:train").split("parameters")[0] + "parameters: {{size: {{min: 1, max: 6}}}}\n"
    )
    search = Search(spec(few)).run(outcome_of=lambda trial: BROKEN if trial.params["size"] < 3 else FINE)
    assert sorted(trial.params["size"] for trial in search.asked) == [1, 2, 3, 4, 5, 6]
    assert not search.sampler.has_more
    (finding,) = found(search.sampler, search, spec(few))
    assert finding.where.startswith("below 2.")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("run_cap: 9\nparameters: {x: 1}", r"parameters: boundary needs one parameter .*the file has 0 .* 0 others"),
        ("run_cap: 9\nparameters: {x: {min: 1, max: 2}, pause: {min: 1.0, max: 2}}", "the file has 2 with min and max"),
        (
            "run_cap: 9\nparameters: {x: {min: 1, max: 2}, pause: {values: [0.1, 0.2]}, epochs: {values: [3, 4]}}",
            "2 others",
        ),
        (
            "run_cap: 9\nparameters: {x: {min: 1, max: 2}, pause: {values: [0.1, 0.2]}}\nzip: {epochs: [1, 2]}",
            "the file has 1 .* 2 others",
        ),
        (
            "run_cap: 9\nparameters: {x: {min: 1, max: 2}}\nzip: {epochs: [1, 2]}\nconfigs: [{}, {pause: 0.1}]",
            "the file has 1 .* 2 others",
        ),
        ("run_cap: 9\nseeds: [0, 1]\nparameters: {x: {min: 1, max: 2}}", "seeds: boundary gives each trial a seed"),
        ("run_cap: 9\nreuse: true\nparameters: {x: {min: 1, max: 2}}", "reuse: works only with grid and random"),
        (
            "run_cap: 9\nboundary: {width: 2}\nparameters: {x: {min: 1.0, max: 2}}",
            r"boundary\.width: is the difference",
        ),
        (
            "run_cap: 9\nboundary: {width: 0.5}\nparameters: {x: {min: 1, max: 9.5, distribution: log_uniform_values}}",
            r"boundary\.width: is the ratio of the interval's ends; "
            r"it must be above 1 and below that of the range, 9\.5",
        ),
        ("run_cap: 9\nboundary: {risk: 1}\nparameters: {x: {min: 1, max: 2}}", "risk"),
        (
            "run_cap: 9\nboundary: {risk: 0.01}\nparameters: {x: {min: 1, max: 2}}",
            r"toy\.yaml:4: boundary\.risk: .*greater than 0\.01",
        ),
        ("run_cap: 9\ndivergence: {enabled: false}\nparameters: {x: {min: 1, max: 2}}", "looks for explosions"),
    ],
)
def test_what_has_no_boundary_is_refused(write: Write, text: str, mistake: str) -> None:
    with pytest.raises(InputError, match=mistake):
        load(write("trial: toys:train\nmethod: boundary\n" + text))


def test_a_row_without_what_has_no_default_is_refused(folder: Path, write: Write) -> None:
    (folder / "needy.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    size: int\n    x: float = 1.0\n"
        "def train(config: Config):\n    return {}\n"
    )
    text = SPEC.replace("toys:cliff", "needy:train").format(cap=9) + "configs: [{size: 1}, {}, {size: 2}]"
    with pytest.raises(
        InputError, match=r"toy\.yaml:7: configs\[1\]: size has no default; give it here, as in the other rows"
    ):
        load(write(text))


def test_each_risk_that_may_be_asked_for_can_be_shown() -> None:
    """Safe is what lies below the risk: what is not above the least rate of chance events could be so nowhere."""
    assert min(CHANCE) == min(COARSE_CHANCE) == LEAST_RISK
    posterior = Posterior()
    for trial in range(200):
        posterior.observe(trial / 199, happened=False)
    assert posterior.estimate(LEAST_RISK).is_nowhere_safe
    assert posterior.estimate(1.2 * LEAST_RISK).safe


def test_its_key_goes_with_its_method(write: Write) -> None:
    with pytest.raises(InputError, match="boundary: works only with method boundary"):
        load(write("trial: toys:train\nboundary: {risk: 0.1}\nparameters: {x: {values: [1, 2]}}"))


def parent(store: str, name: str = "toy") -> Run:
    (child, *_) = children(store, name)
    return MlflowClient(tracking_uri=store).get_run(child.data.tags["mlflow.parentRunId"])


@pytest.mark.slow
def test_a_launch_prints_the_cliff_and_leaves_it_and_its_picture_on_the_parent_run(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(SPEC.format(cap=24))
    done = sweep("launch", path, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "explosion along x" in done.stdout
    assert "above 0." in done.stdout
    run = parent(store)
    metrics = run.data.metrics
    assert metrics["threshold_low"] <= metrics["threshold"] <= metrics["threshold_high"]
    assert metrics["threshold_low"] <= 0.1 <= metrics["threshold_high"]
    assert picture(store, run, "boundary.png").width > 1000
    assert run.data.tags["mlflow.note.content"].startswith("| explosion | 95% interval |")
    said = sweep("best", path).stdout.splitlines()
    assert re.fullmatch(
        r"explosion along x: above 0\.\d+ \(95% interval 0\.\d+ to (0\.\d+|>1); in \d+ of 24 trials\)", said[0]
    )
    assert said[1].startswith("safe, with a risk below 0.05: ")
    assert "looks for a boundary, and has no best configuration" in sweep("judge", path, path).stderr
    again = sweep("launch", path)
    assert "started" not in again.stdout
    assert parent(store).data.metrics == metrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "metric"),
    [(SECOND, "threshold/pause 0"), pytest.param(ROWS, "threshold/configs pause_0.001", marks=pytest.mark.slow)],
)
def test_a_launch_draws_a_map_of_several_curves(store: str, write: Write, sweep: Sweep, more: str, metric: str) -> None:
    done = sweep("launch", write((SPEC + more).format(cap=9)), "--executor", "inline", "--quiet")
    assert done.returncode == 0, done.stderr
    assert any(name.startswith(metric) for name in parent(store).data.metrics)
    assert picture(store, parent(store), "boundary.png").width > 1000


@pytest.mark.slow
def test_a_plan_imports_nothing_that_draws_or_searches(write: Write, folder: Path) -> None:
    path = write(SPEC.format(cap=24))
    heavy = {"altair", "matplotlib", "optuna", "vl_convert"}
    code = (
        f"import sys; sys.argv = ['sweep', 'plan', {str(path)!r}]\nfrom orchestrator.cli import main\n"
        f"try:\n    main()\nexcept SystemExit:\n    sys.exit(bool({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "to be proposed by boundary: 24" in done.stdout


@pytest.mark.slow
def test_a_sweep_that_is_killed_finds_what_an_untouched_one_does(folder: Path, write: Write) -> None:
    text = SPEC.format(cap=16) + "  pause: 0.05\n"
    path = write(text)
    stores = [f"sqlite:///{folder / name / 'mlruns' / 'mlflow.db'}" for name in ("calm", "killed")]
    for store in stores:
        command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1", "--tracking-uri", store]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for _ in range(2 if store == stores[1] else 0):
            launch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            assert launch.stdout is not None
            begun = 0
            while begun < 3:
                begun += ": started" in launch.stdout.readline()
            launch.send_signal(signal.SIGKILL)
            assert launch.wait() == -signal.SIGKILL
            launch.stdout.close()
        subprocess.run(command, env=environment, check=True, capture_output=True)
    calm, killed = ([(run.data.params, run.data.tags["outcome"]) for run in children(s, "toy")] for s in stores)
    assert killed == calm
    metrics = [parent(store).data.metrics for store in stores]
    assert metrics[0] == metrics[1]


EVENT = SPEC.replace("run_cap", "boundary: {{event: {event}}}\nrun_cap")


def test_the_boundary_of_what_is_infeasible_is_found_and_named_so(spec: Load) -> None:
    infeasible = spec(EVENT.replace("{event}", "infeasible"), cap=16)
    search = Search(infeasible).run(
        outcome_of=lambda trial: Observation(Outcome.INFEASIBLE if trial.params["x"] > 0.1 else Outcome.EXPLODED)
    )
    boundary = Boundary.of(infeasible, search.sampler.trials, search.history)
    assert boundary.metrics()["threshold_low"] <= 0.1 <= boundary.metrics()["threshold_high"]
    assert boundary.header()[0] == "infeasible"
    assert boundary.title == "toy: infeasible along x"


def test_the_boundary_of_a_diagnosis_is_found_in_records_and_observations_alike(spec: Load) -> None:
    collapse = spec(EVENT.replace("{event}", "{{diagnosis: Posterior  collapse}}"), cap=16)
    search = Search(collapse)
    while trial := search.sampler.ask():
        text = "posterior collapse: it carries 0 nats; more" if trial.params["x"] > 0.1 else ""
        search.asked.append(trial)
        seen = Observation(Outcome.COMPLETED, diagnosis=text)
        search.sampler.tell(trial, seen)
        tags = {"diagnosis": text} if text else {}
        search.history[trial.trial_key] = replace(
            found_record := record(trial, seen), tags={**found_record.tags, **tags}
        )
    boundary = Boundary.of(collapse, search.sampler.trials, search.history)
    assert boundary.metrics()["threshold_low"] <= 0.1 <= boundary.metrics()["threshold_high"]
    assert boundary.header()[0] == "Posterior collapse"
    again = Search(collapse, dict(search.history))
    assert again.sampler.curves[0].points == search.sampler.curves[0].points


def test_the_boundary_of_a_metric_is_where_it_passes_its_bound_and_an_explosion_counts_as_beyond(spec: Load) -> None:
    below = spec(EVENT.replace("{event}", "score<0.5"), cap=16)
    assert [(one.name, one.goal) for one in below.objectives] == [("score", "maximize")]

    def outcome(trial: Trial) -> Observation:
        score = 1 - trial.params["x"] / 0.2  # 0.5 at 0.1
        return BROKEN if trial.params["x"] > 0.5 else Observation(Outcome.COMPLETED, (score,), known=(score,))

    search = Search(below).run(outcome_of=outcome)
    boundary = Boundary.of(below, search.sampler.trials, search.history)
    assert boundary.metrics()["threshold_low"] <= 0.1 <= boundary.metrics()["threshold_high"]
    assert boundary.header()[0] == "score < 0.5"
    assert "P(score < 0.5)" in str(boundary_chart(boundary))


def test_best_of_a_boundary_is_its_edge_and_what_is_safe_and_no_trial(spec: Load) -> None:
    loaded = spec(SPEC + "  pause: {{values: [0.0, 0.001]}}\nboundary: {{risk: 0.2}}\n")
    search = Search(loaded).run(outcome_of=lambda trial: BROKEN if trial.params["x"] > 0.1 else FINE)
    first, safe, second, _ = Boundary.of(loaded, search.sampler.trials, search.history).sentences()
    assert re.fullmatch(r"explosion along x at pause=0: above 0\.\d+ \(95% interval .*; in \d+ of \d+ trials\)", first)
    assert safe.startswith("safe, with a risk below 0.2: up to 0.0")
    assert "pause=0.001: above" in second


def test_another_event_judges_the_same_trials_anew(spec: Load) -> None:
    search = Search(spec(cap=12)).run(outcome_of=cliff)
    infeasible = spec(EVENT.replace("{event}", "infeasible"), cap=12)
    (finding,) = Boundary.of(infeasible, search.sampler.trials, search.history).findings
    assert (finding.where, finding.counted) == ("never", "0 of 12")


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ("explosion", "Where training breaks"),
        ("infeasible", "The boundary of infeasible trials"),
        ("{{diagnosis: dead}}", "The boundary of dead"),
        ("score < 0.5", "The boundary of score < 0.5"),
    ],
)
def test_a_report_calls_a_boundary_by_its_event(spec: Load, event: str, title: str) -> None:
    loaded = spec(EVENT.replace("{event}", event))
    assert sections._boundary_part(loaded, sections._boundary(loaded, [])).title == title


@pytest.mark.parametrize(
    ("event", "outcome", "value", "diagnosis", "happened"),
    [
        ("explosion", Outcome.EXPLODED, None, "", True),
        ("explosion", Outcome.COMPLETED, None, "", False),
        ("explosion", Outcome.INFEASIBLE, None, "", None),
        ("explosion", Outcome.FAILED, None, "", None),
        ("infeasible", Outcome.INFEASIBLE, None, "", True),
        ("infeasible", Outcome.EXPLODED, None, "", False),
        ("infeasible", Outcome.FAILED, None, "", None),
        ("{{diagnosis: dead}}", Outcome.COMPLETED, 1.0, "it is Dead", True),
        ("{{diagnosis: dead}}", Outcome.COMPLETED, 1.0, "", False),
        ("{{diagnosis: dead}}", Outcome.EXPLODED, None, "", False),
        ("{{diagnosis: dead}}", Outcome.INFEASIBLE, None, "", None),
        ("score >= 0.5", Outcome.COMPLETED, 0.5, "", True),
        ("score > 5e-1", Outcome.COMPLETED, 0.5, "", False),
        ("score <= 0.5", Outcome.COMPLETED, None, "", True),
        ("score <= 0.5", Outcome.EXPLODED, 0.9, "", True),
        ("score <= 0.5", Outcome.INFEASIBLE, None, "", True),
        ("score <= 0.5", Outcome.FAILED, 0.1, "", None),
    ],
)
def test_what_each_event_says_of_a_trial(
    spec: Load, event: str, outcome: Outcome, value: float | None, diagnosis: str, happened: bool | None
) -> None:
    assert spec(EVENT.replace("{event}", event)).event.has_happened(outcome, value, diagnosis) is happened


@pytest.mark.parametrize(
    ("event", "mistake"),
    [
        ("explosoin", r"toy\.yaml:4: boundary\.event: 'explosoin' is no event; did you mean explosion\?"),
        (
            "collapse",
            r"'collapse' is no event; use explosion, infeasible, \{diagnosis: TEXT\}, or a metric with",
        ),
        ("score = 0.5", "compares with <, <=, > or >=, and not with ="),
        ("score < good", "good is no number that score could be compared with"),
        ("score < .nan", "is no number"),
        ("exploded < 1", "exploded is added to what a trial reports"),
        ("{{diagnosis: ' '}}", r"boundary\.event\.diagnosis: is empty"),
        ("{{diagnose: dead}}", "diagnosis"),
        ("3", "string"),
    ],
)
def test_what_is_no_event_is_refused_with_its_line(spec: Load, event: str, mistake: str) -> None:
    with pytest.raises(InputError, match=mistake):
        spec(EVENT.replace("{event}", event))


def test_an_event_of_one_metric_and_a_sweep_by_another_do_not_go_together(spec: Load) -> None:
    with pytest.raises(InputError, match="is of score, and the file has `metric` beside it; remove that key"):
        spec(EVENT.replace("{event}", "score < 1") + "metric: {{name: loss}}\n")


def test_a_diagnosis_that_a_function_does_not_make_is_refused_where_it_declares_them(write: Write) -> None:
    text = "method: boundary\nrun_cap: 9\nparameters: {{var: {{min: 0.1, max: 9.0}}}}\n"
    text += "boundary: {{event: {{diagnosis: {}}}}}\n"
    assert load(write(text.format("posterior collapse"))).event.diagnosis == "posterior collapse"
    with pytest.raises(InputError, match="makes no diagnosis 'posterior colapse'; did you mean posterior collapse"):
        load(write(text.format("posterior colapse")))


def test_what_the_vae_declares_as_diagnoses_is_what_it_makes() -> None:
    made = [diagnose(*given) for given in ((9.0, 1.0, 1.0, 0.0), (0.0, 1.0, 1.0, 1.0), (9.0, 1.0, 0.1, 1.0))]
    for text in made:
        assert text is not None
        assert any(text.startswith(one) for one in DECLARATION.diagnoses)


def test_the_first_trials_lie_evenly_over_the_range(spec: Load) -> None:
    search = Search(spec()).run(8, lambda _: FINE)
    (curve,) = search.sampler.curves
    assert sorted(curve.position(trial.params["x"]) for trial in search.asked) == pytest.approx(
        [(2 * i + 1) / 16 for i in range(8)], abs=0.01
    )


def test_trials_that_told_nothing_are_not_proposed_over_and_over_in_one_place(spec: Load) -> None:
    search = Search(spec(cap=30)).run(
        outcome_of=lambda trial: Observation(Outcome.INFEASIBLE) if trial.params["x"] > 0.3 else cliff(trial)
    )
    beyond = [trial.params["x"] for trial in search.asked if trial.params["x"] > 0.3]
    assert len(beyond) < 10


def test_the_next_trial_after_the_known_width_is_none_and_the_remark_says_why(spec: Load) -> None:
    search = Search(spec(more="boundary: {{width: 3}}\n")).run(outcome_of=cliff)
    assert "explosions is known as well as `width` asks for" in search.sampler.remark
