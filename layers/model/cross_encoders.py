"""Read the description of a cross-encoder: a model that reads two texts together and gives one number, how well they fit.

It is an encoder with a classifier after it. A row of CLASSIFIERS says how a family's classifier names its tensors. What the library
applies to the number (`activation_fn`) is only written into the manifest: a request decides whether it is applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from handler.embedding.manifest import Activation
from layers.model import known_fields
from layers.model.activations import ENCODERS
from layers.model.configuration import Configuration, Unsupported, exists
from layers.model.modules import LIST, SETTINGS
from layers.model.transformer import Transformer

TASK = "ForSequenceClassification"
"""The end of the names of classes that have a classifier."""
KIND = "CrossEncoder"
"""The library's name of this kind of model, in config_sentence_transformers.json."""
OWN_FIELDS = ("sentence_transformers", "sbert_ce_default_activation_function")
"""The fields of config.json that only cross-encoders have."""
ACTIVATIONS: Mapping[str, Activation] = {"Sigmoid": "sigmoid", "Identity": "identity"}
"""The functions that the library applies to a cross-encoder's number: classes of torch.nn, and their names in the manifest."""
TRUSTED = "torch."
"""The library ignores an activation of any other package, and takes a Sigmoid."""
UNNAMED_LABELS = 2
"""The number of labels if config.json names none."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """One family's classifier: a linear layer on the first token's vector, its activation, and a linear layer to one number.

    norm: the name of the norm after the activation; "" without one.
    pooling: "cls" for the first token's vector, "mean" for the mean of all.
    dense_bias, norm_bias: whether the first linear layer and the norm have biases.
    is_configured: true if config.json decides about the activation, the pooling and these biases.
    """

    dense: str
    projection: str
    activation: str = "tanh"
    norm: str = ""
    pooling: str = "cls"
    dense_bias: bool = True
    norm_bias: bool = True
    is_configured: bool = False

    def configured(self, config: Configuration) -> Self:
        """Return the classifier that config.json describes.

        Raises:
            Unsupported: a field has a value that this builder does not know.
        """
        if not self.is_configured:
            return self
        config.check({"classifier_activation": (*ENCODERS, None), "classifier_pooling": (*POOLINGS, None)})
        return replace(
            self,
            activation=config.get("classifier_activation") or "gelu",
            pooling=config.get("classifier_pooling") or POOLINGS[0],
            dense_bias=config.flag("classifier_bias"),
            norm_bias=config.flag("norm_bias"),
        )

    def tensors(self, hidden: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its tensors, by their names in the checkpoint."""
        shapes: dict[str, tuple[int, ...]] = {
            f"{self.dense}.weight": (hidden, hidden),
            f"{self.projection}.weight": (1, hidden),
            f"{self.projection}.bias": (1,),
        }
        shapes |= {f"{self.dense}.bias": (hidden,)} if self.dense_bias else {}
        shapes |= {f"{self.norm}.weight": (hidden,)} if self.norm else {}
        return shapes | ({f"{self.norm}.bias": (hidden,)} if self.norm and self.norm_bias else {})


POOLINGS = ("cls", "mean")
"""The values of classifier_pooling, the default first."""
ROBERTA = Classifier("classifier.dense", "classifier.out_proj")
BERT = Classifier("pooler.dense", "classifier")
CLASSIFIERS: Mapping[str, Classifier] = {
    "bert": BERT,
    "gte": BERT,
    "new": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": ROBERTA,
    "distilbert": Classifier("pre_classifier", "classifier", "relu"),
    "electra": replace(ROBERTA, activation="gelu"),
    "modernbert": Classifier("head.dense", "classifier", norm="head.norm", is_configured=True),
}
"""The one table of classifiers, by the model_type of config.json."""


@dataclass(frozen=True, slots=True)
class CrossEncoder:
    """A cross-encoder: its classifier, and what the library applies to its number.

    `types` is true if its tokenizer gives the tokens of the second text another type than those of the first.
    """

    classifier: Classifier
    activation: Activation
    types: bool

    @classmethod
    def read(cls, transformer: Transformer, vectors: Configuration) -> Self:
        """Read a cross-encoder from the Transformer module and from config_sentence_transformers.json.

        Raises:
            Unsupported: it has several labels, another family, or an activation that this builder does not know.
        """
        config = transformer.config
        config.check({"model_type": tuple(CLASSIFIERS)})
        labels = _labels(config)
        if labels != 1:
            msg = f"config.json describes a cross-encoder of {labels} labels, and a reranker has one: take a model of one label"
            raise Unsupported(msg)
        return cls(CLASSIFIERS[transformer.model_type].configured(config), _activation(config, vectors), _has_types(transformer))


def recognizes(folder: Path) -> bool:
    """Return whether a folder has a cross-encoder.

    Without a list of modules, that is a model for classification with one label, or with fields that only cross-encoders have.
    """
    if exists(folder, LIST):
        return bool(Configuration.read(folder, SETTINGS, optional=True).get("model_type") == KIND)
    config = Configuration.read(folder, "config.json")
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else ""
    return str(first).endswith(TASK) and (_labels(config) == 1 or any(config.get(name) is not None for name in OWN_FIELDS))


def _labels(config: Configuration) -> int:
    labels = config.get("id2label")
    named = len(labels) if isinstance(labels, dict) and labels else UNNAMED_LABELS
    return config.number("num_labels", int, named, least=1, most=1_000_000)


def _activation(config: Configuration, vectors: Configuration) -> Activation:
    own, older = config.get(OWN_FIELDS[0]) or {}, config.get(OWN_FIELDS[1])
    if not isinstance(own, dict):
        config.refuse(OWN_FIELDS[0], "it must be an object")
    known_fields.CROSS_ENCODER.check(Configuration(f"config.json's {OWN_FIELDS[0]}", own))
    path = vectors.get("activation_fn") or own.get("activation_fn") or older
    if path is None or not str(path).startswith(TRUSTED):
        return ACTIVATIONS["Sigmoid"]
    name = str(path).rpartition(".")[2]
    if name not in ACTIVATIONS:
        msg = f"the cross-encoder's activation_fn is {path}; this builder knows {' and '.join(ACTIVATIONS)}"
        raise Unsupported(msg)
    return ACTIVATIONS[name]


TYPES = "token_type_ids"
WITH_TYPES = ("BertTokenizer", "ElectraTokenizer")
"""The tokenizers that give tokens a type if their configuration does not say which inputs they make."""


def _has_types(transformer: Transformer) -> bool:
    inputs = transformer.tokenizer.get("model_input_names")
    if inputs is None:
        return transformer.tokenizer_class.removesuffix("Fast") in WITH_TYPES
    return isinstance(inputs, list) and TYPES in inputs
