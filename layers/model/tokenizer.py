"""Write the tokenizer that the model's class in transformers would have, without padding and truncation.

transformers rebuilds some tokenizers from the arguments of their class, so that tokenizer_config.json overrides tokenizer.json.
That is wrong if tokenizer.json has another type of tokenizer than the class, as for a BERT with XLM-RoBERTa's tokens. Then it is
used as it is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from handler.embedding.manifest import TOKENIZER
from layers.model import special_tokens, word_pieces
from layers.model.configuration import TOKENIZER_BYTES, Configuration, Unsupported, exists, read_bytes, shown
from layers.model.module_types import WordWeights
from layers.model.specification import Specification
from layers.model.static import Table

type Say = Callable[[str], None]


def write(specification: Specification, folder: Path, say: Say) -> None:
    """Write the tokenizer into `folder`, without padding and truncation, which the handler decides.

    Raises:
        Unsupported: its file is missing or damaged, needs code of the model, or cannot belong to the model.
    """
    check_files(specification)
    config = specification.tokenizer
    kind = _kind(specification)
    if exists(specification.transformer, TOKENIZER):
        tokenizer = _read(specification.transformer)
    else:
        say(f"{TOKENIZER} is missing: making the tokenizer of {word_pieces.VOCABULARY}, as the class {kind} does")
        config = word_pieces.named(config, kind)
        tokenizer = word_pieces.read(specification.transformer, config)
    if tokenizer.truncation and tokenizer.truncation["direction"] != "right" and config.get("truncation_side") is None:
        msg = f"{TOKENIZER} says truncation is from the {tokenizer.truncation['direction']}; this builder knows right"
        raise Unsupported(msg)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if isinstance(specification.network, Table):
        tokenizer = _without_special_tokens(tokenizer)
    rebuild = OVERRIDES.get(kind)
    if rebuild and not isinstance(tokenizer.model, rebuild.model):
        say(
            f"tokenizer_class is {specification.tokenizer_class}, but {TOKENIZER} is of the kind {type(tokenizer.model).__name__}: "
            "it is taken as it is, as Sentence Transformers 5 does and the model was trained (6 makes unknown tokens of most words)"
        )
        rebuild = None
    if rebuild:
        rebuild.change(tokenizer, config)
    special_tokens.add(tokenizer, config)
    special_tokens.check_around(tokenizer, config, rebuilt=rebuild is not None)
    if specification.cross_encoder:
        special_tokens.set_pair(tokenizer, kind)
    if specification.lowercase:
        steps = [normalizers.Lowercase(), *([tokenizer.normalizer] if tokenizer.normalizer else [])]
        tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer = _belonging(tokenizer, specification.vocabulary, say)
    _check_weighed(tokenizer, specification)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)


def _without_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer without the tokens that it puts around a text: a static model leaves them out."""
    return Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"post_processor": None}))


def _check_weighed(tokenizer: Tokenizer, specification: Specification) -> None:
    """Check that a WordWeights module has a weight for each token.

    Raises:
        Unsupported: a token has no weight.
    """
    largest = max(tokenizer.get_vocab().values(), default=0)
    for module in specification.modules.before:
        if isinstance(module, WordWeights) and largest >= len(module.weights):
            msg = f"{TOKENIZER} gives token ids up to {largest}, but WordWeights has weights for {len(module.weights)} tokens"
            raise Unsupported(msg)


