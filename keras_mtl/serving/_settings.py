"""What a server accepts and how it runs."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds what one request may ask for; a request beyond a bound is refused with a sentence.

    Choose smaller bounds where the columns are known to be small, and larger ones for images or
    long texts. A proxy in front of the server should hold the same bound of the body.

    Args:
        rows: The largest number of rows in a request.
        body_bytes: The largest body of a request, in bytes.
        number: The largest absolute value of an entry of a float column. NaN and infinity are
            always refused. An absurd value such as 1e30 would be answered with a plausible
            probability.
        range_widths: How far outside of the range of a column a number may lie, in widths of this
            range: on an age between 17 and 90 a width is 73, and 100 of them allow -7283 to 7390.
            Ranges are those of the rows of `write_reference`; columns that it did not see, or saw
            constant, have the bound `number` alone. Numbers outside of the range, but not beyond
            this bound, are answered and counted per column.
        string_bytes: The longest string of a column, in bytes of UTF-8.
        waiting_rows: How many rows may wait for the model. Further requests are answered with
            status 503 until the model has caught up.
        body_seconds: How long a client may take to send the body.
        header_bytes: The most bytes of an address with its headers; status 431 beyond. It holds for
            the command: another ASGI server has a bound of its own.

    Example:
        >>> Limits(rows=64).rows
        64
    """

    rows: int = 1024
    body_bytes: int = 1 << 20
    number: float = 1e12
    range_widths: float = 100.0
    string_bytes: int = 256
    waiting_rows: int = 8192
    body_seconds: float = 10.0
    header_bytes: int = 16384

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive; received {value!r}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Says how a server runs.

    Args:
        name: The name of the model in addresses; the name of the folder if it is empty.
        poll_seconds: How often the folder is looked at for a new version.
        batch_rows: The largest number of rows that are computed together.
        batch_seconds: How long the first waiting request waits for further ones. 0 computes
            whatever is waiting as soon as the model is free, which is best for small models.
        threads: Threads of the runtime for one batch.
        tensorflow: Whether a version without a model.onnx is loaded by TensorFlow; it is refused
            otherwise.
        public_keys: PEM files with Ed25519 keys. A version is refused unless `export.sign` signed
            it with one of their private keys; two keys while one is replaced by the other. Needs
            the extra `sign`. Defaults to none: signatures are not looked at.
        log_requests: Whether each answered request is logged, without any value of a column.

    Example:
        >>> Settings(name="census").poll_seconds
        1.0
    """

    name: str = ""
    poll_seconds: float = 1.0
    batch_rows: int = 256
    batch_seconds: float = 0.0
    threads: int = 1
    tensorflow: bool = False
    public_keys: tuple[str, ...] = ()
    log_requests: bool = False

    def __post_init__(self) -> None:
        for name in ("poll_seconds", "batch_rows", "threads"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; received {getattr(self, name)!r}.")
        if not self.batch_seconds >= 0:
            raise ValueError(f"batch_seconds must not be negative; received {self.batch_seconds}.")
