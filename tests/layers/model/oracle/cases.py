"""The table of reference models: each has a network, the modules after it, and a change to the saved folder."""

import numpy as np
import torch
from sentence_transformers import models as modules

from tests.layers.model.oracle import changes, exports, networks, static
from tests.layers.model.oracle.case import TEXTS, Case
from tests.layers.model.oracle.family_cases import FAMILY_CASES

ALL_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")

PROMPTS = {"prompts": {"query": "query: ", "document": "Represent this, please: "}, "default_prompt_name": "document"}

FEW = (TEXTS[2], TEXTS[3], TEXTS[-1])

ENCODER_ACTIVATIONS = (
    *("gelu_new", "gelu_fast", "gelu_accurate", "gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh", "quick_gelu"),
    *("relu", "relu6", "leaky_relu", "silu", "swish", "hardswish", "mish", "tanh", "sigmoid", "linear"),
)

DENSE_ACTIVATIONS = (
    *("ReLU", "Sigmoid", "SiLU", "LeakyReLU", "Softmax", "ELU", "SELU", "CELU", "Softplus", "Softsign", "Softmin", "LogSoftmax"),
    *("LogSigmoid", "Hardtanh", "Hardsigmoid", "Hardswish", "ReLU6", "Mish", "Tanhshrink", "Hardshrink", "Softshrink"),
)

