"""The tables of all known fields in a model's configuration files. Each is used, or changes no vector.

They make sure that a model is served exactly or not at all. A field in none of these tables is refused, whatever its value, because
it could change a vector. A field that is null counts as absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layers.model.configuration import Configuration

TOKEN = "_token"  # noqa: S105 - the end of a field's name
"""A tokenizer's field whose name ends with this names a token. special_tokens.py reads it."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The known fields of one type of file. `harmless` groups fields by the reason why they change no vector."""

    used: tuple[str, ...] = ()
    harmless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Fields that change no vector with these values, and are refused with any other."""
    tokens: bool = False
    """True if all fields whose names end with `_token` are known."""

    def known(self, name: str) -> bool:
        """Return whether a field is in one of the tables."""
        listed = (self.used, self.only, *self.harmless.values())
        return any(name in names for names in listed) or (self.tokens and name.endswith(TOKEN))

    def check(self, config: Configuration) -> None:
        """Refuse the first unknown field of a file.

        Raises:
            Unsupported: a field is unknown, or has a value that changes vectors.
        """
        for name, value in config.fields.items():
            if value is not None and not self.known(name):
                config.refuse(name, "this builder does not know what that does to a vector; delete the field if it does nothing")
        config.check({name: (*values, None) for name, values in self.only.items()})


HUB = ("cache_dir", "code_revision", "force_download", "local_files_only", "revision", "subfolder", "token", "trust_remote_code")
"""Fields that say where files are. The library sets them itself and ignores those in configuration files."""

MODULES = Fields(used=("idx", "name", "path", "type"), only={"kwargs": ([],)})
POOLING = Fields(
    used=(
        *("pooling_mode", "embedding_dimension", "word_embedding_dimension", "include_prompt"),
        *("pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens"),
        *("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"),
    )
)
DENSE = Fields(
    used=(
        *("in_features", "out_features", "bias", "activation_function"),
        *("module_input_name", "module_output_name", "use_residual"),
    )
)
DROPOUT = Fields(harmless={"done while training alone": ("dropout",)})
NORMALIZE = Fields(used=("module_input_name", "module_output_name"))
NORMALIZE_OF_TEXT = Fields(
    only={"module_input_name": ("sentence_embedding",), "module_output_name": ("sentence_embedding",)},
)
"""The fields of a Normalize module after a StaticEmbedding, which has no vectors of tokens."""
LAYER_NORM = Fields(used=("dimension",))
WORD_WEIGHTS = Fields(used=("vocab", "word_weights", "unknown_word_weight"))

SENTENCE_TRANSFORMERS = Fields(
    used=("prompts", "default_prompt_name", "similarity_fn_name", "model_type", "truncate_dim"),
    harmless={"of the libraries that saved the model": ("__version__", "requirements")},
)
"""The fields of config_sentence_transformers.json."""
CROSS_ENCODER_SETTINGS = Fields(
    used=("prompts", "default_prompt_name", "model_type", "activation_fn"),
    harmless={
        "of the libraries that saved the model": ("__version__", "requirements"),
        "how numbers are computed under autocast": ("keep_in_fp32_modules",),
    },
)
"""The fields of the same file of a cross-encoder."""
CROSS_ENCODER = Fields(used=("activation_fn",), harmless={"of the library that saved the model": ("version",)})
"""The fields of `sentence_transformers` in a cross-encoder's config.json."""

ARGUMENTS = {
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "config_args": "config_kwargs",
}
"""The fields of sentence_bert_config.json with arguments for transformers: the old and the new name of each."""
TRANSFORMER = Fields(
    used=(
        *("max_seq_length", "do_lower_case", "transformer_task", "module_output_name", "modality_config", "processing_kwargs"),
        *ARGUMENTS,
        *ARGUMENTS.values(),
    ),
    harmless={"how a batch is laid out in memory": ("unpad_inputs",)},
)
"""The fields of sentence_bert_config.json, or of the same file under an old name."""
MODEL_ARGUMENTS = Fields(
    harmless={
        "where files are found, which the library sets itself": HUB,
        "how numbers are stored, which PRECISION decides here": ("torch_dtype", "dtype"),
        "how the same result is computed": (
            *("attn_implementation", "device_map", "low_cpu_mem_usage", "max_memory", "offload_folder", "use_safetensors"),
            *("unpad_inputs", "use_memory_efficient_attention", "use_flash_attn", "reference_compile"),
        ),
        "a layer after the token vectors, which Pooling does not read": ("add_pooling_layer",),
    },
)

