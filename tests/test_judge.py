"""`sweep judge`: which of two configurations is better, from real stores, and with further seeds that it runs."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from reading import children

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

FUNCTION = '''
import random
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    x: float = 1.0
    explodes: bool = False
    epochs: int = 2
    pause: float = 0.0
    seed: int = 0


def train(config: Config):
    """Better as x rises; most of a seed's noise is the same for every x. What explodes does so at odd seeds."""
    noise = random.Random(config.seed).gauss(0, 1) + random.Random(f"{config.x} {config.seed}").gauss(0, 0.01)
    for epoch in range(1, config.epochs + 1):
        time.sleep(config.pause)
        explodes = config.explodes and config.seed % 2 and epoch == 2
        gained = config.x + noise
        yield {"epoch": epoch, "train_loss": float("nan") if explodes else 1 / epoch, "so_far": gained}
    return {"gain": config.x + noise, "cost": config.x}
'''
HEAD = "trial: judged:train\nmetric: {name: gain, goal: maximize}\n"
LISTED = HEAD + "parameters: {x: {values: [1.0, 1.001, 2.0]}}\n"


@pytest.fixture
def launched(folder: Path, store: str, write: Write, sweep: Sweep) -> Callable[..., str]:
    """Launch a sweep of the function above; returns its name."""
    (folder / "judged.py").write_text(FUNCTION)

    def launch(text: str, name: str = "steps.yaml") -> str:
        done = sweep("launch", write(text, name), "--executor", "inline", "--quiet")
        assert done.returncode == 0, done.stderr
        return name.removesuffix(".yaml")

    return launch


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def seeds_of(store: str, sweep: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for run in children(store, sweep):
        found.setdefault(run.data.params["x"], []).append(int(run.data.params["seed"]))
    return {x: sorted(seeds) for x, seeds in found.items()}


@pytest.mark.slow
def test_who_is_better_is_told_by_words_by_exit_status_and_in_json(
    launched: Callable[..., str], sweep: Sweep, store: str
) -> None:
    name = launched(LISTED + "seeds: [0, 1, 2, 3]\n")
    better = sweep("judge", "x=2", "x=1")
    assert better.returncode == 0
    assert re.search(
        r"^A is better than B: A - B = 1\.\d+ ± 0\.\d+ \(by the 4 seeds that both have", better.stdout, re.M
    )
    assert sweep("judge", "x=2", "x=1").stdout == better.stdout
    worse = sweep("judge", "x=1", "x=2", "--json")
    assert worse.returncode == 3
    told = document(worse)
    low, high = told["interval"]
    assert low < told["difference"] < high < 0
    assert (told["better"], told["paired"], told["needed"], told["seeds"]) == (False, True, 0, [0, 1, 2, 3])
    assert told["certainty"] == pytest.approx(1 - told["p"])
    assert told["certainty"] > 0.95
    assert (told["a"]["configuration"], told["b"]["sweep"], told["b"]["seeds"]) == ("x=1", name, [0, 1, 2, 3])
    close = sweep("judge", "x=1.001", "x=1")
    assert close.returncode == 4
    assert re.search(r"^undecided: A - B = ", close.stdout, re.MULTILINE)
    run = next(run for run in children(store, name) if run.data.params["x"] == "2.0")
    assert sweep("judge", run.info.run_id[:12], "x=1", "--sweep", "steps.yaml").returncode == 0
    best = sweep("judge", name, "x=1 seed=2", "--json")
    assert document(best)["a"]["choices"] == 3
    assert document(best)["p"] == pytest.approx(3 * told["p"])


@pytest.mark.slow
def test_what_is_meant_is_asked_for_where_several_are(launched: Callable[..., str], sweep: Sweep) -> None:
    launched(LISTED, "größe der schritte.yaml")
    launched(LISTED.replace("1.001", "1.001, 3.0").replace("gain", "cost"), "other.yaml")

    def mistake(*arguments: str) -> str:
        done = sweep("judge", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        return done.stderr

    both = mistake("x=1", "x=2")
    assert "2 configurations are called x=1; name one by its run, or the sweep by --sweep: " in both
    assert re.search(r"größe der schritte: x=1 \(run [0-9a-f]{8}\), other: x=1 \(run [0-9a-f]{8}\)", both)
    assert "no configuration x=5; it has x=1, x=1.001, x=2" in mistake("x=5", "x=2", "--sweep", "größe der schritte")
    assert "no sweep, configuration or run x=5; its sweeps: größe der schritte, other" in mistake("x=5", "x=3")
    assert "the same configuration, other: x=3" in mistake("x=3", "other")
    assert "other is compared by cost (maximize), and größe der schritte by gain" in mistake(
        "x=3", "größe der schritte"
    )
    assert "other is not compared by gain; use one of cost" in mistake("x=3", "other", "--metric", "gain")
    single = sweep("judge", "x=2", "x=1", "--sweep", "größe der schritte", "--json")
    assert single.returncode == 4
    told = document(single)
    assert (told["better"], told["difference"], told["needed"]) == (None, pytest.approx(1, abs=0.1), None)
    said = sweep("judge", "x=2", "x=1", "--sweep", "größe der schritte").stdout
    assert "one seed does not say how far seeds scatter; so nobody knows how many seeds it takes" in said
    assert "--run\n" in said


@pytest.mark.slow
def test_versions_of_a_function_are_told_apart_wherever_a_label_is_printed(
    launched: Callable[..., str], sweep: Sweep, folder: Path, store: str
) -> None:
    name = launched(LISTED + "seeds: [0, 1]\n")
    (folder / "judged.py").write_text(FUNCTION + "\ntrain.version = 2\n")
    sys.modules.pop("judged", None)
    launched(LISTED + "seeds: [0, 1]\n")
    assert " (version" not in sweep("best", f"{name}.yaml").stdout
    said = sweep("best", name).stdout
    assert re.search(r"^best of 6 by gain \(maximize\): x=2 \(version [12]\)$", said, re.MULTILINE)
    both = sweep("judge", "x=1", "x=2").stderr
    assert re.search(r"x=1; .*: x=1 \(version 1\) \(run [0-9a-f]{8}\), .*x=1 \(version 2\) \(run [0-9a-f]{8}\)", both)
    assert sweep("judge", "x=2 (version 2)", "x=1 (version 1)", "--json").returncode in (0, 4)
    of_a_seed = sweep("judge", "x=1 seed=0", "x=2").stderr
    assert "2 configurations are called x=1 seed=0; name one by its run" in of_a_seed
    assert "steps: x=1 (version 1) (run" in of_a_seed
    assert re.search(r": x=2 seed=\d \(version [12]\)", " ".join(sweep("status", name).stdout.split()))
    several = sweep("logs", name, "x=1 seed=0").stderr
    assert "name one of 1 (x=1 seed=0 (version 1)), " in several
    assert {run.data.tags.get("function.version") for run in children(store, name)} == {None, "2"}


@pytest.mark.slow
def test_a_seed_that_exploded_counts_as_the_worst_value(launched: Callable[..., str], sweep: Sweep, store: str) -> None:
    launched(HEAD + "configs: [{x: 2.0, explodes: true}, {x: 1.9}]\nseeds: [0, 1, 2, 3, 4, 5]\n")
    done = sweep("judge", "x=1.9", "x=2 explodes=True", "--json")
    told = document(done)
    assert (told["b"]["exploded"], told["b"]["seeds"]) == (3, [0, 1, 2, 3, 4, 5])
    completed = [run for run in children(store, "steps") if run.data.tags["outcome"] == "completed"]
    worst = min(run.data.metrics["gain"] for run in completed)
    survived = [run.data.metrics["gain"] for run in completed if run.data.params["x"] == "2.0"]
    assert told["b"]["mean"] == pytest.approx((sum(survived) + 3 * worst) / 6)
    assert told["difference"] == pytest.approx(told["a"]["mean"] - told["b"]["mean"])
    said = sweep("judge", "x=1.9", "x=2 explodes=True").stdout
    assert re.search(r"3 exploded, a seed without a value counts as .*, the worst completed one", said)


@pytest.mark.slow
def test_what_a_seed_had_before_it_exploded_does_not_count(
    launched: Callable[..., str], sweep: Sweep, store: str, write: Write
) -> None:
    text = HEAD.replace("gain", "so_far") + "configs: [{x: 4.0, explodes: true}, {x: 1.9}]\nseeds: [0, 1, 2, 3]\n"
    launched(text)
    told = document(sweep("judge", "x=4", "x=1.9", "--json"))
    completed = [run for run in children(store, "steps") if run.data.tags["outcome"] == "completed"]
    worst = min(run.data.metrics["so_far"] for run in completed)
    survived = [run.data.metrics["so_far"] for run in completed if run.data.params["x"] == "4.0"]
    assert told["a"]["mean"] == pytest.approx((sum(survived) + 2 * worst) / 4)
    assert document(sweep("judge", "steps", "x=4", "--json"))["a"]["configuration"] == "x=1.9"

    launched(text + "survivors: true\n")
    told = document(sweep("judge", "x=4", "x=1.9", "--json"))
    assert (told["a"]["mean"], told["seeds"]) == (pytest.approx(sum(survived) / 2), [0, 2])
    assert "2 exploded, a seed without a value does not count" in sweep("judge", "x=4", "x=1.9").stdout
    assert document(sweep("judge", "steps", "x=1.9", "--json"))["a"]["configuration"] == "x=4 explodes=True"


@pytest.mark.slow
def test_the_best_of_a_sweep_is_that_of_sweep_best(launched: Callable[..., str], sweep: Sweep, write: Write) -> None:
    launched(LISTED + "seeds: [0, 1]\nconstraints: {cost: {max: 1.5}}\n")
    told = document(sweep("judge", "steps", "x=2", "--json"))
    assert (told["a"]["configuration"], told["a"]["choices"]) == (sweep("best", "steps").stdout.split()[6], 3)
    assert told["a"]["configuration"] in ("x=1", "x=1.001")
    write(LISTED.replace("2.0]", "2.0, 3.0]") + "seeds: [0, 1]\nconstraints: {cost: {max: 9}}\n", "steps.yaml")
    now = document(sweep("judge", "steps", "x=1", "--json"))["a"]["configuration"]
    assert (now, sweep("best", "steps").stdout.split()[6]) == ("x=2", "x=2")
    write(LISTED + "seeds: [0, 1]\nconstraints: {cost: {max: 0.5}}\n", "steps.yaml")
    done = sweep("judge", "steps.yaml", "x=2")
    assert (done.returncode, done.stdout) == (2, "")
    assert document(sweep("judge", "x=2", "x=1", "--json"))["a"]["broken"] == 2
    assert sweep("judge", "x=2", "x=1").stdout.count("2 broke a constraint, which is not judged here") == 1
    assert "no configuration of steps keeps its constraints; name one by its label" in done.stderr


@pytest.mark.slow
def test_seeds_that_are_no_numbers_are_a_mistake(folder: Path, store: str, write: Write, sweep: Sweep) -> None:
    (folder / "said.py").write_text("import sys\nprint('epoch 1 gain: 1.0')\n")
    text = "program: said.py\nmetric: {name: gain, goal: maximize}\n"
    path = write(f"{text}parameters: {{x: {{values: [1, 2]}}, seed: {{values: [a, b]}}}}\n", "said.yaml")
    assert sweep("launch", path, "--executor", "inline", "--quiet").returncode == 0
    for more in ((), ("--run",)):
        done = sweep("judge", "x=1", "x=2", *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert "said: x=1 has the seed a: seeds have to be whole numbers to be compared" in done.stderr


@pytest.mark.slow
def test_configurations_without_seeds_in_common_are_compared_all_the_same(
    launched: Callable[..., str], sweep: Sweep
) -> None:
    launched(LISTED + "seeds: [0, 1, 2]\n")
    launched(HEAD + "parameters: {x: 9.0}\nseeds: [10, 11, 12]\n", "nine.yaml")
    done = sweep("judge", "nine", "x=1", "--max-seeds", "3", "--json")
    assert document(done)["paired"] is False
    assert done.returncode == 0
    assert "unpaired, since they share fewer than 2 seeds" in sweep("judge", "nine", "x=1", "--max-seeds", "3").stdout


@pytest.mark.slow
def test_further_seeds_run_until_it_is_decided_and_are_found_again(
    launched: Callable[..., str], sweep: Sweep, store: str
) -> None:
    name = launched(LISTED)
    done = sweep("judge", "x=2", "x=1", "--run", "--json", "--workers", "2")
    assert done.returncode == 0, done.stderr
    told = document(done)
    assert told["better"] is True
    assert 3 <= len(told["seeds"]) < 8
    assert seeds_of(store, name) == {"1.0": told["seeds"], "2.0": told["seeds"], "1.001": [0]}
    again = sweep("judge", "x=2", "x=1", "--run", "--json")
    assert document(again) == told
    assert again.stderr == ""
    fewer = sweep("judge", "x=1.001", "x=2", "--run", "--workers", "2")
    assert fewer.returncode == 3
    assert seeds_of(store, name)["2.0"] == told["seeds"]  # it had what the other one lacked
    relaunched = sweep("launch", "steps.yaml")
    assert relaunched.returncode == 0
    assert "started" not in relaunched.stdout
    assert "have other values" not in relaunched.stdout
    assert re.search(rf"^ +2 +.* ± .* {len(told['seeds'])} +0 *$", relaunched.stdout, re.MULTILINE)
    assert f"({len(told['seeds'])} seeds)" not in sweep("best", "steps.yaml").stdout
    assert f"95%, {len(told['seeds'])} seeds)" in sweep("best", "steps.yaml").stdout


@pytest.mark.slow
def test_further_seeds_keep_to_the_limits_of_the_call(
    folder: Path, launched: Callable[..., str], sweep: Sweep, store: str
) -> None:
    launched(HEAD + "grace: 1\nparameters: {x: {values: [1.0, 1.01]}}\n")
    call = ("judge", "x=1.01", "x=1", "--run", "--workers", "1")
    late = sweep(*call, "--max-time", "0.001", "--json")
    assert (late.returncode, document(late)["better"]) == (4, None)
    assert "--max-time is used up; run the command again for the rest" in late.stderr
    assert len(children(store, "steps")) == 2
    ended = sweep(*call, "--max-trials", "1", "--json")
    assert (ended.returncode, document(ended)["better"]) == (4, None)
    assert "--max-trials: 1 trial begun, and no more; run the command again for the rest" in ended.stderr
    assert len(children(store, "steps")) == 3
    (folder / "judged.py").write_text(FUNCTION.replace("config.pause", "30"))  # the seed that is lacking takes long
    cut = sweep(*call, "--max-time", "3", "--json")
    assert (cut.returncode, document(cut)["better"]) == (4, None)
    assert "--max-time is used up" in cut.stderr
    (folder / "judged.py").write_text(FUNCTION)
    few = sweep(*call, "--max-seeds", "2", "--json")
    told = document(few)
    assert (told["most"], told["seeds"]) == (2, [0, 1])
    assert seeds_of(store, "steps") == {"1.0": [0, 1], "1.01": [0, 1]}
    assert few.stderr.count(": started") == 1  # of the seed that was lacking


@pytest.mark.slow
def test_further_seeds_of_two_sweeps_run_in_both_and_leave_their_tables_alone(
    launched: Callable[..., str], sweep: Sweep, store: str
) -> None:
    launched(LISTED)
    launched(HEAD + "parameters: {x: 9.0}\nrun_cap: 1\ntime_cap: 1 s\n", "nine.yaml")
    parent = children(store, "nine")[0].data.tags["mlflow.parentRunId"]
    note = MlflowClient(tracking_uri=store).get_run(parent).data.tags["mlflow.note.content"]
    done = sweep("judge", "nine", "x=1", "--run", "--json")
    assert done.returncode == 0, done.stderr
    seeds = document(done)["seeds"]
    assert seeds_of(store, "nine") == {"9.0": seeds}
    assert seeds_of(store, "steps")["1.0"] == seeds
    now = MlflowClient(tracking_uri=store).get_run(parent)
    assert now.data.tags["mlflow.note.content"] == note
    assert now.info.status == "FINISHED"


@pytest.mark.slow
def test_a_judgement_that_is_killed_goes_on_where_it_was(
    launched: Callable[..., str], sweep: Sweep, store: str
) -> None:
    name = launched(LISTED.replace("x: {values: [1.0, 1.001, 2.0]}", "x: {values: [1.0, 2.0]}, pause: 0.2"))
    command = [sys.executable, "-m", "orchestrator", "judge", "x=2", "x=1", "--run"]
    for _ in range(2):
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as judging:
            assert judging.stderr is not None
            next((line for line in judging.stderr if "epoch 1" in line), None)
            judging.send_signal(signal.SIGKILL)
    done = sweep("judge", "x=2", "x=1", "--run", "--json")
    assert done.returncode == 0, done.stderr
    seeds = document(done)["seeds"]
    assert seeds == [*range(len(seeds))]
    assert seeds_of(store, name) == {"1.0": seeds, "2.0": seeds}
    assert Counter(run.data.tags["outcome"] for run in children(store, name)) == {"completed": 2 * len(seeds)}


@pytest.mark.slow
def test_a_program_gets_further_seeds_by_its_own_name_for_them(
    folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    (folder / "train.py").write_text(
        "import argparse, random\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--x', type=float); parser.add_argument('--random_state', type=int)\n"
        "args = parser.parse_args()\n"
        "print(f'epoch 1 gain={args.x + random.Random(args.random_state).gauss(0, 1)}')\n"
    )
    text = "program: train.py\nmetric: {name: gain, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n"
    write(text, "unseeded.yaml")
    assert sweep("launch", "unseeded.yaml", "--quiet").returncode == 0
    refused = sweep("judge", "x=2", "x=1", "--run")
    assert refused.returncode == 2
    assert "train.py has no parameter named seed that is a whole number, so unseeded cannot have" in refused.stderr
    write(text + "seeds: [0, 1]\nseed_parameter: random_state\n", "seeded.yaml")
    assert sweep("launch", "seeded.yaml", "--quiet").returncode == 0
    done = sweep("judge", "x=2", "x=1", "--run", "--json", "--sweep", "seeded")
    assert done.returncode == 0, done.stderr
    seeds = document(done)["seeds"]
    states = Counter(run.data.params["random_state"] for run in children(store, "seeded"))
    assert states == dict.fromkeys(map(str, seeds), 2)


@pytest.mark.slow
def test_a_seed_that_fails_ends_the_run(folder: Path, launched: Callable[..., str], sweep: Sweep) -> None:
    launched(LISTED)
    (folder / "judged.py").write_text(FUNCTION.replace("    noise =", "    assert config.seed < 1\n    noise ="))
    done = sweep("judge", "x=2", "x=1", "--run")
    assert done.returncode == 4
    assert "seed 1 of steps: x=2 and seed 1 of steps: x=1 failed, so no further seeds are run" in done.stderr
