"""Sweep files damaged in thousands of ways: each is read and expanded, or refused with lines, and never takes long."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.spec import load
from orchestrator.trials.grid import expand
from orchestrator.trials.search_space import SearchSpace

SHIPPED = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "sweeps").rglob("*.yaml"))]
OWN = [
    b"name: &n a\nmethod: random\nrun_cap: 20\nseed: 3\nparameters:\n"
    b"  var: {min: 0.1, max: 0.9, q: 0.1, distribution: q_uniform}\n"
    b"  lr: {min: 1e-4, max: 1e-2, distribution: log_uniform_values}\n  epochs: {min: 1, max: 9}\n",
    b"zip: {var: [0.5, 0.2], lr: [1e-3, 2e-3]}\nconfigs:\n- {architecture: fc}\n- {architecture: conv, num_layers: 2}\n"
    b"seeds: [0, 1, 2]\nparameters: {latent_dim: {min: 2, max: 20}}\n",
    b"method: random\nrun_cap: 7\nseeds: [0, 1]\nparameters:\n"
    b"  var: {values: [0.5, 0.7], probabilities: [0.25, 0.75]}\n"
    b"  batch_size: {min: 3, max: 6, distribution: log_uniform}\nmetric: {name: val_ssim, goal: maximize}\n",
    b"method: tpe\nrun_cap: 9\nmetric: {name: val_ssim, goal: maximize}\nparameters:\n"
    b"  var: {min: 0.1, max: 0.9, distribution: log_uniform_values}\n  architecture: {values: [conv, fc]}\n",
    b"method: boundary\nrun_cap: 9\nboundary: {width: 1.5, risk: 0.1}\nparameters:\n"
    b"  lr: {min: 0.001, max: 0.9, distribution: log_uniform_values}\n  var: {values: [0.2, 0.4]}\n",
    b"divergence: {factor: 5, patience: 20, enabled: true}\nretries: 2\nstall_seconds: 120\nreuse: false\n"
    b"parameters:\n  dataset: digits\n  lr:\n    value: 5e-3\n  epochs: {min: 1, max: 100}\n",
    b"base: &a {values: [1, 2]}\nparameters:\n  <<: *a\n  epochs: *a\n  num_layers: *a\n",
]
NASTY = [
    *(b"&a [*a]", b"*nowhere", b"&x", b"<<: {a: 1}", b"!!python/object:os.system x", b"!!python/name:os.system"),
    *(b"!!binary aGk=", b"!!set {a, b}", b"!!omap [a: 1]", b"!!timestamp 2001-01-01", b"2001-01-01", b"!!int x"),
    *(b"!!float x", b"!!float []", b"!!str 1", b"!!null x", b"!", b"!<tag>", b"!local 1", b"%YAML 9.9", b"---", b"..."),
    *(b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b"-1e999", b"1e-999", b"1e308"),
    *(b".inf", b"-.inf", b".nan", b"0o777", b"1_000", b"0b1", b"012", b"~", b"null", b"yes", b"true", b"-1", b"0"),
    *(b"[" * 30, b"[" * 3000, b"{a: " * 200, b"- " * 300, b"? " * 200, b"x" * 20_000, b"'" + b"y " * 9000 + b"'"),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xc3",
        b"\t",
        b"\r",
        b"\r\n",
        b"\x85",
        b"\x1b",
        b"\x7f",
    ),
    *(
        "\u2028 é 🙂 \ufeff".encode(),
        b'"\\ud800"',
        b'"\\x00"',
        b'"\\U0001F600"',
        b"|\n  a\n b",
        b">-",
        b"'",
        b'"',
        b"#",
    ),
    *(b"{min: 0, max: 1e308}", b"{min: -1e308, max: 1e308}", b"{min: 1, max: 9e18}", b"{min: 1, max: 9e18, q: 1e-9}"),
    *(
        b"{min: 1, max: 2, q: 1e-320, distribution: q_uniform}",
        b"{min: 1e-320, max: 1, distribution: log_uniform_values}",
    ),
    *(
        b"{min: 1, max: 1e300, distribution: q_log_uniform_values, q: 1e-300}",
        b"{min: 700, max: 709, distribution: log_uniform}",
    ),
    *(b"{min: -745, max: -744, distribution: log_uniform}", b"{min: 1, max: 2, distribution: categorical}"),
    *(
        b"{min: 1, max: " + b"9" * 400 + b"}",
        b"{values: [[1], {a: 2}]}",
        b"{value: {min: 1}}",
        b"{values: []}",
        b"[]",
        b"{}",
    ),
    *(b"{values: [1, 2], probabilities: [0, 0]}", b"{values: [1, 2], probabilities: [1e-320, 1]}", b"[1, [2, [3]]]"),
    *(b"\nrun_cap: -1\n", b"\nrun_cap: 999999999999\n", b"\nmethod: random\nrun_cap: 900000\n", b"\nmethod: bayes\n"),
    *(b"\nseeds: [1e3, 99999999999999999999]\n", b"\nseeds: {a: 1}\n", b"\nseed: 1e400\n", b"\nearly_terminate: {}\n"),
    *(
        b"\nname: ..\n",
        b"\nname: [a]\n",
        b"\ntrial: os:system\n",
        b"\ntrial: a..b:c\n",
        b"\ntrial: .:x\n",
        b"\ntrial: ':'\n",
    ),
    *(
        b"\nzip: {var: [1, 2], lr: []}\n",
        b"\nzip: {}\n",
        b"\nconfigs: [{}]\n",
        b"\nconfigs: [[]]\n",
        b"\nparameters: [a]\n",
    ),
    *(b"\ndivergence: {factor: .inf}\n", b"\nretries: 1e9\n", b"\nreference: {source: s, rows: [{outcome: [1]}]}\n"),
    *(b"\nparameters: {epochs: {min: 1, max: 10000}, batch_size: {min: 1, max: 100}}\n", b"\nstall_seconds: -0.0\n"),
]


def flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[min(end, start + 30) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] * rng.choice([1, 2, 30]) + data[end:]


def swap_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(NASTY) + data[at:]


def replace_a_word(data: bytes, rng: random.Random) -> bytes:
    word = rng.choice(data.split() or [b" "])
    return data.replace(word, rng.choice(NASTY), rng.choice([1, -1]))


def splice(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice([*SHIPPED, *OWN])
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    *(flip, cut, repeat, swap_lines, splice),
    *(insert, insert, replace_a_word, replace_a_word, replace_a_word),
]


def damaged(seed: int) -> bytes:
    rng = random.Random(seed)
    data = rng.choice([*SHIPPED, *OWN])
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        data = rng.choice(DAMAGES)(data or b"\n", rng)
    return data


def mistakes(path: Path) -> Sequence[str]:
    """What is wrong with a file, read as `sweep plan` and `sweep launch` do, which then exit with 2."""
    try:
        spec = load(path)
        if not spec.is_listed:
            SearchSpace(spec).examples()
        return expand(spec).invalid if spec.is_listed else ()
    except InputError as error:
        return error.mistakes or ("",)


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    said = mistakes(path)
    assert all(len(line.splitlines()) == 1 for line in said), said


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(300), pytest.param(range(300, 1_500), marks=pytest.mark.long)], ids=len)
def test_a_damaged_file_is_read_or_refused(folder: Path, seeds: range) -> None:
    for seed in seeds:
        data = damaged(seed)
        try:
            check(folder / "sweep.yaml", data)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {data[:3000]!r}") from error
