"""A line through Galton's idea of heredity: gradient descent that prints, and goes on from its checkpoint."""

import json
import os
import random
import sys
import time
from pathlib import Path

options = dict(word.lstrip("-").split("=") for word in sys.argv[1:])
lr, epochs, seed = float(options["lr"]), int(options.get("epochs", 12)), int(options.get("seed", 0))
pause = float(options.get("pause", 0))

random.seed(seed)
parents = [random.gauss(0, 1) for _ in range(200)]
children = [0.65 * x + random.gauss(0, 0.5) for x in parents]
checkpoint = Path(os.environ.get("SWEEP_WORKDIR", ".")) / "checkpoint.json"

slope, begin = 0.0, 0
if checkpoint.exists():
    slope, begin = json.loads(checkpoint.read_text())
    print(f"going on after epoch {begin}")

for epoch in range(begin + 1, epochs + 1):
    gradient = sum((slope * x - y) * x for x, y in zip(parents, children)) / len(parents)
    slope -= lr * gradient
    loss = sum((slope * x - y) ** 2 for x, y in zip(parents, children)) / len(parents)
    unfinished = checkpoint.with_suffix(".unfinished")
    unfinished.write_text(json.dumps([slope, epoch]))
    unfinished.replace(checkpoint)
    print(f"epoch {epoch}/{epochs} loss {loss:.6f} slope={slope:.4f}")
    time.sleep(pause)
