"""The error of a version that must not be served."""


class RefusedVersion(ValueError):
    """Says why a version must not be loaded or served.

    A server that meets it keeps the version that it has.

    Example:
        >>> issubclass(RefusedVersion, ValueError)
        True
    """
