"""The one kind of error that a person can act on; all that a page or the command line tells in one line derives from it."""


class ActionableError(Exception):
    """Something is wrong that a person can mend: the message is one sentence with the value, the place and the remedy.

    Every other exception is a mistake of ours and keeps its traceback."""
