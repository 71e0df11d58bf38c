"""Refusals of a request, with a status and a sentence."""

from typing import Any


class Refusal(Exception):
    """Says why a request is not answered.

    Args:
        status: The status of HTTP.
        kind: One word for logs and metrics, such as `"shape"`.
        sentence: What is wrong and how to correct it, without any value of a column.
        column: The column of the model whose value is refused; empty if it is something else.

    Example:
        >>> Refusal(400, "columns", "column 'age' is missing.").status
        400
    """

    def __init__(self, status: int, kind: str, sentence: str, column: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind
        self.sentence = sentence
        self.column = column


def quote(name: Any) -> str:
    """Returns a name that a client sent, shortened and with all special characters escaped.

    What is no text is described by its type: it could hold a value of a column.
    """
    if not isinstance(name, str):
        return f"({name_type(name)})"
    text = name
    return ascii(text if len(text) <= 64 else text[:61] + "...")


def name_type(value: Any) -> str:
    """Returns the JSON type of a value in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    names |= {int: "an integer", float: "a number with a fraction", type(None): "null"}
    return names.get(type(value), "an unknown type")
