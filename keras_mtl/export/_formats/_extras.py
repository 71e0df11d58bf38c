"""Optional packages."""

import importlib
from typing import Any


def import_extra(module: str, extra: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: The name of the module, such as `"onnxruntime"`.
        extra: The extra of this package that installs it.

    Raises:
        ImportError: If the package is not installed; the message says how to install it.

    Example:
        >>> import_extra("json", "onnx").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package!r} is not installed; install it with: pip install 'keras_mtl[{extra}]'."
        ) from error
