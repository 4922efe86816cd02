"""The command line: python -m icm train | resume | stop | runs | evaluate | chains | clothes | supervised | data | speed | reader | export | study

Exit codes: 0 done, 2 wrong words on the command line, 3 the run is already being trained, 1 anything else. A user's mistake is
answered by one line on standard error."""

import contextlib
import sys
from collections.abc import Callable, Sequence

from icm.cli import measuring, studies, teaching, training
from icm.cli.terminal import silence
from icm.cli.words import UsageError
from icm.config import ConfigError
from icm.errors import ActionableError
from icm.jobs.studies import UnknownStudy
from icm.runs.errors import RunBusy, RunIdError

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": training.train,
    "resume": training.resume,
    "stop": training.stop,
    "runs": training.runs,
    "evaluate": measuring.evaluate,
    "chains": measuring.chains,
    "clothes": measuring.clothes,
    "supervised": teaching.supervised,
    "data": measuring.data,
    "speed": measuring.speed,
    "reader": teaching.reader,
    "export": measuring.export,
    "study": studies.study,
}


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help"):
            print(_help())
            return 0
        if words[0] not in COMMANDS:
            raise UsageError(f"unknown command {words[0]!r}; known: {', '.join(COMMANDS)}")
        return COMMANDS[words[0]](words[1:])
    except (UsageError, ConfigError, RunIdError, UnknownStudy) as error:
        return _fail(2, error)
    except RunBusy as error:
        return _fail(3, error)
    except ActionableError as error:
        return _fail(1, error)
    except BrokenPipeError:  # whoever read what we print, such as `head`, has read enough
        silence(sys.stdout)
        return 1


def _fail(code: int, error: ActionableError) -> int:
    with contextlib.suppress(OSError, ValueError):
        print(f"icm: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return code


def _help() -> str:
    lines = [f"  {name:<11}{command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join(
        ["usage: python -m icm COMMAND [OPTIONS]", "", *lines, "", "COMMAND --help tells the options."]
    )
