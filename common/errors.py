"""How a mistake is told."""


class UserError(Exception):
    """A mistake that the user can mend: the message says what was found, where, and what was expected."""
