"""Keras's names that are not here, and what to use instead: importing one says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

SEQUENCES = "minidl is about images; there are no layers for sequences"
ONE_OR_THREE = "images have two dimensions; for one, use the 2D layer on (n, length, 1, channels)"
AUGMENTATION = "use RandomFlip, RandomCrop or RandomBrightness, or the augmentation steps of minidl.data"
PREPARE = "prepare the data with NumPy, before they come into the network"
FILTERS = "use Conv2D(groups=...), or Conv2D with kernel_size=1 behind it"
TO_BE_WRITTEN = "write a Layer of your own with call(inputs)"
POOLS = "use AveragePooling2D or MaxPooling2D, or minidl's own AdaptiveMeanPool and AdaptiveMaxPool"
OWN = "minidl.functions has the functions on tensors"


def spelled(hint: str, names: str) -> dict[str, str]:
    """The same hint for several names."""
    return dict.fromkeys(names.split(), hint)


LAYERS = {
    **spelled(SEQUENCES, """AdditiveAttention Attention Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D Embedding GRU
        GRUCell GroupQueryAttention LSTM LSTMCell Masking MelSpectrogram MultiHeadAttention RNN RepeatVector
        ReversibleEmbedding STFTSpectrogram SimpleRNN SimpleRNNCell StackedRNNCells TextVectorization
        TimeDistributed"""),
    **spelled(ONE_OR_THREE, """AdaptiveAveragePooling1D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
        AdaptiveMaxPooling3D AveragePooling1D AveragePooling3D AvgPool1D AvgPool3D Conv1D Conv1DTranspose Conv3D
        Conv3DTranspose Convolution1D Convolution1DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping3D
        DepthwiseConv1D GlobalAveragePooling1D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool3D GlobalMaxPool1D
        GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling3D MaxPool1D MaxPool3D MaxPooling1D MaxPooling3D
        SeparableConv1D SeparableConvolution1D SpatialDropout1D SpatialDropout3D UpSampling1D UpSampling3D
        ZeroPadding1D ZeroPadding3D"""),
    **spelled(AUGMENTATION, """AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
        MaxNumBoundingBoxes MixUp Pipeline RandAugment RandomColorDegeneration RandomColorJitter RandomContrast
        RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
        RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
        RandomTranslation RandomZoom Solarization"""),
    **spelled(PREPARE, """CategoryEncoding CenterCrop Discretization HashedCrossing Hashing IntegerLookup Resizing
        StringLookup"""),
    **spelled(FILTERS, "DepthwiseConv2D SeparableConv2D SeparableConvolution2D"),
    **spelled(POOLS, "AdaptiveAveragePooling2D AdaptiveMaxPooling2D"),
    **spelled("use Dropout", "AlphaDropout GaussianDropout GaussianNoise"),
    **spelled("use BatchNormalization, LayerNormalization or GroupNormalization",
              "RMSNormalization SpectralNormalization UnitNormalization"),
    **spelled("give the weights a kernel_regularizer", "ActivityRegularization"),
    **spelled("leave it out; the layers behind each other do without", "Identity InputSpec"),
    **spelled(TO_BE_WRITTEN, """Dot EinsumDense FlaxLayer JaxLayer Lambda TFSMLayer TorchModuleWrapper Wrapper
        deserialize dot serialize"""),
}  # fmt: skip

UTILS = {
    **spelled("give fit() anything that gives batches (x, y), such as minidl.data.DataLoader", """PyDataset Sequence
        audio_dataset_from_directory image_dataset_from_directory pack_x_y_sample_weight split_dataset
        text_dataset_from_directory timeseries_dataset_from_array unpack_x_y_sample_weight"""),
    **spelled("use Pillow and numpy.asarray", "array_to_img img_to_array load_img save_img"),
    **spelled("give your classes to load_model(custom_objects=...)", """CustomObjectScope custom_object_scope
        deserialize_keras_object get_custom_objects get_registered_name get_registered_object
        register_keras_serializable serialize_keras_object"""),
    **spelled("use verbose=0", """disable_interactive_logging enable_interactive_logging
        is_interactive_logging_enabled"""),
    **spelled("use plot_model, which needs no graphviz", "model_to_dot"),
    **spelled(PREPARE, "FeatureSpace bounding_boxes pad_sequences"),
    **spelled("there is nothing like it", "Config get_source_inputs is_keras_tensor legacy standardize_dtype"),
}  # fmt: skip

CALLBACKS = {
    "OrbaxCheckpoint": "ModelCheckpoint or BackupAndRestore saves",
    "RemoteMonitor": "LambdaCallback(on_epoch_end=...) can send the logs",
    "SwapEMAWeights": "keep averages of model.get_weights() in a Callback of your own",
}

DATASETS = spelled(
    "use cifar10, mnist or digits", "boston_housing california_housing cifar100 fashion_mnist imdb reuters"
)

KERAS = {
    **spelled(OWN, "Function Operation Variable ops random tree"),
    **spelled("use regularizers, or clipnorm of the optimizer", "constraints"),
    **spelled("everything is float32", """DTypePolicy FloatDTypePolicy Quantizer dtype_policies mixed_precision
        quantizers"""),
    **spelled("minidl.keras.networks has VGG, ResNet and smaller ones, without weights", "applications"),
    **spelled("minidl.use_backend() says where tensors are", "config device distribution name_scope"),
    **spelled("use minidl export, or minidl.interchange", "export"),
    **spelled("there is nothing like it", """InputSpec RematScope StatelessScope SymbolicScope distillation legacy
        preprocessing remat src version visualization wrappers"""),
}  # fmt: skip


def refusing(module: str, names: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """A module's __getattr__. An AttributeError would lose its words in `from ... import`."""

    def refuse(name: str) -> NoReturn:
        if name in names:
            raise NotImplementedError(f"{module}: Keras's {name} is not supported; {names[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return refuse
