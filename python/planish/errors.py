"""What planish raises besides TypeError, ValueError and OSError."""


class Error(Exception):
    """The base of all errors below."""


class CompileError(Error):
    """A model or an option that cannot be compiled; the text names the node, file or option."""

    exit_code: int = 1
    """What command lines exit with for this kind of problem: see docs/cli.md."""


class UnsupportedError(CompileError):
    """The model needs operators or the target features that Planish does not have; the text lists all of them."""


class LoadError(Error):
    """A directory that holds no compiled model, one of another version, or one for another kind of CPU."""


class RunError(Error):
    """The model itself refused its data, for example a size beyond its bound."""
