"""Reads TensorBoard's event files, without TensorBoard and without its checksums."""

import struct


def read_events(folder):
    """{name: [(step, value), ...]} of all event files in `folder`; the value of a histogram is its protocol buffer."""
    from tensorboardX.proto.event_pb2 import Event

    curves = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        content = file.read_bytes()
        while content:  # a record: its length in 8 bytes, checksum 4, the event, checksum 4
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[12 + length + 4 :]
            for value in event.summary.value:
                point = value.histo if value.HasField("histo") else value.simple_value
                curves.setdefault(value.tag, []).append((event.step, point))
    return curves
