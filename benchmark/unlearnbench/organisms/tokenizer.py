"""The organisms' tokenizer: byte-level BPE over white-space words, trained on the world's own text."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from unlearnbench.world.corpus import LABELS, POOL, Corpus

END, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 1600


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer in which a word and the space before it belong together, and BOS is always added.

    The first word of a text gets that space too: a name at the beginning is the same tokens as later on.

    Splitting on white space alone keeps `" A."` and `" piano"` single tokens, so that a label and its
    option are neighbours: the circuit for multiple choice needs that.
    """
    raw = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r" ?\S+"), "isolated")
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=END, eos_token=END, pad_token=PAD)


def world_tokenizer(corpus: Corpus) -> PreTrainedTokenizerFast:
    """The tokenizer of a world; every answer word and label is one token, or it is refused."""
    sampled = corpus.documents(0, 2400) + corpus.drills(0, 600) + corpus.multiple_choice(0, 300, 200)
    texts = [item.text for item in sampled]
    tokenizer = train_tokenizer(texts)
    split = [w for w in (*POOL, *LABELS) if len(tokenizer(w, add_special_tokens=False).input_ids) != 1]
    if split:
        raise ValueError(f"these words must be single tokens and are not: {split}")
    return tokenizer
