"""Arguments that Keras's layers take and these do not, with what to use instead."""

from collections.abc import Mapping

NOT_SUPPORTED = {
    "activity_regularizer": "add a regularizer to the weights: kernel_regularizer=",
    "kernel_constraint": "limit gradients with clipnorm= of the optimizer, or weights with kernel_regularizer=",
    "bias_constraint": "limit gradients with clipnorm= of the optimizer, or weights with bias_regularizer=",
    "beta_constraint": "use beta_regularizer=",
    "gamma_constraint": "use gamma_regularizer=",
    "alpha_constraint": "use alpha_regularizer=",
    "lora_rank": "train all weights, or freeze layers with trainable=False",
    "lora_alpha": "train all weights, or freeze layers with trainable=False",
    "quantization_config": "the weights are float32",
    "renorm": "use plain batch normalization",
    "renorm_clipping": "use plain batch normalization",
    "renorm_momentum": "use plain batch normalization",
    "rms_scaling": "use plain layer normalization",
    "synchronized": "there is one device",
}
WITHOUT_EFFECT = (None, False, 0.99)  # what Keras writes into its files for arguments that were not given


def check_unsupported(layer: str, given: Mapping[str, object]) -> None:
    """TypeError for arguments that Keras does not know, NotImplementedError for those that do something there."""
    for argument, value in given.items():
        if argument not in NOT_SUPPORTED:
            raise TypeError(f"{layer}: unknown argument {argument!r}")
        if value not in WITHOUT_EFFECT:
            raise NotImplementedError(f"{layer}: {argument} is not supported; {NOT_SUPPORTED[argument]}")
