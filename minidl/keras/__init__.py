"""The Keras front door: Keras 3's names, arguments and defaults over minidl's own engine."""
