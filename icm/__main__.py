"""`python -m icm`. A Ctrl-C during the imports, which take seconds, ends the program with one line, as a later one does."""

import os
import sys

# OpenMP's idle threads would keep turning on the cores that pieces of a step need (icm.method.parallel). Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    from icm.cli.main import main

    code = main()
except KeyboardInterrupt:
    code = "icm: interrupted"
    # Where it came while Python ran code from text, as it does for a dataclass, Python would end by killing itself, code or not;
    # running other text makes it forget that.
    exec("")
sys.exit(code)
