"""What can be wrong with a run: each message is one sentence with the value and the remedy."""

from icm.errors import ActionableError

START_ANEW = "what it has so far can still be looked at; train another run like it to go on"


class StoreError(ActionableError):
    """A run that cannot be found, read or written."""


class RunIdError(StoreError):
    """Text that cannot be the name of a run, or a name that is a link."""


class RunBusy(StoreError):
    """The run is already being trained or started, or another run is just being made."""