MODEL2VEC = Fields(
    used=("model_type", "normalize", "max_length"),
    harmless={
        "how the table was made from an encoder": (
            *("apply_pca", "apply_zipf", "sif_coefficient", "seq_length", "pooling", "tokenizer_name", "vocabulary_quantization"),
        ),
        "what the tensors themselves say": ("hidden_dim", "embedding_dtype"),
        "of heads after the table": ("architectures", "head_config"),
        "names and versions": ("transformers_version", "_name_or_path"),
    },
)
"""The fields of config.json in a folder of Model2Vec without modules.json."""

ENCODER = Fields(
    used=(
        *("model_type", "tokenizer_class", "vocab_size", "max_position_embeddings", "pad_token_id"),
        *("position_embedding_type", "is_decoder", "auto_map", "matryoshka_dimensions"),
        *("sentence_transformers", "sbert_ce_default_activation_function"),
    ),
    harmless={
        "done while training alone": (
            *(
                "attention_probs_dropout_prob",
                "hidden_dropout_prob",
                "classifier_dropout",
                "initializer_range",
                "initializer_factor",
            ),
            *("attention_dropout", "dropout", "qa_dropout", "seq_classif_dropout", "gradient_checkpointing", "layerdrop"),
        ),
        "how the same result is computed or handed out": (
            *("use_cache", "chunk_size_feed_forward", "output_attentions", "output_hidden_states", "return_dict", "output_past"),
            *(
                "torchscript",
                "torch_dtype",
                "dtype",
                "use_bfloat16",
                "tf_legacy_loss",
                "_attn_implementation_autoset",
                "use_return_dict",
            ),
            *("_attn_implementation", "attn_implementation", "return_dict_in_generate", "output_scores"),
        ),
        "of heads after the encoder": (
            *("architectures", "id2label", "label2id", "num_labels", "_num_labels", "problem_type", "finetuning_task"),
            *("task_specific_params", "tie_word_embeddings", "tie_weights_", "tie_encoder_decoder", "directionality"),
            *("pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type"),
            "summary_type",
        ),
        "of generating text": (
            *("bos_token_id", "eos_token_id", "sep_token_id", "decoder_start_token_id", "max_length", "min_length", "do_sample"),
            *("early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p"),
            *("repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
            *("num_return_sequences", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values"),
            *("exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "prefix"),
        ),
        "of truncating vectors, which a request asks for": ("is_matryoshka",),
        "names and versions": (
            "_name_or_path",
            "name_or_path",
            "transformers_version",
            "_commit_hash",
            "model_name",
            "_from_model_config",
        ),
        "how position tables were first filled, which the weights have": ("sinusoidal_pos_embds",),
    },
    only={
        "is_encoder_decoder": (False,),
        "add_cross_attention": (False,),
        "cross_attention_hidden_size": (),
        "pruned_heads": ({},),
    },
)
"""The fields of config.json that all families have that are written from weights.

Each family has further ones (architectures.py).
"""

TOKENIZER = Fields(
    used=(
        *("tokenizer_class", "auto_map", "do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space"),
        *("model_max_length", "max_len", "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens"),
        *("add_bos_token", "add_eos_token"),
    ),
    harmless={
        "of padding, which is not done here": (
            *("padding_side", "pad_to_multiple_of", "pad_token_type_id", "padding", "max_length", "stride", "truncation"),
            *(
                "truncation_strategy",
                "return_token_type_ids",
                "model_input_names",
                "max_len_single_sentence",
                "max_len_sentences_pair",
            ),
        ),
        "of turning tokens into text": (
            *(
                "clean_up_tokenization_spaces",
                "spaces_between_special_tokens",
                "errors",
                "trim_offsets",
                "decode_with_prefix_space",
            ),
            *("skip_special_tokens",),
        ),
        "of chats": ("chat_template", "use_default_system_prompt", "response_schema"),
        "of tokenizers without a tokenizer.json": (
            *("vocab_file", "merges_file", "tokenizer_file", "special_tokens_map_file", "from_slow", "use_fast", "legacy"),
            "never_split",  # which transformers' tokenizers in Rust ignore, whatever the file
            *("do_basic_tokenize", "full_tokenizer_file", "vocab_size", "keep_accents", "remove_space", "split_by_punct"),
            *("sp_model_kwargs", "vocab_type", "do_subword_tokenize", "extra_ids"),
        ),
        "where files are found, which the library sets itself": HUB,
        "names and versions": ("name_or_path", "processor_class", "backend", "is_local", "transformers_version", "_commit_hash"),
        "of printing": ("verbose",),
    },
    only={
        "truncation_side": ("right",),
        "split_special_tokens": (False,),
        "fix_mistral_regex": (False,),
        "wordpieces_prefix": ("##",),
    },
    tokens=True,
)
"""The fields of tokenizer_config.json."""
