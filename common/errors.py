"""How a program ends: with a mistake that is told in a line, and with what it has to give back."""

import contextlib

# What has to be given back when a program ends, however it ends.
at_end = contextlib.ExitStack()


class UserError(Exception):
    """A mistake that the user can mend: the message says what was found, where, and what was expected."""
