"""A program under observation: what it trains is noted where no launch looks or tidies up. It needs nothing installed.

Copied beside a sweep file, which names it: `program: witness_program.py`. Each attempt at a trial leaves a line at its
start, as step 0, and one at each epoch: `trial_key step seconds`. It goes down a parabola, and keeps company: a process
in a session of its own, which must not outlive the trial.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

NOTES = Path(__file__).with_name("notes.txt")
EPOCHS = 8
SECONDS = 0.25  # of an epoch


def note(step):
    with NOTES.open("a") as notes:
        notes.write(f"{os.environ['WANDB_RUN_ID']} {step} {time.time()}\n")


def logger(way):
    """A call that logs metrics, by one of the ways in which programs do."""
    if way == "wandb":
        import wandb

        return wandb.init().log
    if way == "report":
        from orchestrator import report

        return report
    return lambda metrics: print(json.dumps(metrics), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--way")
    parser.add_argument("--goes_on")
    parser.add_argument("--rate", type=float)
    asked = parser.parse_args()
    note(0)
    print("an attempt", flush=True)  # so that each trial has a log, also one that is killed before it says more
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    log = logger(asked.way)
    kept = Path(os.environ["SWEEP_WORKDIR"], "state.json")
    epoch, x = 0, 3.0
    if asked.goes_on == "True" and kept.exists():
        epoch, x = json.loads(kept.read_text())
    while epoch < EPOCHS:
        epoch += 1
        time.sleep(SECONDS)
        x -= asked.rate * 2 * (x - 1)
        log({"epoch": epoch, "train_loss": (x - 1) ** 2, "val_loss": (x - 1.001) ** 2})
        unfinished = kept.with_suffix(".unfinished")
        unfinished.write_text(json.dumps([epoch, x]))
        unfinished.replace(kept)
        note(epoch)


if __name__ == "__main__":
    sys.exit(main())
