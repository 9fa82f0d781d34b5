"""Make tiny networks of the families after BERT's, with the official library, and their cases."""

from typing import Any

import transformers

from tests.layers.model.oracle.networks import bert


def electra(embedding: int) -> tuple[Any, Any]:
    """Return ELECTRA, whose embeddings may be shorter than its states."""
    tokenizer = bert()[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    made = transformers.ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=embedding, max_position_embeddings=64, hidden_act="gelu", **sizes
    )
    return transformers.ElectraModel(made), tokenizer
