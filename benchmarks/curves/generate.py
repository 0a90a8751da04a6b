"""Make the labelled curves anew: trainings of a second or a few each, on CPUs.

python benchmarks/curves/generate.py                       # writes benchmarks/curves/curves.jsonl.gz, in an hour
python benchmarks/curves/generate.py --domains vae rl      # trains these alone; the others stay as they are in the file

It can be stopped and gone on with: what is trained is kept in build/curves, and to be removed where setups change.
"""

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # for the VAE

import classification
import control
import functions
import generative
import labelling
import language
import likely
import moving
import precision
import relations
import structured
import tabular
import torch
from labelling import Curve, Setup

KEPT = Path(__file__).parent.parent.parent / "build" / "curves"
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
    "contrast": relations.contrast_setups,
    "distilling": relations.distilling_setups,
    "graphs": relations.graphs_setups,
    "words": relations.words_setups,
    "translating": moving.translating_setups,
    "physics": moving.physics_setups,
    "meta": moving.meta_setups,
    "policies": moving.policies_setups,
    "odes": moving.odes_setups,
    "mixtures": likely.mixtures_setups,
    "energies": likely.energies_setups,
    "survival": likely.survival_setups,
    "ctc": likely.ctc_setups,
    "codes": likely.codes_setups,
    "pruning": likely.pruning_setups,
    "several": likely.several_setups,
    "pointing": structured.pointing_setups,
    "segmenting": structured.segmenting_setups,
    "implicit": structured.implicit_setups,
    "spiking": structured.spiking_setups,
    "experts": structured.experts_setups,
    "automata": structured.automata_setups,
    "forecasting": functions.forecasting_setups,
    "splines": functions.splines_setups,
    "attacked": functions.attacked_setups,
    "processes": functions.processes_setups,
    "variational": functions.variational_setups,
}


def setups(domain: str) -> list[Setup]:
    """Those of a domain, with what is declared of all of them."""
    declared = {"says_little": True} if domain in labelling.SAY_LITTLE else {}
    return [replace(setup, **declared) for setup in DOMAINS[domain]()]


def made(domain: str, place: int) -> None:
    """Train, and keep what came of it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    setup = setups(domain)[place]
    began = time.perf_counter()
    curve = labelling.recorded(domain, setup)
    label = "left out" if curve is None else curve.label
    print(
        f"{domain}/{setup.name}: {label} ({time.perf_counter() - began:.1f} s) {curve.why if curve else ''}", flush=True
    )
    kept = json.dumps(None if curve is None else asdict(curve))
    path = _kept(domain, setup.name)
    path.with_suffix(".new").write_text(kept)
    path.with_suffix(".new").replace(path)


def _kept(domain: str, name: str) -> Path:
    return KEPT / f"{domain}.{name}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--domains", nargs="+", choices=DOMAINS, help="train these alone, and keep the others as they are"
    )
    parser.add_argument("--processes", type=int, help="how many at a time; by default, as many as there are cores")
    arguments = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    jobs = [(domain, i, setup.name) for domain in DOMAINS for i, setup in enumerate(setups(domain))]
    wanted = [job for job in jobs if job[0] in (arguments.domains or DOMAINS)]
    left = [(domain, i) for domain, i, name in wanted if not _kept(domain, name).exists()]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as processes:
        for future in [processes.submit(made, *job) for job in left]:
            future.result()
    found = [json.loads(_kept(domain, name).read_text()) for domain, _, name in wanted]
    curves = [Curve(**curve) for curve in found if curve]
    print(f"{len(curves)} curves: {Counter(curve.label for curve in curves)}")
    others = [] if not arguments.domains else [c for c in labelling.read() if c.domain not in arguments.domains]
    labelling.write(sorted([*others, *curves], key=lambda curve: [*DOMAINS].index(curve.domain)))


if __name__ == "__main__":
    main()
