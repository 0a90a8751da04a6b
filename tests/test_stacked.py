"""A stack of trainings is what each of them is alone."""

import errno
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_train import drained
from torch import Tensor, nn

from models import postmortem
from models.config import TrainConfig
from models.data import data_root, load
from models.stacked import train_stacked
from models.train import train
from models.training import CHECKPOINT_FILE
from models.vae import FullyConnectedVAE

SMALL = TrainConfig(dataset="digits", architecture="fc", num_layers=1, latent_dim=4, batch_size=32, epochs=2, lr=2e-3)
THREE = [{"var": 0.25, "lr": 2e-3, "seed": 0}, {"var": 0.1, "lr": 1e-3, "seed": 1}, {"var": 0.5, "lr": 5e-3, "seed": 1}]
HOPELESS = {"var": 0.05, "lr": 50.0, "seed": 2}
PICTURES = ("loss_curve", "reconstructions", "samples", "traversal")
SLOW = pytest.mark.slow
Metrics = dict[str, float]


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """150 digits to learn, which are four batches of 32 and one of 22; no pictures, which take most of the time."""
    whole = load("digits", data_root())
    few = replace(whole, train=whole.train[:150], val=whole.val[:30], test=whole.test[:30])
    for function in (train, train_stacked):  # which are this file's own, whatever a test has imported anew
        monkeypatch.setitem(function.__globals__, "load", lambda name, root: few)
    for picture in PICTURES:
        monkeypatch.setattr(f"models.figures.{picture}", lambda *_: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps so small are only held up by a second thread
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in double precision, also what asks for float32."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def numbers(told: Sequence[Metrics | None]) -> list[Metrics]:
    """What does not hang on the clock, and can be compared."""
    left_out = {"images_per_second", "diagnosis"}
    return [{k: v for k, v in metrics.items() if k not in left_out} for metrics in told if metrics is not None]


def kept(workdir: Path) -> dict[str, Tensor]:
    """The weights and Adam's state in a checkpoint, by name.

    Without the bias of the keys: attention does not depend on it, so it moves by rounding alone.
    """
    state = torch.load(workdir / CHECKPOINT_FILE, weights_only=True)
    tensors = {}
    for i, (name, weight) in enumerate(state["model"].items()):
        for what, value in {"weight": weight, **state["optimizer"]["state"][i]}.items():
            queries_keys_values = name.endswith("in_proj_bias") and value.dim() == 1
            tensors[f"{name} {what}"] = torch.cat(value.chunk(3)[::2]) if queries_keys_values else value
    return tensors


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("architecture", ["conv", *(pytest.param(name, marks=SLOW) for name in ("fc", "attention"))])
def test_a_stack_learns_what_each_learns_alone(architecture: str, tmp_path: Path) -> None:
    configs = [replace(SMALL, architecture=architecture, num_layers=2, epochs=3, **own) for own in THREE]
    steps: list[list[tuple[float, ...]]] = [[] for _ in range(6)]

    def note(to: list[tuple[float, ...]]) -> Callable[..., None]:
        return lambda step, loss, norm, log_variance: to.append((step, loss, norm, log_variance))

    stacked = [tmp_path / f"stacked{i}" for i in range(3)]
    epochs, finals = drained(train_stacked(configs, stacked, [note(to) for to in steps[:3]]))
    for i, config in enumerate(configs):
        alone, final = drained(train(config, tmp_path / f"alone{i}", note(steps[3 + i])))
        ours = [*numbers([epoch[i] for epoch in epochs]), *numbers([finals[i]])]
        for one, other in zip(ours, [*numbers(alone), *numbers([final])], strict=True):
            assert one == pytest.approx(other, rel=1e-10)
        assert len(steps[i]) == 15
        torch.testing.assert_close(torch.tensor(steps[i]), torch.tensor(steps[3 + i]), rtol=1e-10, atol=0)
        torch.testing.assert_close(kept(stacked[i]), kept(tmp_path / f"alone{i}"), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "architecture",
    ["fc", pytest.param("conv", marks=pytest.mark.slow), pytest.param("attention", marks=pytest.mark.slow)],
)
def test_a_stack_of_one_is_plain_training(architecture: str) -> None:
    config = replace(SMALL, architecture=architecture, num_layers=2)
    epochs, (final,) = drained(train_stacked([config]))
    alone, alone_final = drained(train(config))
    for (ours,), theirs in zip(epochs, alone, strict=True):
        assert list(ours) == list(theirs)
        assert numbers([ours])[0] == pytest.approx(numbers([theirs])[0], rel=1e-4)
    assert numbers([final])[0] == pytest.approx(numbers([alone_final])[0], rel=1e-4)


@pytest.mark.parametrize(
    "architecture",
    ["fc", pytest.param("conv", marks=pytest.mark.slow), pytest.param("attention", marks=pytest.mark.slow)],
)
def test_a_stack_learns_as_well_in_bfloat16(architecture: str) -> None:
    configs = [replace(SMALL, architecture=architecture, num_layers=2, precision="bf16", **own) for own in THREE]
    epochs, _ = drained(train_stacked(configs))
    for config, metrics in zip(configs, epochs[-1], strict=True):
        alone, _ = drained(train(config))
        assert metrics["val_loss"] == pytest.approx(alone[-1]["val_loss"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "precision", "threads"),
    [
        *((architecture, "fp32", 1) for architecture in ("conv", "fc")),
        *(pytest.param(architecture, "bf16", 1, marks=SLOW) for architecture in ("conv", "fc", "attention")),
        pytest.param("attention", "fp32", 1, marks=SLOW),
        pytest.param("conv", "fp32", 2, marks=SLOW),
    ],
)
def test_a_training_in_its_place_is_the_same_to_the_bit_whatever_else_is_in_the_stack(
    architecture: str, precision: str, threads: int
) -> None:
    torch.set_num_threads(threads)
    # so odd that rows do not begin where vectors or threads do
    odd = replace(SMALL, architecture=architecture, precision=precision, latent_dim=3, batch_size=37, epochs=1)
    one, two, three = (replace(odd, **own) for own in THREE)
    hopeless = replace(odd, **HOPELESS)

    def told(placed: dict[int, TrainConfig]) -> dict[TrainConfig, list[Metrics]]:
        epochs, finals = drained(train_stacked([*placed.values()], places=[*placed], width=4))
        rows = zip(placed.values(), *epochs, finals, strict=True)
        return {config: numbers(of_config) for config, *of_config in rows}

    together = told({1: one, 2: two, 3: three})
    mixed = told({0: hopeless, 3: three, 1: one})
    assert (mixed[one], mixed[three]) == (together[one], together[three])
    assert told({2: two})[two] == together[two]


@pytest.mark.slow
def test_what_an_explosion_cannot_leave_behind_is_no_trouble_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ExplosionError(ArithmeticError):
        explosion = SimpleNamespace(step=1)

    def watch(step: int, loss: float, grad_norm: float, **also: float) -> None:
        raise ExplosionError

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(postmortem, "save", full)
    workdirs = [tmp_path / "a", tmp_path / "b"]
    for workdir in workdirs:
        workdir.mkdir()
    configs = [replace(SMALL, **own) for own in THREE[:2]]
    _, finals = drained(train_stacked(configs, workdirs, [watch, None]))
    assert isinstance(finals[0], ExplosionError)
    assert isinstance(finals[1], dict)
    assert "no space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "architecture",
    ["fc", pytest.param("conv", marks=pytest.mark.slow), pytest.param("attention", marks=pytest.mark.slow)],
)
def test_an_explosion_leaves_the_others_as_they_are_to_the_bit(architecture: str) -> None:
    healthy = [replace(SMALL, architecture=architecture, num_layers=2, **own) for own in THREE]
    exploding = [healthy[0], replace(healthy[1], **HOPELESS), healthy[2]]
    losses: list[float] = []

    def watch(step: int, loss: float, grad_norm: float, **also: float) -> None:
        losses.append(loss)
        if step == 8:  # in the second epoch
            raise ArithmeticError(f"loss {loss}")

    epochs, finals = drained(train_stacked(exploding, watches=[None, watch, None]))
    assert len(losses) == 8
    assert math.isnan(losses[-1])
    assert isinstance(epochs[0][1], dict)
    assert epochs[1][1] is finals[1]
    assert isinstance(finals[1], ArithmeticError)
    without, finals_without = drained(train_stacked(healthy))
    assert [numbers([a, c]) for a, _, c in epochs] == [numbers([a, c]) for a, _, c in without]
    assert (finals[0], finals[2]) == (finals_without[0], finals_without[2])


