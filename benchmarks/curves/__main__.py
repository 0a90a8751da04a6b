"""Make the labelled curves anew: trainings of a second or a few each, on CPUs.

python benchmarks/curves                       # writes benchmarks/curves/curves.jsonl.gz, in some minutes
python benchmarks/curves --domains vae rl      # trains these alone, and says what came of them; writes nothing
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # for the VAE

import classification
import control
import generative
import language
import precision
import recording
import tabular
import torch
from recording import Curve, Setup

DOMAINS: dict[str, Callable[[], Iterator[Setup]]] = {
    "digits": classification.digits_setups,
    "vae": generative.vae_setups,
    "amp": precision.amp_setups,
    "density": generative.density_setups,
    "regression": tabular.regression_setups,
    "boosting": tabular.boosting_setups,
    "recurrent": tabular.recurrent_setups,
    "streams": classification.streams_setups,
    "gan": generative.gan_setups,
    "rl": control.rl_setups,
    "language": language.language_setups,
    "factors": tabular.factors_setups,
    "denoising": generative.denoising_setups,
}


def made(domain: str, place: int) -> tuple[Curve | None, float]:
    """A curve, and the seconds it took."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    setup = [*DOMAINS[domain]()][place]
    began = time.perf_counter()
    return recording.recorded(domain, setup), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, help="train these alone; write nothing")
    domains = parser.parse_args().domains
    jobs = [(domain, place) for domain in domains or DOMAINS for place in range(len([*DOMAINS[domain]()]))]
    curves = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        for (domain, place), (curve, seconds) in zip(jobs, processes.map(made, *zip(*jobs, strict=True)), strict=True):
            name = [*DOMAINS[domain]()][place].name
            label = "left out" if curve is None else "exploded" if curve.has_exploded else "healthy"
            print(f"{domain}/{name}: {label} ({seconds:.1f} s) {curve.why if curve else ''}", flush=True)
            curves += [] if curve is None else [curve]
    print(f"{len(curves)} curves, {sum(curve.has_exploded for curve in curves)} of them exploded")
    if not domains:
        recording.write(curves)


if __name__ == "__main__":
    main()
