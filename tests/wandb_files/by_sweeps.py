# /// script
# dependencies = ["sweeps==0.2.0"]
# ///
"""What W&B's own engine makes of each distribution: writes expected/distributions.json.

Run it in an environment with sweeps==0.2.0, or with `uv run`.
"""

import json
from pathlib import Path

from sweeps.grid_search import grid_search_next_runs
from sweeps.params import HyperParameter

SHARES = 100
FORMS = [
    {"value": 3, "distribution": "constant"},
    {"values": [1, 2.5, 4], "distribution": "categorical"},
    {"values": [1, 2, 3], "probabilities": [0.5, 0.3, 0.2], "distribution": "categorical_w_probabilities"},
    {"min": 3, "max": 9},
    {"min": 3, "max": 9, "distribution": "int_uniform"},
    {"min": -1.5, "max": 2},
    {"min": 3, "max": 9, "distribution": "uniform"},
    {"min": 5, "max": 50, "q": 10, "distribution": "q_uniform"},
    {"min": 0.1, "max": 0.5, "q": 0.1, "distribution": "q_uniform"},
    {"min": -4, "max": 5, "q": 2, "distribution": "q_uniform"},
    {"min": 0.3, "max": 4.2, "distribution": "q_uniform"},
    {"min": -7, "max": -5, "distribution": "log_uniform"},
    {"min": 1e-5, "max": 0.1, "distribution": "log_uniform_values"},
    {"min": 0, "max": 4.6, "q": 5, "distribution": "q_log_uniform"},
    {"min": 0.01, "max": 1, "q": 0.05, "distribution": "q_log_uniform_values"},
    {"min": 1, "max": 1000, "distribution": "q_log_uniform_values"},
    {"min": 2, "max": 5, "distribution": "inv_log_uniform"},
    {"min": 1e-4, "max": 10, "distribution": "inv_log_uniform_values"},
    {"distribution": "normal"},
    {"mu": -3, "sigma": 0.5, "distribution": "normal"},
    {"distribution": "q_normal"},
    {"mu": 100, "sigma": 20, "q": 10, "distribution": "q_normal"},
    {"distribution": "log_normal"},
    {"mu": -6, "sigma": 1.5, "distribution": "log_normal"},
    {"mu": 2, "sigma": 1, "q": 4, "distribution": "q_log_normal"},
    {"distribution": "q_log_normal"},
    {"distribution": "beta"},
    {"a": 2, "b": 5, "distribution": "beta"},
    {"a": 0.5, "b": 0.5, "q": 0.1, "distribution": "q_beta"},
    {"distribution": "q_beta"},
]


def grid(form):
    """The values in a grid; None where the engine refuses the distribution there."""
    sweep = {"method": "grid", "parameters": {"x": form, "constant": {"values": [0]}}}
    try:
        runs = grid_search_next_runs([], sweep, n=1000)
    except ValueError:
        return None
    return [run.config["x"]["value"] for run in runs if run is not None]


def quantiles(form):
    """The values at equally spaced shares, as (share, value)."""
    parameter = HyperParameter("x", form)
    shares = [(i + 0.5) / SHARES for i in range(SHARES)]
    values = [parameter.ppf(share) for share in shares]
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    return [value if isinstance(value, int) else float(f"{value:.8g}") for value in plain]


if __name__ == "__main__":
    lines = [json.dumps({"form": form, "grid": grid(form), "quantiles": quantiles(form)}) for form in FORMS]
    path = Path(__file__).parent / "expected" / "distributions.json"
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
