"""Trials that take minutes: what a hostile user, a full disk and a killed process do to the laboratory.

`python -m tests.torture [--short] [--json] [trial ...]`; tests/test_torture.py runs the short form of each."""
