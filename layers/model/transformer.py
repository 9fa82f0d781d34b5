"""Read the Transformer module's configuration files: config.json, sentence_bert_config.json and those of the tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layers.model import architectures, known_fields
from layers.model.architectures import LIMITS
from layers.model.configuration import Configuration, Unsupported, exists
from layers.model.known_fields import ARGUMENTS, HUB

SENTENCE_CONFIGS = tuple(
    f"sentence_{name}_config.json" for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""The names of the Transformer module's own file. Older versions of the library had one for each family."""
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
ADAPTER = "adapter_config.json"
UNLIMITED = 10**9
VECTORS, SCORES = "feature-extraction", "sequence-classification"
TASKS: Mapping[str, tuple[str, str]] = {VECTORS: ("token_embeddings", "last_hidden_state"), SCORES: ("scores", "logits")}
"""The tasks of a Transformer module, the default first: the name of its result, and what it takes from the model."""
HIDDEN = ("hidden_size", "dim", "d_model", "n_embd")
"""The fields of config.json that can have the length of the encoder's vectors."""

CLASSES: Mapping[str, str] = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
}
"""The class of a family's tokenizer if no file names one."""


@dataclass(frozen=True, slots=True)
class Transformer:
    """One Transformer module. Arguments in its own file have been applied to the other files.

    `config_arguments` are those that were applied to config.json.
    """

    folder: Path
    config: Configuration
    sentence: Configuration
    tokenizer: Configuration
    config_arguments: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, *, listed: bool = True, task: str = VECTORS) -> Self:
        """Read the files in the module's folder. Without a list of modules (`listed`), the module's own file is ignored.

        `task` is the module's task, by its name in TASKS.

        Raises:
            Unsupported: a file is missing, or has a value that this builder does not know.
        """
        if exists(folder, ADAPTER):
            msg = f"{ADAPTER} is in {folder}: an adapter's weights are not added here; merge it into the model and save that"
            raise Unsupported(msg)
        sentence = _sentence_config(folder, task) if listed else Configuration(SENTENCE_CONFIGS[0], {})
        known_fields.MODEL_ARGUMENTS.check(Configuration(f"{sentence.name}'s model_args", _arguments(sentence, "model_args")))
        arguments = _arguments(sentence, "config_args")
        config = Configuration.read(folder, "config.json").updated(arguments, f"{sentence.name}'s config_args")
        tokenizer = Configuration.read(folder, TOKENIZER_CONFIG, optional=True)
        if tokenizer.get("added_tokens_decoder") is None:  # if it is there, it has the tokens of the other file, too
            named = Configuration.read(folder, SPECIAL_TOKENS, optional=True).fields
            tokenizer = tokenizer.updated(named, SPECIAL_TOKENS)
        tokenizer = tokenizer.updated(_arguments(sentence, "tokenizer_args"), f"{sentence.name}'s tokenizer_args")
        known_fields.TOKENIZER.check(tokenizer)
        return cls(folder, config, sentence, tokenizer, arguments)

    @property
    def model_type(self) -> str:
        """The family's name."""
        return self.config.text("model_type") or "unknown"

    @property
    def tokenizer_class(self) -> str:
        """The name of the class that reads the tokenizer's files."""
        return self.tokenizer.text("tokenizer_class") or self.config.text("tokenizer_class") or CLASSES.get(self.model_type, "")

    @property
    def vocabulary(self) -> int:
        """The number of tokens that the model has rows for."""
        return self._size("vocab_size")

    @property
    def positions(self) -> int:
        """The number of tokens that the model has positions for."""
        architecture = architectures.find(self.config)
        field = architecture.name("max_position_embeddings") if architecture else "max_position_embeddings"
        offset = self._size("pad_token_id") + 1 if architecture and architecture.positions_after_padding else 0
        return self.config.number(field, int, UNLIMITED, least=1, most=UNLIMITED) - offset

    def hidden(self) -> int:
        """Return the length of the encoder's vectors."""
        field = next((name for name in HIDDEN if self.config.get(name) is not None), HIDDEN[0])
        return self.config.number(field, int, least=1, most=LIMITS["hidden_size"][1])

    def default_pooling(self) -> str:
        """Return the library's pooling mode if no file names one: lasttoken for models that generate text, else mean."""
        architectures = self.config.get("architectures")
        first = architectures[0] if isinstance(architectures, list) and architectures else ""
        generates = str(first).endswith("ForCausalLM") and self.config.flag("is_causal", default=True)
        return "lasttoken" if generates else "mean"

    def tasks(self) -> tuple[str, ...]:
        """Return the names of the tasks that the model has weights for."""
        named = self.config.get("lora_adaptations") or []
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            self.config.refuse("lora_adaptations", "it must be a list of names")
        return tuple(named)

    def limit(self) -> int | None:
        """Return how many tokens a text may have: the first limit in the files, or the number of positions if that is smaller."""
        arguments = Configuration(self.tokenizer.name, _arguments(self.sentence, "tokenizer_args"))
        sources = (
            *((arguments, "model_max_length"), (self.sentence, "max_seq_length")),
            *((self.tokenizer, "model_max_length"), (self.tokenizer, "max_len")),
        )
        given = [source.number(field, float, least=1) for source, field in sources if source.get(field) is not None]
        limit = int(min([*given[:1], self.positions]))  # a tokenizer without a limit says 1e30
        return limit if 0 < limit < UNLIMITED else None

    def _size(self, field: str) -> int:
        least, most = LIMITS[field]
        return self.config.number(field, int, least=least, most=most)


def _sentence_config(folder: Path, task: str) -> Configuration:
    present = [name for name in SENTENCE_CONFIGS if exists(folder, name)]
    config = Configuration.read(folder, (present or SENTENCE_CONFIGS)[0], optional=True)
    known_fields.TRANSFORMER.check(config)
    result, source = TASKS[task]
    config.check({"transformer_task": (task, *([None] if task == VECTORS else [])), "module_output_name": (result, None)})
    modalities = config.get("modality_config")
    expected = {"method": "forward", "method_output_name": source}
    if modalities is not None and (not isinstance(modalities, dict) or modalities.get("text") != expected):
        config.refuse("modality_config", f"this builder knows text through forward's {source}")
    if config.get("processing_kwargs"):
        config.refuse("processing_kwargs", "this builder knows none")
    return config


def _arguments(sentence: Configuration, name: str) -> dict[str, Any]:
    """Return the arguments that the module's file has under a name or its newer name, without those that the library sets."""
    field = name if sentence.get(name) is not None else ARGUMENTS[name]
    arguments = sentence.get(field) or {}
    if not isinstance(arguments, dict):
        sentence.refuse(field, "it must be an object")
    return {key: value for key, value in arguments.items() if key not in HUB}
