"""From the body of a request to checked columns, and the sentences for what is refused.

No sentence and no log line holds a value of a column: they name the column or the task, the place
and the type.
"""
