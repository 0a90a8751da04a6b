"""The runs of a report as CSV, as pandas, Python's csv and a spreadsheet read them."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.functions import UNDECLARED
from orchestrator.reports.configurations import Run
from orchestrator.reports.document import Section
from orchestrator.reports.sheet import cell, table
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

texts = st.text(st.sampled_from([*"=+-@\t\r\n\0\x1b\x85\u2028\"',;|a1 é学\ud800"]), max_size=6) | st.text(max_size=20)


def run(params: Mapping[str, Any], metrics: Mapping[str, float] | None = None, remark: str = "") -> Run:
    tags = {"failure.reason": remark} if remark else {}
    record = Record("r", "k", "a run", Outcome.FAILED, "FAILED", dict(params), dict(metrics or {}), tags)
    return Run(dict(params), "c", "a run", record, True, "failed")


def sheet(*runs: Run, name: str = "toy") -> str:
    return table([Section(name, "", (), (), "", (), runs, "", "", (), "", Counter(), UNDECLARED, {})])


def read(text: str) -> tuple[list[str], list[list[str]]]:
    """What Python's csv reads, where pandas reads as many rows and columns of the same names, and lines are rows."""
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    frame = pd.read_csv(io.BytesIO(text.encode()), dtype=str, keep_default_na=False)
    assert [*frame.columns] == header
    assert frame.to_numpy().tolist() == rows
    assert len(text.splitlines()) == len(rows) + 1
    return header, rows


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\uff1d1+1",
        "--1",
        "-",
        "=",
        "+a",
    ],
)
def test_a_text_that_a_spreadsheet_would_compute_has_an_apostrophe(text: str) -> None:
    assert cell(text).startswith("'")
    header, (row,) = read(sheet(run({text: text}, {f"{text}.": 1.0}, text)))
    assert sum(name.startswith("'") for name in header) == 2
    assert sum(value.startswith("'") for value in row) >= 1


@pytest.mark.parametrize(
    "number", [-1, -0.5, 1e-7, -1e300, "-1", "+2.5", "-.5e-3", float("-inf"), float("nan"), 0, True]
)
def test_a_number_stays_as_it_is(number: object) -> None:
    assert cell(number) == str(number)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rb", r"a\rb"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\0b", r"a\x00b"),
        ("\ud800", r"\ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("é 学 🙂", "é 学 🙂"),
        (None, ""),
    ],
)
def test_control_characters_are_written_out(text: str | None, shown: str) -> None:
    assert cell(text) == shown


@settings(max_examples=60, deadline=None)
@given(name=texts, rows=st.lists(st.dictionaries(texts, texts | st.none() | st.floats(), max_size=3), min_size=1))
def test_whatever_the_values_are_all_readers_find_the_same_rows_and_columns(
    name: str, rows: list[dict[str, Any]]
) -> None:
    runs = [run(params, dict.fromkeys(params, -1.0), "\r".join(params)) for params in rows]
    header, found = read(sheet(*runs, name=name))
    assert len(found) == len(rows)
    assert len({*header}) == len(header)


def test_no_two_columns_have_one_name() -> None:
    params = {"epochs": 3, "seconds": 1, "param.seconds": 2, "lr": 0.1, "a\r": 1, "a\\r": 2}
    header, (row,) = read(sheet(run(params, {"lr": 0.5, "outcome": 0.0, "loss": -0.5})))
    cells = dict(zip(header, row, strict=True))
    assert len(cells) == len(header)
    assert cells["epochs"] == "3"
    assert (cells["param.seconds"], cells["param.param.seconds"]) == ("1", "2")
    assert (cells["lr"], cells["metric.lr"], cells["metric.outcome"]) == ("0.1", "0.5", "0.0")
    assert (cells["loss"], cells["outcome"]) == ("-0.5", "failed")


def test_a_text_too_long_for_a_cell_is_cut() -> None:
    _, (row,) = read(sheet(run({"long": "x" * 200_000, "escaped": "\0" * 100_000})))
    assert max(map(len, row)) < 32_767


@pytest.mark.slow
def test_the_report_of_a_sweep_of_odd_values_is_read_by_all(
    folder: Path, write: Callable[..., Path], store: str, sweep: Callable[..., Any]
) -> None:
    (folder / "odd.py").write_text(
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Config:\n    word: str = 'a'\n"
        "    epochs: int = 1\n    seed: int = 0\n\n\ndef train(config: Config):\n"
        "    yield {'epoch': 1, 'seconds': -1.0, '=m': -2.0}\n    raise ValueError(config.word)\n"
    )
    words = ["=1+1", "@x", "a\rb", "\x1b[2J", "-1", "+x"]
    listed = ", ".join('"' + word.encode("unicode_escape").decode() + '"' for word in words)
    sweep("launch", write(f"trial: odd:train\nparameters: {{word: {{values: [{listed}]}}}}", "odd.yaml"))
    assert sweep("report", "odd").returncode == 0
    header, rows = read((folder / "reports" / "odd" / "report.csv").read_bytes().decode())
    assert sorted(row[header.index("word")] for row in rows) == sorted(
        ["'=1+1", "'@x", r"a\rb", r"\x1b[2J", "-1", "'+x"]
    )
    assert {row[header.index("metric.seconds")] for row in rows} == {"-1.0"}
