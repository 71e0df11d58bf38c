"""A folder of TensorBoard's events, by TensorBoard's own writer."""

import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import summary_v2 as scalar_summary
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util


class EventFolder:
    """Writes the events of one run into a new file of its folder.

    Args:
        folder: The folder.
        first: The first step of this file. TensorBoard drops events of older files in the folder
            from this step on, so that a killed run that goes on shows no epoch twice.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._writer = EventFileWriter(str(folder))
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._writer.add_event(
            event_pb2.Event(wall_time=time.time(), step=first, session_log=start)
        )

    def add(self, summary: Any, step: int) -> None:
        """Writes a summary of TensorBoard or TensorFlow."""
        # Both have messages of this form, but of different classes.
        copied = summary_pb2.Summary.FromString(summary.SerializeToString())
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=copied))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Writes a number."""
        self.add(scalar_summary.scalar_pb(tag, value), step)

    def add_text(self, tag: str, text: str, step: int) -> None:
        """Writes a text."""
        self.add(text_summary.text_pb(tag, text), step)

    def add_image(self, tag: str, png: bytes, size: tuple[int, int], step: int) -> None:
        """Writes one image, with its width and height in dots."""
        width, height = (str(length).encode() for length in size)
        metadata = image_metadata.create_summary_metadata(
            display_name=tag, description="", converted_to_tensor=True
        )
        tensor = tensor_util.make_tensor_proto([width, height, png], dtype="string")
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self.add(summary_pb2.Summary(value=[value]), step)

    def flush(self) -> None:
        """Writes out what is still in memory."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()