def check_files(specification: Specification) -> None:
    """Check that the model has a file from which its tokenizer can be made, without code of the model.

    Raises:
        Unsupported: it has no such file, or needs code; the error says how to make the file.
    """
    specification.tokenizer.check({"auto_map": (None,)})
    source, kind = specification.transformer, _kind(specification)
    if exists(source, TOKENIZER):
        return
    has = exists(source, word_pieces.VOCABULARY)
    if not has or kind not in word_pieces.CLASSES:
        reason = f"{word_pieces.VOCABULARY} is there, but the class is {kind or 'not named'}" if has else "so is vocab.txt"
        msg = (
            f"{TOKENIZER} is missing in {source}, and {reason}: save it with transformers' "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
        raise Unsupported(msg)


def _kind(specification: Specification) -> str:
    return specification.tokenizer_class.removesuffix("Fast")


def _belonging(tokenizer: Tokenizer, vocabulary: int, say: Say) -> Tokenizer:
    """Return the tokenizer without added tokens for which the model has no rows. Only texts that contain such a token differ.

    Raises:
        Unsupported: the tokenizer cannot belong to a model with this number of tokens.
    """
    own = tokenizer.get_vocab(with_added_tokens=False)
    largest = max([*own.values(), *tokenizer.encode("").ids], default=0)
    if largest >= vocabulary:
        msg = f"{TOKENIZER} gives token ids up to {largest}, config.json says vocab_size {vocabulary}"
        raise Unsupported(msg)
    if 2 * tokenizer.get_vocab_size() < vocabulary:
        msg = (
            f"{TOKENIZER} has {tokenizer.get_vocab_size()} tokens, config.json says vocab_size {vocabulary}: it is another model's"
        )
        raise Unsupported(msg)
    beyond = [token.content for place, token in tokenizer.get_added_tokens_decoder().items() if place >= vocabulary]
    if not beyond:
        return tokenizer
    say(f"Leaving out the tokens {shown(beyond)}, which the model has no rows for: where a text spells them, they are plain text")
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < vocabulary]
    return Tokenizer.from_str(json.dumps(content))


def check_known(folder: Path, texts: list[str]) -> None:
    """Check that the tokenizer in `folder` knows the words of ordinary texts.

    Raises:
        Unsupported: it fails on them, or most of their tokens are its unknown token.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    model = json.loads(tokenizer.to_str())["model"]
    unknown: int | None = model.get("unk_id") if "unk_id" in model else tokenizer.token_to_id(model.get("unk_token") or "")
    try:
        ids = [token for encoding in tokenizer.encode_batch_fast(texts) for token in encoding.ids]
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        msg = f"{TOKENIZER} cannot encode a text: {error}"
        raise Unsupported(msg) from None
    if unknown is not None and 2 * ids.count(unknown) > len(ids):
        msg = f"{TOKENIZER} knows too few words: {ids.count(unknown)} of {len(ids)} tokens of English texts are its unknown token"
        raise Unsupported(msg)


def _read(source: Path) -> Tokenizer:
    try:
        return Tokenizer.from_buffer(read_bytes(source, TOKENIZER, TOKENIZER_BYTES))
    except Unsupported:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        msg = f"{TOKENIZER} in {source} cannot be read: {error}"
        raise Unsupported(msg) from None


def _word_pieces(tokenizer: Tokenizer, config: Configuration) -> None:
    """Replace the normalizer by the one that the class makes from its arguments. It lower-cases by default."""
    known = tokenizer.model.unk_token
    if config.get("unk_token") is not None and special_tokens.content(config, "unk_token") != known:
        config.refuse("unk_token", f"{TOKENIZER} has {known}")
    tokenizer.normalizer = word_pieces.normalizer(config)


def _byte_level(tokenizer: Tokenizer, config: Configuration) -> None:
    """Add a space before a text only if the argument of the class says so."""
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=config.flag("add_prefix_space"))


@dataclass(frozen=True, slots=True)
class Override:
    """A class that transformers rebuilds: the type of tokenizer that it needs, and what it changes."""

    model: type
    change: Callable[[Tokenizer, Configuration], None]


WORD_PIECES = Override(models.WordPiece, _word_pieces)
OVERRIDES: Mapping[str, Override] = {
    "BertTokenizer": WORD_PIECES,
    "DistilBertTokenizer": WORD_PIECES,
    "ElectraTokenizer": WORD_PIECES,
    "MPNetTokenizer": WORD_PIECES,
    "RobertaTokenizer": Override(models.BPE, _byte_level),
}
"""The classes that transformers rebuilds, by name. All other classes use tokenizer.json as it is."""
