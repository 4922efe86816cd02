"""Trials: what a hostile user, a full disk and a killed process do to the laboratory.

`python -m tests.torture [--short] [--json] [trial ...]` plays them, in hours or short in minutes; tests/app/test_torture.py runs the
short form of each."""