def test_when_all_have_ended_the_stack_ends() -> None:
    steps: list[int] = []

    def watch(step: int, loss: float, grad_norm: float, **also: float) -> None:
        steps.append(step)
        if step == 2:
            raise ArithmeticError("enough")

    epochs, finals = drained(train_stacked([replace(SMALL, **own) for own in THREE[:2]], watches=[watch, watch]))
    assert [[str(error) for error in epoch] for epoch in epochs] == [["enough", "enough"]]
    assert [str(final) for final in finals] == ["enough", "enough"]
    assert steps == [1, 1, 2, 2]


@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoint_in_a_stack_and_alone(tmp_path: Path) -> None:
    configs = [replace(SMALL, epochs=3, **own) for own in THREE]
    whole, finals = drained(train_stacked(configs))
    dirs = [tmp_path / str(i) for i in range(3)]
    stack = train_stacked(configs, dirs)
    next(stack)
    stack.close()
    ahead = train(configs[1], dirs[1])  # one epoch further than the others
    next(ahead)
    ahead.close()
    rest, again = drained(train_stacked(configs[:2], dirs[:2]))
    assert [[metrics and metrics["epoch"] for metrics in epoch] for epoch in rest] == [[2, 3], [3, None]]
    alone, alone_final = drained(train(configs[2], dirs[2]))
    for ours, theirs in (
        (rest[1][0], whole[2][0]),
        (rest[0][1], whole[2][1]),
        (alone[1], whole[2][2]),
        (again[0], finals[0]),
        (again[1], finals[1]),
        (alone_final, finals[2]),
    ):
        assert numbers([ours])[0] == pytest.approx(numbers([theirs])[0], rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_each_training_leaves_what_it_leaves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for picture in PICTURES:
        monkeypatch.setattr(f"models.figures.{picture}", lambda *given: given[-1].touch())
    config = replace(SMALL, epochs=1)
    drained(train(config, tmp_path / "alone"))
    drained(train_stacked([config, replace(config, seed=1)], [tmp_path / "0", tmp_path / "1"]))

    def left(workdir: Path) -> set[Path]:
        return {path.relative_to(workdir) for path in workdir.rglob("*")}

    assert left(tmp_path / "0") == left(tmp_path / "1") == left(tmp_path / "alone")


def test_what_cannot_be_stacked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for configs in ([], [SMALL, replace(SMALL, batch_size=16)]):
        with pytest.raises(ValueError, match="may differ only in var, lr and seed"):
            next(train_stacked(configs))

    class Normalized(FullyConnectedVAE):
        def __init__(self, latent_dim: int, num_layers: int) -> None:
            super().__init__(latent_dim, num_layers)
            self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.BatchNorm1d(512))

    monkeypatch.setattr("models.vae.FullyConnectedVAE", Normalized)
    with pytest.raises(ValueError, match="buffers"):
        next(train_stacked([SMALL]))
