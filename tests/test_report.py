"""The report of sweeps, from what the real tracker wrote."""

import base64
import csv
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models import figures
from models.declaration import IMAGES as TILES
from orchestrator.events import Event, Explosion, Finished, Progress, Started
from orchestrator.reports import pictures
from orchestrator.reports.sections import section
from orchestrator.spec import load
from orchestrator.trackers import Store, Tracker
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
Tell = Callable[[Trial], Sequence[Event]]

VAR = """
# How much does the variance matter?
name: var
parameters: {var: {values: [0.5, 0.25, 0.2]}, epochs: 2}
seeds: [0, 1, 2]
reference:
  source: a table
  rows:
    - {var: 0.5, ssim: 0.79, mse: 0.019}
    - {var: 0.25, ssim: 0.9}
    - {var: 0.2, outcome: loss explosion}
"""


def told(trial: Trial) -> list[Event]:
    """What a VAE might: the better the smaller var is, a little different for each seed; at var 0.2 two explode."""
    var, seed = trial.params["var"], trial.params["seed"]
    events: list[Event] = [Started(1, 1)]
    if var == 0.2 and seed < 2:
        explosion = Explosion(f"loss became nan after {300 + seed}", 1, 7, 300.0 + seed)
        return [*events, Finished(Outcome.EXPLODED, explosion=explosion, margin=0.3)]
    for epoch in (1, 2):
        loss = 40 / var / epoch
        terms = {"val_loss": loss + seed, "val_mse": var / 25, "val_kl": 10 / var, "val_ssim": 0.9 - var / 4}
        events.append(Progress(epoch, {"train_loss": loss, **terms}, at=float(epoch)))
    final = {"ssim": 0.91 - var / 4 + 0.001 * seed, "mse": var / 26, "ssim_mean": 0.9}
    return [*events, Finished(Outcome.COMPLETED, final)]


def record(store: str, path: Path, tell: Tell = told, artifacts: dict[str, bytes] | None = None) -> None:
    """Have a sweep stand in the store as if its trials had been run."""
    spec = load(path)
    tracker = Tracker(store, spec)
    trials = expand(spec).trials
    tracker.open(len(trials))
    for trial in trials:
        workdir = path.parent / "work" / trial.trial_key
        (workdir / "artifacts").mkdir(parents=True)
        for name, content in (artifacts or {}).items():
            (workdir / "artifacts" / name).write_bytes(content)
        if events := tell(trial):
            tracker.write(trial, events, workdir)
    tracker.abandon()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A store in which VAR stands, with pictures."""
    folder = tmp_path_factory.mktemp("recorded")
    store = folder / "mlflow.db"
    shutil.copy(empty_store, store)
    (folder / "var.yaml").write_text(VAR)
    record(f"sqlite:///{store}", folder / "var.yaml", artifacts=drawn(folder) | explained())
    return store


@pytest.fixture
def var(folder: Path, write: Write, recorded: Path) -> Path:
    """The file of a sweep that stands in the store of the current folder."""
    (folder / "mlruns").mkdir()
    shutil.copy(recorded, folder / "mlruns" / "mlflow.db")
    return write(VAR, "var.yaml")


def explained() -> dict[str, bytes]:
    """The post-mortem of an explosion as a run leaves it."""
    out = io.BytesIO()
    Image.new("RGB", (900, 990), "white").save(out, "PNG")
    words = b"**What went first: the loss, at step 7 (epoch 1).** It was `nan`.\n"
    return {"explosion.md": words, "explosion.png": out.getvalue()}


def drawn(folder: Path) -> dict[str, bytes]:
    """Pictures as a run leaves them."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(20, 1, 28, 28, generator=random)
    images[:, :, [0, -1], :] = 0
    figures.reconstructions(images, images / 2, folder / "reconstructions.png")
    figures.samples(torch.zeros(60, 1, 28, 28), folder / "samples.png")
    return {name: (folder / name).read_bytes() for name in ("reconstructions.png", "samples.png")}


