"""`python -m icm`: a Ctrl-C in the seconds that imports take ends the program with one line, like any later one."""

import sys

try:
    from icm.cli import main

    code = main()
except KeyboardInterrupt:
    code = "icm: interrupted"
sys.exit(code)
