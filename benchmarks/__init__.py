"""Measures what the platform costs, and what its choices are worth, side by side in one run.

`python -m benchmarks [SECTION...]` (or `make benchmark`) deploys a stack of its own and prints medians with their
spread and the ratio beside its target. Nothing is asserted: a busy machine makes noise, not failures.
"""
