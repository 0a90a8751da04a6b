import sys
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec, load, text_of
from orchestrator.spec.source import read, scalar
from orchestrator.stacking import Stacking
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand


def loaded(tmp_path: Path, text: str, *overrides: str) -> SweepSpec:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return load(path, overrides)


def mistakes(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    try:
        said = expand(loaded(tmp_path, text, *overrides)).invalid
    except InputError as error:
        said = error.mistakes
    return [line.removeprefix(f"{tmp_path}/") for line in said]


def values(tmp_path: Path, text: str, *names: str, overrides: tuple[str, ...] = ()) -> list[tuple[object, ...]]:
    trials = expand(loaded(tmp_path, text, *overrides)).trials
    return [tuple(trial.params[name] for name in names) for trial in trials]


def test_a_grid_is_every_combination_with_the_rest_at_its_default(tmp_path: Path) -> None:
    text = "parameters: {var: {values: [0.5, 0.2]}, num_layers: {values: [2, 3]}, lr: 1e-3}"
    assert values(tmp_path, text, "var", "num_layers", "lr", "batch_size") == [
        (0.5, 2, 1e-3, 1024),
        (0.5, 3, 1e-3, 1024),
        (0.2, 2, 1e-3, 1024),
        (0.2, 3, 1e-3, 1024),
    ]


@pytest.mark.parametrize("written", ["5e-3", "{value: 5e-3}", "{values: [5e-3]}", ".005", "0.005", "5E-03"])
def test_scientific_notation_is_a_number(tmp_path: Path, written: str) -> None:
    assert values(tmp_path, f"parameters: {{lr: {written}}}", "lr") == [(0.005,)]


def test_a_whole_number_serves_where_a_float_is_wanted_and_the_other_way_round(tmp_path: Path) -> None:
    assert values(tmp_path, "parameters: {var: 1, batch_size: 1e3}", "var", "batch_size") == [(1.0, 1000)]
    as_float = expand(loaded(tmp_path, "parameters: {var: 1.0}")).trials[0]
    as_int = expand(loaded(tmp_path, "parameters: {var: 1}")).trials[0]
    assert as_float.trial_key == as_int.trial_key


def test_zip_walks_lists_together_and_configs_list_whole_configurations(tmp_path: Path) -> None:
    text = """
parameters: {epochs: {values: [1, 2]}}
zip: {var: [0.5, 0.2], lr: [1e-3, 2e-3]}
configs: [{architecture: fc}, {architecture: conv, num_layers: 2}]
"""
    got = values(tmp_path, text, "epochs", "var", "lr", "architecture", "num_layers")
    assert len(got) == len(set(got)) == 2 * 2 * 2
    assert {(var, lr) for _, var, lr, _, _ in got} == {(0.5, 1e-3), (0.2, 2e-3)}
    assert {(a, n) for *_, a, n in got} == {("fc", 3), ("conv", 2)}


def test_seeds_replicate_every_configuration_and_come_after_one_another(tmp_path: Path) -> None:
    text = "parameters: {var: {values: [0.5, 0.2]}}\nseeds: [0, 7]"
    assert values(tmp_path, text, "seed", "var") == [(0, 0.5), (0, 0.2), (7, 0.5), (7, 0.2)]
    trials = expand(loaded(tmp_path, text)).trials
    assert trials[0].config_key == trials[2].config_key
    assert len({trial.trial_key for trial in trials}) == 4
    assert [trial.label for trial in trials] == ["var=0.5 seed=0", "var=0.2 seed=0", "var=0.5 seed=7", "var=0.2 seed=7"]


def test_a_configuration_is_called_by_what_its_row_gives(tmp_path: Path) -> None:
    text = "configs: [{var: 0.2}, {var: 0.5, num_layers: 3}, {var: 0.2, num_layers: 4}, {lr: 6e-3}]\nseeds: [0, 1]"
    labels = [trial.label for trial in expand(loaded(tmp_path, text)).trials]
    rows = ["var=0.2", "num_layers=3 var=0.5", "num_layers=4 var=0.2", "lr=0.006"]
    assert labels == [f"{row} seed={seed}" for seed in (0, 1) for row in rows]


def test_what_expands_to_the_same_trial_runs_once(tmp_path: Path) -> None:
    assert values(tmp_path, "configs: [{var: 0.5}, {var: 0.5, lr: 5e-3}]", "var", "lr") == [(0.5, 0.005)]


def test_random_draws_are_seeded_and_a_larger_cap_only_adds(tmp_path: Path) -> None:
    text = "method: random\nrun_cap: {}\nseed: {}\nparameters: {{var: {{min: 0.05, max: 1.0, distribution: log_uniform_values}}}}"  # noqa: E501
    six, nine = (values(tmp_path, text.format(n, 0), "var") for n in (6, 9))
    assert nine[:6] == six
    assert len(set(nine)) == 9
    assert all(0.05 <= var <= 1.0 for (var,) in nine)
    assert values(tmp_path, text.format(6, 1), "var") != six


def test_random_draws_end_when_everything_has_been_drawn(tmp_path: Path) -> None:
    text = "method: random\nrun_cap: {}\nparameters: {{num_layers: {{min: 1, max: 4}}}}"
    assert sorted(values(tmp_path, text.format(50), "num_layers")) == [(1,), (2,), (3,), (4,)]
    all_drawn = expand(loaded(tmp_path, text.format(5000)))
    assert all_drawn.remark == "there is nothing more to try after 4 trials: 1,000 draws gave nothing new"


def test_a_draw_that_came_before_counts_and_runs_once(tmp_path: Path) -> None:
    text = "method: random\nrun_cap: 3\nparameters: {num_layers: {values: [1, 2]}}"
    expansion = expand(loaded(tmp_path, text))
    assert len(expansion.trials) == 2
    assert expansion.remark == "3 draws gave 2 different trials, each of which runs once"
    one = expand(loaded(tmp_path, text.replace("cap: 3", "cap: 1")))
    assert (len(one.trials), one.remark) == (1, "")


@pytest.mark.parametrize(
    ("form", "allowed"),
    [
        ("{min: 0.1, max: 0.5, q: 0.1, distribution: q_uniform}", {0.1, 0.2, 0.3, 0.4, 0.5}),
        ("{values: [0.5, 0.7], probabilities: [0.0, 1.0]}", {0.7}),
        ("{min: 300.0, max: 1000.0, q: 333, distribution: q_log_uniform_values}", {333.0, 666.0, 999.0}),
    ],
)
def test_draws_keep_to_their_form(tmp_path: Path, form: str, allowed: set[float]) -> None:
    text = f"method: random\nrun_cap: 200\nparameters: {{var: {form}}}"
    assert {var for (var,) in values(tmp_path, text, "var")} == allowed


def test_log_uniform_takes_exponents_as_in_wandb(tmp_path: Path) -> None:
    text = "method: random\nrun_cap: 20\nparameters: {lr: {min: -7, max: -5, distribution: log_uniform}}"
    assert all(0.0009 < lr < 0.0068 for (lr,) in values(tmp_path, text, "lr"))


def test_a_grid_steps_through_a_quantized_range(tmp_path: Path) -> None:
    text = "parameters: {var: {min: 0.1, max: 0.45, q: 0.1, distribution: q_uniform}, num_layers: {min: 1, max: 2}}"
    assert values(tmp_path, text, "var", "num_layers") == [(v, n) for v in (0.1, 0.2, 0.3, 0.4) for n in (1, 2)]


def test_whole_numbers_keep_all_of_their_digits(tmp_path: Path) -> None:
    assert values(tmp_path, "parameters: {epochs: {min: 20260101000001, max: 20260101000003}}", "epochs") == [
        (20260101000001,),
        (20260101000002,),
        (20260101000003,),
    ]


def test_set_makes_a_parameter_constant_wherever_the_file_varies_it(tmp_path: Path) -> None:
    text = "parameters: {var: {values: [0.5, 0.2]}}\nzip: {lr: [1e-3, 2e-3], epochs: [1, 2]}\nseeds: [0, 1]"
    got = values(tmp_path, text, "var", "lr", "epochs", "seed", overrides=("var=3e-1", "epochs=3", "seed=5"))
    assert got == [(0.3, 1e-3, 3, 5), (0.3, 2e-3, 3, 5)]


def test_a_reference_is_read_digit_for_digit(tmp_path: Path) -> None:
    text = "reference: {source: s, rows: [{var: 0.22, ssim: 0.8551499862844326}, {var: 0.2, outcome: loss explosion}]}"
    reference = loaded(tmp_path, text).reference
    assert reference is not None
    assert reference.rows[0].metrics == {"ssim": 0.8551499862844326}
    assert reference.rows[1].outcome is Outcome.EXPLODED


def test_the_name_is_that_of_the_file_unless_given(tmp_path: Path) -> None:
    assert loaded(tmp_path, "{}").name == "sweep"
    assert loaded(tmp_path, "name: my sweep 2").name == "my sweep 2"


def test_a_program_in_place_of_its_sweep_file_is_said_with_what_writes_one(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x = 1\n")
    with pytest.raises(InputError, match=r"is a program; `sweep init --program .*train\.py` writes"):
        load(tmp_path / "train.py")


def test_a_file_that_names_nothing_to_run_and_is_not_the_default_trials_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no parameter dropout or n_head; add `program: SCRIPT`, or `trial:"):
        loaded(tmp_path, "parameters: {lr: 0.1, dropout: {values: [0.1, 0.2]}, n_head: 4}")


def test_a_program_beside_a_function_is_said_not_to_run(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "trial: toys:train\nprogram: train.py\nparameters: {x: {values: [1, 2]}}\n")
    assert spec.function.program is None
    assert any(line.endswith("2: program: not run, because the file names a `trial`") for line in spec.warnings)


def test_keys_of_wandb_agents_are_ignored_with_one_warning(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "entity: e\nproject: p\nparameters: {var: 0.5}")
    assert len(spec.warnings) == 1
    assert "project, entity" in spec.warnings[0]


def test_all_of_wandb_that_means_nothing_here_is_in_one_line(tmp_path: Path) -> None:
    text = """
controller: {type: local}
scheduler: {num_workers: 2, resource: local-process}
job: team/project/job:latest
queue: gpus
metric: {name: val_ssim, goal: maximize, impute: latest, impute_while_running: best}
early_terminate: {type: hyperband, min_iter: 3, eta: 2, strict: true}
parameters: {var: 0.5}
"""
    (warning,) = loaded(tmp_path, text).warnings
    keys = "controller, job, scheduler, queue, metric.impute, metric.impute_while_running"
    assert warning == f"{tmp_path / 'sweep.yaml'}: {keys}: for W&B; ignored"
    assert "did you mean job" not in mistakes(tmp_path, "jobs: 3")[0]


def test_underscores_between_digits_are_no_part_of_a_number(tmp_path: Path) -> None:
    assert values(tmp_path, "parameters: {batch_size: 1_000, lr: 1_0.000_5e-4}", "batch_size", "lr") == [
        (1000, 0.00100005)
    ]
    assert [scalar(text) for text in ("1_a", "_1", "1_", "1__0", "1_e3", "-1_0", ".5_0")] == [
        *("1_a", "_1", "1_", "1__0", "1_e3"),
        *(-10, 0.5),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "sweep.yaml: the file is empty; a sweep needs at least `parameters:`"),
        ("- 1", "sweep.yaml:1: a sweep file is a mapping with `parameters:`"),
        ("metod: grid", "sweep.yaml:1: metod: unknown key; did you mean method?"),
        ("\nmethod: gird", "sweep.yaml:2: method: input should be 'grid'"),
        (
            "parameters:\n  vra: 1",
            "sweep.yaml:2: parameters.vra: unknown parameter of models.train:train; did you mean var?",
        ),
        ("parameters:\n  var: -1", "sweep.yaml:2: parameters.var: input should be greater than 0, not -1"),
        ("parameters:\n  var: .inf", "sweep.yaml:2: parameters.var: input should be a finite number"),
        ("parameters:\n  var: yes", "sweep.yaml:2: parameters.var: input should be a valid number, not 'yes'"),
        ("parameters:\n  lr: true", "sweep.yaml:2: parameters.lr: input should be a valid number, not True"),
        ("parameters:\n  var:\n    values:\n    - 0.5\n    - 0", "sweep.yaml:5: parameters.var.values[1]: "),
        ("parameters: {var: {values: []}}", "sweep.yaml:1: parameters.var.values: is empty"),
        ("parameters: {var: {valeus: [1]}}", "sweep.yaml:1: parameters.var.valeus: unknown key; did you mean"),
        ("parameters: {var: {values: [1, 1.0]}}", "sweep.yaml:1: parameters.var.values[1]: 1.0 appears twice"),
        ("parameters: {var: [1, 2]}", "write a list of values to try as {values: [...]}"),
        ("parameters: {architecture: cnov}", "did you mean conv?"),
        ("parameters: {dataset: minst}", "did you mean mnist?"),
        ("parameters: {epochs: 2.5}", "parameters.epochs: input should be a valid integer, not 2.5"),
        ("parameters: {var: {min: 1, max: 0.5}}", "min 1 is not below max 0.5"),
        ("parameters: {var: {min: 0.1, max: 0.5}}", "a grid needs `values`"),
        ("parameters: {architecture: {min: 0, max: 1}}", "min and max are for numbers; give `values`"),
        (
            "method: random\nrun_cap: 3\nparameters: {var: {min: -1, max: 0.5}}",
            "input should be greater than 0, not -1",
        ),
        ("parameters: {architecture: conv, num_layers: 5}", "architecture conv has at most 4 layers, not 5"),
        ("parameters: {var: 1}\nzip: {var: [1, 2]}", "sweep.yaml:2: zip.var: is also given under parameters"),
        ("parameters: {var: 1}\nconfigs:\n- {var: 2}", "sweep.yaml:3: configs[0].var: is also given under parameters"),
        ("parameters: {seed: 1}\nseeds: [1]", "parameters.seed: is also given under seeds"),
        ("seeds: [1, 1]", "sweep.yaml:1: seeds[1]: 1 appears twice"),
        ("zip: {var: [1, 2], lr: [1]}", "the lists must be of equal length: var has 2, lr has 1"),
        ("name: 'var\u202e'", "is not a valid name: use up to 200 characters that can be printed"),
        ("metric: {goal: minimize}", "metric.name: is missing"),
        ("name: x\nparamters:\n  var: 1\n", "sweep.yaml:2: paramters: unknown key; did you mean parameters?"),
        ("parameters: {var: {value: 1, values: [1]}}", "give `value` or `values`, not both"),
        ("parameters: {var: {min: 1}}", "parameters.var.max: is missing"),
        ("parameters: {latent_dim: {min: 0.5, max: 9}}", "min and max must be whole numbers here"),
        (
            "method: boundary\nrun_cap: 9\nparameters: {epochs: {min: 0, max: 0.5, distribution: log_uniform}}",
            "parameters.epochs: there are fewer than two whole numbers between min and max",
        ),
        ("parameters: {lr: {min: 1, max: 1000, distribution: log_uniform}}", "log_uniform takes logarithms"),
        ("parameters: {var: {values: [1, 2], probabilities: [-1, 2]}}", "parameters.var.probabilities[0]: "),
        ("name: '\n\n'", "is not a valid name"),
        ("seeds: [-1]", "seeds[0]: input should be greater than or equal to 0"),
        ("trial: nowhere:f", "trial: there is no module nowhere"),
        ("trial: models.train:nope", "trial: module models.train has no function nope"),
        ("trial: models", "is not of the form package.module:function"),
        ("reference: {source: s, rows: [{foo: bar}]}", "must be a parameter, `outcome`, or a metric"),
        (
            "reference: {source: s, rows: [{ssim: .nan}]}",
            "reference.rows[0].ssim: must be a parameter, `outcome`, or a metric",
        ),
        ("reference: {source: s, rows: [{outcome: exploded}]}", "unknown outcome 'exploded'"),
        ("stack: 0", "sweep.yaml:1: stack: input should be greater than or equal to 1"),
        ("resources: 4", "sweep.yaml:1: resources: input should be "),
        ("resources: {cpus: 0}", "sweep.yaml:1: resources.cpus: input should be greater than or equal to 1"),
        ("resources: {cpus: 1.5}", "resources.cpus: input should be a valid integer"),
        (
            "resources:\n  gpus: 1.5",
            "sweep.yaml:2: resources.gpus: should be a whole number of GPUs, or a part of a GPU",
        ),
        ("resources: {gpus: -1}", "resources.gpus: input should be greater than or equal to 0"),
        ("resources: {gpu: 1}", "resources.gpu: unknown key; did you mean gpus?"),
        ("divergence: {factor: 1}", "divergence.factor: input should be greater than 1"),
        ("divergence: {factr: 3}", "divergence.factr: unknown key; did you mean factor?"),
        (
            "seeds: []",
            "sweep.yaml:1: seeds: is empty; give it something",
        ),
        ("configs: []", "sweep.yaml:1: configs: is empty"),
        ("zip: {}", "sweep.yaml:1: zip: is empty"),
        ("zip: {var: []}", "sweep.yaml:1: zip.var: is empty"),
        ("parameters: {}", "sweep.yaml:1: parameters: is empty"),
        ("parameters: {var: {parameters: {}}}", "parameters.var.parameters: has no parameters; give it something"),
        ("parameters: {var: {value: 1, when: {}}}", "parameters.var.when: is empty"),
        ("metrics: []", "sweep.yaml:1: metrics: is empty"),
        ("divergence: {losses: []}", "divergence.losses: "),
        ("reference: {source: s, rows: []}", "reference.rows: is empty"),
        ("program: a.py\nshow_env: []", "sweep.yaml:2: show_env: is empty"),
        ("on_finish: {run: []}", "on_finish.run: names no command"),
        ("name: x\nstr: 1", "sweep.yaml:2: str: unknown key; did you mean trial?"),
        ("metric:\n  name: m\n  int: 1", "sweep.yaml:3: metric.int: unknown key; use one of name, goal"),
        ("on_finish:\n  run:\n  - a\n  - 1", "sweep.yaml:4: on_finish.run[1]: input should be a valid string"),
        ("parameters: {var: {values: [1], min: 0}}", "parameters.var.min: does not go with `values`"),
        ("parameters: {var: {min: 1, max: 2, probabilities: [1]}}", "probabilities: does not go with `min` and `max`"),
        ("a: 1\na: 2", "sweep.yaml:2: the key a appears twice"),
        ("? [1]\n: 2", "sweep.yaml:1: a key must be a plain word"),
        ("name: !!python/object/apply:os.system [echo]", "sweep.yaml:1: the tag tag:yaml.org,2002:python/object"),
        ("parameters:\n  <<: 5", "sweep.yaml:2: << takes a mapping or a list of mappings"),
        ("parameters: &a {<<: [*a, 1]}", "sweep.yaml:1: << takes a mapping or a list of mappings"),
        ("parameters: &a {<<: *a}", "nested too deeply"),
        ("parameters: {<<: {vra: 1}}", "sweep.yaml:1: parameters.vra: unknown parameter"),
        ("parameters:\n  <<: {var: 1, var: 2}", "sweep.yaml:2: the key var appears twice"),
        ("name: [", "sweep.yaml:1: not valid YAML"),
        ("name: a\n---\nname: b", "sweep.yaml:2: not valid YAML"),
        ("a: &a [*a]", "nested more than 40 deep"),
        ("[" * 3000, "nested too deeply"),
        ("name: a\nmethod: \x00", "sweep.yaml:2: not valid YAML: the character '\\x00' is not allowed"),
        ('name: a\ndescription: "x\\ud800"', "sweep.yaml:2: '\\ud800' is half of a character"),
        ('name: a\n"\\udfff": 1', "sweep.yaml:2: '\\udfff' is half of a character"),
        ('parameters:\n  dataset:\n    values:\n    - "\\ude00\\ud83d"', "sweep.yaml:4: '\\ude00' is half of"),
        ("name: !!float []", "sweep.yaml:1: the tag tag:yaml.org,2002:float is not allowed here"),
        ("seed: 0x" + "f" * 5000, "sweep.yaml:1: a whole number of more than 250 characters"),
        ("seed: " + "9" * 5000, "sweep.yaml:1: a whole number of more than 250 characters"),
        (
            "parameters: {var: {min: 1, max: 2, q: 1e-320, distribution: q_uniform}}",
            "q is too small for so wide a range",
        ),
        ("method: random\nrun_cap: 900000", "run_cap: input should be less than or equal to 10000"),
        ("# " + "y" * 100_000, "is larger than 100,000 bytes, too much for a sweep file"),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    said = mistakes(tmp_path, text)
    assert len(said) >= 1
    assert any(line in one for one in said), said
    assert all("\n" not in one for one in said)


def test_keys_are_merged_and_a_mappings_own_and_earlier_ones_take_precedence(tmp_path: Path) -> None:
    text = """
parameters:
  var: &range {min: 0.25, max: 1, distribution: log_uniform_values}
  lr: {<<: [{max: 0.01}, *range], min: 0.001}
  epochs: {<<: {<<: {values: [3]}}}
"""
    domains = loaded(tmp_path, f"method: random\nrun_cap: 1{text}").domains
    assert [(domains[name].low, domains[name].high) for name in ("var", "lr")] == [(0.25, 1), (0.001, 0.01)]
    assert domains["epochs"].grid() == (3,)
    assert loaded(tmp_path, "'<<': 1\nparameters: {var: 1}" if False else "parameters: {var: 1}").warnings == ()


def test_the_file_of_a_program_has_wandbs_booleans_and_the_words_of_its_command_are_read_as_there(
    tmp_path: Path,
) -> None:
    parameters = "parameters: {a: {values: [yes, Off, 'no', on, true, y]}, b: 1e-3}"
    file = f"command: [x, 1e-3, 007, 010, 1_0, 0.50, no, null, '1_0', 2024-01-01, '']\n{parameters}"
    spec = loaded(tmp_path, f"reuse: off\n{file}")
    assert spec.function.program is not None
    given = ("x", "1e-3", "7", "8", "10", "0.5", "False", "None", "1_0", "2024-01-01", "")
    assert spec.function.program.command.words == given
    assert [trial.params["a"] for trial in expand(spec).trials] == [True, False, "no", "y"]
    assert spec.domains["b"].grid() == (0.001,)
    numbers = loaded(
        tmp_path, "command: [x]\nparameters: {a: {values: [010, 08, 0o17, 1:30, .5, 1e5, !!str 5]}}"
    ).domains["a"]
    assert numbers.grid() == (8, "08", "0o17", 90, 0.5, 100000.0, "5")
    assert mistakes(tmp_path, "reuse: off") == ["sweep.yaml:1: reuse: input should be a valid boolean"]


def test_every_mistake_is_said_at_once(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "parameters:\n  vra: 1\n  lr: 0\nseeds: [0, 0]\nname: ' '")
    assert [one.split(": ")[0] for one in said] == ["sweep.yaml:2", "sweep.yaml:3", "sweep.yaml:4", "sweep.yaml:5"]


def test_what_may_be_of_several_types_is_one_mistake(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "parameters: {var: {min: a, max: 2}}\non_finish: {run: 3}")
    assert said == [
        "sweep.yaml:2: on_finish.run: input should be a valid string, or a list",
        "sweep.yaml:1: parameters.var.min: input should be a valid integer, or a valid number",
    ]


@pytest.mark.slow
def test_of_very_many_mistakes_a_hundred_are_said(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "".join(f"key{i}: 1\n" for i in range(5000)))
    assert len(said) == 101
    assert said[-1] == "there are more mistakes; fix these first"


@pytest.mark.slow
def test_a_grid_that_repeats_itself_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    text = f"run_cap: 9999\nparameters: {{epochs: {{min: 1, max: 10000}}}}\nconfigs: [{'{}, ' * 9000}]"
    assert "trials; the limit is 10,000; use method: random" in mistakes(tmp_path, text)[0]


@pytest.mark.slow
def test_anchors_that_expand_without_bound_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    assert mistakes(tmp_path, bomb) == ["sweep.yaml: expands to more than 100,000 values; use fewer anchors"]
    of_merges = "a0: &a0 {}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}], k{i}: 1}}\n" for i in range(1, 12)
    )
    assert len(mistakes(tmp_path, of_merges)) == 12  # unknown keys
    wide = "a: &a {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}\nb: {<<: [" + "*a, " * 2000 + "]}"
    assert mistakes(tmp_path, wide) == ["sweep.yaml: merges more than 100,000 keys; use fewer anchors"]


def test_anchors_within_bounds_serve(tmp_path: Path) -> None:
    text = "parameters:\n  var: &v {values: [0.5, 0.2]}\n  lr: *v"
    assert len(values(tmp_path, text, "var", "lr")) == 4


def test_a_grid_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    text = "parameters: {" + ", ".join(
        f"{name}: {{min: 1, max: 2000}}" for name in ("latent_dim", "batch_size", "epochs")
    )
    assert "trials; the limit is 10,000; use method: random" in mistakes(tmp_path, text + "}")[0]


def test_a_range_gives_values_of_the_parameters_own_type(tmp_path: Path) -> None:
    ranged = expand(loaded(tmp_path, "parameters: {var: {min: 1, max: 3}}")).trials
    listed = expand(loaded(tmp_path, "parameters: {var: {values: [1, 2, 3]}}")).trials
    assert [trial.trial_key for trial in ranged] == [trial.trial_key for trial in listed]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "metod: tpe\nparameters: {vra: 1}\nmetric: {name: val_loss}",
            [
                "1: metod: unknown key; did you mean method?",
                "2: parameters.vra: unknown parameter",
                "2: parameters: tpe has nothing to search",
            ],
        ),
        ("paramters:\n  vra: 1", ["1: paramters: unknown key; did you mean parameters?", "2: parameters.vra: unknown"]),
        (
            "trail: nowhere:train\nseeds: [0, 0]",
            ["1: trail: unknown key; did you mean trial?", "1: trial: there is no module"],
        ),
        ("wholly: {other: 1}\nseeds: [0, 0]", ["1: wholly: unknown key; use one of", "2: seeds[1]: 0 appears twice"]),
        (
            "seedss: [0, 0]\nseeds: [1, 1]",
            ["1: seedss: unknown key; did you mean seeds?", "2: seeds[1]: 1 appears twice"],
        ),
        ("metod: tpe\nrun_cap: ten", ["1: metod: unknown key", "2: run_cap: input should be a valid integer"]),
        ("metod: gird\nparameters: {lr: 0}", ["1: metod: unknown", "1: method: input should be", "2: parameters.lr: "]),
        ("trial: ''\nparameters: {lr: 0}", ["1: trial: '' is not of the form package.module:function"]),
        (
            "zpi: {lr: [1], var: [1, 2]}",
            ["1: zpi: unknown key; did you mean zip?", "1: zip: the lists must be of equal"],
        ),
    ],
)
def test_a_misspelled_key_hides_no_other_mistake(tmp_path: Path, text: str, lines: list[str]) -> None:
    said = mistakes(tmp_path, text)
    assert len(said) == len(lines), said
    assert not [line for line in lines if not any(f"sweep.yaml:{line}" in one for one in said)], said


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("seeds: []\nparameters: {vra: 1, lr: 0}", ["1: seeds: is empty", "2: parameters.vra: ", "2: parameters.lr: "]),
        ("zip: {}\nrun_cap: ten\nparameters: {vra: 1}", ["1: zip: is empty", "2: run_cap: ", "3: parameters.vra: "]),
        ("zip: {lr: [],\n var: [0]}", ["1: zip.lr: is empty", "2: zip.var[0]: input should be greater than 0"]),
        ("parameters: []\nseeds: [0, 0]", ["1: parameters: input should be a mapping", "2: seeds[1]: 0 appears twice"]),
        (
            "metric: score\nmethod: tpe\nparameters: {vra: 1}",
            ["1: metric: input should be a mapping", "3: parameters.vra"],
        ),
        ("run_cap: 0\nmethod: random\nreuse: true\nparameters: {lr: 0}", ["1: run_cap: ", "4: parameters.lr: "]),
        ("method: gird\nparameters: {lr: {min: 2, max: 1}}", ["1: method: ", "2: parameters.lr: min 2 is not below"]),
        ("warm: 3\nearly_terminate: {type: median, metric: 3}", ["1: warm: ", "2: early_terminate.metric: input"]),
        ("on_finish: {run: 3, post: here}\nkeep: [/a]", ["1: on_finish.run", "1: on_finish.post", "2: keep[0]"]),
        ("configs:\n- 3\n- {lr: 0}\n- {vra: 1}", ["2: configs[0]: ", "3: configs[1].lr: ", "4: configs[2].vra: "]),
        ("start_with:\n- lr\n- {lr: 0}\nmethod: tpe", ["2: start_with[0]: ", "3: start_with[1].lr: "]),
        ("seeds:\n- x\n- 1\n- 1", ["2: seeds[0]: ", "4: seeds[2]: 1 appears twice"]),
        ("keep:\n- 3\n- /a\n- b", ["2: keep[0]: ", "3: keep[1]: "]),
        ("program: null\nseeds: []\nparameters: {lr: 0}", ["2: seeds: is empty", "3: parameters.lr"]),
    ],
)
def test_a_mistake_of_form_hides_no_other_mistake_and_leads_to_none(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    said = mistakes(tmp_path, text)
    assert len(said) == len(lines), said
    assert not [line for line in lines if not any(f"sweep.yaml:{line}" in one for one in said)], said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: ''", "name: is empty; give it something, or delete the key"),
        (f"name: {'x' * 201}", "name: has more than 200 characters"),
        ("metrics: [{name: a}]", "metrics: has 1 item, and needs at least 2"),
        ("metrics: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]", "metrics: has more than 4 items"),
        ("metrics: {patern: x}", "metrics.patern: unknown key; did you mean pattern?"),
        ("metrics: [{name: a, pattern: x}, {name: b}]", "metrics[0].pattern: does not go here"),
        ("command: {}", "command: input should be a list, or a valid string"),
        ("configs: [3]", "configs[0]: input should be a mapping"),
        ("zip: {lr: 3}", "zip.lr: input should be a list"),
        ("divergence: 3", "divergence: input should be a mapping"),
        ("divergence: {losses: []}", "divergence.losses: is empty; give it something, or delete the key"),
        ("replicates: {max: 3, until: never}", "replicates.until: input should be 'separated'"),
        ("early_terminate: {type: percentile}", "early_terminate.percentile: is missing"),
        (
            "metric: {name: a, goal: maximise}",
            "metric.goal: input should be 'maximize' or 'minimize'; did you mean maxim",
        ),
    ],
)
def test_what_a_value_should_be_is_said_in_the_words_of_yaml(tmp_path: Path, text: str, line: str) -> None:
    assert any(one.startswith(f"sweep.yaml:1: {line}") for one in mistakes(tmp_path, text))


def test_of_very_many_wrong_sets_the_first_are_said(tmp_path: Path) -> None:
    for wrong in ("vra{}=1", "var={}x", "no{}", "lr=1"):
        said = mistakes(tmp_path, "{}", *(wrong.format(i) for i in range(2000)))
        assert len(said) == 101 or wrong == "lr=1"
        assert said[-1] == "there are more mistakes; fix these first" or len(said) == 1


def test_every_wrong_set_is_said(tmp_path: Path) -> None:
    said = mistakes(tmp_path, "{}", "vra=1", "var=0", "lr=1", "lr=2")
    assert [line.split(":")[0] for line in said] == ["--set vra=1", "--set var=0", "--set lr=2"]


@pytest.mark.parametrize("override", ["var", "var=", "var=abc", "vra=1", "var=-1", "epochs=1.5"])
def test_a_wrong_set_is_refused(tmp_path: Path, override: str) -> None:
    assert mistakes(tmp_path, "{}", override)[0].startswith(f"--set {override}: ")


@pytest.mark.parametrize(
    "value", ["conv", "a b", "", "1", "5e-3", "true", "~", "[1]", '"q"', "9" * 300, 0.005, 7, True, None, [1, 2]]
)
def test_a_value_is_written_as_it_is_read(value: object) -> None:
    assert repr(scalar(text_of(value))) == repr(value)


def test_two_halves_of_a_character_are_it_as_json_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text('description: "\\ud83d\\ude42"\ntrial: models.train:train')
    assert read(path).content["description"] == "🙂"


@pytest.mark.parametrize("text", ['"\\ud800"', '["a", {"\\udfff": 1}]', "\udcff", '"\udcff"'])
def test_half_a_character_is_no_value_of_an_option(text: str) -> None:
    with pytest.raises(ValueError, match="half of a character"):
        scalar(text)


def test_files_that_cannot_be_read_are_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("# 1\nname: caf\xe9".encode("latin-1"))
    for path, why in [
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "latin.yaml", "latin.yaml:2: is not UTF-8"),
    ]:
        with pytest.raises(InputError, match=why):
            load(path)


def test_a_stack_of_a_function_that_does_not_offer_it_is_refused(folder: Path) -> None:
    said = mistakes(folder, "trial: toys:train\nstack: 4")
    assert said == [
        "sweep.yaml:2: stack: toys:train trains one trial at a time; remove the key, or declare `stacked` and "
        "`stack_by`"
    ]
    search = "stack: 4\nmethod: tpe\nrun_cap: 9\nmetric: {name: val_ssim}\nparameters: {lr: {min: 1, max: 2}}"
    assert mistakes(folder, search) == [
        "sweep.yaml:1: stack: works only with grid and random, whose trials are known in advance"
    ]
    assert loaded(folder, "trial: toys:stackable\nstack: 4").stacking == Stacking(4, ("x", "mode", "seed"))
    assert loaded(folder, "trial: toys:stackable").stacking == Stacking()


def test_a_function_of_the_users_own_is_found_beside_the_file(folder: Path) -> None:
    path = folder / "own.yaml"
    path.write_text("trial: toys:train\nparameters: {x: {values: [1, 2]}, mode: fine}")
    assert [trial.params["x"] for trial in expand(load(path)).trials] == [1.0, 2.0]
    path.write_text("trial: toys:train\nconfigs: [{mode: raise, x: 13}]")
    assert "mode raise and x=13 do not go together" in expand(load(path)).invalid[0]
    path.write_text("trial: toys:needs_size")
    assert "size has no default; give it a value" in expand(load(path)).invalid[0]
    path.write_text("trial: toys:no_parameters")
    with pytest.raises(InputError, match="toys:no_parameters has no argument that could be a parameter; give it some"):
        load(path)
    sys.modules.pop("toys", None)
