"""Keras's models."""

from minidl.keras.models.architecture import clone_model, model_from_json
from minidl.keras.models.model import Model
from minidl.keras.models.saving import load_model, save_model
from minidl.keras.models.sequential import Sequential

Functional = Model

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
