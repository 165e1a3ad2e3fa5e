"""The one error class for a user's mistake."""


class InputError(ValueError):
    """Bad input: one clear line that names the file, field or flag and what to do.

    Entry points print the message without a traceback and stop with exit code 2.
    """
