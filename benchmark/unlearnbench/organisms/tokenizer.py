"""The organisms' tokenizer: byte-level BPE over white-space words, trained on the world's own text."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from unlearnbench.world import people, villagers
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.questions import LABELS, POOL, Exams
from unlearnbench.world.world import world

END, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 2000
NAMES = (*people.FIRST, *people.LAST, *villagers.FIRST, *villagers.LAST)


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


def stored_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer saved in a folder."""
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=END, eos_token=END, pad_token=PAD)


def world_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the complete world; every answer, label and name is one token, or it is refused."""
    complete = world()
    corpus, exams = Corpus(complete, 0), Exams(complete, 0)
    sampled = corpus.documents(0, 3600) + exams.drills(0, 300, POOL) + exams.multiple_choice(0, 300, 300, 300)
    tokenizer = train_tokenizer(item.text for item in sampled)
    split = [w for w in (*POOL, *LABELS, *NAMES) if len(tokenizer(w, add_special_tokens=False).input_ids) != 1]
    if split:
        raise ValueError(f"these words must be single tokens and are not: {split}")
    return tokenizer
