"""What may be wrong with what a user gives, and ends a command in a line."""

#: A command says what it is, with status 1; others are mistakes of ours.
EXPECTED = (ValueError, FileNotFoundError, PermissionError, ImportError)
