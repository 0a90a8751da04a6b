"""Stands for a training: says what it was called with."""

import sys

print(sys.argv[1:])
