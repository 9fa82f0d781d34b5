"""The table of reference models of the families after BERT's. Each has shapes that BERT's family does not have."""

import torch

from tests.layers.model.oracle import changes, families, jina, networks
from tests.layers.model.oracle.case import TEXTS, Case

FAMILY_CASES: dict[str, Case] = {
    "electra": Case(lambda: families.electra(12), normalize=True),
    "electra-wide": Case(lambda: families.electra(32), texts=TEXTS[:3]),
    "nomic": Case(families.nomic, normalize=True, change=changes.refilled, prompts=families.PROMPTS),
    # Heads are 10 numbers wide.
    "nomic-own-code": Case(
        lambda: families.nomic(hidden_size=30, num_attention_heads=3, max_position_embeddings=256, hidden_act="gelu"),
        limit=None,
        longest=200,
        change=changes.refilled,
        afterwards=families.as_own_code_reads_it("geglu"),
    ),
    "qwen3": Case(
        lambda: families.qwen(head_dim=6, rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0}),
        pooling={"pooling_mode": "lasttoken"},
        normalize=True,
        change=changes.refilled,
        prompts=families.INSTRUCTIONS,
    ),
    # The second layer sees 5 tokens; texts are far longer than that. config.json has the fields of older versions.
    "qwen3-sliding": Case(
        lambda: families.qwen(
            head_dim=16, attention_bias=True, use_sliding_window=True, sliding_window=5, max_window_layers=1, num_key_value_heads=1
        ),
        pooling={"pooling_mode": "lasttoken"},
        limit=300,
        change=changes.refilled,
        afterwards=families.with_older_rope,
    ),
    "qwen2": Case(
        lambda: families.qwen("Qwen2", end=False), pooling={"pooling_mode": "lasttoken"}, change=changes.refilled, texts=TEXTS
    ),
    # Such models see in both directions.
    "qwen2-both-ways": Case(
        lambda: families.qwen("Qwen2", is_causal=False, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}),
        change=changes.refilled,
        limit=300,
    ),
    "eurobert": Case(lambda: families.eurobert(num_key_value_heads=None), normalize=True, change=changes.refilled),
    "eurobert-biases": Case(
        lambda: families.eurobert(attention_bias=True, mlp_bias=True, head_dim=10, hidden_act="gelu"),
        change=changes.refilled,
        afterwards=families.with_older_rope,
    ),
    "modernbert": Case(families.modernbert, normalize=True, change=changes.refilled, prompts=families.PROMPTS),
    "modernbert-biases": Case(
        lambda: families.modernbert(attention_bias=True, mlp_bias=True, norm_bias=True, local_attention=11, hidden_size=40),
        pooling={"pooling_mode": "cls"},
        limit=100,
        change=changes.refilled,
        afterwards=families.modernbert_with_older_rope,
    ),
    "gte": Case(lambda: families.gte(networks.xlm_roberta()[1]), pooling={"pooling_mode": "cls"}, change=changes.refilled),
    "gte-new": Case(
        lambda: families.gte(
            type_vocab_size=0,
            hidden_size=36,
            num_attention_heads=2,
            # It is what NTK scaling by 4 makes of a base of 5,000 for heads of 18 numbers.
            rope_parameters={"rope_type": "linear", "rope_theta": 20_000.0, "factor": 4 ** (2 / 18)},
        ),
        limit=100,
        normalize=True,
        change=changes.refilled,
        afterwards=families.as_new(factor=4.0),
    ),
    "gte-separate": Case(
        families.gte,
        change=families.separated,
        loaded=families.load_separated,
        afterwards=families.as_new(packed=False),
    ),
    "gemma3": Case(
        families.gemma,
        dense=(
            {"in_features": 32, "out_features": 64, "bias": False, "activation_function": torch.nn.Identity()},
            {"in_features": 64, "out_features": 32, "bias": False, "activation_function": torch.nn.Identity()},
        ),
        normalize=True,
        change=changes.refilled,
        prompts=families.PROMPTS,
    ),
    "gemma3-causal": Case(
        lambda: families.gemma(use_bidirectional_attention=False, num_key_value_heads=2, attention_bias=True, layer_types=None),
        limit=100,
        change=changes.refilled,
        afterwards=families.gemma_with_older_rope,
    ),
    "jina": Case(networks.bert, normalize=True, change=jina.saved, loaded=jina.load, prompts=families.PROMPTS),
    # 6 is no power of 2: then slopes come from two series.
    "jina-six-heads": Case(
        lambda: networks.bert(hidden_size=36, num_attention_heads=6, max_position_embeddings=512),
        limit=300,
        change=jina.saved,
        loaded=jina.load,
    ),
    "jina-code": Case(
        lambda: networks.bert(num_attention_heads=2, max_position_embeddings=512),
        limit=100,
        change=jina.saved_with_projection_norms,
        loaded=jina.load,
    ),
}
