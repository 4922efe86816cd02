"""The base class of all errors that a person can act on. A page or the command line tells such an error in one line."""


class ActionableError(Exception):
    """Something is wrong that a person can mend: the message is one sentence with the value, the place and the remedy.

    Every other exception is a mistake of ours and keeps its traceback."""