def rows(markdown: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    lines = markdown.split(f"## {title}\n")[1].split("\n##")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")][2:]


def test_the_images_of_a_figure_are_read_back_pixel_for_pixel(tmp_path: Path) -> None:
    images = torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    figures.samples(images, tmp_path / "samples.png")
    found = pictures.images((tmp_path / "samples.png").read_bytes(), TILES)
    assert found is not None
    assert found.shape == (6, 10, 28, 28)
    expected = (images * 255).reshape(6, 10, 28, 28).numpy()
    assert np.abs(found - expected).max() < 2  # of 255: the colours of the figure are rounded
    kept = pictures.strip(found, "", "")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept.content)).convert("L"))[:28, :28], found[0, 0])


def test_a_picture_of_something_else_is_kept_as_it_is(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (2000, 500), "green").save(out, "PNG")
    assert pictures.images(out.getvalue(), TILES) is None
    kept = pictures.whole(out.getvalue(), "green", "")
    assert kept is not None
    assert (kept.width, kept.height) == (800, 200)
    small = pictures.whole(out.getvalue(), "green", "", pictures.SMALL)
    assert small is not None
    assert (small.width, small.height) == (480, 120)
    assert pictures.whole(b"no picture", "", "") is None
    assert pictures.images(b"no picture", TILES) is None


@pytest.mark.slow
def test_the_report_of_a_sweep_has_its_means_its_rates_and_its_verdicts(folder: Path, var: Path, sweep: Sweep) -> None:
    done = sweep("report", var)
    assert done.returncode == 0, done.stderr
    files = [folder / line for line in done.stdout.split()]
    assert files == [folder / "reports" / "var" / f"report.{suffix}" for suffix in ("html", "md", "csv")]
    page, markdown, table = (file.read_text() for file in files)

    # Student's t of two degrees of freedom, 4.303, times 0.001 / sqrt(3)
    assert rows(markdown, "Results") == [
        [
            *("0.25", "**0.8485 ± 0.0025**", "**0.009615 ± 0**", "**0.8375 ± 0**", "0.8375"),
            *("completed", "3", "0 of 3: 0% (0% to 56%)"),
        ],
        ["0.5", "0.7860 ± 0.0025", "0.01923 ± 0", "0.7750 ± 0", "0.7750", "completed", "3", "0 of 3: 0% (0% to 56%)"],
        [
            "0.2",
            "0.8620",
            "0.007692",
            "0.8500",
            "0.8000",
            "1 completed, 2 loss explosion",
            "3",
            "2 of 3: 67% (21% to 94%)",
        ],
    ]
    compared = rows(markdown, "Published figures beside ours")
    assert [(row[0], row[1], row[5]) for row in compared] == [
        ("var=0.5", "SSIM", "✓ reproduced"),
        ("var=0.5", "MSE", "✓ reproduced"),
        ("var=0.25", "SSIM", "✗ differs"),
        ("var=0.25", "MSE", "○ not comparable"),
        ("var=0.2", "outcome", "✓ reproduced"),
    ]
    assert compared[0][2:5] == ["0.7900", "0.7860 ± 0.0025", "-0.004 (-0.5%)"]
    assert "How much does the variance matter?" in markdown
    assert rows(markdown, "Explosions") == [
        ["var=0.2 seed=0", "1", "7", "300.0", "loss became nan after 300", "2"],
    ]
    first = "var=0.2 seed=0: What went first: the loss, at step 7 (epoch 1). It was nan."
    assert markdown.split("## How training exploded")[1].split("\n\n")[1] == first
    assert first in html.unescape(page)
    assert markdown.count("up to its explosion.](report-pictures/") == 1
    for title in ("Loss curves", "Rate against distortion", "Reconstructions of the same ten test images"):
        assert f"\n## {title}\n" in markdown
        assert re.search(f'<h2 class="part" id="[^"]+">{title} <', page)
    for target in re.findall(r"\]\((report-pictures/[^)]+)\)", markdown):
        assert (files[1].parent / target).stat().st_size > 0
    for one in html.unescape(page).split("<td>")[1:]:
        assert "nan" not in one.split("</td>")[0].replace("became nan", "")

    runs = list(csv.DictReader(io.StringIO(table)))
    assert len(runs) == 9
    assert {run["outcome"] for run in runs} == {"completed", "loss explosion"}
    assert float(runs[0]["ssim"]) == pytest.approx(0.91 - 0.125)
    assert runs[0]["var"] == "0.5"


