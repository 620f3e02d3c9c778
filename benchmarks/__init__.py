"""Measures what the platform costs and what its design choices gain, side by side in one run.

`python -m benchmarks [SECTION...]` (or `make benchmark`) deploys a stack of its own and prints medians with their
spread, and the ratio next to its target. Nothing is asserted: a busy machine makes the numbers noisy.
"""
