"""`python -m icm`. A Ctrl-C during the imports, which take seconds, ends the program with one line, as a later one does."""

import sys

try:
    from icm.cli.main import main

    code = main()
except KeyboardInterrupt:
    code = "icm: interrupted"
    # Where it came while Python ran code from text, as it does for a dataclass, Python would end by killing itself, code or not;
    # running other text makes it forget that.
    exec("")
sys.exit(code)
