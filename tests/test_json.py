"""What commands print with --json: documents that keep to their schema, and nothing else."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import json_reference
import jsonschema
import pytest
from reading import children
from test_ui_browser import free_port

from orchestrator.documents.base import Metrics, Params
from orchestrator.documents.events import EventDocument
from orchestrator.documents.schema import schema

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parent.parent
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
LINE = jsonschema.Draft202012Validator(schema())


def documents(text: str) -> list[dict[str, Any]]:
    """The documents that a command has printed, each valid."""
    assert text.endswith("\n")
    found = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    for document in found:
        LINE.validate(document)
        assert document["version"] == 1
    return found


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (only,) = documents(done.stdout)
    return only


def test_the_schema_is_one_and_is_printed(sweep: Sweep) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(sweep("schema", "--of-json").stdout) == schema()


def test_every_document_and_every_field_is_in_the_docs() -> None:
    assert json_reference.DOCUMENT.read_text() == json_reference.document(), "docs/json_reference.py renews it"


def test_numbers_that_are_not_finite_are_texts_that_python_reads_as_these() -> None:
    class Told(EventDocument):
        kind: str = "told"
        params: Params
        metrics: Metrics

    line = Told(sweep="s", params={"x": [math.inf, -math.inf]}, metrics={"loss": math.nan}).line()
    told = json.loads(line, parse_constant=pytest.fail)
    assert [float(value) for value in told["params"]["x"]] == [math.inf, -math.inf]
    assert math.isnan(float(told["metrics"]["loss"]))


def test_a_plan_is_a_document(write: Write, sweep: Sweep) -> None:
    done = sweep("plan", write(TOY + "parameters: {x: {values: [1, 2]}}"), write(TOY, "two.yaml"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    toy, two = document(done)["sweeps"]
    assert [(trial["trial"], trial["params"]["x"], trial["is_to_run"]) for trial in toy["trials"]] == [
        ("x=1", 1.0, True),
        ("x=2", 2.0, True),
    ]
    assert (toy["to_run"], toy["seconds"], two["sweep"], two["proposals"]) == (2, None, "two", 0)


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (["status"], "there is no store yet at sqlite:///"),
        (["plan", "none.yaml"], "none.yaml: there is no such file"),
        (["plan", "toy.yaml", "--wrokers", "2"], "No such option: --wrokers"),
        (["paln", "toy.yaml"], "No such command 'paln'"),
        (["launch", "toy.yaml", "--set", "y=1"], "unknown parameter y"),
        (["plan", "combined.yaml"], "mode raise and x=13 do not go together"),
        (["status", "--watch"], "--watch is for people"),
        (["replay", "0" * 32, "--debug"], "--debug is for people"),
        (["delete", "toy"], "--yes deletes without asking"),
        (["schema"], "No such option: --json"),
    ],
)
def test_a_mistake_is_a_document_with_the_exit_status_and_a_line_on_stderr(
    write: Write, sweep: Sweep, arguments: list[str], mistake: str
) -> None:
    write(TOY)
    write(TOY + "parameters: {x: {values: [12, 13]}, mode: raise}", "combined.yaml")
    done = sweep(*arguments, "--json")
    told = document(done)
    assert (told["kind"], told["cause"], told["exit_status"], done.returncode) == ("error", "input", 2, 2)
    assert mistake in told["mistakes"][0]
    assert mistake in done.stderr
    assert done.stderr.startswith("sweep: ")


@pytest.mark.slow
def test_what_a_launch_does_is_in_lines_and_other_commands_tell_of_it(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 2}, {x: 3, mode: nan}, {x: 4, mode: raise}]\nseeds: [0, 1]\n")
    launched = sweep("launch", path, "--json", "--executor", "inline")  # where trials print
    assert launched.returncode == 1
    assert "training with x=1.0" in launched.stderr
    *events, result = documents(launched.stdout)
    assert (result["kind"], result["exit_status"]) == ("launch", 1)
    (toy,) = result["sweeps"]
    assert {name: number for name, number in toy["outcomes"].items() if number} == {
        "completed": 4,
        "loss explosion": 2,
        "failed": 2,
    }
    assert [trial["trial"] for trial in toy["trials"][:2]] == ["x=1 seed=0", "x=1 seed=1"]
    runs = {run.info.run_id: run for run in children(store, "toy")}
    assert {trial["run_id"] for trial in toy["trials"]} == runs.keys()
    first = toy["trials"][0]
    assert first["metrics"]["best_score"] == runs[first["run_id"]].data.metrics["best_score"]
    assert [one["configuration"] for one in toy["configurations"]] == ["x=1", "x=2"]

    kinds = [event["kind"] for event in events]
    assert kinds.index("begun") < kinds.index("trial_started")
    assert (kinds.count("trial_started"), kinds.count("trial_ended")) == (8, 8)
    epochs = [event for event in events if event["kind"] == "trial_epoch" and event["trial"] == "x=1 seed=0"]
    assert [(event["epoch"], event["metrics"]["score"]) for event in epochs] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    (lost,) = (event for event in events if event["kind"] == "trial_ended" and event["trial"] == "x=3 mode=nan seed=1")
    assert lost["outcome"] == "loss explosion"
    assert lost["remark"]

    (status,) = document(sweep("status", "toy", "--json"))["sweeps"]
    assert (status["asked"], status["results"], status["best"]["trial"]) == (8, 6, "x=1 seed=0")

    best = document(sweep("best", path, "--json"))
    assert best["best"][0]["configuration"] == "x=1"
    assert f"run it again: {best['best'][0]['command']}\n" in sweep("best", path).stdout

    judged = sweep("judge", "x=1", "x=2", "--json")
    assert (judged.returncode, document(judged)["metric"]) == (4, "score")

    write(TOY + "parameters: {x: 5}", "five.yaml")
    assert sweep("launch", "five.yaml", "--quiet", "--executor", "inline").returncode == 0
    compared = document(sweep("compare", "five", path, "--json"))
    assert compared["sweeps"] == ["five", "toy"]
    assert [(one["sweep"], one["params"]["x"]) for one in compared["trials"]][:5] == [
        *[("toy", 1.0)] * 2,
        *[("toy", 2.0)] * 2,
        ("five", 5.0),
    ]
    assert len(compared["trials"]) == 9
    shown = sweep("compare", "five", path).stdout.splitlines()
    assert "five, toy: best score first" in shown[0]
    assert [line.split()[:2] for line in shown if "completed" in line][-1] == ["five", "5"]

    report = document(sweep("report", path, "--json"))
    assert all(Path(report[name]).is_file() for name in ("page", "markdown", "table"))

    replayed = sweep("replay", first["run_id"], "--json")
    told = document(replayed)
    assert (replayed.returncode, told["outcome"], told["ends_alike"], told["deviations"]) == (0, "completed", True, [])
    assert told["compared"] > 0
    assert "its numbers are the same, to the bit" in replayed.stderr

    nobody = sweep("stop", "toy", "--json")
    assert (nobody.returncode, document(nobody)["mistakes"]) == (2, ["no launch of toy is at work"])
    assert "runs anew" in document(sweep("rerun", "toy", "--failed", "--json"))["lines"][0]
    again = documents(sweep("launch", path, "--json", "--quiet", "--executor", "inline").stdout)
    assert [one["kind"] for one in again] == ["launch"]
    assert "is in MLflow's trash" in document(sweep("delete", "toy", "--yes", "--json"))["lines"][-1]


@pytest.mark.slow
def test_a_boundary_and_a_front_are_documents(store: str, write: Write, sweep: Sweep) -> None:
    two = "trial: toys:tradeoff\nmetrics: [{name: gain, goal: maximize}, {name: cost, goal: minimize}]\n"
    path = write(two + "parameters: {x: {values: [1, 2]}}")
    (launched,) = documents(sweep("launch", path, "--json", "--quiet", "--executor", "inline").stdout)
    front = document(sweep("best", path, "--json"))["best"]
    assert launched["sweeps"][0]["front"] == [one["config_key"] for one in front]
    assert {one["configuration"] for one in front} == {"x=1", "x=2"}

    x = "{min: 0.01, max: 1.0, distribution: log_uniform_values}"
    path = write(f"trial: toys:cliff\nmethod: boundary\nrun_cap: 6\nparameters: {{x: {x}}}\n", "cliff.yaml")
    (launched,) = documents(sweep("launch", path, "--json", "--quiet", "--executor", "inline").stdout)
    boundary = document(sweep("best", path, "--json"))["boundary"]
    assert launched["sweeps"][0]["boundary"] == boundary
    (curve,) = boundary["curves"]
    assert (boundary["parameter"], curve["trials"]) == ("x", 6)
    assert curve["figures"]["threshold_low"] < curve["figures"]["threshold_high"]


@pytest.mark.slow
def test_a_sweep_that_cannot_go_on_is_in_the_result_of_several(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}}")
    wrong = write("trial: toys:missing_data\n", "wrong.yaml")
    done = sweep("launch", wrong, path, "--json", "--quiet", "--executor", "inline")
    told = document(done)
    assert (done.returncode, told["exit_status"]) == (2, 2)
    assert [one["exit_status"] for one in told["sweeps"]] == [2, 0]
    assert told["sweeps"][0]["error"]["mistakes"] == ["/nowhere/data.bin: is missing; put it there"]
    alone = sweep("launch", wrong, "--json", "--executor", "inline")
    assert [one["kind"] for one in documents(alone.stdout)][-1] == "error"


@pytest.mark.slow
def test_a_reader_that_goes_ends_nothing(store: str, write: Write) -> None:
    write(TOY + "parameters: {x: {values: [1, 2]}}")
    command = f"{sys.executable} -m orchestrator launch toy.yaml --json --executor inline; echo status $? >&2"
    done = subprocess.run(f"({command}) | head -1", shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert [one["kind"] for one in documents(done.stdout)] == ["message"]
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("status 0\n")
    assert len(children(store, "toy")) == 2


@pytest.mark.slow
def test_an_interrupted_launch_ends_with_its_result(store: str, write: Write) -> None:
    write(TOY + "parameters: {x: {values: [1, 2]}, pause: 0.5, epochs: 20}")
    command = [sys.executable, "-m", "orchestrator", "launch", "toy.yaml", "--json", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as launch:
        assert launch.stdout is not None
        lines = []
        for line in launch.stdout:
            lines.append(line)
            if json.loads(line)["kind"] == "trial_epoch":
                break
        launch.send_signal(signal.SIGINT)
        lines += launch.stdout.readlines()
    result = documents("".join(lines))[-1]
    assert (launch.returncode, result["kind"], result["exit_status"]) == (130, "launch", 130)
    assert result["sweeps"][0]["outcomes"]["interrupted"] == 1


@pytest.mark.parametrize("arguments", [("best", "toy"), ("launch", "toy.yaml")], ids=lambda arguments: arguments[0])
def test_an_interrupt_before_there_is_a_result_is_a_document(
    store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, str]
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    write(TOY + "parameters: {x: 1.0}")
    monkeypatch.setattr("orchestrator.system.paths.tracking_uri", interrupted)
    done = sweep(*arguments, "--json")
    told = document(done)
    assert (told["kind"], told["cause"], told["exit_status"], done.returncode) == ("error", "interrupted", 130, 130)
    silent = sweep(*arguments)
    assert (silent.returncode, silent.stdout) == (130, "")


@pytest.mark.slow
def test_the_links_of_the_ui_are_a_document(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write(TOY), "--quiet", "--executor", "inline")
    port = free_port()
    command = [sys.executable, "-m", "orchestrator", "ui", "--json", "--port", str(port)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as ui:
        assert ui.stdout is not None
        (told,) = documents(ui.stdout.readline())
        ui.terminate()
        assert ui.stdout.read() == ""
    assert told["address"] == f"http://127.0.0.1:{port}"
    assert [link["sweep"] for link in told["sweeps"]] == ["toy"]
    assert told["sweeps"][0]["table"].startswith(told["address"])
