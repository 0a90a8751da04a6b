"""Parameters that are varied only where others have certain values."""

import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children, outcomes
from test_search import GP_IS_SLOWER, Search, record

from orchestrator.errors import InputError
from orchestrator.samplers.dashboard import Mirror
from orchestrator.samplers.importances import importances
from orchestrator.spec import load
from orchestrator.trackers import Store
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
GRID = """
parameters:
  num_layers: {values: [1, 2], when: {architecture: [conv, fc]}}
  architecture: {values: [conv, fc, attention]}
  latent_dim: {values: [5, 10], when: {architecture: conv, num_layers: 2}}
  lr: {value: 1e-3, when: {architecture: attention}}
"""
SEARCH = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: 13
parameters:
  mode: {{values: [fine, text]}}
  x: {{min: 2.0, max: 4.0, when: {{mode: fine}}}}
  epochs: {{values: [4, 5], when: {{mode: text}}}}
"""  # the defaults of x and epochs, 1 and 3, are not among their values


def rows(path: Path, *overrides: str) -> list[tuple[str, object, object, object, object]]:
    trials = expand(load(path, overrides)).trials
    names = ("architecture", "num_layers", "latent_dim", "lr")
    return [(trial.label, *(trial.params[name] for name in names)) for trial in trials]


def seen(trial: Trial) -> Observation:
    value = trial.params["x"] if trial.params["mode"] == "fine" else trial.params["epochs"] / 2
    return Observation(Outcome.COMPLETED, (-float(value) - trial.params["seed"] / 8,), -1.0)


def test_a_grid_varies_a_parameter_only_where_its_condition_holds(write: Write) -> None:
    assert rows(write(GRID)) == [
        ("architecture=conv num_layers=1", "conv", 1, 20, 0.005),
        ("architecture=conv num_layers=2 latent_dim=5", "conv", 2, 5, 0.005),
        ("architecture=conv num_layers=2 latent_dim=10", "conv", 2, 10, 0.005),
        ("architecture=fc num_layers=1", "fc", 1, 20, 0.005),
        ("architecture=fc num_layers=2", "fc", 2, 20, 0.005),
        ("architecture=attention lr=0.001", "attention", 3, 20, 0.001),
    ]


def test_a_condition_looks_at_rows_and_defaults_too(write: Write) -> None:
    text = (
        "configs: [{architecture: fc}, {num_layers: 2}]\nparameters: {lr: {values: [1, 2], when: {architecture: conv}}}"
    )
    assert rows(write(text)) == [
        ("architecture=fc", "fc", 3, 20, 0.005),
        ("num_layers=2 lr=1", "conv", 2, 20, 1),
        ("num_layers=2 lr=2", "conv", 2, 20, 2),
    ]
    always = "parameters: {lr: {values: [1, 2], when: {latent_dim: 20}}}"
    assert [row[-1] for row in rows(write(always))] == [1, 2]


def test_random_draws_have_defaults_where_a_condition_does_not_hold(write: Write) -> None:
    drawn = rows(write(GRID + "method: random\nrun_cap: 100\n"))
    assert sorted(drawn) == sorted(rows(write(GRID)))


def test_a_grid_is_as_large_as_what_its_conditions_leave_of_it(write: Write) -> None:
    values = list(range(1, 26))
    text = "parameters:\n  architecture: {values: [conv, fc, attention]}\n"
    for name, other in (("lr", "conv"), ("epochs", "fc"), ("var", "attention"), ("batch_size", "attention")):
        text += f"  {name}: {{values: {values}, when: {{architecture: {other}}}}}\n"
    assert len(expand(load(write(text))).trials) == 25 + 25 + 25 * 25
    with pytest.raises(InputError, match="a grid of more than 10,000 trials; the limit is 10,000"):
        expand(load(write(text + f"  latent_dim: {{values: {values}, when: {{architecture: attention}}}}\n")))


def test_what_is_set_on_the_command_line_has_no_condition(write: Write) -> None:
    assert rows(write(GRID), "architecture=attention", "num_layers=1") == [("toy", "attention", 1, 20, 0.001)]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOWER, "cmaes", "qmc"])
def test_a_search_varies_what_its_conditions_let_it_and_goes_on_as_if_never_cut_off(write: Write, method: str) -> None:
    spec = load(write(SEARCH.format(method=method)))
    untouched = Search(spec).run(outcome_of=seen)
    assert len(set(untouched.keys)) == 13
    assert {trial.params["mode"] for trial in untouched.asked} == {"fine", "text"}
    for trial in untouched.asked:
        if trial.params["mode"] == "fine":
            assert 2 <= trial.params["x"] <= 4
            assert trial.params["epochs"] == 3
            assert re.fullmatch(r"x=\S+ mode=fine( seed=\d)?", trial.label)
        else:
            assert (trial.params["x"], trial.params["epochs"] in (4, 5)) == (1, True)
            assert re.fullmatch(r"mode=text epochs=\d( seed=\d)?", trial.label)
    for cut in (2, 7, 11):
        first = Search(spec).run(cut, outcome_of=seen)
        begun = first.sampler.ask()
        assert begun is not None
        history = {**first.history, begun.trial_key: record(begun, None)}
        assert first.keys + Search(spec, history).run(outcome_of=seen).keys == untouched.keys


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_a_sampler_sees_nothing_of_what_is_not_varied_or_its_middle_always(write: Write, method: str) -> None:
    search = Search(load(write(SEARCH.format(method=method)))).run(outcome_of=seen)
    trials = search.sampler._proposals._study.get_trials()  # type: ignore[attr-defined]
    for mode, name, middle in ((1, "x", 3.0), (0, "epochs", 1)):
        told = {trial.params.get(name) for trial in trials if trial.params["mode"] == mode}
        assert told == ({None} if method == "tpe" else {middle})


def test_importances_are_of_what_is_varied_in_every_trial(write: Write) -> None:
    spec = load(write(SEARCH.format(method="tpe") + "  pause: {min: 0.0, max: 1.0}\n"))
    search = Search(spec).run(outcome_of=lambda trial: Observation(Outcome.COMPLETED, (-trial.params["pause"],), -1.0))
    assert importances(spec, search.history.values()).keys() == {"mode", "pause"}


def test_importances_of_a_grid_take_listed_numbers_of_several_decades_by_their_logarithm(write: Write) -> None:
    text = "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters:\n  pause: {values: [0.0, 0.5, 1.0]}\n"
    spec = load(write(text + "  x: {values: [1e-4, 1e-3, 1e-2, 0.1, 1.0]}\n"))

    def completed(trial: Trial) -> Observation:  # x matters in a hundredth of its range, in half of its decades
        value = min(math.log10(trial.params["x"]), -2) + trial.params["pause"] + trial.params["x"] / 1e6
        return Observation(Outcome.COMPLETED, (value,), -1.0)

    shares = importances(spec, [record(trial, completed(trial)) for trial in expand(spec).trials])
    assert shares["x"] > 0.5


@pytest.mark.slow
def test_a_launch_leaves_out_what_is_not_varied(store: str, write: Write, sweep: Sweep) -> None:
    text = "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters:\n  mode: {values: [fine, rise]}\n"
    path = write(text + "  x: {values: [3, 5], when: {mode: fine}}\n  epochs: {values: [5, 6], when: {mode: rise}}\n")
    assert "to run: 4 of 4" in sweep("plan", path).stdout
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert outcomes(store, "toy") == {
        "x=3 mode=fine": "completed",
        "x=5 mode=fine": "completed",
        "mode=rise epochs=5": "loss explosion",
        "mode=rise epochs=6": "loss explosion",
    }
    assert [line.split()[:3] for line in done.stdout.splitlines() if line.startswith("  3")] == [
        ["3", "fine", "completed"]
    ]
    said = sweep("best", path)
    assert "by score (maximize): x=3 mode=fine\n" in said.stdout
    command = said.stdout.split("run it again: ")[1].split()
    again = sweep("launch", *command[command.index("launch") + 1 :])
    assert (again.returncode, again.stdout.count("started")) == (0, 1)
    assert len(children(store, "toy")) == 4

    mirror = Mirror(load(path))
    mirror.show(Store(store).records("toy"))
    trials = mirror.storage.get_all_trials(mirror.storage.get_all_studies()[0]._study_id)
    lost = [trial for trial in trials if any(far > 0 for far in trial.constraints.values())]
    assert [set(trial.params) for trial in trials if trial not in lost] == [{"x", "mode"}] * 2
    assert [set(trial.params) for trial in lost] == [{"mode", "epochs"}] * 2


@pytest.mark.parametrize(
    ("when", "mistake"),
    [
        (
            "{architecure: conv}",
            "lr.when.architecure: unknown parameter of models.train:train; did you mean architecture?",
        ),
        ("{architecture: cnov}", "lr.when.architecture: should be one of conv"),
        ("{architecture: [conv, cnov]}", "lr.when.architecture[1]: should be one of conv"),
        ("{architecture: []}", "lr.when.architecture: give a value, or a list of values"),
        ("{}", "lr.when: is empty"),
        ("conv", "lr.when: input should be"),
        ("{seed: 1}", "lr.when: a seed cannot have a condition or be part of one"),
        ("{lr: 1}", "lr.when: depends on itself: lr when lr"),
        ("{batch_size: 2.5}", "lr.when.batch_size: input should be a valid integer"),
    ],
)
def test_a_mistake_in_a_condition_is_said_with_its_place(write: Write, when: str, mistake: str) -> None:
    path = write(f"parameters:\n  var: {{values: [1, 2], when: {{lr: 1}}}}\n  lr: {{values: [1, 2], when: {when}}}\n")
    with pytest.raises(InputError) as said:
        load(path)
    assert any(f"toy.yaml:3: parameters.{mistake}" in line for line in said.value.mistakes), said.value.mistakes


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "method: boundary\nrun_cap: 9\nparameters: {lr: {min: 1, max: 2, when: {var: 1}}}",
            "parameters.lr.when: does not work with method boundary",
        ),
        (
            "parameters:\n  var: {values: [1], when: {lr: 1}}\n  lr: {values: [1], when: {var: 1}}",
            "toy.yaml:2: parameters.var.when: depends on itself: var when lr when var",
        ),
        (
            "method: random\nrun_cap: 9\nparameters: {var: {min: 0.1, max: 2}, lr: {values: [1, 2], when: {var: 1}}}",
            "parameters.lr.when.var: var may be any number between min and max; a condition needs `values`",
        ),
        (
            "trial: toys:needs_size\nparameters: {size: {values: [1, 2], when: {size: 1}}}",
            "parameters.size.when: size needs a default, for trials that do not meet this condition",
        ),
    ],
)
def test_conditions_that_cannot_be_are_refused(write: Write, text: str, mistake: str) -> None:
    with pytest.raises(InputError, match=re.escape(mistake)):
        load(write(text))


def test_a_condition_that_never_holds_is_warned_of(write: Write) -> None:
    text = "parameters:\n  architecture: {}\n  lr: {{values: [1, 2], when: {{architecture: fc}}}}\n"
    (warning,) = load(write(text.format("conv"))).warnings
    assert warning.endswith("toy.yaml:3: parameters.lr.when.architecture: is never met, so lr always has its default")
    for architecture in ("fc", "{values: [conv, fc]}"):
        assert load(write(text.format(architecture))).warnings == ()
    assert load(write(text.format("fc")), ["architecture=conv"]).warnings == ()


def test_a_trial_of_a_search_in_which_nothing_is_varied_is_named_by_the_sweep(write: Write) -> None:
    text = "trial: toys:train\nmethod: tpe\nrun_cap: 2\nmetric: {name: score}\n"
    search = Search(load(write(text + "parameters: {x: {min: 2.0, max: 4.0, when: {mode: rise}}}")))
    assert [trial.label for trial in search.run(outcome_of=seen).asked] == ["toy", "seed=1"]


def test_a_loss_is_refused_where_var_is_varied_on_a_condition(write: Write) -> None:
    text = "metric: {name: val_loss}\nparameters:\n  architecture: {values: [conv, fc]}\n"
    text += "  var: {value: 1, when: {architecture: fc}}\n"
    with pytest.raises(InputError, match="val_loss depends on var"):
        load(write(text))
    text = text.replace("metric: {name: val_loss}", "early_terminate: {type: median, metric: {name: val_loss}}")
    with pytest.raises(InputError, match="val_loss depends on var"):
        load(write(text))
