"""`python -m icm`: a Ctrl-C in the seconds that imports take ends the program with one line, like any later one."""

import sys

try:
    from icm.cli import main

    code = main()
except KeyboardInterrupt:
    code = "icm: interrupted"
    # Where it came while Python ran code from text, as it does for a dataclass, Python would end by killing itself, code or not;
    # running other text makes it forget that.
    exec("")
sys.exit(code)
