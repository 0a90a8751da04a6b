"""A program that computes and logs epochs, by one of the ways in which programs do. It notes when each one was logged.

Copied beside a sweep file, which names it: `program: logging_program.py`. The notes have a line for each epoch:
`way epoch seconds`, in seconds since 1970.
"""

import argparse
import os
import struct
import time
from pathlib import Path

NOTES = Path(__file__).with_name("logged.txt")


def logger(way):
    """A call that logs an epoch and its loss."""
    if way == "wandb":
        import wandb

        run = wandb.init()
        return lambda epoch, loss: run.log({"epoch": epoch, "loss": loss})
    if way == "mlflow":
        import mlflow

        mlflow.start_run()
        return lambda epoch, loss: mlflow.log_metric("loss", loss, step=epoch)
    if way == "TensorBoard":
        return event_file(Path(os.environ["SWEEP_WORKDIR"], "events.out.tfevents.0.here"))
    return lambda epoch, loss: print(f"epoch {epoch} loss {loss}", flush=True)


def event_file(path):
    """A call that adds a record as TensorBoard's writers do, and flushes it."""
    from orchestrator.programs.followers.records import masked_crc

    file = path.open("wb", buffering=0)

    def log(epoch, loss):
        value = b"\x0a\x04loss\x15" + struct.pack("<f", loss)
        summary = b"\x0a" + bytes([len(value)]) + value
        event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + bytes([epoch]) + b"\x2a" + bytes([len(summary)])
        event += summary
        length = struct.pack("<Q", len(event))
        file.write(length + struct.pack("<I", masked_crc(length)) + event + struct.pack("<I", masked_crc(event)))

    return log


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", default="print")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--work", type=float, default=0.0, help="seconds of computing in an epoch")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds of waiting in an epoch")
    parser.add_argument("--x", help="tells trials apart")
    asked = parser.parse_args()
    log = logger(asked.way)
    with NOTES.open("a", buffering=1) as notes:
        for epoch in range(1, asked.epochs + 1):
            end = time.process_time() + asked.work
            while time.process_time() < end:
                pass
            time.sleep(asked.rest)
            notes.write(f"{asked.way} {epoch} {time.time()}\n")
            log(epoch, 1 / epoch)


if __name__ == "__main__":
    main()
