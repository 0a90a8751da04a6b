"""What an explosion leaves: its last steps, and what of them went first."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.config import TrainConfig
from models.data import data_root, load
from models.postmortem import paragraph, save
from models.random import shuffled
from models.readings import MEASURES
from models.stacked import train_stacked
from models.train import train
from models.window import Window
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Explosion, Finished
from orchestrator.worker import runner
from orchestrator.worker.monitor import ExplodedError

QUICKSTART = {"dataset": "digits", "batch_size": 64, "epochs": 20, "var": 0.05, "lr": 0.2}
SMALL = TrainConfig(dataset="digits", architecture="fc", num_layers=1, latent_dim=4, batch_size=64, epochs=9, lr=2e-3)
LEFT = ("explosion.json", "explosion.md", "explosion.png")


def test_an_explosion_leaves_its_last_steps_a_picture_and_a_paragraph(tmp_path: Path) -> None:
    *_, end = runner.run(runner.Task("models.train:train", QUICKSTART, tmp_path, DivergenceRule()))
    assert isinstance(end, Finished)
    assert end.explosion is not None
    left = {name: tmp_path / "artifacts" / name for name in LEFT}
    told = json.loads(left["explosion.json"].read_text())
    assert told["steps"] == [1, 2, 3, 4, 5, 6]  # the loss stays not finite for five
    assert (told["step"], told["reason"]) == (end.explosion.step, end.explosion.reason)
    assert told["loss"][1:] == ["nan"] * 5
    assert told["loss"][0] == pytest.approx(told["recon"][0] + told["kl"][0])
    assert told["lr"] == 0.2
    by_layer = told["grad_norm_by_layer"]
    assert by_layer.keys() >= {"encoder.0", "mean", "log_variance", "decoder.0"}
    assert told["grad_norm"][0] == pytest.approx(sum(norms[0] ** 2 for norms in by_layer.values()) ** 0.5)
    order = shuffled(1300, 0, 1).tolist()
    assert told["images"] == [order[at : at + 64] for at in range(0, 384, 64)]
    first = told["gone"][0]
    assert (first["quantity"], first["step"]) == ("log_variance", 2)
    assert first["value"] == pytest.approx(told["log_variance_max"][1])
    text = left["explosion.md"].read_text()
    assert text.startswith("**What diverged first: the log variance of the posterior, at step 2 (epoch 1).**")
    assert end.explosion.reason[1:] in text
    assert left["explosion.png"].read_bytes().startswith(b"\x89PNG")


class Alarm:
    """A watch that keeps what it is told, and tells of an explosion at a step."""

    def __init__(self, at: int, explodes: bool = True) -> None:
        self.at, self.explodes, self.told = at, explodes, dict[int, float]()

    def __call__(self, step: int, loss: float, grad_norm: float, **also: float) -> None:
        self.told[step] = loss
        if step == self.at:
            raise ExplodedError("loss rose", Explosion("loss rose", 1, step - 3, loss) if self.explodes else None)


def left_by(config: TrainConfig, workdir: Path, alarm: Alarm) -> list[bytes]:
    """The post-mortem of a training that is taken up as often as it is cut off: after each epoch."""
    with suppress(ExplodedError):
        while True:
            running = train(config, workdir, alarm)
            next(running)
            running.close()
    return [(workdir / "artifacts" / name).read_bytes() for name in LEFT[:2]]


@pytest.mark.slow
def test_a_trial_that_was_cut_off_leaves_the_same_post_mortem_to_the_bit(tmp_path: Path) -> None:
    whole = Alarm(at=75)
    with pytest.raises(ExplodedError):
        list(train(SMALL, tmp_path / "whole", whole))
    cut_off = left_by(SMALL, tmp_path / "cut", Alarm(at=75))
    assert cut_off == [(tmp_path / "whole" / "artifacts" / name).read_bytes() for name in LEFT[:2]]
    told = json.loads(cut_off[0])
    assert told["steps"] == list(range(12, 76))  # 21 steps are an epoch: it reaches back over three
    assert told["epochs"] == [(step - 1) // 21 + 1 for step in told["steps"]]
    assert told["loss"] == [whole.told[step] for step in told["steps"]]
    assert [len(images) for images in told["images"][:10]] == [64] * 9 + [1300 - 20 * 64]
    assert told["step"] == 72


@pytest.mark.slow
def test_what_ends_without_an_explosion_leaves_no_post_mortem(tmp_path: Path) -> None:
    with pytest.raises(ExplodedError):
        list(train(SMALL, tmp_path, Alarm(at=30, explodes=False)))
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == ["loss_curve.png"]


@pytest.mark.slow
def test_a_trial_of_a_stack_leaves_what_it_leaves_alone_but_for_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.figures.explosion", lambda *_: None)
    configs = [replace(SMALL, epochs=3), replace(SMALL, epochs=3, seed=1)]
    dirs = [tmp_path / "0", tmp_path / "1"]
    for _ in train_stacked(configs, dirs, [Alarm(at=30), Alarm(at=100)]):
        pass
    with pytest.raises(ExplodedError):
        list(train(configs[0], tmp_path / "alone", Alarm(at=30)))
    stacked, alone = (json.loads((d / "artifacts" / LEFT[0]).read_text()) for d in (dirs[0], tmp_path / "alone"))
    assert not (dirs[1] / "artifacts" / LEFT[0]).exists()
    assert stacked.keys() == alone.keys()
    for name in MEASURES:
        assert stacked[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-4), name
    for layer, norms in alone["grad_norm_by_layer"].items():
        assert stacked["grad_norm_by_layer"][layer] == pytest.approx(norms, rel=1e-3), layer
    assert stacked["images"] == alone["images"]


def window(steps: int, **series: Iterable[float]) -> Window:
    """A steady window but for the series that are given; those of layers by `of_` and their name."""
    steady = {"loss": 100.0, "recon": 80.0, "kl": 20.0, "grad_norm": 50.0, "mean_min": -2.0, "mean_max": 2.0}
    steady |= {"log_variance_min": -3.0, "log_variance_max": 0.5}
    measures = {name: [*series.get(name, [steady[name]] * steps)] for name in MEASURES}
    layers = {name: [*series.get(f"of_{name}", [30.0] * steps)] for name in ("encoder", "mean")}
    return Window(SMALL, range(1, steps + 1), [1] * steps, measures, layers, [[]] * steps)


NAN = float("nan")


@pytest.mark.parametrize(
    ("series", "gone"),
    [
        # the gradient of a layer, a step before the loss
        ({"of_encoder": [30.0] * 8 + [9e3] * 2, "loss": [100.0] * 9 + [4e4]},
         [("gradient of encoder", 9), ("loss", 10)]),
        # what healed before is no cause
        ({"grad_norm": [50.0] * 3 + [9e4] + [50.0] * 6, "loss": [100.0] * 9 + [NAN]}, [("loss", 10)]),
        # in one step, what is computed first
        ({"loss": [100.0] * 9 + [NAN], "kl": [20.0] * 9 + [NAN], "mean_max": [2.0] * 9 + [4e3]},
         [("mean", 10), ("kl", 10), ("loss", 10)]),
        # among equals, what went farthest
        ({"mean_max": [2.0] * 9 + [300.0], "log_variance_max": [0.5] * 9 + [3e4]},
         [("log_variance", 10), ("mean", 10)]),
        # a term that grows from nothing, and a code that comes to use its range, are healthy
        ({"kl": [1e-3, 1e-2, 0.1, 1, 5, 10, 15, 20, 20, 20], "mean_max": [0.1] * 5 + [4.0] * 5,
          "loss": [100.0] * 9 + [1e5]},
         [("loss", 10)]),
        # nothing is usual before the first step
        ({"loss": [NAN]}, [("loss", 1)]),
        ({"log_variance_max": [80.0]}, [("log_variance", 1)]),
        # what stays out keeps its beginning, however long it lasts
        ({"loss": [100.0] * 4 + [1e5] * 30}, [("loss", 5)]),
        ({"loss": [100.0 + step for step in range(40)]}, []),
    ],
)  # fmt: skip
def test_what_went_first(series: dict[str, list[float]], gone: list[tuple[str, int]]) -> None:
    made = window(len(next(iter(series.values()))), **series)
    assert [(quantity.quantity, quantity.step) for quantity in made.diverged()] == gone


def test_an_explosion_in_the_first_step_leaves_everything_too(tmp_path: Path) -> None:
    save(window(1, loss=[NAN], grad_norm=[float("inf")]), "loss became nan", 1, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(LEFT)
    json.loads((tmp_path / LEFT[0]).read_text(), parse_constant=pytest.fail)


def test_a_slow_rise_is_said_to_be_one() -> None:
    made = window(40, loss=[100.0 + step for step in range(40)])
    assert paragraph(made, made.diverged(), "loss rose").startswith(
        "At step 40, no quantity exceeds 10 times its usual value"
    )


def test_the_paragraph_has_the_numbers() -> None:
    made = window(10, of_encoder=[30.0] * 8 + [9e3] * 2, loss=[100.0] * 9 + [NAN])
    told = paragraph(made, made.diverged(), "loss became nan after 100 at epoch 1, step 10")
    assert told.startswith(
        "**What diverged first: the gradient of encoder, at step 9 (epoch 1).** "
        "Its value was 9000, against a usual value of 30 (300 times as much). At step 10: the loss (nan).\n\n"
        "Loss became nan after 100 at epoch 1, step 10. "
    )


@pytest.mark.slow
def test_what_is_remembered_of_the_last_steps_does_not_grow(tmp_path: Path) -> None:
    running = train(SMALL, tmp_path)
    for _ in range(4):
        next(running)
    running.close()
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    weights = len(list(kept["model"]))
    assert kept["last_steps"].shape == (64, len(MEASURES) + weights)
    assert len(load("digits", data_root()).train) == 1300
