"""keras.saving: models in files."""

from minidl.keras.models.saving import load_model, save_model

__all__ = ["load_model", "save_model"]
