"""The command line of the server."""

import argparse
import dataclasses
import logging
import pathlib
from collections.abc import Sequence

from keras_mtl.serving._settings import Limits, Settings

_HELP = {
    "name": "name of the model in addresses; the name of the folder by default",
    "poll_seconds": "how often the folder is looked at for a new version",
    "batch_rows": "largest number of rows that are computed together",
    "batch_seconds": "how long the first waiting request waits for further ones",
    "threads": "threads of the runtime for one batch",
    "public_keys": "PEM files with the keys that may sign versions; with none, any is taken",
    "tensorflow": "load versions without a model.onnx by TensorFlow",
    "log_requests": "log each answered request, without values of columns",
    "rows": "largest number of rows in a request",
    "body_bytes": "largest body of a request",
    "number": "largest absolute value in a float column",
    "range_widths": "how far outside of its range in the reference a number may lie, in widths",
    "string_bytes": "longest string in a column, in bytes",
    "waiting_rows": "rows that may wait before further requests get status 503",
    "body_seconds": "how long a client may take to send the body",
    "header_bytes": "most bytes of an address with its headers",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves the newest version of a folder until it is interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    values = vars(options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        import uvicorn

        from keras_mtl.serving._http._app import Application
        from keras_mtl.serving._http._protocol import bound_headers
    except ImportError as error:
        raise SystemExit(
            f"{error.name} is missing: the server needs the extra `serve`, "
            'pip install "keras_mtl[serve]".'
        ) from error
    try:
        values["public_keys"] = tuple(values["public_keys"])
        settings = Settings(**{name: values[name] for name in _names(Settings)})
        limits = Limits(**{name: values[name] for name in _names(Limits)})
        application = Application(options.folder, settings, limits)
    except (ValueError, ImportError, FileNotFoundError) as error:
        parser.error(str(error))
    uvicorn.run(
        application,
        host=options.host,
        port=options.port,
        http=bound_headers(application.metrics, limits.header_bytes),
        log_level="warning",
        # Paths and queries are text of clients, and do not belong into a log.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def _names(kind: type[Settings] | type[Limits]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_mtl.serve",
        description="Serves the newest version of an exported model, without TensorFlow.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=pathlib.Path, help="folder with the versions of the model")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8000, help="port to listen at")
    for field in (*dataclasses.fields(Settings), *dataclasses.fields(Limits)):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true", help=_HELP[field.name])
        elif isinstance(field.default, tuple):
            parser.add_argument(option, nargs="+", default=field.default, help=_HELP[field.name])
        else:
            parser.add_argument(
                option, type=type(field.default), default=field.default, help=_HELP[field.name]
            )
    return parser