@pytest.mark.slow
def test_a_page_runs_its_own_scripts_alone_and_fetches_nothing(folder: Path, var: Path, sweep: Sweep) -> None:
    sweep("report", "var")
    page = (folder / "reports" / "var" / "report.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    allowed = re.findall(r"'sha256-([^']+)'", policy.group(1))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts]
    assert hashes == allowed
    assert len(hashes) == 3  # Vega, Tabulator, and what is our own
    assert policy.group(1).startswith(
        "default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-"
    )
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"(?!data:|#)", outside)
    assert "url(" not in outside


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>|*`[x](javascript:alert(3))"


@pytest.mark.slow
def test_what_stands_in_a_sweep_file_is_only_ever_shown(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(
        f"# {HOSTILE}\nname: var\nparameters: {{var: 0.5}}\nreference:\n  source: '{HOSTILE}'\n  rows: [{{ssim: 1}}]"
    )

    def hostile(trial: Trial) -> list[Event]:
        return [Started(1, 1), Finished(Outcome.EXPLODED, explosion=Explosion(HOSTILE, 1, 1, None))]

    record(store, path, hostile, {"explosion.md": HOSTILE.encode()})
    assert sweep("report", "var").returncode == 0
    page = (folder / "reports" / "var" / "report.html").read_text()
    assert page.count("&lt;script&gt;alert(1)") >= 4
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    markdown = (folder / "reports" / "var" / "report.md").read_text().split("## The sweep file")[0]
    assert "\\<script\\>alert(1)" in markdown
    assert not re.search(r"(?<!\\)[<>*`]", markdown.replace("**Best:**", ""))
    assert not re.search(r"(?<!\\)\[x", markdown)


