"""Keras's names over minidl's engine: a Keras 3 script within the supported part runs with its imports changed."""
