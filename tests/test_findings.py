"""The page of findings, from the files of runs, curves and samples."""

from collections.abc import Mapping
from pathlib import Path

import findings
import numpy as np
import pytest
import samples

from models.loss import nll_bound
from orchestrator.events import Finished, Progress, Started
from orchestrator.spec import load
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand

HYPERBAND = "{type: hyperband, min_iter: 3}"
PATIENT = "{type: patient, patience: 5}"


@pytest.mark.slow
def test_the_page_is_what_its_files_make() -> None:
    assert findings.DOCUMENT.read_text() == findings.document(), "make report renews it"


def test_a_replay_ends_what_is_behind_and_says_what_is_lost() -> None:
    rising = {epoch: 0.8 - 0.4 * 0.9**epoch for epoch in range(1, 51)}
    behind = {epoch: value / 2 for epoch, value in rising.items()}
    late = {epoch: value if epoch < 3 else 2 * value for epoch, value in behind.items()}
    falling = {epoch: 0.7 - epoch / 100 if epoch < 50 else 0.9 for epoch in range(1, 51)}

    assert replayed(HYPERBAND, rising, behind) == (53, True, 0.0)
    assert replayed(HYPERBAND, behind, rising) == (100, True, 0.0)
    ran, keeps_best, lost = replayed(HYPERBAND, late, behind | {50: 0.95})  # which would have been best in the end
    assert (ran, keeps_best) == (53, False)
    assert lost == pytest.approx(0.95 - max(late.values()))
    ran, keeps_best, lost = replayed(PATIENT, falling, behind)
    assert (ran < 100, keeps_best) == (True, False)
    assert lost == pytest.approx(0.9 - max(behind.values()))


def replayed(rule: str, *curves: Mapping[int, float]) -> tuple[int, bool, float]:
    path, trials = findings.SWEEPS / "architecture.yaml", findings.rows_of("architecture")
    known = {trial.trial_key: {"val_ssim": dict(curve)} for trial, curve in zip(trials, curves, strict=True)}
    ended = findings.replayed(path, trials, known, rule)
    assert ended.whole == 100
    return ended.ran, ended.keeps_best, ended.lost_of_best


def test_the_curves_of_a_store_are_taken_in_once(store: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load(findings.SWEEPS / "learning_rate.yaml", ["precision=bf16"])
    tracker = Tracker(store, spec)
    trials = expand(spec).trials
    tracker.open(len(trials))
    told = {"val_loss": 30.0, "val_mse": 0.02, "val_ssim": 0.7}
    for trial in trials:
        workdir = folder / "work" / trial.trial_key
        workdir.mkdir(parents=True)
        end = Finished(Outcome.COMPLETED, {"ssim": 0.75, "mse": 0.02})
        tracker.write(trial, [Started(1, 1), *(Progress(n, told, at=n) for n in (1, 2)), end], workdir)
    tracker.abandon()
    for name in ("CURVES", "DECODERS", "SAMPLES"):
        monkeypatch.setattr(findings, name, folder / f"{name}.csv")
    assert (findings.add(store), findings.add(store)) == (3, 0)
    curves = findings.curves()
    assert [curve["val_nll"][2] for curve in curves.values()] == pytest.approx([nll_bound(30.0, 0.5, 784)] * 3)
    (one,) = findings.decoders(curves)  # the others differ in more than var
    assert (one.var, one.is_optimal, one.ssim, one.kl, one.frechet) == (0.5, False, 0.75, pytest.approx(14.32), None)


def test_the_distance_of_samples_is_that_of_gaussians() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5)) @ np.diag([1.0, 2.0, 3.0, 0.5, 0.1])
    moved, wider = points + np.array([3.0, 4.0, 0.0, 0.0, 0.0]), 2 * (points - points.mean(0)) + points.mean(0)
    assert samples.frechet(points, points) == pytest.approx(0.0, abs=1e-6)
    assert samples.frechet(points, moved) == pytest.approx(25.0)
    assert samples.frechet(points, wider) == pytest.approx(np.trace(np.cov(points, rowvar=False)))