@pytest.mark.slow
def test_a_report_is_made_while_a_sweep_runs(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write("name: var\nparameters: {var: {values: [0.5, 0.25, 0.2, 0.1]}, epochs: 2}")

    def midway(trial: Trial) -> list[Event]:
        match trial.params["var"]:
            case 0.5:
                return told(trial)[:2]
            case 0.25:
                return [Started(1, 1), Finished(Outcome.FAILED, reason="the disk\nis full")]
            case 0.2:
                return told(trial)
        return []

    record(store, path, midway)
    assert sweep("report", path).returncode == 0
    markdown = (folder / "reports" / "var" / "report.md").read_text()
    assert [row[-1] for row in rows(markdown, "Results")] == ["interrupted", "failed", "loss explosion", "not run"]
    states = "1 loss explosion, 1 failed, 1 interrupted, 1 not run"
    assert f"- trials: {states}; sweep launch tries again what failed\n" in markdown
    assert rows(markdown, "Remarks") == [["var=0.25", "failed", "the disk is full", "1"]]


@pytest.mark.slow
@pytest.mark.parametrize("sweep_is", ["var.yaml", "var"])
def test_the_report_of_a_sweep_that_runs_has_what_it_is_still_to_run(
    store: str, folder: Path, write: Write, sweep: Sweep, sweep_is: str
) -> None:
    path = write("name: var\nparameters: {var: {values: [0.5, 0.25, 0.2]}, epochs: 2}", "var.yaml")
    tell = {0.5: lambda trial: told(trial), 0.25: lambda trial: told(trial)[:2], 0.2: lambda _: []}
    record(store, path, lambda trial: tell[trial.params["var"]](trial))
    with Workspace(store, "var"):
        assert sweep("report", sweep_is).returncode == 0
    markdown = (folder / "reports" / "var" / "report.md").read_text()
    assert "- var: 0.5, 0.25, 0.2\n" in markdown
    assert "- trials: 1 completed, 1 running, 1 not run\n" in markdown
    assert [row[0] for row in rows(markdown, "Results")] == ["0.5", "0.25", "0.2"]
    assert sweep("report", sweep_is).returncode == 0  # its launch is gone
    markdown = (folder / "reports" / "var" / "report.md").read_text()
    assert "- trials: 1 completed, 1 interrupted, 1 not run\n" in markdown


@pytest.mark.slow
def test_a_sweep_of_which_nothing_was_run_is_part_of_a_report_of_several(
    folder: Path, var: Path, write: Write, sweep: Sweep
) -> None:
    missing = write(VAR.replace("name: var", "name: missing"), "missing.yaml")
    assert sweep("report", var, missing, "--out", "all").returncode == 0
    markdown = (folder / "all" / "report.md").read_text()
    assert "| missing | 9 not run |  | 0 | 0 | 0 | 5 |" in markdown
    assert "no trial has these values" not in markdown
    page = (folder / "all" / "report.html").read_text()
    assert re.findall(r'<section id="([^"]+)"', page) == ["sweep-1", "sweep-2", "rule"]
    assert 'href="#sweep-2"' in page
    alone = sweep("report", missing)
    assert (alone.returncode, alone.stderr) == (2, "sweep: the store has no sweep missing; it has var\n")


@pytest.mark.slow
def test_trials_of_other_values_stand_under_the_name_and_compare_with_nothing(
    folder: Path, var: Path, write: Write, sweep: Sweep
) -> None:
    write(VAR.replace("epochs: 2", "epochs: 50"), "var.yaml")
    sweep("report", var)
    markdown = (folder / "reports" / "var" / "report.md").read_text()
    assert {row[1] for row in rows(markdown, "Results")} == {"not run"}
    assert "left out: 9 more trials of this sweep are in the store" in markdown
    assert {row[5] for row in rows(markdown, "Published figures beside ours")} == {"○ not comparable"}

    tracker = Tracker(f"sqlite:///{folder}/mlruns/mlflow.db", load(var))
    tracker.open(9)  # another launch, which came to its end without any of its trials
    tracker.close("FINISHED")
    var.unlink()
    sweep("report", "var")
    markdown = (folder / "reports" / "var" / "report.md").read_text()
    assert rows(markdown, "Results")[1][:2] == ["0.5", "0.7860 ± 0.0025"]
    assert {row[6] for row in rows(markdown, "Published figures beside ours")} == {
        "settings that differ from the file: epochs=2"
    }


@pytest.mark.slow
def test_of_more_runs_than_are_drawn_the_best_is_drawn(
    store: str, folder: Path, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.reports.sections.MOST_CURVES", 10)
    values = [0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25]  # the best is the last
    path = write(f"parameters: {{var: {{values: {values}}}}}", "many.yaml")
    record(store, path)
    assert sweep("report", "many").returncode == 0
    report = folder / "reports" / "many"
    assert "10 of 12 runs are drawn" in (report / "report.md").read_text()
    (drawn,) = [part for part in section(Store(store), load(path), "many", False, False).parts if part.is_explored]
    lines = [row for rows in drawn.charts[0].spec["datasets"].values() for row in rows]
    assert [row["run"] for row in lines if row.get("part") == "validation"] == ["var=0.25"]


@pytest.mark.long
def test_a_page_of_two_hundred_trials_stays_below_five_megabytes(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    text = "method: random\nrun_cap: 200\nparameters: {var: {min: 0.2, max: 1.0}, lr: {min: 1e-4, max: 1e-2}}"

    def long(trial: Trial) -> list[Event]:
        started, first, _, end = told(trial)
        assert isinstance(first, Progress)
        epochs = [Progress(epoch, first.metrics, at=float(epoch)) for epoch in range(1, 11)]
        return [started, *epochs, end]

    figures.samples(torch.rand(60, 1, 28, 28), folder / "samples.png")  # noise, of which no picture is small
    pictures = {**drawn(folder / "mlruns"), "samples.png": (folder / "samples.png").read_bytes()}
    pictures["traversal.png"] = pictures["samples.png"]
    record(store, write(text, "random.yaml"), long, pictures)
    assert sweep("report", "random").returncode == 0
    assert (folder / "reports" / "random" / "report.html").stat().st_size < 5_000_000


@pytest.mark.slow
def test_a_search_has_its_history_and_importances(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    text = """
    method: random
    run_cap: 16
    metric: {name: val_ssim, goal: maximize}
    parameters:
      var: {min: 0.2, max: 1.0}
      lr: {min: 1e-4, max: 1e-2, distribution: log_uniform_values}
    """
    record(store, write(text, "random.yaml"))
    assert sweep("report", "random").returncode == 0
    page = (folder / "reports" / "random" / "report.html").read_text()
    specs = [json.loads(found) for found in re.findall(r'class="spec"[^>]*>(.*?)</script>', page)]
    descriptions = [spec["description"] for spec in specs]
    assert any(text.startswith("val_ssim of 16 trials in order of start") for text in descriptions)
    importances = next(text for text in descriptions if text.startswith("The share of the variance of val_ssim"))
    assert float(re.search(r"var (\d+)%", importances).group(1)) > 60  # type: ignore[union-attr]
    markdown = (folder / "reports" / "random" / "report.md").read_text()
    assert "\nval_ssim over lr. The best" in markdown
    assert rows(markdown, "Results")[0][4].startswith("**")


@pytest.mark.slow
def test_a_conditional_parameter_is_drawn_with_the_trials_in_which_it_is_varied(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    text = """
    method: random
    run_cap: 16
    metric: {name: val_ssim, goal: maximize}
    parameters:
      architecture: {values: [conv, fc]}
      var: {min: 0.2, max: 1.0}
      lr: {min: 1e-4, max: 1e-2, distribution: log_uniform_values, when: {architecture: fc}}
    """
    path = write(text, "random.yaml")
    record(store, path)
    assert sweep("report", "random").returncode == 0
    page = (folder / "reports" / "random" / "report.html").read_text()
    (found,) = re.findall(r'class="trials">(.*?)</script>', page)
    document = json.loads(found)
    place = [column["name"] for column in document["columns"]].index("lr")
    drawn = [trial["values"][place] for trial in document["trials"] if trial["values"][place] is not None]
    varied = [trial.params["lr"] for trial in expand(load(path)).trials if trial.params["architecture"] == "fc"]
    assert sorted(drawn) == sorted(varied)


@pytest.mark.slow
def test_a_boundary_has_its_curve(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(
        "trial: toys:cliff\nmethod: boundary\nrun_cap: 12\n"
        "parameters: {x: {min: 0.001, max: 1.0, distribution: log_uniform_values}}",
        "cliff.yaml",
    )
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    assert sweep("report", path).returncode == 0
    markdown = (folder / "reports" / "cliff" / "report.md").read_text()
    assert markdown.index("## Where training breaks") < markdown.index("## Results")
    assert rows(markdown, "Where training breaks")[0][-1].endswith(" of 12")
    assert rows(markdown, "Where training breaks")[0][0].startswith("above ")


def test_a_folder_that_cannot_be_written_is_said(var: Path, sweep: Sweep) -> None:
    done = sweep("report", "var", "--out", "var.yaml")
    assert (done.returncode, done.stderr) == (2, "sweep: --out var.yaml: cannot be written (File exists)\n")