CASES: dict[str, Case] = {
    "bert": Case(networks.bert, normalize=True),
    "distilbert": Case(networks.distilbert, normalize=True),
    "mpnet": Case(networks.mpnet, normalize=True),
    "mpnet-far": Case(lambda: networks.mpnet(300), limit=256),
    "roberta": Case(networks.roberta, normalize=True),
    # Without a limit the library runs out of positions, which begin after the padding token's id.
    "roberta-unlimited": Case(networks.roberta, limit=None, longest=networks.POSITIONS - 2),
    "xlm-roberta": Case(networks.xlm_roberta, normalize=True),
    "camembert": Case(lambda: networks.xlm_roberta("Camembert"), normalize=True),
    **{f"pooling-{mode}": Case(networks.bert, pooling={"pooling_mode": mode}) for mode in ALL_MODES if mode != "mean"},
    "pooling-all": Case(networks.bert, pooling={"pooling_mode": ALL_MODES}),
    "older-pooling": Case(networks.bert, change=changes.older_pooling(cls_token=True, max_tokens=True, lasttoken=True)),
    "older-modules": Case(networks.bert, change=changes.older_modules),
    "dense": Case(
        networks.bert,
        dense=(
            {"in_features": networks.HIDDEN, "out_features": 48},
            {"in_features": 48, "out_features": 16, "bias": False, "activation_function": torch.nn.Identity()},
            {"in_features": 16, "out_features": 24, "activation_function": torch.nn.GELU()},
        ),
        normalize=True,
    ),
    "prompts": Case(networks.bert, prompts=PROMPTS),
    "without-prompt": Case(networks.bert, pooling={"pooling_mode": ALL_MODES, "include_prompt": False}, prompts=PROMPTS),
    "without-prompt-dense": Case(
        networks.roberta,
        pooling={"pooling_mode": "mean", "include_prompt": False},
        dense=({"in_features": networks.HIDDEN, "out_features": 16},),
        prompts=PROMPTS,
    ),
    "lowercase": Case(networks.bert, change=changes.lowercase),
    "lowercase-tokenizer": Case(networks.bert, change=changes.fields("tokenizer_config.json", do_lower_case=True)),
    "lowercase-default": Case(networks.bert, change=changes.fields("tokenizer_config.json", do_lower_case=None)),
    "accents": Case(
        networks.bert, change=changes.fields("tokenizer_config.json", strip_accents=True, tokenize_chinese_chars=False)
    ),
    "prefix-space": Case(networks.roberta, change=changes.fields("tokenizer_config.json", add_prefix_space=True)),
    "no-limit": Case(networks.bert, limit=None, change=changes.fields("tokenizer_config.json", model_max_length=None)),
    "bfloat16": Case(networks.bert, change=changes.in_bfloat16),
    "shards": Case(networks.bert, change=changes.in_shards),
    "head": Case(networks.bert, change=changes.with_a_head),
    "pickle": Case(networks.bert, change=changes.in_a_pickle),
    "pickle-shards": Case(
        networks.bert, dense=({"in_features": networks.HIDDEN, "out_features": 16},), change=changes.in_older_pickles
    ),
    "config-arguments": Case(
        networks.bert,
        change=changes.fields(
            "sentence_bert_config.json", config_args={"num_hidden_layers": 1, "layer_norm_eps": 0.5, "use_cache": True}
        ),
    ),
    "config-keywords": Case(
        networks.mpnet, change=changes.fields("sentence_bert_config.json", config_kwargs={"layer_norm_eps": 0.5})
    ),
    "tokenizer-arguments": Case(
        networks.bert,
        limit=None,
        change=changes.fields(
            "sentence_bert_config.json",
            max_seq_length=20,
            tokenizer_args={"model_max_length": 12, "do_lower_case": True, "strip_accents": False, "padding_side": "left"},
        ),
    ),
    "tokenizer-keywords": Case(
        networks.roberta, change=changes.fields("sentence_bert_config.json", processor_kwargs={"add_prefix_space": True})
    ),
    "model-arguments": Case(
        networks.bert,
        change=changes.fields("sentence_bert_config.json", model_args={"torch_dtype": "float16", "attn_implementation": "eager"}),
    ),
    "tokenizer-class": Case(
        networks.roberta_of_word_pieces,
        change=lambda folder: (
            changes.fields("tokenizer_config.json", tokenizer_class=None, do_lower_case=True)(folder),
            changes.fields("config.json", tokenizer_class="BertTokenizer")(folder),
        ),
    ),
    "tokens": Case(networks.padded_bert, change=changes.more_tokens),
    "truncated": Case(networks.bert, change=changes.fields("config_sentence_transformers.json", truncate_dim=12)),
    "truncated-dense": Case(
        networks.bert,
        dense=({"in_features": networks.HIDDEN, "out_features": 16},),
        change=changes.fields("config_sentence_transformers.json", truncate_dim=5),
    ),
    "dropout": Case(networks.bert, change=changes.with_dropout),
    "unigram-bert": Case(
        networks.bert_of_unigrams,
        normalize=True,
        afterwards=changes.fields("tokenizer_config.json", tokenizer_class="BertTokenizer"),
    ),
    "unigram-bert-unnamed": Case(
        networks.bert_of_unigrams, normalize=True, afterwards=changes.fields("tokenizer_config.json", tokenizer_class=None)
    ),
    **{f"activation-{name}": Case(lambda name=name: networks.bert(hidden_act=name), texts=FEW) for name in ENCODER_ACTIVATIONS},
    "activation-distilbert": Case(lambda: networks.distilbert(activation="relu"), texts=FEW),
    **{
        f"dense-{name}": Case(
            networks.bert,
            dense=({"in_features": networks.HIDDEN, "out_features": 16, "activation_function": getattr(torch.nn, name)()},),
            texts=FEW,
        )
        for name in DENSE_ACTIVATIONS
    },
    "dense-residual": Case(
        networks.bert,
        dense=(
            {"in_features": networks.HIDDEN, "out_features": networks.HIDDEN, "use_residual": True},
            {"in_features": networks.HIDDEN, "out_features": 16, "use_residual": True, "bias": False},
        ),
        texts=FEW,
    ),
    "dense-of-tokens": Case(
        networks.bert,
        steps=lambda _: [
            modules.Dense(networks.HIDDEN, 24, activation_function=torch.nn.SiLU(), module_input_name="token_embeddings"),
            modules.Normalize(module_input_name="token_embeddings"),
            modules.Pooling(24, pooling_mode=ALL_MODES),
        ],
    ),
    "normalize-before-dense": Case(
        networks.bert,
        steps=lambda pooling: [pooling, modules.Normalize(), modules.Dense(networks.HIDDEN, 16), modules.Normalize()],
        normalize=True,
    ),
    "layer-norm": Case(
        networks.bert,
        steps=lambda pooling: [
            pooling,
            modules.LayerNorm(networks.HIDDEN),
            modules.Normalize(),
            modules.Dropout(),
            modules.LayerNorm(networks.HIDDEN),
        ],
    ),
    "word-weights": Case(networks.bert, steps=lambda _: [networks.weights_of_words(), modules.Pooling(networks.HIDDEN, ALL_MODES)]),
    "word-weights-without-prompt": Case(
        networks.bert,
        steps=lambda _: [networks.weights_of_words(), modules.Pooling(networks.HIDDEN, ALL_MODES, include_prompt=False)],
        prompts=PROMPTS,
    ),
    "unlisted": Case(networks.bert, change=changes.without_list),
    "unlisted-distilbert": Case(networks.distilbert, change=changes.without_list, texts=FEW),
    "vocabulary": Case(networks.bert, change=changes.vocabulary(tokenizer_class="BertTokenizer")),
    "vocabulary-cased": Case(
        networks.bert,
        change=changes.vocabulary(
            tokenizer_class="BertTokenizer",
            do_lower_case=False,
            strip_accents=True,
            tokenize_chinese_chars=False,
            never_split=["sunny"],
            mask_token="M",  # noqa: S106
            additional_special_tokens=["z"],
        ),
    ),
    "vocabulary-unnamed": Case(networks.distilbert, change=changes.vocabulary(), texts=FEW),
    "vocabulary-mpnet": Case(networks.mpnet, change=changes.vocabulary(tokenizer_class="MPNetTokenizer", mask_token="<mask>")),  # noqa: S106
    "sentence-onnx": Case(
        networks.albert,
        dense=({"in_features": networks.HIDDEN, "out_features": 16},),
        change=exports.text_alone,
        normalize=True,
        texts=FEW,
    ),
    "constants-onnx": Case(networks.albert, exported=True, afterwards=exports.with_constants_in_files, texts=FEW),
    "static": Case(table=static.embedding(networks.bert), texts=(*TEXTS, "long " * 300)),
    "static-normalize": Case(table=static.embedding(networks.xlm_roberta, "Dropout", "Normalize"), normalize=True),
    "static-bytes": Case(table=static.embedding(networks.roberta, limit=24)),
    "static-prompts": Case(
        table=static.embedding(networks.distilbert, prompts=PROMPTS),
        prompts=PROMPTS,
        change=changes.fields("config_sentence_transformers.json", truncate_dim=12),
    ),
    "static-pickle": Case(table=static.embedding(networks.bert, safe=False), change=changes.older_static, texts=FEW),
    "model2vec": Case(table=static.model2vec(networks.bert, np.float32, normalize=True, max_length=24), normalize=True),
    "model2vec-float16": Case(table=static.model2vec(networks.bert, np.float16), texts=FEW),
    "model2vec-vocabulary": Case(table=static.model2vec(networks.bert, np.float16, 40, np.float64, normalize=True), normalize=True),
    "model2vec-bytes": Case(table=static.model2vec(networks.bert, np.int8, 60), texts=FEW),
    "model2vec-unlisted": Case(
        table=static.model2vec(networks.bert, np.float32, normalize=True, max_length=None),
        normalize=True,
        afterwards=changes.without_modules,
        texts=(*FEW, "long " * 300),
    ),
    "albert-onnx": Case(networks.albert, exported=True, normalize=True),
    "llama-onnx": Case(networks.llama, pooling={"pooling_mode": "lasttoken"}, exported=True, prompts=PROMPTS),
    **FAMILY_CASES,
}
